/** ○ How long a task waits after an attempt that failed, where the worker says so instead of the task: a fixed time, a list, or a function. */
import { UsageError } from "../../core/errors.ts";
import { type Duration, durationMs } from "../../core/units.ts";

/**
 * The pause after an attempt that failed: always the same; one after the other of a list, whose last goes for all that follow; or what a function
 * says of the attempt (1 for the first) and its error, where undefined leaves it to the task.
 */
export type RetryPause = Duration | readonly Duration[] | ((attempt: number, error: unknown) => Duration | undefined);

/** @returns undefined: the task's own `backoff` says it */
export type ReadPause = (attempt: number, error: unknown) => number | undefined;

/** @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID; what is returned throws what the function throws, and UNIT_INVALID */
export function readRetryPause(pause: RetryPause | undefined): ReadPause {
  if (pause === undefined) return () => undefined;
  if (typeof pause === "function")
    return (attempt, error) => {
      const said = pause(attempt, error);
      return said === undefined ? undefined : Math.round(durationMs(said, "backoff"));
    };
  const list = (Array.isArray(pause) ? (pause as readonly Duration[]) : [pause as Duration]).map((each) =>
    Math.round(durationMs(each, "backoff")),
  );
  if (list.length === 0) throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot start the worker: 'backoff' is an empty list");
  return (attempt) => list[Math.min(attempt, list.length) - 1];
}
