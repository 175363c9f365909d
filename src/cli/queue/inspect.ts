/** ● `holdfast queue ls` and `holdfast queue show`. */
import { printable } from "../../core/printable.ts";
import { showDuration, showSize } from "../../core/units.ts";
import { UsageError } from "../../core/errors.ts";
import { eachTask, operateAll, type QueueClient, type QueueStats, type TaskDetails, type TaskInfo } from "../../queue/index.ts";
import { bodyField } from "./bodies.ts";
import { flags, parse } from "../shared/flags.ts";
import { printTable } from "../shared/print-table.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";
import { type FilterFlags, filterFlags, readFilterFlags } from "./filter-flags.ts";

interface ListFlags extends ClientFlags, FilterFlags {
  readonly limit: string;
  readonly where?: readonly string[];
  readonly after?: string;
  readonly errors?: boolean;
}

export async function ls(argv: readonly string[]): Promise<number> {
  const command = filterFlags(
    clientFlags(flags("queue ls", "Lists the queues with their task counts, or the tasks of one queue")),
  )
    .argument("[queue]", "list this queue's tasks")
    .option("--where <field=value...>", "only tasks whose JSON body has this: customer.id=42; bodies are read one by one")
    .option("--after <id>", "only tasks after this one")
    .option("--limit <n>", "at most this many tasks", "100")
    .option("--errors", "what the dead tasks of the queue died of, instead of tasks: the most frequent first");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ListFlags>();
  const [name] = command.processedArgs as [string | undefined];
  if (options.errors && name === undefined) throw new UsageError("CLI_USAGE", "--errors needs a queue");
  return withClient(options, async (client, timeoutMs) => {
    if (name === undefined) printQueues(await client.queues({ timeout: timeoutMs }), options.json ?? false);
    else if (options.errors) await printErrors(client, name, options, timeoutMs);
    else await printTasks(client, name, options, timeoutMs);
    return 0;
  });
}

async function printErrors(client: QueueClient, queue: string, { json }: ListFlags, timeoutMs: number): Promise<void> {
  const rows: string[][] = [["ERROR", "COUNT", "FIRST", "LAST", "TEXT"]];
  for (const { groups, unread } of await operateAll(client, "errors", { queue }, { timeoutMs })) {
    for (const group of groups) {
      if (json) process.stdout.write(`${JSON.stringify(group)}\n`);
      else rows.push([group.error, `${group.count}`, showTime(group.firstMs), showTime(group.lastMs), printable(group.text)]);
    }
    if (unread > 0) process.stderr.write(`The errors of ${unread} more are still being read from the store\n`);
  }
  if (!json) printTable(rows);
}

/** `completed` comes last: it is no work that is left. */
const COUNTED = ["waiting", "delayed", "blocked", "active", "retrying", "dead", "completed"] as const;

function printQueues(queues: readonly QueueStats[], json: boolean): void {
  if (json) {
    for (const queue of queues) process.stdout.write(`${JSON.stringify(queue)}\n`);
    return;
  }
  const rows = queues.map(({ name, states, consumers, bytes, settings }) => [
    settings.paused ? `${name} (paused)` : name,
    ...COUNTED.map((state) => `${states[state]}`),
    `${consumers}`,
    showSize(bytes),
  ]);
  printTable([["QUEUE", ...COUNTED.map((state) => state.toUpperCase()), "WORKERS", "BYTES"], ...rows]);
}

async function printTasks(client: QueueClient, queue: string, options: ListFlags, timeoutMs: number): Promise<void> {
  const { where = [], after, json } = options;
  const limit = readCount(options.limit, "--limit");
  let searched: string | undefined;
  const search = {
    ...readFilterFlags(options),
    where: Object.fromEntries(where.map(readWhere)),
    after,
    limit,
    onSearched: (read: number, of: number) => (searched = `Searched ${read} of ${of} tasks`),
  };
  const rows: string[][] = [["ID", "STATE", "PRIORITY", "GROUP", "FAILURES", "AGE", "BYTES", "STARTED", "WORKER"]];
  let last: string | undefined;
  let count = 0;
  for await (const task of eachTask(client, queue, search, { timeoutMs })) {
    last = task.id;
    count += 1;
    if (json) process.stdout.write(`${JSON.stringify(task)}\n`);
    else rows.push(taskRow(task));
  }
  if (!json) printTable(rows);
  if (searched !== undefined)
    process.stderr.write(count < limit ? `${searched}\n` : `${searched}; there may be more: --after ${last}\n`);
}

