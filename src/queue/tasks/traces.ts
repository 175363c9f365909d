/**
 * ○ Which trace each task belongs to that has not ended, as its producer said with it. The heads in the store have them all (task-record.ts); in
 * memory are those of the first TRACES_MAX tasks, and of what workers have. Full, it takes no more: the oldest tasks are the next to go.
 */

/** 100,000 tasks that have not ended: 20 MB. */
const TRACES_MAX = 100_000;

export interface Trace {
  /** W3C's; "" where the head in the store turned out to have none. */
  readonly traceparent: string;
  /** Queue time since when the task waits, or waited, for the worker that it is given to. */
  readonly sinceMs: number;
}

export class Traces {
  readonly #byId = new Map<number, { traceparent: string | undefined; sinceMs: number }>();

  add(id: number, traceparent: string): void {
    if (this.#byId.size < TRACES_MAX) this.#byId.set(id, { traceparent, sinceMs: 0 });
  }

  /** A worker gets it. */
  taken(id: number, sinceMs: number): void {
    const known = this.#byId.get(id);
    if (known) known.sinceMs = sinceMs;
    else this.#byId.set(id, { traceparent: undefined, sinceMs });
  }

  /** What its head in the store says. */
  read(id: number, traceparent: string): void {
    const known = this.#byId.get(id);
    if (known) known.traceparent = traceparent;
  }

  /** undefined: it is not in memory. */
  of(id: number): Trace | undefined {
    const known = this.#byId.size === 0 ? undefined : this.#byId.get(id);
    return known?.traceparent === undefined ? undefined : (known as Trace);
  }

  /** No worker has it any more: it makes room where others need it. */
  stopped(id: number): void {
    if (this.#byId.size > TRACES_MAX) this.#byId.delete(id);
  }

  /** The task has ended, or never began. */
  forget(id: number): void {
    if (this.#byId.size > 0) this.#byId.delete(id);
  }
}
