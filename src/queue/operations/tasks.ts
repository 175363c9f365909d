/** ○ Operations on tasks: to find them, to look at one, and what operators do to one or to many. */
import { Buffer } from "node:buffer";
import { EMPTY } from "../../core/bytes.ts";
import { OperationError, UsageError } from "../../core/errors.ts";
import { described, flag, listOf, object, optional, text, whole } from "../../core/schema.ts";
import { PRIORITY_MAX, TIME_MS_MAX, UNDO_MS_MAX, UNDO_TASKS_MAX } from "../limits.ts";
import { unknownTask } from "../service/admin-commands.ts";
import { readWhere } from "../service/body-filter.ts";
import type { RowFilter } from "../service/task-scan.ts";
import { isEnded, type TaskState, TASK_STATES } from "../tasks/life-cycle.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import { shownKey } from "../tasks/task-policy.ts";
import type { TaskView } from "../service/task-view.ts";
import type { StepHistory } from "../tasks/step-facts.ts";
import { errorGroup, name, task, type TaskDetails, taskDetails, type TaskInfo, taskId } from "./answers.ts";
import { sees } from "./admission.ts";
import { knownTask } from "./known-task.ts";
import { operation, type OperationContext } from "./operation.ts";
import { traceIdOf } from "./story.ts";
import { FILTER, readFilter, readWhich, WHICH } from "./task-filter.ts";

/** 1000 tasks a page: 300 KB of JSON. */
export const PAGE_TASKS_MAX = 1000;
const PAGE_TASKS_DEFAULT = 100;
/** 8 fields of a body that must be so: more is another question. */
const WHERE_MAX = 8;

const DEAD: readonly TaskState[] = ["dead"];
const NOT_ENDED = TASK_STATES.filter((each) => !isEnded(each));
const LATER: readonly TaskState[] = ["delayed", "retrying"];

export const tasks = operation({
  does: "Lists tasks, oldest first, a page at a time",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/tasks"],
  input: object({
    ...FILTER,
    where: optional(
      described(
        listOf(text({ min: 3, max: 1000 }), { max: WHERE_MAX }),
        "Only tasks whose JSON body has this: 'customer.id=42'. Bodies are read one by one: an answer says how far it is",
      ),
    ),
    after: optional(described(taskId, "Only tasks that were added after this one: `next` of the page before")),
    limit: optional(described(whole(1, PAGE_TASKS_MAX), `At most so many; default ${PAGE_TASKS_DEFAULT}`)),
  }),
  output: object(
    {
      tasks: listOf(task),
      next: optional(described(taskId, "Where the next page begins. Without it these were the last")),
      searched: optional(described(whole(), "With `where`: how many bodies were read for this page")),
      of: optional(described(whole(), "With `where`: how many tasks pass but for that")),
    },
    { open: true },
  ),
  async handle(scope, { where, after, limit = PAGE_TASKS_DEFAULT, ...asked }) {
    const { service, ids } = scope;
    const start = after === undefined ? 0 : (ids.number(after) ?? 0);
    const filter = { ...readFilter(asked), after: start, ...(asked.queue === undefined && { sees: sees(scope) }) };
    const show = (rows: readonly number[]): TaskInfo[] => rows.map((row) => infoOf(ids, service.view(row)));
    const textOf = (number: number | undefined): string | undefined => (number === undefined ? undefined : ids.text(number));
    if (where === undefined || where.length === 0) {
      const page = await service.search.page({ ...filter, limit }, (rows, next) => ({ tasks: show(rows), next: textOf(next) }));
      return { value: page };
    }
    const found = await service.search.bodies({ ...filter, limit, where: where.map(readWhere) }, show);
    return { value: { ...found, tasks: found.shown, shown: undefined, next: textOf(found.next) } };
  },
});

export const getTask = operation({
  does: "Tells all that is known of a task, with its body, or its result when it is completed",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/tasks/{id}"],
  input: object({ id: taskId, body: optional(described(flag, "false: without the body")) }),
  output: taskDetails,
  body: "answered",
  async handle({ service, ids }, { id, body: withBody = true }) {
    const { row, kept, body } = await knownTask({ service, ids }, id, () => withBody);
    const { head, errors } = kept;
    const { progress } = service.working(row);
    const details = {
      ...infoOf(ids, service.view(row)),
      key: shownKey(head?.key) || undefined,
      traceId: traceIdOf(head?.traceparent),
      after: head && head.after.length > 0 ? head.after.map((other) => ids.text(other)) : undefined,
      flow: head?.flow?.count,
      errors: errors.map(({ error, atMs, attempt }) => ({ error, atMs, attempt })),
      ...(await stepsOf({ service, ids }, row)),
      progress: progress && Buffer.from(progress).toString(),
    };
    return { value: details, body };
  },
});

