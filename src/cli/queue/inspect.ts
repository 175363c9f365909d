/** ● `holdfast queue ls` and `holdfast queue show`. */
import { printable } from "../../core/printable.ts";
import { showDuration, showSize } from "../../core/units.ts";
import { listTasks, type QueueClient, queueStats, showTask, type TaskInfo } from "../../queue/index.ts";
import { bodyField } from "./bodies.ts";
import { flags, parse } from "../shared/flags.ts";
import { printTable } from "../shared/print-table.ts";
import { type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";

interface ListFlags extends ClientFlags {
  readonly state?: string;
  readonly limit: string;
}

/** The largest page that a broker answers. */
const PAGE_TASKS = 1000;

export async function ls(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue ls", "Lists the queues with their task counts, or the tasks of one queue"))
    .argument("[queue]", "list this queue's tasks")
    .option("--state <state>", "only waiting, delayed, blocked, active, retrying, completed, dead or cancelled")
    .option("--limit <n>", "at most this many tasks", "100");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ListFlags>();
  const [name] = command.processedArgs as [string | undefined];
  return withClient(options, async (client, timeoutMs) => {
    if (name === undefined) printQueues(await queueStats(client, timeoutMs), options.json ?? false);
    else await printTasks(client, name, options, timeoutMs);
    return 0;
  });
}

type QueueLine = Awaited<ReturnType<typeof queueStats>>[number];

/** `completed` comes last: it is no work that is left. */
const COUNTED = ["waiting", "delayed", "blocked", "active", "retrying", "dead", "completed"] as const;

function printQueues(queues: readonly QueueLine[], json: boolean): void {
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

async function printTasks(
  client: QueueClient,
  queue: string,
  { state, limit, json }: ListFlags,
  timeoutMs: number,
): Promise<void> {
  let left = readCount(limit, "--limit");
  let after: number | undefined;
  const rows: string[][] = [["ID", "STATE", "PRIORITY", "GROUP", "FAILURES", "AGE", "BYTES"]];
  do {
    const page = await listTasks(client, { queue, state, after, limit: Math.min(left, PAGE_TASKS) }, timeoutMs);
    for (const task of page.tasks) {
      if (json) process.stdout.write(`${JSON.stringify(task)}\n`);
      else rows.push(taskRow(task));
    }
    left -= page.tasks.length;
    after = page.next;
  } while (left > 0 && after !== undefined);
  if (!json) printTable(rows);
}

function taskRow({ id, state, reason, priority, group, failures, createdMs, bodyBytes }: TaskInfo): string[] {
  return [
    id,
    reason ? `${state} (${reason})` : state,
    `${priority}`,
    group ?? "",
    `${failures}`,
    showDuration(Math.max(0, Date.now() - createdMs)),
    showSize(bodyBytes),
  ];
}

export async function show(argv: readonly string[]): Promise<number> {
  const command = clientFlags(
    flags("queue show", "Shows a task: its state, why it waits, its errors, its body or result"),
  ).argument("<id>", "the task's id");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags>();
  const [id] = command.processedArgs as [string];
  return withClient(options, async (client, timeoutMs) => {
    const { task, body } = await showTask(client, id, timeoutMs);
    if (options.json) process.stdout.write(`${JSON.stringify({ ...task, ...bodyField("body", body) })}\n`);
    else {
      for (const [name, value] of Object.entries(task))
        process.stdout.write(`${printable(name).padEnd(14)}${readable(name, value)}\n`);
      process.stdout.write(`${(task.state === "completed" ? "result" : "body").padEnd(14)}${body.toString()}\n`);
    }
    return 0;
  });
}

function readable(name: string, value: unknown): string {
  if (["createdMs", "atMs", "expiresMs"].includes(name)) return new Date(Number(value)).toISOString();
  if (name === "errorsMs") return readable("errors", (value as (number | null)[]).map(showFailed));
  if (Array.isArray(value)) return value.map((line) => printable(text(line).split("\n")[0]!)).join("\n".padEnd(15));
  return printable(text(value));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function showFailed(atMs: number | null): string {
  return atMs === null ? "unknown" : new Date(atMs).toISOString();
}