function readWhere(text: string): [field: string, value: string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new UsageError("CLI_USAGE", `Cannot read --where '${text}': write customer.id=42`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function taskRow(task: TaskInfo): string[] {
  const { id, state, reason, priority, group, failures, createdMs, bodyBytes, startedMs, worker } = task;
  return [
    id,
    reason ? `${state} (${reason})` : state,
    `${priority}`,
    group ?? "",
    `${failures}`,
    showDuration(Math.max(0, Date.now() - createdMs)),
    showSize(bodyBytes),
    startedMs === undefined ? "" : showTime(startedMs),
    printable(worker ?? ""),
  ];
}

export async function show(argv: readonly string[]): Promise<number> {
  const command = clientFlags(
    flags("queue show", "Shows a task: its state, why it waits, its errors, the steps of its handler, its body or result"),
  ).argument("<id>", "the task's id");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags>();
  const [id] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const { value, body = Buffer.alloc(0) } = await client.operate("get", { id }, { timeoutMs });
    if (options.json) process.stdout.write(`${JSON.stringify({ ...value, ...bodyField("body", body) })}\n`);
    else {
      for (const [name, field] of Object.entries(value))
        process.stdout.write(`${printable(name).padEnd(14)}${showField(name, field, value)}\n`);
      process.stdout.write(`${(value.state === "completed" ? "result" : "body").padEnd(14)}${body.toString()}\n`);
    }
    return 0;
  });
}

/** The flow that a task is of, or what is done to all of it. */
export async function flow(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue flow", "Shows the flow that a task is of, or cancels or retries all of it"))
    .argument("<id>", "the id of any of its tasks")
    .option("--cancel", "cancel all of its tasks that have not ended")
    .option("--retry", "retry all of its dead tasks");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags & { cancel?: boolean; retry?: boolean }>();
  const [id] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const print = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
    if (options.cancel) print((await client.operate("cancelFlow", { id }, { timeoutMs })).value);
    if (options.retry) print((await client.operate("retryFlow", { id }, { timeoutMs })).value);
    if (options.cancel || options.retry) return 0;
    const { value } = await client.operate("flow", { id }, { timeoutMs });
    if (options.json) print(value);
    else {
      const counts = Object.entries(value.states).map(([state, count]) => `${String(count)} ${state}`);
      process.stdout.write(`${value.count} tasks: ${counts.join(", ")}\n`);
      for (const { id: task, queue, state, after } of value.tasks)
        process.stdout.write(
          `${task.padEnd(16)} ${state.padEnd(10)} ${printable(queue)}${after.length > 0 ? ` after ${after.join(" ")}` : ""}\n`,
        );
    }
    return 0;
  });
}

function showField(name: string, field: unknown, task: TaskDetails): string {
  return name === "errors" ? showErrors(task) : name === "steps" ? showSteps(task) : readable(name, field);
}

/** A line each: when, what, and what it came to. */
function showSteps({ steps = [] }: TaskDetails): string {
  const line = ({ type, name, atMs, untilMs, state, bytes, task }: (typeof steps)[number]): string => {
    const more = [
      untilMs === undefined ? "" : ` until ${showTime(untilMs)}`,
      bytes > 0 ? `, ${bytes} bytes` : "",
      task ? `, task ${task}` : "",
    ];
    return `${showTime(atMs)} ${printable(`${type} '${name}'`)}: ${state}${more.join("")}`;
  };
  return steps.map(line).join("\n".padEnd(15));
}

function readable(name: string, value: unknown): string {
  if (["createdMs", "startedMs", "atMs", "expiresMs"].includes(name)) return showTime(Number(value));
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}

/** A line each: when, and the first line of what went wrong. */
function showErrors({ errors }: TaskDetails): string {
  const line = ({ error, atMs }: TaskDetails["errors"][number]): string =>
    `${atMs === undefined ? "unknown" : showTime(atMs)} ${printable(error.split("\n")[0]!)}`;
  return errors.map(line).join("\n".padEnd(15));
}

function showTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
