/**
 * ○ How many tasks of a queue or a group run at once, and how many were started in a stretch of time: a window that slides in about
 * 256 steps. A start counts from the moment it is reserved (its commit comes before the task is given out) until a whole window
 * after it was given out, rounded late. Invariant: in no window of the rate's length more than its count were given out.
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

/** 256: a window is passed at most two steps late, which is less than a hundredth of it, and takes 4 KiB at most. */
const STEPS = 256;

export class RateLimiter {
  #running = 0;
  /** Starts that were reserved, and not given out yet. */
  #reserved = 0;
  /** Starts that were given out: pairs of the end of their step and how many, the oldest first, from #first on. */
  #starts: number[] = [];
  #first = 0;
  /** Sum of those. */
  #given = 0;

  get running(): number {
    return this.#running;
  }

  /** When the next task may start: `now` or earlier = at once, Infinity = only after `stopped` or `gave`. */
  opensMs({ concurrency, rate }: Bounds, nowMs: number): number {
    if (concurrency !== undefined && this.#running >= concurrency) return Infinity;
    if (!rate) return nowMs;
    this.#forget(rate, nowMs);
    let used = this.#given + this.#reserved;
    let opensMs = nowMs;
    for (let at = this.#first; used >= rate.count; at += 2) {
      if (at === this.#starts.length) return Infinity;
      opensMs = Math.max(opensMs, this.#starts[at]! + rate.perMs);
      used -= this.#starts[at + 1]!;
    }
    return opensMs;
  }

  started(): void {
    this.#running += 1;
  }

  stopped(): void {
    this.#running -= 1;
  }

  /** A start is to be given out: it counts from now on. */
  reserve(): void {
    this.#reserved += 1;
  }

  /** A start that was reserved was given out now, or may have been. */
  gave(rate: Rate | undefined, nowMs: number): void {
    this.#reserved -= 1;
    if (rate) this.#add(stepEndMs(rate, nowMs), 1);
  }

  /** When it knows nothing any more that counts against the rate; Infinity while a start is reserved. */
  overMs(rate: Rate | undefined): number {
    if (this.#reserved > 0) return Infinity;
    return rate ? (this.#starts.at(-2) ?? -Infinity) + rate.perMs : -Infinity;
  }

  /** Whether anything may still count. */
  get remembers(): boolean {
    return this.#reserved > 0 || this.#given > 0;
  }

  /** Forgets what no longer counts. Without a rate that is all. */
  forget(rate: Rate | undefined, nowMs: number): void {
    if (rate) this.#forget(rate, nowMs);
    else this.#clear();
  }

  // ---- over a restart

  /** What must be kept: the starts that are reserved, then the pairs of those given out. */
  get history(): readonly number[] {
    return [this.#reserved, ...this.#starts.slice(this.#first)];
  }

  /**
   * Goes on from a history. What was reserved may have been given out at any time until now.
   *
   * @returns false when it is none; then a whole window counts as used
   */
  restore(history: unknown, rate: Rate, nowMs: number): boolean {
    this.#clear();
    const nowEndMs = stepEndMs(rate, nowMs);
    if (!isHistory(history)) {
      this.#add(nowEndMs, rate.count);
      return false;
    }
    for (let at = 1; at < history.length; at += 2) this.#add(Math.min(history[at]!, nowEndMs), history[at + 1]!);
    this.#add(nowEndMs, history[0]!);
    return true;
  }

  #add(endMs: number, count: number): void {
    if (count === 0) return;
    this.#given += count;
    const last = this.#starts.length - 2;
    if (last >= this.#first && this.#starts[last]! >= endMs) this.#starts[last + 1]! += count;
    else this.#starts.push(endMs, count);
  }

  #forget({ perMs }: Rate, nowMs: number): void {
    while (this.#first < this.#starts.length && this.#starts[this.#first]! + perMs <= nowMs) {
      this.#given -= this.#starts[this.#first + 1]!;
      this.#first += 2;
    }
    if (this.#first < STEPS) return;
    this.#starts.splice(0, this.#first);
    this.#first = 0;
  }

  #clear(): void {
    this.#starts = [];
    this.#first = 0;
    this.#given = 0;
  }
}

/** The end of the step after this one: a worker begins a little after the task was given out, one sooner than the other. */
function stepEndMs({ perMs }: Rate, nowMs: number): number {
  const stepMs = Math.ceil(perMs / STEPS);
  return (Math.floor(nowMs / stepMs) + 2) * stepMs;
}

function isHistory(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length % 2 === 0 || value.length > 4 * STEPS) return false;
  return value.every((each, at) => (at % 2 === 1 ? Number.isFinite(each) : Number.isSafeInteger(each) && each >= 0));
}
