/**
 * ○ The verbs with which clients of version 0.1 inspect and administer a broker, answered as that version did: in its words for states,
 * by its shapes. They are operations (operations/table.ts) in other words; nothing new is added here.
 */
import { Buffer } from "node:buffer";
import { UsageError } from "../../../core/errors.ts";
import { PURGE_TASKS_MAX } from "../../limits.ts";
import type { OperationContext } from "../../operations/operation.ts";
import { getTask, PAGE_TASKS_MAX } from "../../operations/tasks.ts";
import type { TaskView } from "../../service/task-view.ts";
import { unknownTask } from "../../service/admin-commands.ts";
import { isEnded, type TaskState } from "../../tasks/life-cycle.ts";
import { STORED_STATES, statesOfWire, wireCounts, wireState } from "../../tasks/state-words.ts";
import { type Frames, type IdText, readObject, readText } from "../messages.ts";

export type OldVerb = "SHOW" | "LIST" | "STATS" | "RETRY" | "SET" | "PURGE" | "CRON";

/** What is answered with OK. Throws what is wrong. */
export function changeAsOf01(verb: OldVerb, { service, cron, ids }: OperationContext, frames: Frames, done: () => void): void {
  const [first, second, body] = frames;
  if (verb === "RETRY") {
    const id = ids.read(first);
    const refusal = id === undefined ? unknownTask() : service.adminCommands.redrive(id, done);
    if (refusal) throw refusal;
  } else if (verb === "SET") service.configure(readText(first), readObject(second), done);
  else if (!second?.length) cron.remove(readText(first), done);
  else cron.put(readText(first), { settings: readObject(second), body: body ?? Buffer.alloc(0) }, done);
}

/** What is answered with DATA. */
export async function inspectAsOf01(verb: OldVerb, scope: OperationContext, [first, second]: Frames): Promise<Frames> {
  const { service, ids, cron } = scope;
  switch (verb) {
    case "STATS": {
      const { queues, ...numbers } = service.stats();
      const onWire = queues.map((queue) => ({ ...queue, states: wireCounts(queue.states), blocked: queue.states.blocked }));
      return [json({ broker: ids.broker, ...numbers, queues: onWire })];
    }
    case "SHOW": {
      const { value, body } = await getTask.handle(scope, { id: readText(first) }, undefined);
      const { errors, ...task } = value;
      const told = {
        ...task,
        ...inOldWords(task.state),
        errors: errors.map(({ error }) => error),
        // null: not known; it was kept before times were, or is of no attempt.
        errorsMs: errors.map(({ atMs }) => atMs ?? null),
        errorsAttempt: errors.map(({ attempt }) => attempt ?? null),
      };
      return [json(told), Buffer.from(body ?? [])];
    }
    case "LIST":
      return list(scope, readObject(first));
    case "PURGE": {
      const [ended] = statesOfWire(second?.toString("latin1"));
      if (!ended || !isEnded(ended)) throw invalid("state", "is done, dead or cancelled");
      const filter = { queue: readText(first), states: [ended] };
      return [json({ removed: await service.adminCommands.purge(filter, { most: PURGE_TASKS_MAX }) })];
    }
    default:
      return [json(cron.list())];
  }
}

async function list({ service, ids }: OperationContext, request: Record<string, unknown>): Promise<Frames> {
  const { queue, state, blocked, after = 0, limit = 100 } = request;
  if (queue !== undefined && typeof queue !== "string") throw invalid("queue", "is a name");
  const states = state === undefined ? undefined : statesOfWire(state, blocked);
  if (states?.length === 0) throw invalid("state", `is one of ${STORED_STATES.map(wireState).join(", ")}`);
  if (typeof limit !== "number" || !(limit >= 1 && limit <= PAGE_TASKS_MAX))
    throw invalid("limit", `is a number from 1 to ${PAGE_TASKS_MAX}`);
  if (typeof after !== "number") throw invalid("after", "is the 'next' of the page before");
  return service.search.page({ queue, states, after, limit }, (rows, next) => [
    json({ tasks: rows.map((row) => onWire(ids, service.view(row))), next }),
  ]);
}

function onWire(ids: IdText, { number, ...view }: TaskView): object {
  return { id: ids.text(number), ...view, ...inOldWords(view.state) };
}

function inOldWords(state: TaskState): object {
  return { state: wireState(state), blocked: state === "blocked" ? true : undefined };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function invalid(option: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot inspect: '${option}' ${reason}`);
}