export const errors = operation({
  does: "Tells what the dead tasks of a queue died of, the most frequent kind of error first",
  right: "queue:read",
  destroys: false,
  http: ["GET", "/queues/{queue}/errors"],
  input: object({ queue: name }),
  output: object(
    {
      groups: listOf(errorGroup),
      unread: described(whole(), "Dead tasks whose errors are still being read, as after a restart"),
    },
    { open: true },
  ),
  async handle({ service, ids }, { queue }) {
    const { groups, unread } = await service.search.errors(queue);
    return { value: { groups: groups.map((group) => ({ ...group, example: ids.text(group.example) })), unread } };
  },
});

export const retry = operation({
  does: "Makes dead tasks wait for a worker again, with all their attempts: one, or those of a queue that the filter lets through",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/tasks/{id}/retry", "/queues/{queue}/retry"],
  input: object(WHICH),
  output: object({ retried: whole() }, { open: true }),
  handle: async (scope, which) => ({ value: { retried: await eachOf(scope, which, "redrive", DEAD) } }),
});

export const cancel = operation({
  does: "Cancels tasks that have not ended, wherever they are; running handlers get an abort signal",
  right: "queue:remove",
  destroys: true,
  http: ["POST", "/tasks/{id}/cancel", "/queues/{queue}/cancel"],
  input: object(WHICH),
  output: object({ cancelled: whole() }, { open: true }),
  handle: async (scope, which) => ({ value: { cancelled: await eachOf(scope, which, "cancel", NOT_ENDED) } }),
});

export const promote = operation({
  does: "Makes delayed or retrying tasks wait for a worker now",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/tasks/{id}/promote", "/queues/{queue}/promote"],
  input: object(WHICH),
  output: object({ promoted: whole() }, { open: true }),
  handle: async (scope, which) => ({ value: { promoted: await eachOf(scope, which, "promote", LATER) } }),
});

export const signal = operation({
  does: "Sends a task a signal, for which its handler waits, or will wait: the first of a name counts",
  right: "queue:manage",
  destroys: false,
  http: ["POST", "/tasks/{id}/signals/{name}"],
  input: object({ id: taskId, name }),
  output: object({ first: described(flag, "No signal of this name had come before") }, { open: true }),
  body: "asked",
  async handle({ service, ids }, { id, name: signalName }, body) {
    return { value: { first: await service.steps.signal(ids.number(id) ?? NONE, signalName, body ?? EMPTY) } };
  },
});

export const remove = operation({
  does: "Forgets tasks that have ended and that no other task waits for: one, or those of a queue that the filter lets through",
  right: "queue:remove",
  destroys: true,
  http: ["POST", "/tasks/{id}/remove", "/queues/{queue}/remove"],
  input: object({
    ...WHICH,
    undoMs: optional(
      described(whole(0, UNDO_MS_MAX), `For so long \`undo\` brings them back, unless they are more than ${UNDO_TASKS_MAX}`),
    ),
  }),
  output: object(
    { removed: whole(), undo: described(listOf(text()), "The keys for `undo`; empty when there is no way back") },
    { open: true },
  ),
  async handle(scope, { undoMs, ...asked }) {
    const which = readWhich(scope, asked);
    const { service } = scope;
    const filter = typeof which === "number" ? mustHaveEnded(scope, which) : endedOf(which);
    const canUndo = undoMs !== undefined && (await service.search.count(filter)) <= UNDO_TASKS_MAX;
    const undo: string[] = [];
    const removed = await service.adminCommands.purge(filter, {
      undoMs: canUndo ? undoMs : undefined,
      undo: (key) => undo.push(key),
    });
    if (typeof which === "number" && removed === 0)
      throw new OperationError("QUEUE_TASK_STATE", "Cannot remove: another task waits for this one");
    return { value: { removed, undo } };
  },
});

export const undo = operation({
  does: "Brings back what `remove` removed",
  right: "queue:remove",
  destroys: false,
  http: ["POST", "/undo"],
  input: object({ undo: listOf(text({ max: 100 }), { max: 1000 }) }),
  output: object({ restored: whole() }, { open: true }),
  async handle({ service, rights }, { undo: keys }) {
    // A key says nothing of whose tasks these were.
    if (rights && !rights.mayAll("queue:manage")) throw rights.refused("queue:manage", "*");
    const restored = [];
    for (const key of keys) restored.push(await service.removedTasks.undo(key));
    const came = restored.filter((count) => count !== undefined);
    if (came.length === 0) throw new OperationError("QUEUE_TASK_STATE", "Cannot undo: the tasks are removed for good");
    return { value: { restored: came.reduce((sum, count) => sum + count, 0) } };
  },
});

export const drain = operation({
  does: "Removes the tasks of a queue that wait for a worker; with `delayed` also those that wait for their time or for others",
  right: "queue:remove",
  destroys: true,
  http: ["POST", "/queues/{queue}/drain"],
  input: object({ queue: name, delayed: optional(flag) }),
  output: object({ removed: whole() }, { open: true }),
  async handle({ service }, { queue, delayed = false }) {
    const states: readonly TaskState[] = delayed ? ["waiting", "delayed", "blocked", "retrying"] : ["waiting"];
    return { value: { removed: await service.adminCommands.drain({ queue, states }) } };
  },
});

