/** ○ What STATS, SHOW, LIST, ERRORS, PURGE, UNDO and RETRY of many answer in the native protocol. States are in the words of the wire. */
import { Buffer } from "node:buffer";
import { OperationError, UsageError } from "../../../core/errors.ts";
import type { TaskService } from "../../service/task-service.ts";
import { isEnded } from "../../tasks/life-cycle.ts";
import { STORED_STATES, statesOfWire, wireCounts, wireState } from "../../tasks/state-words.ts";
import type { IdText } from "../messages.ts";
import { PURGE_TASKS_MAX, UNDO_MS_MAX } from "../../limits.ts";
import { OWN_KEY } from "../../tasks/task-policy.ts";
import { NONE } from "../../tasks/task-columns.ts";
import { readFingerprint } from "../../tasks/error-fingerprint.ts";
import type { TaskView } from "../../service/task-view.ts";

/** 1000 tasks a page: 300 KB of JSON. */
const PAGE_TASKS_MAX = 1000;

function onWire(ids: IdText, { number, ...view }: TaskView): object {
  const blocked = view.state === "blocked" ? true : undefined;
  return { id: ids.text(number), ...view, state: wireState(view.state), blocked };
}

export function stats(service: TaskService, ids: IdText): object {
  const { queues, ...numbers } = service.stats();
  const onWire = queues.map((queue) => ({ ...queue, states: wireCounts(queue.states), blocked: queue.states.blocked }));
  return { broker: ids.broker, ...numbers, queues: onWire };
}

/** All that is known of one task as JSON, and its body, or its result when it is completed. */
export async function show(service: TaskService, ids: IdText, id: number): Promise<readonly Buffer[]> {
  const row = service.stateMachine.find(id);
  const kept = row === NONE ? undefined : await service.inspect(id);
  const body = kept && (await service.body(id));
  // Looked up again: time has passed.
  const now = service.stateMachine.find(id);
  if (!kept || now === NONE) throw new OperationError("QUEUE_TASK_UNKNOWN", `No task ${ids.text(id)} is known`);
  const { head, errors } = kept;
  const { worker, progress } = service.working(now);
  const view = {
    ...onWire(ids, service.view(now)),
    key: head?.key.replace(OWN_KEY, "") || undefined,
    after: head && head.after.length > 0 ? head.after.map((other) => ids.text(other)) : undefined,
    errors: errors.map(({ error }) => error),
    // null: not known; it was kept before times were.
    errorsMs: errors.map(({ atMs }) => atMs ?? null),
    // null: of no attempt (expired, say), or kept before attempts were.
    errorsAttempt: errors.map(({ attempt }) => attempt ?? null),
    waits: service.whyWaiting(now),
    worker,
    progress: progress && Buffer.from(progress).toString(),
  };
  return [json(view), Buffer.from(body ?? [])];
}

/** Throws at once what is wrong with the request. */
export function list(service: TaskService, ids: IdText, request: Record<string, unknown>): Promise<readonly Buffer[]> {
  const { queue, state, blocked, error, after, limit = 100 } = request;
  if (queue !== undefined && typeof queue !== "string") throw invalid("queue", "is a name");
  const states = state === undefined ? undefined : statesOfWire(state, blocked);
  if (states?.length === 0) throw invalid("state", `is one of ${STORED_STATES.map(wireState).join(", ")}`);
  if (typeof limit !== "number" || !(limit >= 1 && limit <= PAGE_TASKS_MAX)) {
    throw invalid("limit", `is a number from 1 to ${PAGE_TASKS_MAX}`);
  }
  const start = after ?? 0;
  if (typeof start !== "number") throw invalid("after", "is the 'next' of the page before");
  return service.search.page({ queue, states, error: readError(error), after: start, limit }, (rows, next) => {
    const tasks = rows.map((row) => onWire(ids, service.view(row)));
    return [json({ tasks, next })];
  });
}

/** What the dead tasks of a queue died of. */
export async function errors(service: TaskService, ids: IdText, queue: string): Promise<readonly Buffer[]> {
  const { groups, unread } = await service.search.errors(queue);
  return [json({ groups: groups.map((group) => ({ ...group, example: ids.text(group.example) })), unread })];
}

/** Throws at once what is wrong with the request. */
export function purge(
  service: TaskService,
  { queue, state, ...request }: { queue: string; state: string | undefined; error?: unknown; undoMs?: unknown },
): Promise<readonly Buffer[]> {
  const [ended] = statesOfWire(state);
  if (!ended || !isEnded(ended)) throw invalid("state", "is done, dead or cancelled");
  const { undoMs } = request;
  if (undoMs !== undefined && !(typeof undoMs === "number" && undoMs >= 0 && undoMs <= UNDO_MS_MAX)) {
    throw invalid("undoMs", `is a number of ms up to ${UNDO_MS_MAX}`);
  }
  let undo: string | undefined;
  const filter = { queue, states: [ended] as const, error: readError(request.error) };
  return service.adminCommands
    .purge(filter, { most: PURGE_TASKS_MAX, undoMs, undo: (key) => (undo = key) })
    .then((removed) => [json({ removed, undo })]);
}

export async function undo(service: TaskService, key: string): Promise<readonly Buffer[]> {
  const restored = await service.removedTasks.undo(key);
  if (restored === undefined) throw new OperationError("QUEUE_TASK_STATE", "Cannot undo: the tasks are removed for good");
  return [json({ restored })];
}

/** Throws at once what is wrong with the request. */
export function retryAll(service: TaskService, { queue, error }: Record<string, unknown>): Promise<readonly Buffer[]> {
  if (typeof queue !== "string") throw invalid("queue", "is a name");
  return service.adminCommands.redriveAll({ queue, error: readError(error) }).then((retried) => [json({ retried })]);
}

function readError(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  const error = readFingerprint(text);
  if (error === undefined) throw invalid("error", "is the fingerprint of an error: 8 digits in hex");
  return error;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function invalid(option: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot inspect: '${option}' ${reason}`);
}
