/**
 * ○ Many deadlines behind one timer of the clock. Invariant: the timer is set to no later than the earliest deadline. An entry whose
 * deadline moved later is left where it is and looked at when its old time comes: a connection that hears something every
 * millisecond costs nothing here.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { Heap } from "../../core/heap.ts";

/** Something with a deadline. */
export interface Due {
  /** Owned by `Deadlines`: where the entry lies, -1 when it is not waiting. */
  position: number;
  /** Owned by `Deadlines`: when the entry is looked at next. */
  lookAtMs: number;
  /** When it is really due; Infinity for never. */
  readonly deadlineMs: number;
  /** Called once `deadlineMs` has come; then asked for the next. */
  due(nowMs: number): void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #heap = new Heap<Due>({
    before: (a, b) => a.lookAtMs < b.lookAtMs,
    setPosition: (entry, position) => (entry.position = position),
  });
  #timerMs = Infinity;
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call after an entry's deadline may have moved earlier, or for the first time. Moving later needs no call. */
  moved(entry: Due): void {
    const { deadlineMs } = entry;
    if (entry.position >= 0) {
      if (deadlineMs >= entry.lookAtMs) return;
      entry.lookAtMs = deadlineMs;
      this.#heap.moved(entry.position);
    } else {
      if (deadlineMs === Infinity) return;
      entry.lookAtMs = deadlineMs;
      this.#heap.push(entry);
    }
    this.#arm();
  }

  remove(entry: Due): void {
    if (entry.position >= 0) this.#heap.remove(entry.position);
  }

  #arm(): void {
    const nextMs = this.#heap.peek()?.lookAtMs ?? Infinity;
    if (nextMs >= this.#timerMs) return;
    this.#cancel?.();
    this.#timerMs = nextMs;
    this.#cancel = this.#clock.at(nextMs, () => this.#fire());
  }

  #fire(): void {
    this.#timerMs = Infinity;
    const nowMs = this.#clock.now();
    for (let entry = this.#heap.peek(); entry && entry.lookAtMs <= nowMs; entry = this.#heap.peek()) {
      this.#heap.pop();
      if (entry.deadlineMs <= nowMs) entry.due(nowMs);
      // `due` may have removed or re-entered it
      if (entry.position < 0) this.#reenter(entry, nowMs);
    }
    this.#arm();
  }

  #reenter(entry: Due, nowMs: number): void {
    if (entry.deadlineMs === Infinity) return;
    entry.lookAtMs = Math.max(entry.deadlineMs, nowMs + 1); // never the same moment again, or this loop would not end
    this.#heap.push(entry);
  }
}
