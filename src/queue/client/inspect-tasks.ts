/**
 * ● What people ask about tasks: lists, one task, counts, the removal of ended ones. States are taken and told by their names
 * (life-cycle.ts), whatever version of broker answers. A word of version 0.1 is taken too, until 0.3, with a line on stderr.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../core/errors.ts";
import { PURGE_TASKS_MAX } from "../limits.ts";
import type { QueueStats } from "../service/task-service.ts";
import { isEnded, TASK_STATES, type TaskState } from "../tasks/life-cycle.ts";
import { readState, wireState } from "../tasks/state-words.ts";
import {
  type DeadErrors,
  readErrors,
  readPurged,
  readQueueStats,
  readRestored,
  readRetried,
  readSchedules,
  readShown,
  readTaskPage,
  type Schedule,
  type TaskInfo,
  type TaskPage,
} from "../protocols/broker-answers.ts";
import type { Frames } from "../protocols/messages.ts";
import type { QueueClient } from "./queue-client.ts";

interface ListRequest {
  readonly queue?: string | undefined;
  readonly state?: string | undefined;
  /** The fingerprint of their newest error. */
  readonly error?: string | undefined;
  /** `next` of the page before. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/** @internal A page of tasks, in the order of their numbers. Not at the end while there is `next`, however few tasks the page has. */
export async function listTasks(
  client: QueueClient,
  { state: word, ...asked }: ListRequest,
  timeoutMs: number,
): Promise<TaskPage> {
  const state = word === undefined ? undefined : stateNamed(word);
  const states = state && { state: wireState(state), ...(wireState(state) === "delayed" && { blocked: state === "blocked" }) };
  const rest = [Buffer.from(JSON.stringify({ ...asked, ...states }))];
  const read = (answer: Frames): TaskPage => readTaskPage(answer, asked.after);
  const page = await client.askFor({ verb: "LIST", rest, read }, { timeoutMs });
  // A broker of version 0.1 does not tell blocked from delayed.
  return { ...page, tasks: state ? page.tasks.filter((task) => task.state === state) : page.tasks };
}

/** @internal All that is known of a task, and its body, or its result when it is completed. */
export async function showTask(client: QueueClient, id: string, timeoutMs: number): Promise<{ task: TaskInfo; body: Buffer }> {
  const { task, body } = await client.askFor({ verb: "SHOW", rest: [Buffer.from(id)], read: readShown }, { timeoutMs, id });
  return { task, body: body ?? Buffer.alloc(0) };
}

/** @internal The queues of a broker, with their counts. */
export function queueStats(client: QueueClient, timeoutMs: number): Promise<QueueStats[]> {
  return client.askFor({ verb: "STATS", rest: [], read: readQueueStats }, { timeoutMs });
}

/** @internal The schedules of a broker. */
export function listSchedules(client: QueueClient, timeoutMs: number): Promise<readonly Schedule[]> {
  return client.askFor({ verb: "CRON", rest: [], read: readSchedules }, { timeoutMs });
}

/** @internal What the dead tasks of a queue died of, the most frequent first. */
export function deadErrors(client: QueueClient, queue: string, timeoutMs: number): Promise<DeadErrors> {
  return client.askFor({ verb: "ERRORS", rest: [Buffer.from(queue)], read: readErrors }, { timeoutMs });
}

/** @internal Makes all dead tasks of a queue, or those with this error, ready again. @returns how many */
export function retryTasks(
  client: QueueClient,
  filter: { queue: string; error?: string | undefined },
  timeoutMs: number,
): Promise<number> {
  const rest = [Buffer.alloc(0), Buffer.from(JSON.stringify(filter))];
  return client.askFor({ verb: "RETRY", rest, read: readRetried }, { timeoutMs });
}

interface PurgeRequest {
  readonly queue: string;
  readonly state: string;
  /** Only those with this error. */
  readonly error?: string | undefined;
  /** For so long `undoPurge` brings them back. */
  readonly undoMs?: number | undefined;
}

/** @internal Forgets the tasks of a queue that have ended in one state, however many. `undo` has the keys for `undoPurge`. */
export async function purgeTasks(
  client: QueueClient,
  { queue, state: word, ...options }: PurgeRequest,
  timeoutMs: number,
): Promise<{ removed: number; undo: readonly string[] }> {
  const state = stateNamed(word);
  if (!isEnded(state))
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot purge tasks that are ${state}: they have not ended`);
  const asked = Object.values(options).some((value) => value !== undefined);
  const more = asked ? [Buffer.from(JSON.stringify(options))] : [];
  const rest = [Buffer.from(queue), Buffer.from(wireState(state)), ...more];
  const undo: string[] = [];
  for (let removed = 0; ;) {
    const answer = await client.askFor({ verb: "PURGE", rest, read: readPurged }, { timeoutMs });
    removed += answer.removed;
    if (answer.undo !== undefined) undo.push(answer.undo);
    if (answer.removed < PURGE_TASKS_MAX) return { removed, undo };
  }
}

/** @internal Brings back what `purgeTasks` removed. @returns how many; those whose time is over stay removed */
export async function undoPurge(client: QueueClient, keys: readonly string[], timeoutMs: number): Promise<number> {
  let restored = 0;
  for (const key of keys) {
    restored += await client.askFor({ verb: "UNDO", rest: [Buffer.from(key)], read: readRestored }, { timeoutMs });
  }
  return restored;
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
