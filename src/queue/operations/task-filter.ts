/** ○ Which tasks are meant: one by its id, or those of a queue that a filter lets through. */
import { UsageError } from "../../core/errors.ts";
import { described, ms, type ObjectValue, optional } from "../../core/schema.ts";
import type { RowFilter } from "../service/task-scan.ts";
import { NONE } from "../tasks/task-columns.ts";
import { readFingerprint } from "../tasks/error-fingerprint.ts";
import { fingerprint, name, state, taskId } from "./answers.ts";
import type { OperationContext } from "./operation.ts";

/** Fields of a filter. */
export const FILTER = {
  queue: optional(name),
  state: optional(state),
  error: optional(fingerprint),
  group: optional(name),
  key: optional(described(name, "The newest task that was added under this key; needs the queue")),
  fromMs: optional(described(ms, "Added at this time or later")),
  untilMs: optional(described(ms, "Added before this time")),
} as const;

/** A task, or tasks. */
export const WHICH = { id: optional(taskId), ...FILTER } as const;

type AskedFilter = ObjectValue<typeof FILTER>;

/** @throws UsageError QUEUE_OPTIONS_INVALID for a key without its queue */
export function readFilter({ key, error, state: only, ...rest }: AskedFilter): RowFilter {
  if (key !== undefined && rest.queue === undefined)
    throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot look for a key: a key is of a queue, and 'queue' is missing");
  return {
    ...rest,
    ...(key !== undefined && { key }),
    ...(only !== undefined && { states: [only] }),
    ...(error !== undefined && { error: readFingerprint(error) }),
  };
}

/**
 * One task's number, or the filter of many. What would be all tasks of a broker is meant by nobody: a filter names its queue.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function readWhich({ ids }: OperationContext, asked: ObjectValue<typeof WHICH>): number | RowFilter {
  const { id, ...filter } = asked;
  const isFilter = Object.values(filter).some((value) => value !== undefined);
  if (id !== undefined && isFilter)
    throw new UsageError("QUEUE_OPTIONS_INVALID", "Give a task's id, or a queue and which of its tasks, not both");
  if (id !== undefined) return ids.number(id) ?? NONE;
  if (filter.queue === undefined)
    throw new UsageError("QUEUE_OPTIONS_INVALID", "Give a task's id, or a queue and which of its tasks");
  return readFilter(filter);
}
