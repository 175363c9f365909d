/** ● `holdfast queue events`: what happens to tasks, a line each, until it is stopped. */
import { printable } from "../../core/printable.ts";
import { UsageError } from "../../core/errors.ts";
import { type EventGap, QUEUE_EVENTS, type QueueEvent, type QueueEventName, QueueListener } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { stopRequest } from "../shared/stop-request.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";

interface EventsFlags extends ClientFlags {
  readonly event?: readonly string[];
  readonly after?: string;
  readonly limit?: string;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = clientFlags(
    flags("queue events", "Shows what happens to the tasks of a queue, or of all, until it is stopped"),
  )
    .argument("[queue]", "only this queue")
    .option("--event <name...>", `only these: ${QUEUE_EVENTS.join(", ")} (default: all but active and progress)`)
    .option("--after <cursor>", "from this cursor of an earlier line on, or 'oldest' (default: from now on)")
    .option("--limit <n>", "ends after so many");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<EventsFlags>();
  const { after, event, limit } = options;
  const [queue] = command.processedArgs as [string | undefined];
  const events = event?.map(readEvent);
  let left = limit === undefined ? Infinity : readCount(limit, "--limit");
  using stop = stopRequest();
  return await withClient(
    options,
    async (client) => {
      const listener = new QueueListener(client, queue, {
        ...(events && { events }),
        ...(after !== undefined && { after }),
        signal: stop.signal,
      });
      for await (const each of listener.events()) {
        process.stdout.write(options.json ? `${JSON.stringify(each)}\n` : lineOf(each));
        left -= 1;
        if (left <= 0) break;
      }
      return 0;
    },
    "warning",
  );
}

function readEvent(name: string): QueueEventName {
  const event = QUEUE_EVENTS.find((each) => each === name);
  if (!event) throw new UsageError("CLI_USAGE", `Cannot read --event '${name}': it is one of ${QUEUE_EVENTS.join(", ")}`);
  return event;
}

function lineOf(event: QueueEvent | EventGap): string {
  if (event.event === "gap") return `gap: events before this are kept no longer; cursor ${event.cursor}\n`;
  const { attempt, reason, error, worker, progress } = event;
  const more = [
    attempt !== undefined && `attempt ${attempt}`,
    reason !== undefined && `(${reason})`,
    worker !== undefined && `at ${worker}`,
    error,
    progress,
  ];
  const words = [new Date(event.atMs).toISOString(), event.event.padEnd(9), event.queue, event.id];
  return `${printable([...words, ...more.filter((word) => typeof word === "string")].join(" "))}\n`;
}
