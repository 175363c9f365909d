/** ○ docs/logs.md: how to read and choose what the log tells, and each event, from the table in src/core/log-events.ts. */
import { LOG_EVENTS, LOG_LEVELS, type LogEvent } from "../../src/core/log-events.ts";

const INTRO = `# The log

<!-- written from src/core/log-events.ts by \`npm run reference\` -->

What an operator must know is one line on stderr: its time, its level, the event, then what is known of it.

\`\`\`text
2026-11-30T14:05:38.120Z warning queue.worker-lost peer=0066a1c2f3 queue=emails held=3
\`\`\`

- **Commands that go on** (\`holdfast up\`, \`queue serve\`, \`work\`, \`cache\`, \`listen\`) take \`--log text|json\` and
  \`--log-level error|warning|info|debug\`; the environment \`HOLDFAST_LOG_FORMAT\` and \`HOLDFAST_LOG_LEVEL\`, and \`log\` in a settings file.
  A level lets through itself and what is worse. Without it \`queue serve\`, \`work\` and \`listen\` tell from \`info\` on, \`up\` and \`cache\`
  from \`warning\` on. In JSON a line is an object with \`time\`, \`level\`, \`event\` and the facts.
  \`listen\` writes lines for people unless one of the two is given.
- **In code** \`Broker\`, \`queue\`, \`QueueClient\` and \`worker\` have the option \`log\`: a level, \`false\` for silence, or a function that is told
  each event, its facts and its level, whatever the level. Without it warnings and errors are lines on stderr.
- Where trouble ends that is a warning too, so that whoever was told that it began is told that it is over.
- The same line again within 10 s is not written, and of one event at most 100 lines in 10 s; \`log.left-out\` counts the rest.
- Names of events are part of the contract: they are never renamed. Facts may be added.

\`\`\`ts fragment
import { Broker } from "holdfast/queue";
const broker = new Broker({ log: (event, facts, level) => logger[level === "warning" ? "warn" : level]({ event, ...facts }) });
\`\`\`
`;

export function logsPage(): string {
  const names = Object.keys(LOG_EVENTS) as LogEvent[];
  const rows = names.map((name) => `| \`${name}\` | ${LOG_EVENTS[name].level} | ${LOG_EVENTS[name].text} |`);
  const levels = LOG_LEVELS.map((level) => `\`${level}\``).join(", ");
  return `${INTRO}
## Events

Levels, from the worst: ${levels}.

| event | level | what happened, and its facts |
| --- | --- | --- |
${rows.join("\n")}
`;
}
