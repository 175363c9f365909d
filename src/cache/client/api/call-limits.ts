/**
 * ○ How long calls may take, and the wait for the first list of servers, which counts in: a call made before it is known is made when
 * it is, or when its time is over.
 */
import type { Clock } from "../../../core/clock.ts";
import { UsageError } from "../../../core/errors.ts";
import { durationMs } from "../../../core/units.ts";
import type { CallTimes } from "../operations/operation.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { within, type WaitLimit } from "./within.ts";

/** 200 ms: what a request needs that the held event loop wrote late, on a machine that is busy with the same. */
const HELD_REST_MS = 200;

export class CallLimits {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #starting: Promise<void> | undefined;

  /** @param starting the first list of servers; undefined when it is known */
  constructor(clock: Clock, timeoutMs: number, starting: Promise<void> | undefined) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#starting = starting?.finally(() => (this.#starting = undefined));
  }

  /** Whether the servers are not known yet. */
  get starting(): boolean {
    return this.#starting !== undefined;
  }

  /** @throws UsageError UNIT_INVALID, CACHE_OPTION_INVALID */
  times(options: CallOptions | undefined): CallTimes {
    const startedMs = this.#clock.now();
    const timeout = options?.timeout;
    checkSignal(options?.signal);
    return {
      startedMs,
      deadlineMs: startedMs + (timeout === undefined ? this.#timeoutMs : durationMs(timeout, "timeout")),
    };
  }

  /** For a call of several requests: its options with the time that it has left when asked. */
  later(options: CallOptions | undefined): () => CallOptions {
    const times = this.times(options);
    return () => ({ ...options, timeout: this.leftMs(times) });
  }

  /** What a call has left. One that got an answer after its deadline did so because the event loop was held: it may go on. */
  leftMs({ startedMs, deadlineMs }: CallTimes): number {
    const leftMs = deadlineMs - this.#clock.now();
    return leftMs > 0 ? leftMs : Math.min(HELD_REST_MS, deadlineMs - startedMs);
  }

  /** Resolves when the servers are known, or the limit is reached. @throws OperationError ABORTED */
  async started(limit: WaitLimit): Promise<void> {
    if (this.#starting) await within(this.#clock, this.#starting, limit, () => (this.#starting = undefined));
  }

  /** The same within a call's own limits. */
  async startedWithin(options: CallOptions | undefined): Promise<void> {
    const { deadlineMs } = this.times(options);
    await this.started({ deadlineMs, signal: options?.signal });
  }

  /** Makes the call when the servers are known, or when its time is over: then it fails as a call without servers does. */
  async onceStarted<T>(options: CallOptions | undefined, call: (rest: CallOptions) => Promise<T>): Promise<T> {
    const later = this.later(options);
    await this.startedWithin(options);
    return call(later());
  }
}

/** @throws UsageError CACHE_OPTION_INVALID */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || typeof (signal as Partial<AbortSignal> | null)?.addEventListener === "function") return;
  throw new UsageError("CACHE_OPTION_INVALID", "Cannot use signal: it must be an AbortSignal");
}
