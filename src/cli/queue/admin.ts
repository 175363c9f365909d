/** ● `holdfast queue retry`, `cancel`, `promote`, `remove`, `purge`, `drain`, `pause`, `resume` and `set`: operations of the broker. */
import { UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import { operateAll, OPERATIONS, type QueueSettings, wireFilter } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";
import { type FilterFlags, filterFlags, readFilterFlags, stateNamed } from "./filter-flags.ts";

type Command = (argv: readonly string[]) => Promise<number>;

export const retry: Command = (argv) => onTasks("retry", argv);
export const cancel: Command = (argv) => onTasks("cancel", argv);
export const promote: Command = (argv) => onTasks("promote", argv);
export const remove: Command = (argv) => onTasks("remove", argv);
export const drain: Command = (argv) => onQueue("drain", argv);
export const pause: Command = (argv) => onQueue("pause", argv);
export const resume: Command = (argv) => onQueue("resume", argv);

/** Tasks by their ids, or those of a queue. */
async function onTasks(name: "retry" | "cancel" | "promote" | "remove", argv: readonly string[]): Promise<number> {
  const command = filterFlags(clientFlags(flags(`queue ${name}`, OPERATIONS[name].does)))
    .argument("[ids...]", "the tasks' ids")
    .option("--queue <queue>", "all tasks of this queue that the other flags let through");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & FilterFlags & { queue?: string }>();
  const { queue } = options;
  const [ids] = command.processedArgs as [string[]];
  if (ids.length === 0 && queue === undefined) throw new UsageError("CLI_USAGE", "Give task ids, or a queue with --queue");
  return withClient(options, async (client, timeoutMs) => {
    for (const id of ids) {
      const { value } = await client.operate(name, { id }, { timeoutMs });
      // `{ "retried": "b0-1" }`: how many it is is known.
      print(options, { [Object.keys(value)[0]!]: id });
    }
    if (queue === undefined) return 0;
    const filter = wireFilter(readFilterFlags(options));
    for (const value of await operateAll(client, name, { queue, ...filter }, { timeoutMs }))
      print(options, { ...value, undo: undefined });
    return 0;
  });
}

async function onQueue(name: "pause" | "resume" | "drain", argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags(`queue ${name}`, OPERATIONS[name].does)).argument("<queue>", "the queue's name");
  if (name === "drain") command.option("--delayed", "also tasks that wait for their time or for others");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { delayed?: boolean }>();
  const [queue] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const input = { queue, ...(options.delayed && { delayed: true }) };
    for (const value of await operateAll(client, name, input, { timeoutMs }))
      print(options, name === "drain" ? value : { queue, paused: name === "pause" });
    return 0;
  });
}

export async function update(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue update", OPERATIONS.update.does))
    .argument("<id>", "the task's id")
    .option("--delay <duration>", "due so long from now; 0: at once")
    .option("--priority <n>", "0 to 255, higher first")
    .option("--body <body>", "another body");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { delay?: string; priority?: string; body?: string }>();
  const { delay, priority, body } = options;
  const [id] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const changes = {
      delayMs: delay === undefined ? undefined : Math.round(durationMs(delay, "--delay")),
      priority: priority === undefined ? undefined : readCount(priority, "--priority"),
    };
    await client.operate("update", { id, ...changes }, { timeoutMs, body: body === undefined ? undefined : Buffer.from(body) });
    print(options, { updated: id });
    return 0;
  });
}

export async function purge(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue purge", "Deletes ended tasks of a queue"))
    .argument("<queue>", "the queue's name")
    .option("--state <state>", "dead, completed or cancelled", "dead");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { state: string }>();
  const [queue] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const state = stateNamed(options.state);
    for (const { removed } of await operateAll(client, "remove", { queue, state }, { timeoutMs })) print(options, { removed });
    return 0;
  });
}

interface SetFlags extends ClientFlags {
  readonly maxBytes?: string;
  readonly concurrency?: string;
  readonly rate?: string;
  readonly groupConcurrency?: string;
  readonly groupRate?: string;
  readonly group?: string;
  readonly keepCompleted?: string;
  readonly keepDead?: string;
  readonly keepCompletedFor?: string;
  readonly keepDeadFor?: string;
  readonly aging?: string;
}