export const update = operation({
  does: "Changes a task that has not begun: when it is due, its priority, its body",
  right: "queue:manage",
  destroys: false,
  http: ["PATCH", "/tasks/{id}"],
  input: object({
    id: taskId,
    delayMs: optional(described(whole(0, TIME_MS_MAX), "It is due so many ms from now; 0: it waits for a worker at once")),
    priority: optional(whole(0, PRIORITY_MAX)),
  }),
  output: object({}, { open: true }),
  body: "asked",
  async handle({ service, ids }, { id, ...changes }, body) {
    if (body === undefined && Object.values(changes).every((value) => value === undefined))
      throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot update: nothing is to be changed");
    await service.adminCommands.update(ids.number(id) ?? NONE, { ...changes, body });
    return { value: {} };
  },
});

/** What its handler has recorded, and why it does not run. */
async function stepsOf(
  { service, ids }: Pick<OperationContext, "service" | "ids">,
  row: number,
): Promise<Pick<TaskDetails, "steps" | "signals" | "waits">> {
  const { stateMachine } = service;
  const waits = service.whyWaiting(row);
  const id = stateMachine.table.f(row, ID);
  const isBlocked = stateMachine.state(row) === "blocked";
  const history = await service.steps.show(id);
  if (!history) return { waits };
  const steps = showSteps(history, { isBlocked, textOf: (number) => ids.text(number) });
  const last = steps.at(-1);
  const waited =
    last?.state === "waits"
      ? last.type === "wait"
        ? `for the signal '${last.name}'`
        : `for task ${last.task}, which it called`
      : undefined;
  const signals = history.signals.size > 0 ? [...history.signals.keys()] : undefined;
  return {
    steps: steps.length > 0 ? steps : undefined,
    signals,
    waits: waited === undefined ? waits : `its handler waits ${waited}`,
  };
}

function showSteps(
  { steps, signals, outcomes }: StepHistory,
  { isBlocked, textOf }: { isBlocked: boolean; textOf: (number: number) => string },
): NonNullable<TaskDetails["steps"]> {
  const all = [...steps].sort(([a], [b]) => a - b);
  return all.map(([at, { type, name: stepName, atMs, untilMs, signalled, child, bytes }], index) => {
    const value =
      type === "wait" ? (signalled ? signals.get(stepName) : undefined) : type === "call" ? outcomes.get(at)?.bytes : bytes;
    const isOpen = isBlocked && index === all.length - 1 && (type === "wait" || type === "call") && value === undefined;
    const isFailed = type === "call" && outcomes.get(at) !== undefined && outcomes.get(at)!.state !== "completed";
    return {
      type,
      name: stepName,
      atMs,
      untilMs,
      task: child === undefined ? undefined : textOf(child),
      state: isOpen ? "waits" : isFailed ? "failed" : type === "wait" && !signalled ? "late" : "done",
      bytes: value?.length ?? 0,
    };
  });
}

/** A task as it is told. */
function infoOf(ids: OperationContext["ids"], { number, ...view }: TaskView): TaskInfo {
  return { id: ids.text(number), ...view };
}

/** Does something to one task, whose refusal is the operation's, or to all that pass and can have it done. @returns to how many */
async function eachOf(
  scope: OperationContext,
  asked: Parameters<typeof readWhich>[1],
  command: "redrive" | "cancel" | "promote",
  states: readonly TaskState[],
): Promise<number> {
  const which = readWhich(scope, asked);
  const { adminCommands } = scope.service;
  if (typeof which !== "number")
    return adminCommands.each(within(which, states), (id) => adminCommands[command](id, () => {}) === undefined);
  await new Promise<void>((resolve, reject) => {
    const refusal = adminCommands[command](which, resolve);
    if (refusal) reject(refusal);
  });
  return 1;
}

/** Of these states; of the one that was asked for, if it is among them. */
function within(filter: RowFilter, states: readonly TaskState[]): RowFilter {
  return { ...filter, states: filter.states?.filter((each) => states.includes(each)) ?? states };
}

/** @throws UsageError QUEUE_OPTIONS_INVALID: what is removed by a filter is of a state that was named */
function endedOf(filter: RowFilter): RowFilter {
  if (filter.states?.every(isEnded)) return filter;
  throw new UsageError(
    "QUEUE_OPTIONS_INVALID",
    "Cannot remove tasks that have not ended: give 'state' as completed, dead or cancelled",
  );
}

function mustHaveEnded({ service }: OperationContext, id: number): RowFilter {
  const { stateMachine } = service;
  const row = stateMachine.find(id);
  if (row === NONE) throw unknownTask();
  const now = stateMachine.state(row);
  if (!isEnded(now)) throw new OperationError("QUEUE_TASK_STATE", `Cannot remove: the task is ${now}; cancel it first`);
  return { id };
}
