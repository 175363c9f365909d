/**
 * ○ Whether who asks may have an operation done: with the queue that it names, or that its task is of. What it may not even see is unknown to it,
 * as if it did not exist. Operations of no one queue show what may be seen (`sees`), each by itself.
 */
import { UsageError } from "../../core/errors.ts";
import type { AskedRights } from "../../access/access-table.ts";
import type { Action } from "../../access/right.ts";
import { unknownTask } from "../service/admin-commands.ts";
import type { TaskService } from "../service/task-service.ts";
import { NONE } from "../tasks/task-columns.ts";
import type { AnyOperation } from "./table.ts";
import type { OperationContext, Right } from "./operation.ts";

/** What the access file calls the rights of the table. */
const ACTION: Readonly<Record<Right, Action>> = {
  "queue:read": "queue:see",
  "queue:add": "queue:add",
  "queue:manage": "queue:manage",
  "queue:remove": "queue:manage",
};

type Place = Pick<OperationContext, "ids"> & { readonly service: TaskService };

/** @throws UsageError ACCESS_DENIED, OperationError QUEUE_TASK_UNKNOWN */
export function admit(scope: OperationContext, operation: AnyOperation, input: object): void {
  const { rights } = scope;
  if (!rights) return;
  const action = ACTION[operation.right];
  const { queue, id } = input as { readonly queue?: string; readonly id?: string };
  if (queue !== undefined) rights.must(action, queue);
  else if (id === undefined) {
    if (!rights.mayAny(action)) throw rights.refused(action);
  } else if (!(operation.isForWorkers && mayWork(scope, id))) mustOfTask(scope, id, action);
}

function mayWork({ service, ids, rights }: OperationContext, id: string): boolean {
  const queue = queueOf(service, ids.number(id));
  return queue !== undefined && rights!.may("queue:work", queue);
}

/** @throws UsageError ACCESS_DENIED, OperationError QUEUE_TASK_UNKNOWN */
export function mustOfTask(
  { service, ids, rights }: Place & { readonly rights?: AskedRights | undefined },
  id: string,
  action: Action,
): void {
  const queue = rights && queueOf(service, ids.number(id));
  // Of a task that is not there the operation says so itself.
  if (queue === undefined || rights!.may(action, queue)) return;
  const refusal = rights!.refused(action, queue);
  throw rights!.may("queue:see", queue) ? refusal : unknownTask();
}

/** For a flow, whose tasks may be of many queues: all of them. @throws UsageError ACCESS_DENIED */
export function mustOfTasks({ service, rights }: OperationContext, numbers: Iterable<number>, action: Action): void {
  if (!rights) return;
  const queues = new Set<string>();
  for (const number of numbers) {
    const queue = queueOf(service, number);
    if (queue !== undefined) queues.add(queue);
  }
  for (const queue of queues) {
    if (rights.may(action, queue)) continue;
    rights.refused(action, queue);
    // Its name is another's business.
    throw new UsageError("ACCESS_DENIED", `The user '${rights.user}' has not the right ${action} for all queues of the flow`);
  }
}

/** Which queues somebody sees; undefined: all. */
export function sees({ rights }: Pick<OperationContext, "rights">): ((queue: string) => boolean) | undefined {
  return rights && !rights.mayAll("queue:see") ? (queue) => rights.may("queue:see", queue) : undefined;
}

/** Whether somebody may know of a task by its id: who adds to its queue, works on it or sees it. */
export function knowsTask(service: TaskService, rights: AskedRights | undefined, number: number | undefined): boolean {
  const queue = rights && queueOf(service, number);
  if (queue === undefined) return true;
  return rights!.may("queue:see", queue) || rights!.may("queue:add", queue) || rights!.may("queue:work", queue);
}

function queueOf({ stateMachine }: TaskService, number: number | undefined): string | undefined {
  const row = number === undefined ? NONE : stateMachine.find(number);
  return row === NONE ? undefined : stateMachine.queueOf(row).name;
}
