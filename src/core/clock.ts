/**
 * ● The only reader of time. Everything else is told the time, or asks a `Clock` that it was given, so that tests move it by hand
 * (manual-clock.ts). Monotonic milliseconds for deadlines, wall milliseconds for what people and other machines see.
 */

/** Cancels a timer; may be called twice, and after it fired. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds that never go back; the zero point means nothing. */
  now(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump when the machine's clock is set. */
  wallMs(): number;
  /** The wall is never set: it goes on as `now()` does, and nobody looks whether it still does. */
  readonly isWallSteady?: boolean;
  /** Calls once when `now()` has reached the deadline; at once (but not before returning) when it already has. */
  at(deadlineMs: number, fire: () => void): Cancel;
  /**
   * Calls once when the input that has already arrived at this process's sockets is read. Node runs timers before it reads: after
   * a turn that held the event loop, answers that came in time lie unread while the timers of their deadlines fire.
   */
  afterInput(call: () => void): Cancel;
}

/** 2^31-1 ms: Node fires longer timeouts at once. Longer deadlines are reached in steps. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The machine's clock. Its timers keep no process alive: open sockets do. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  at(deadlineMs, fire) {
    let timer: NodeJS.Timeout;
    // Node's timers count whole milliseconds of a coarser clock and may ring a little early: look again before firing.
    const look = (): void => {
      const waitMs = deadlineMs - performance.now();
      if (waitMs <= 0) fire();
      else arm(waitMs);
    };
    const arm = (waitMs: number): void => {
      timer = setTimeout(look, Math.min(Math.max(0, Math.ceil(waitMs)), TIMEOUT_MS_MAX));
      timer.unref();
    };
    arm(deadlineMs - performance.now());
    return () => clearTimeout(timer);
  },
  // libuv's check phase, which follows its poll phase.
  afterInput(call) {
    const immediate = setImmediate(call);
    return () => clearImmediate(immediate);
  },
};
