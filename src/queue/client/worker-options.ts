/** ○ What a worker may be told when it is started. */
import type { LogOption } from "../../core/log.ts";
import type { Duration, Size } from "../../core/units.ts";
import type { BatchOptions } from "./batches.ts";
import type { RetryPause } from "./retry-pause.ts";

/** Options of `worker`. */
export interface WorkerOptions {
  /** Handlers at once; default 1, or as many as `threads`. */
  readonly concurrency?: number;
  /** For a handler that is a module: threads that run it; default 1. */
  readonly threads?: number;
  /** The most memory that JavaScript may take in each of them, such as "512m"; default: what Node allows a program. */
  readonly threadMemory?: Size;
  /** Tasks taken beyond that, so as not to wait for the next; asked back when another worker is idle. Default 0. */
  readonly prefetch?: number;
  /**
   * Signals that make it close and then end the process as they would have, once all workers, requests and brokers in the process are
   * done; default SIGTERM, SIGINT, and SIGHUP if the program does not listen to that itself. [] = none.
   */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long `close` waits for running handlers; then their signals fire and their tasks are given back. Default "5s". */
  readonly drain?: Duration;
  /**
   * The pause after an attempt that failed: a time, a list of times, or a function `(attempt, error) => time`. Default: as the task's `backoff` says,
   * doubled each time.
   */
  readonly backoff?: RetryPause;
  /** Told of a handler's errors, and of results that came too late; without it the log tells them. */
  readonly onError?: (error: unknown, task: { readonly id: string; readonly attempt: number }) => void;
  /** As of `queue`; default: what the queue has. */
  readonly log?: LogOption;
}

/** Options of `worker` for a handler of many tasks: `concurrency` counts batches. */
export interface BatchWorkerOptions extends Omit<WorkerOptions, "threads" | "threadMemory"> {
  /** How tasks are put together. */
  readonly batch: BatchOptions;
}
