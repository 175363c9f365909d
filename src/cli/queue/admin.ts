/** ● `holdfast queue retry`, `cancel`, `pause`, `resume`, `set` and `purge`. */
import { UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import { listTasks, purgeTasks, type QueueClient, type QueueSettings } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";

export async function retry(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue retry", "Retries dead tasks, with their full number of attempts"))
    .argument("[ids...]", "the tasks' ids")
    .option("--queue <queue>", "all dead tasks of this queue");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { queue?: string }>();
  const [named] = command.processedArgs as [string[]];
  if (named.length === 0 && options.queue === undefined)
    throw new UsageError("CLI_USAGE", "Give task ids, or a queue with --queue");
  return withClient(options, async (client, timeoutMs) => {
    const ids = options.queue === undefined ? named : [...named, ...(await deadTasks(client, options.queue, timeoutMs))];
    for (const id of ids) {
      await client.ask("RETRY", [Buffer.from(id)], { timeoutMs, id });
      print(options, { retried: id });
    }
    return 0;
  });
}

async function deadTasks(client: QueueClient, queue: string, timeoutMs: number): Promise<string[]> {
  const ids: string[] = [];
  let after: number | undefined;
  do {
    const page = await listTasks(client, { queue, state: "dead", limit: 1000, after }, timeoutMs);
    // One whose body had to make room has nothing to be tried again with.
    ids.push(...page.tasks.filter(({ evicted }) => !evicted).map(({ id }) => id));
    after = page.next;
  } while (after !== undefined);
  return ids;
}

export async function cancel(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue cancel", "Cancels tasks; running handlers receive an abort signal")).argument(
    "<ids...>",
    "the tasks' ids",
  );
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags>();
  const [ids] = command.processedArgs as [string[]];
  return withClient(options, async (client, timeoutMs) => {
    for (const id of ids) {
      await client.cancel(id, { timeoutMs });
      print(options, { cancelled: id });
    }
    return 0;
  });
}

export const pause = (argv: readonly string[]): Promise<number> => configure(argv, "pause", { paused: true });
export const resume = (argv: readonly string[]): Promise<number> => configure(argv, "resume", { paused: false });

async function configure(argv: readonly string[], name: "pause" | "resume", settings: QueueSettings): Promise<number> {
  const does =
    name === "pause" ? "Pauses delivery of a queue's tasks until it is resumed" : "Resumes delivery of a paused queue's tasks";
  const command = clientFlags(flags(`queue ${name}`, does)).argument("<queue>", "the queue's name");
  if (!(await parse(command, argv))) return 0;
  return send(command.opts<ClientFlags>(), command.processedArgs[0] as string, settings);
}

interface SetFlags extends ClientFlags {
  readonly maxBytes?: string;
  readonly concurrency?: string;
  readonly rate?: string;
  readonly groupConcurrency?: string;
  readonly groupRate?: string;
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
    .option(
      "--aging <duration>",
      "tasks that have waited so long get one of 8 starts, whatever waits above them (10s), or 'off'",
    );
  if (!(await parse(command, argv))) return 0;
  const { maxBytes, concurrency, rate, groupConcurrency, groupRate, aging, ...options } = command.opts<SetFlags>();
  const settings: QueueSettings = {
    ...(maxBytes !== undefined && { bytesMax: sizeBytes(maxBytes, "--max-bytes") }),
    ...(concurrency !== undefined && { concurrency: countOrOff(concurrency, "--concurrency") }),
    ...(rate !== undefined && { rate: rateOrOff(rate, "--rate") }),
    ...(groupConcurrency !== undefined && { groupConcurrency: countOrOff(groupConcurrency, "--group-concurrency") }),
    ...(groupRate !== undefined && { groupRate: rateOrOff(groupRate, "--group-rate") }),
    ...(aging !== undefined && { agingMs: aging === "off" ? 0 : Math.round(durationMs(aging, "--aging")) }),
  };
  return send(options, command.processedArgs[0] as string, settings);
}

async function send(options: ClientFlags, queue: string, settings: QueueSettings): Promise<number> {
  return withClient(options, async (client, timeoutMs) => {
    await client.askAll("SET", [Buffer.from(queue), Buffer.from(JSON.stringify(settings))], { timeoutMs });
    print(options, { queue, ...settings });
    return 0;
  });
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

export async function purge(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue purge", "Deletes ended tasks of a queue"))
    .argument("<queue>", "the queue's name")
    .option("--state <state>", "dead, completed or cancelled", "dead");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { state: string }>();
  const [queue] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const { removed } = await purgeTasks(client, { queue, state: options.state }, timeoutMs);
    print(options, { removed });
    return 0;
  });
}

function print({ json }: ClientFlags, facts: object): void {
  const words = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${words.join(", ")}\n`);
}
