/**
 * ○ What happened to tasks lately, beside what the store keeps of them: when one was on disk, which worker got it and began, how an attempt
 * ended. Kept in memory alone, the newest EVENTS_MAX of all tasks: for the story of a task (operations/story.ts) and nothing that
 * anything depends on. Invariant: noting one costs the same with one event as with all, and makes no object.
 */

/** 65,536 events: 1.6 MB, the last 13,000 tasks that were added, taken and done. A story of a longer past has what the store knows. */
export const EVENTS_MAX = 65_536;

/** What can happen. The numbers are places in the ring, never written. */
export const TASK_EVENTS = [
  "stored",
  "given",
  "begun",
  "completed",
  "failed",
  "timedOut",
  "returned",
  "lost",
  "kept",
  "resumed",
  "outcomeStored",
  "retried",
  "promoted",
  "changed",
] as const;
export type TaskEventKind = (typeof TASK_EVENTS)[number];
const CODES = Object.fromEntries(TASK_EVENTS.map((kind, code) => [kind, code])) as Record<TaskEventKind, number>;

export interface RememberedEvent {
  readonly kind: TaskEventKind;
  /** Queue time. */
  readonly atMs: number;
  /** Where one had to do with it. */
  readonly worker: string | undefined;
}

export class TaskEvents {
  #ids = new Float64Array();
  #times = new Float64Array();
  #kinds = new Uint8Array();
  #workers: (string | undefined)[] = [];
  #count = 0;

  note(id: number, kind: TaskEventKind, atMs: number, worker?: string): void {
    if (this.#count === 0) this.#begin();
    const at = this.#count % EVENTS_MAX;
    this.#ids[at] = id;
    this.#times[at] = atMs;
    this.#kinds[at] = CODES[kind];
    this.#workers[at] = worker;
    this.#count += 1;
  }

  /** Of one task, in their order. Looks at all. */
  of(id: number): readonly RememberedEvent[] {
    const found: RememberedEvent[] = [];
    for (let number = Math.max(0, this.#count - EVENTS_MAX); number < this.#count; number += 1) {
      const at = number % EVENTS_MAX;
      if (this.#ids[at] !== id) continue;
      found.push({ kind: TASK_EVENTS[this.#kinds[at]!]!, atMs: this.#times[at]!, worker: this.#workers[at] });
    }
    return found;
  }

  /** Since when all events are here, if older ones were overwritten. */
  get sinceMs(): number | undefined {
    return this.#count > EVENTS_MAX ? this.#times[this.#count % EVENTS_MAX] : undefined;
  }

  /** A broker without tasks pays nothing. */
  #begin(): void {
    this.#ids = new Float64Array(EVENTS_MAX);
    this.#times = new Float64Array(EVENTS_MAX);
    this.#kinds = new Uint8Array(EVENTS_MAX);
    this.#workers = new Array<string | undefined>(EVENTS_MAX);
  }
}
