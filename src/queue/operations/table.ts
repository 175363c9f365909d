/** ○ The table of operations, by the names by which HQ1's OPERATE, the log and the OpenAPI document call them. */
import type { Schema, SchemaValue } from "../../core/schema.ts";
import type { Operation } from "./operation.ts";
import { events } from "./events.ts";
import { story } from "./story.ts";
import * as ofFlows from "./flows.ts";
import * as ofQueues from "./queues.ts";
import * as ofTasks from "./tasks.ts";

/** What can be asked of a broker about its tasks: docs/reference/operations.md. */
export const OPERATIONS = {
  tasks: ofTasks.tasks,
  get: ofTasks.getTask,
  story,
  events,
  errors: ofTasks.errors,
  retry: ofTasks.retry,
  cancel: ofTasks.cancel,
  promote: ofTasks.promote,
  update: ofTasks.update,
  signal: ofTasks.signal,
  remove: ofTasks.remove,
  undo: ofTasks.undo,
  drain: ofTasks.drain,
  addFlow: ofFlows.addFlow,
  flow: ofFlows.flow,
  cancelFlow: ofFlows.cancelFlow,
  retryFlow: ofFlows.retryFlow,
  parents: ofFlows.parents,
  queues: ofQueues.queues,
  set: ofQueues.set,
  pause: ofQueues.pause,
  resume: ofQueues.resume,
  workers: ofQueues.workers,
  schedules: ofQueues.schedules,
  upsertSchedule: ofQueues.upsertSchedule,
  removeSchedule: ofQueues.removeSchedule,
} as const;

/** An operation's name. */
export type OperationName = keyof typeof OPERATIONS;
/** What an operation takes. */
export type OperationRequest<Name extends OperationName> = (typeof OPERATIONS)[Name] extends { readonly input: infer S }
  ? SchemaValue<S>
  : never;
/** What an operation answers. */
export type OperationAnswer<Name extends OperationName> = (typeof OPERATIONS)[Name] extends { readonly output: infer S }
  ? SchemaValue<S>
  : never;

/** Any row. */
export type AnyOperation = Operation<unknown, unknown> & { readonly input: Schema<unknown> };

/** undefined: there is none of this name. */
export function operationNamed(name: string): AnyOperation | undefined {
  return Object.hasOwn(OPERATIONS, name) ? (OPERATIONS[name as OperationName] as unknown as AnyOperation) : undefined;
}
