/**
 * ○ Which trace each task belongs to, as its producer said with it. In memory only: what a broker that starts again, or another of its group, gives
 * out has no trace. Invariant: at most TRACES_MAX tasks; past it the oldest lose theirs.
 */

/** 100,000 tasks that have not ended: 20 MB. */
const TRACES_MAX = 100_000;

export interface Trace {
  readonly traceparent: string;
  /** Queue time when the task was added. */
  readonly sinceMs: number;
}

export class Traces {
  readonly #byId = new Map<number, Trace>();

  add(id: number, trace: Trace): void {
    this.#byId.set(id, trace);
    if (this.#byId.size <= TRACES_MAX) return;
    for (const oldest of this.#byId.keys()) {
      this.#byId.delete(oldest);
      return;
    }
  }

  of(id: number): Trace | undefined {
    return this.#byId.size === 0 ? undefined : this.#byId.get(id);
  }

  /** The task has ended, or never began. */
  forget(id: number): void {
    if (this.#byId.size > 0) this.#byId.delete(id);
  }
}
