/** ○ Waits for a promise no longer than until a deadline or an abort. */
import type { Clock } from "../../../core/clock.ts";
import { OperationError } from "../../../core/errors.ts";

/** How long to wait: until this time of the clock, or until the signal aborts. */
export interface WaitLimit {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The promise's outcome, or what `late` gives at the deadline, or ABORTED, whichever is first.
 *
 * @param late a value, or a throw
 */
export function within<T>(clock: Clock, promise: Promise<T>, { deadlineMs, signal }: WaitLimit, late: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    const fail = (error: unknown): void => {
      leave();
      reject(error);
    };
    const abort = (): void => fail(aborted(signal!));
    let cancel = clock.at(deadlineMs, () => {
      cancel = clock.afterInput(() => {
        leave();
        new Promise<T>((settle) => settle(late())).then(resolve, reject);
      });
    });
    if (signal?.aborted) {
      abort();
      return;
    }
    signal?.addEventListener("abort", abort, { once: true });
    promise.then((value) => {
      leave();
      resolve(value);
    }, fail);
  });
}

export function aborted(signal: AbortSignal): OperationError {
  return new OperationError("ABORTED", "The call was aborted", { cause: signal.reason });
}
