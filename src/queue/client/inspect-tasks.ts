/**
 * ● What people ask about tasks: lists, one task, counts, the removal of ended ones. States are taken and told by their names
 * (life-cycle.ts), whatever version of broker answers. A word of version 0.1 is taken too, until 0.3, with a line on stderr.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../core/errors.ts";
import { PURGE_TASKS_MAX } from "../limits.ts";
import type { QueueStats } from "../service/task-service.ts";
import { type DeadReason, isEnded, TASK_STATES, type TaskState } from "../tasks/life-cycle.ts";
import { countsOfWire, readState, statesOfWire, type WireState, wireState } from "../tasks/state-words.ts";
import type { QueueClient } from "./queue-client.ts";

/** @internal What is known of a task. */
export interface TaskInfo {
  readonly id: string;
  readonly queue: string;
  readonly state: TaskState;
  /** Of a dead task; brokers of version 0.1 do not say it. */
  readonly reason?: DeadReason;
  readonly priority: number;
  readonly group?: string;
  readonly failures: number;
  readonly createdMs: number;
  readonly bodyBytes: number;
}

interface ListRequest {
  readonly queue?: string | undefined;
  readonly state?: string | undefined;
  /** `next` of the page before. */
  readonly after?: number | undefined;
  readonly limit: number;
}

type OnWire = Omit<TaskInfo, "state"> & { readonly state: WireState; readonly blocked?: boolean };

/** @internal A page of tasks, in the order of their numbers. Not at the end while there is `next`, however few tasks the page has. */
export async function listTasks(
  client: QueueClient,
  { state: word, ...asked }: ListRequest,
  timeoutMs: number,
): Promise<{ tasks: TaskInfo[]; next?: number }> {
  const state = word === undefined ? undefined : stateNamed(word);
  const states = state && { state: wireState(state), ...(wireState(state) === "delayed" && { blocked: state === "blocked" }) };
  const request = Buffer.from(JSON.stringify({ ...asked, ...states }));
  const page = readJson(await client.ask("LIST", [request], { timeoutMs })) as { tasks: OnWire[]; next?: number };
  const tasks = page.tasks.map(named);
  // A broker of version 0.1 does not tell blocked from delayed.
  return { ...page, tasks: state ? tasks.filter((task) => task.state === state) : tasks };
}

/** @internal All that is known of a task, and its body, or its result when it is completed. */
export async function showTask(client: QueueClient, id: string, timeoutMs: number): Promise<{ task: TaskInfo; body: Buffer }> {
  const answer = await client.ask("SHOW", [Buffer.from(id)], { timeoutMs, id });
  return { task: named(readJson(answer) as OnWire), body: answer[1] ?? Buffer.alloc(0) };
}

/** @internal The queues of a broker, with their counts. */
export async function queueStats(client: QueueClient, timeoutMs: number): Promise<QueueStats[]> {
  type Counted = Omit<QueueStats, "states"> & { readonly states: Record<WireState, number>; readonly blocked?: number };
  const { queues } = readJson(await client.ask("STATS", [], { timeoutMs })) as { queues: Counted[] };
  return queues.map(({ blocked, ...queue }) => ({ ...queue, states: countsOfWire(queue.states, blocked) }));
}

/** @internal Forgets the tasks of a queue that have ended in one state, however many. */
export async function purgeTasks(
  client: QueueClient,
  { queue, state: word }: { queue: string; state: string },
  timeoutMs: number,
): Promise<{ removed: number }> {
  const state = stateNamed(word);
  if (!isEnded(state))
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot purge tasks that are ${state}: they have not ended`);
  const request = [Buffer.from(queue), Buffer.from(wireState(state))];
  for (let removed = 0; ;) {
    const answer = readJson(await client.ask("PURGE", request, { timeoutMs })) as { removed: number };
    removed += answer.removed;
    if (answer.removed < PURGE_TASKS_MAX) return { removed };
  }
}

function named({ blocked = false, ...task }: OnWire): TaskInfo {
  return { ...task, state: statesOfWire(task.state, blocked)[0]! };
}

function readJson([json]: readonly Buffer[]): unknown {
  return JSON.parse(json?.toString() ?? "{}");
}

const oldWordsTold = new Set<string>();

/** @throws UsageError QUEUE_OPTIONS_INVALID */
function stateNamed(word: string): TaskState {
  const state = readState(word);
  if (!state)
    throw new UsageError("QUEUE_OPTIONS_INVALID", `No state is called '${word}'; there are ${TASK_STATES.join(", ")}`);
  if (state !== word && !oldWordsTold.has(word)) {
    oldWordsTold.add(word);
    process.stderr.write(`The state '${word}' is called '${state}' now; the old word is deprecated\n`);
  }
  return state;
}
