/**
 * ○ How many tasks of a queue or a group may run at once, and how many may start in a stretch of time. The rate is a token
 * bucket: full at first, `count` tokens every `perMs`, at most `count` saved up.
 */

export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

export interface Bounds {
  /** Tasks running at once; undefined = no bound. */
  readonly concurrency?: number | undefined;
  readonly rate?: Rate | undefined;
}

export class RateLimiter {
  #running = 0;
  #tokens = 0;
  #filledMs = -Infinity;

  get running(): number {
    return this.#running;
  }

  /** When the next task may start: `now` or earlier = at once, Infinity = only after `stopped`. */
  opensMs(bounds: Bounds, nowMs: number): number {
    if (bounds.concurrency !== undefined && this.#running >= bounds.concurrency) return Infinity;
    if (!bounds.rate) return nowMs;
    this.#fill(bounds.rate, nowMs);
    if (this.#tokens >= 1) return nowMs;
    return nowMs + Math.ceil(((1 - this.#tokens) * bounds.rate.perMs) / bounds.rate.count);
  }

  started(bounds: Bounds): void {
    this.#running += 1;
    if (bounds.rate) this.#tokens -= 1;
  }

  stopped(): void {
    this.#running -= 1;
  }

  #fill(rate: Rate, nowMs: number): void {
    const passedMs = this.#filledMs === -Infinity ? rate.perMs : Math.max(0, nowMs - this.#filledMs);
    this.#tokens = Math.min(rate.count, this.#tokens + (passedMs * rate.count) / rate.perMs);
    // A rounding error must not keep a whole token away for one more millisecond.
    if (this.#tokens > 0.999999 && this.#tokens < 1) this.#tokens = 1;
    this.#filledMs = nowMs;
  }
}
