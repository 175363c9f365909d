/** ○ What the state machine tells of each task, to whoever writes it, gives it out and answers those who wait for it. */
import type { EndedState } from "./life-cycle.ts";
import type { TaskQueue } from "./task-queue.ts";
import type { ThrottleListener } from "./throttle.ts";

/** Why a lease was taken back from its worker. */
export type Revocation = "timeout" | "cancelled";

/** What the state machine tells. Called in the middle of a change: remember, do not call back. */
export interface TaskStateMachineListener extends ThrottleListener {
  /** The row's state record must be written anew. */
  changed(row: number): void;
  /** The task ended; write it, and tell its watchers. `result` only when completed. */
  ended(row: number, state: EndedState, result: Uint8Array | undefined): void;
  /** The lease is over before its owner ended it. */
  revoked(row: number, leaseOwner: number, why: Revocation): void;
  /** Its result, or its body, had to make room: only that it has ended, and how, is kept. */
  evicted(row: number): void;
  /** The row is removed; still readable during the call. */
  removed(row: number): void;
  /** What went wrong, to be kept with the task; `attempt` when an attempt failed. */
  errorRecorded(row: number, error: string, attempt: number | undefined): void;
  /** Its delay or pause is over and it waits for a worker: nothing has to be written. */
  due(row: number, queue: TaskQueue): void;
  /** What fell due for the row met an error that nobody expected; it is not tried again before a restart. */
  broken(row: number, error: unknown): void;
}