export async function set(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue set", "Sets a queue's limits; they persist across restarts"))
    .argument("<queue>", "the queue's name")
    .option("--max-bytes <size>", "bytes of waiting tasks")
    .option("--concurrency <n>", "tasks running at once, or 'off'")
    .option("--rate <n/duration>", "tasks started per time interval, such as 100/1s, or 'off'")
    .option("--group-concurrency <n>", "tasks of one group running at once, or 'off'")
    .option("--group-rate <n/duration>", "tasks of one group started per time interval, or 'off'")
    .option("--group <name>", "--group-concurrency and --group-rate are of this group alone; both 'off': as all others again")
    .option("--keep-completed <n>", "so many completed tasks are kept at most, or 'off'")
    .option("--keep-dead <n>", "so many dead tasks are kept at most, or 'off'")
    .option("--keep-completed-for <duration>", "so long completed tasks are kept at most, or 'off'")
    .option("--keep-dead-for <duration>", "so long dead tasks are kept (14d), or 'off'")
    .option(
      "--aging <duration>",
      "tasks that have waited so long get one of 8 starts, whatever waits above them (10s), or 'off'",
    );
  if (!(await parse(command, argv))) return 0;
  const { maxBytes, concurrency, rate, groupConcurrency, groupRate, group, aging, ...more } = command.opts<SetFlags>();
  const { keepCompleted, keepDead, keepCompletedFor, keepDeadFor, ...options } = more;
  const ofGroup = {
    ...(groupConcurrency !== undefined && { concurrency: countOrOff(groupConcurrency, "--group-concurrency") }),
    ...(groupRate !== undefined && { rate: rateOrOff(groupRate, "--group-rate") }),
  };
  const settings: QueueSettings = {
    ...(maxBytes !== undefined && { bytesMax: sizeBytes(maxBytes, "--max-bytes") }),
    ...(concurrency !== undefined && { concurrency: countOrOff(concurrency, "--concurrency") }),
    ...(rate !== undefined && { rate: rateOrOff(rate, "--rate") }),
    ...(group === undefined
      ? {
          ...("concurrency" in ofGroup && { groupConcurrency: ofGroup.concurrency }),
          ...("rate" in ofGroup && { groupRate: ofGroup.rate }),
        }
      : { groups: { [group]: ofGroup.concurrency === null && ofGroup.rate === null ? null : ofGroup } }),
    ...(keepCompleted !== undefined && { keepCompleted: countOrOff(keepCompleted, "--keep-completed") }),
    ...(keepDead !== undefined && { keepDead: countOrOff(keepDead, "--keep-dead") }),
    ...(keepCompletedFor !== undefined && { keepCompletedMs: timeOrOff(keepCompletedFor, "--keep-completed-for") }),
    ...(keepDeadFor !== undefined && { keepDeadMs: timeOrOff(keepDeadFor, "--keep-dead-for") }),
    ...(aging !== undefined && { agingMs: aging === "off" ? 0 : Math.round(durationMs(aging, "--aging")) }),
  };
  const [queue] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    await operateAll(client, "set", { queue, ...settings }, { timeoutMs });
    print(options, { queue, ...settings });
    return 0;
  });
}

function timeOrOff(text: string, flag: string): number | null {
  return text === "off" ? null : Math.round(durationMs(text, flag));
}

function countOrOff(text: string, flag: string): number | null {
  return text === "off" ? null : readCount(text, flag);
}

function rateOrOff(text: string, flag: string): { count: number; perMs: number } | null {
  if (text === "off") return null;
  const [count, per] = text.split("/");
  if (!count || !per) throw new UsageError("CLI_USAGE", `Cannot read ${flag} '${text}': write 100/1s`);
  return { count: readCount(count, flag), perMs: durationMs(per, flag) };
}

function print({ json }: ClientFlags, facts: object): void {
  const told = Object.entries(facts).filter(([, value]) => value !== undefined);
  const words = told.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${words.join(", ")}\n`);
}
