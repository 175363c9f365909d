/**
 * ○ A clock that moves only when told to, for tests and simulations. Timers fire in order of their deadlines, each with `now()`
 * standing exactly at its deadline.
 */
import type { Cancel, Clock } from "./clock.ts";
import { Heap } from "./heap.ts";

interface Timer {
  readonly deadlineMs: number;
  readonly order: number;
  readonly fire: () => void;
  position: number;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #order = 0;
  /** What waits for input, while there is some unread. */
  #unread: Set<() => void> | undefined = undefined;
  readonly #timers = new Heap<Timer>({
    before: (a, b) => a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.order < b.order),
    setPosition: (timer, position) => (timer.position = position),
  });

  /** @param wallMs what the wall shows while `now()` is `nowMs`; default 2026-01-01T00:00:00Z at 0 */
  constructor({ nowMs = 0, wallMs = 1_767_225_600_000 }: { nowMs?: number; wallMs?: number } = {}) {
    this.#nowMs = nowMs;
    this.#wallOffsetMs = wallMs - nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  at(deadlineMs: number, fire: () => void): Cancel {
    const timer: Timer = { deadlineMs, order: this.#order, fire, position: -1 };
    this.#order += 1;
    this.#timers.push(timer);
    return () => {
      if (timer.position >= 0) this.#timers.remove(timer.position);
    };
  }

  /** Nothing lies unread while a test moves the clock, unless `holdInput` says so. */
  afterInput(call: () => void): Cancel {
    if (!this.#unread) {
      call();
      return () => {};
    }
    const calls = this.#unread;
    calls.add(call);
    return () => void calls.delete(call);
  }

  /** From now on input is unread: what waits for it is called when the function returned is. */
  holdInput(): () => void {
    const calls = (this.#unread ??= new Set());
    return () => {
      this.#unread = undefined;
      for (const call of calls) call();
    };
  }

  /** When the next timer fires, or undefined when none is set. */
  get nextDeadlineMs(): number | undefined {
    return this.#timers.peek()?.deadlineMs;
  }

  /** Moves time on by `ms`, firing what falls due on the way. */
  advance(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  advanceTo(targetMs: number): void {
    for (let next = this.#timers.peek(); next && next.deadlineMs <= targetMs; next = this.#timers.peek()) {
      this.#timers.pop();
      this.#nowMs = Math.max(this.#nowMs, next.deadlineMs);
      next.fire();
    }
    this.#nowMs = Math.max(this.#nowMs, targetMs);
  }

  /** Sets the wall clock forwards or back, as an administrator or NTP would; `now()` does not move. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }
}
