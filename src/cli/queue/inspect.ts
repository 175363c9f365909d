/** ● `holdfast queue ls` and `holdfast queue show`. */
import { printable } from "../../core/printable.ts";
import { showDuration, showSize } from "../../core/units.ts";
import type { BrokerStats, QueueClient } from "../../queue/index.ts";
import { bodyField } from "./bodies.ts";
import { flags, parse } from "../shared/flags.ts";
import { askJson, type ClientFlags, clientFlags, readCount, withClient } from "./client-flags.ts";

interface ListFlags extends ClientFlags {
  readonly state?: string;
  readonly limit: string;
}

interface TaskLine {
  readonly id: string;
  readonly queue: string;
  readonly state: string;
  readonly priority: number;
  readonly group?: string;
  readonly failures: number;
  readonly createdMs: number;
  readonly bodyBytes: number;
}

/** The largest page that a broker answers. */
const PAGE_TASKS = 1000;

export async function ls(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue ls", "Lists the queues with their task counts, or the tasks of one queue"))
    .argument("[queue]", "list this queue's tasks")
    .option("--state <state>", "only delayed, ready, leased, failed, done, dead or cancelled")
    .option("--limit <n>", "at most this many tasks", "100");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ListFlags>();
  const [name] = command.processedArgs as [string | undefined];
  return withClient(options, async (client, timeoutMs) => {
    if (name === undefined) printQueues(await askJson<BrokerStats>(client, "STATS", { timeoutMs }), options.json ?? false);
    else await printTasks(client, name, options, timeoutMs);
    return 0;
  });
}

function printQueues({ queues }: BrokerStats, json: boolean): void {
  if (json) {
    for (const queue of queues) process.stdout.write(`${JSON.stringify(queue)}\n`);
    return;
  }
  const rows = queues.map(({ name, states, consumers, bytes, settings }) => [
    settings.paused ? `${name} (paused)` : name,
    ...[states.ready, states.delayed, states.leased, states.failed, states.done, states.dead, consumers].map(String),
    showSize(bytes),
  ]);
  printTable([["QUEUE", "READY", "DELAYED", "RUNNING", "FAILED", "DONE", "DEAD", "WORKERS", "BYTES"], ...rows]);
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
    const frames = [JSON.stringify({ queue, state, after, limit: Math.min(left, PAGE_TASKS) })];
    const page = await askJson<{ tasks: TaskLine[]; next?: number }>(client, "LIST", { frames, timeoutMs });
    for (const task of page.tasks) {
      if (json) process.stdout.write(`${JSON.stringify(task)}\n`);
      else rows.push(taskRow(task));
    }
    left -= page.tasks.length;
    after = page.next;
  } while (left > 0 && after !== undefined);
  if (!json) printTable(rows);
}

function taskRow({ id, state, priority, group, failures, createdMs, bodyBytes }: TaskLine): string[] {
  return [
    id,
    state,
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
    const [about, body] = await client.ask("SHOW", [Buffer.from(id)], { timeoutMs, id });
    const task = JSON.parse(about!.toString()) as Record<string, unknown>;
    if (options.json) process.stdout.write(`${JSON.stringify({ ...task, ...(body && bodyField("body", body)) })}\n`);
    else {
      for (const [name, value] of Object.entries(task)) process.stdout.write(`${name.padEnd(14)}${readable(name, value)}\n`);
      process.stdout.write(`${(task["state"] === "done" ? "result" : "body").padEnd(14)}${body?.toString() ?? ""}\n`);
    }
    return 0;
  });
}

function readable(name: string, value: unknown): string {
  if (["createdMs", "atMs", "expiresMs"].includes(name)) return new Date(Number(value)).toISOString();
  if (name === "errorsMs") return readable("errors", (value as (number | null)[]).map(showFailed));
  if (Array.isArray(value)) return value.map((line) => printable(String(line).split("\n")[0]!)).join("\n".padEnd(15));
  return printable(String(value));
}

function showFailed(atMs: number | null): string {
  return atMs === null ? "unknown" : new Date(atMs).toISOString();
}

function printTable(rows: readonly (readonly string[])[]): void {
  const cells = rows.map((row) => row.map(printable));
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  for (const row of cells)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()}\n`,
    );
}
