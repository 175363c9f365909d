/** ○ What users write to do the work: the handler, what it is told, and what it says when no further attempt will help. */
import { messageOf } from "../../core/errors.ts";
import type { Once } from "./once.ts";
import type { AddOptions } from "./queue.ts";
import type { TaskState } from "../tasks/life-cycle.ts";
import { type Duration, durationMs } from "../../core/units.ts";

/** What a handler is told beside the payload. */
export interface TaskContext {
  readonly id: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Fires when the task is cancelled, runs out of time, is another worker's by now, or the worker closes without waiting. */
  readonly signal: AbortSignal;
  /** Tells those who watch the task how far it is; the newest replaces the one before. */
  progress(value: unknown): void;
  /** Sends a part of the result to those who watch the task. */
  partial(value: unknown): void;
  /**
   * Does something to the application's own database once, however often this task runs: the effect and its mark are one transaction, on
   * a table that `onceTable` made. `db` is a pool, or a connection that nothing else uses meanwhile.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID, and what the effect and the database throw: then nothing was done
   * @example
   * await task.once(pool, (tx) => tx.query("UPDATE accounts SET cents = cents - $1 WHERE id = $2", [cents, id]));
   */
  readonly once: Once;
  /**
   * Does a part of the work once: what it resolves to is on record with the task before this resolves, and every later run of the handler, after a
   * crash or a failed attempt, is told that and does not do it again. A part that ends before it is on record is done again; code outside steps runs
   * in every run.
   *
   * @throws UsageError QUEUE_STEP_INVALID (a name twice), OperationError QUEUE_STEPS_CHANGED, QUEUE_RUN_ENDED, QUEUE_BODY_TOO_LARGE,
   * QUEUE_TOO_MANY; what the part throws: then nothing is on record
   * @example
   * const receipt = await task.step("charge", () => bank.charge(order));
   */
  step<T>(name: string, act: () => Promise<T> | T): Promise<T>;
  /**
   * The tasks that this one waited for (`after`), in their order, with their results. Those of a flow stay until it has ended.
   *
   * @throws OperationError QUEUE_BODY_TOO_LARGE (more than a message takes), QUEUE_UNREACHABLE, QUEUE_TASK_STATE (one of them has not ended: the
   *   broker was killed before that was on disk, so this run does not count either, and another follows)
   */
  parents(): Promise<ParentTask[]>;
  /**
   * Ends this run by a throw; when the time has passed the handler is run again and comes to here at once. No attempt is spent, and the worker's place
   * is free meanwhile. Errors as of `step`.
   */
  sleep(time: Duration): Promise<void>;
  /**
   * Waits as `sleep` does, for a signal that `queue.signal(id, name, value)` sends, or has sent.
   *
   * @returns the value; undefined when the timeout was over before. Errors as of `step`.
   */
  waitFor(name: string, options?: SignalOptions): Promise<unknown>;
  /**
   * Adds a task to a queue of the same broker and waits for its result, as `sleep` does.
   *
   * @throws OperationError QUEUE_TASK_DEAD (the message is the last error), QUEUE_TASK_CANCELLED, QUEUE_FULL; errors as of `step`
   */
  call(queue: string | { readonly name: string }, body?: unknown, options?: CalledTaskOptions): Promise<unknown>;
}

/** A task that another waited for. */
export interface ParentTask {
  readonly id: string;
  /** `evicted`, `unknown`: its result is no longer kept. */
  readonly state: TaskState | "evicted" | "unknown";
  /** Of a completed one. */
  readonly result?: unknown;
}

/** How a handler waits for a signal. */
export interface SignalOptions {
  /** After this `waitFor` resolves to undefined. Default: it waits for ever. */
  readonly timeout?: Duration;
}

/** What a handler may ask for with a task that it calls. */
export type CalledTaskOptions = Omit<
  AddOptions,
  "key" | "uniqueWhile" | "throttle" | "debounce" | "whenFull" | "timeout" | "signal"
>;

/** Does the work: what it resolves to is the result; when it rejects, the attempt has failed. */
export type Handler<P, R> = (payload: P, context: TaskContext) => Promise<R> | R;

/** Thrown by a handler when no further attempt will help: the task is dead at once. */
export class GiveUp extends Error {
  /** @internal */
  override readonly name = "GiveUp";
}

/**
 * Thrown by a handler that cannot do its work now and knows when it can, such as after a refusal of a service with a limit: the task is tried
 * again after this time, and no attempt is spent.
 */
export class RetryAfter extends Error {
  /** @internal */
  override readonly name = "RetryAfter";
  /** Milliseconds until the task is tried again. */
  readonly afterMs: number;

  /** @throws UsageError UNIT_INVALID */
  constructor(after: Duration, message = `again after ${after}`) {
    super(message);
    this.afterMs = Math.round(durationMs(after, "after"));
  }
}

/** In how many ms the task is to be tried again without an attempt spent; undefined for other errors. @internal */
export function afterMsOf(error: unknown): number | undefined {
  // By its name, as GiveUp.
  if (!(error instanceof Error) || error.name !== "RetryAfter" || !("afterMs" in error)) return undefined;
  return typeof error.afterMs === "number" ? error.afterMs : undefined;
}

/** Thrown by `sleep`, `waitFor` and `call` where they end the run: the handler lets it pass, and is run again when the time has come. */
export class RunEnded extends Error {
  /** @internal */
  override readonly name = "RunEnded";
}

/** By its name, as GiveUp. @internal */
export function isRunEnded(error: unknown): boolean {
  return error instanceof Error && error.name === "RunEnded";
}

/** Why a handler's run came to nothing that its task is to blame for: the task is given back, and no attempt counts. @internal */
export class InterruptedError extends Error {}

/** How a handler's error ends the attempt: as it is kept with the task, its message, then where it came from. */
export function failureOf(error: unknown): { readonly error: string; readonly final: boolean } {
  // By its name: a module that runs in a thread may have another copy of the class.
  const final = error instanceof Error && error.name === "GiveUp";
  if (!(error instanceof Error) || !error.stack) return { error: messageOf(error), final };
  return { error: error.stack.startsWith(error.name) ? error.stack : `${error.message}\n${error.stack}`, final };
}
