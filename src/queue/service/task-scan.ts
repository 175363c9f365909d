/**
 * ○ A page of tasks that a filter lets through, in the order of their numbers. Looks at every row that there is, a slice at a time, so
 * that the page is complete whatever has passed through the broker before, and so that ten million rows hold up nobody. Invariant:
 * `#ids` has the smallest numbers of those that were seen and pass, `limit` of them at least, where there are so many.
 */
import type { TaskState } from "../tasks/life-cycle.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";

/** 100,000 rows at a time: 2 ms at most, in which no message is answered. */
export const SCAN_ROWS = 100_000;

/** Room for 1024 numbers beyond the limit: sorting them out costs 40 ns a number. */
const SPARE = 1024;

export interface ScanRequest {
  readonly queue?: string | undefined;
  readonly states?: readonly TaskState[] | undefined;
  /** Start after this number; default 0. */
  readonly after: number;
  readonly limit: number;
}

export class TaskScan {
  readonly #stateMachine: TaskStateMachine;
  readonly #request: ScanRequest;
  readonly #ids: Float64Array;
  #count = 0;
  /** Numbers above it have no place on the page. */
  #highest = Infinity;
  #found = 0;
  #row = NONE + 1;

  constructor(stateMachine: TaskStateMachine, request: ScanRequest) {
    this.#stateMachine = stateMachine;
    this.#request = request;
    this.#ids = new Float64Array(request.limit + SPARE);
  }

  /** Looks at the next rows, SCAN_ROWS at most. @returns false when all were looked at */
  look(rows = SCAN_ROWS): boolean {
    const { table } = this.#stateMachine;
    const { after } = this.#request;
    if (this.#isEmpty()) return false;
    const end = Math.min(table.end, this.#row + rows);
    for (; this.#row < end; this.#row += 1) {
      const id = table.f(this.#row, ID);
      if (id > after && this.#passes(this.#row)) this.#add(id);
    }
    return this.#row < table.end;
  }

  /** The page: rows that still pass, and the number to go on after, undefined at the end. */
  page(): { rows: readonly number[]; next: number | undefined } {
    this.#sort();
    const ids = this.#ids.subarray(0, Math.min(this.#count, this.#request.limit));
    const rows = Array.from(ids, (id) => this.#stateMachine.find(id));
    return {
      rows: rows.filter((row) => row !== NONE && this.#passes(row)),
      next: this.#found > ids.length ? ids.at(-1) : undefined,
    };
  }

  /** The queue's counts say that nothing can pass: most lists that are looked at are such. */
  #isEmpty(): boolean {
    const { queue: name, states } = this.#request;
    if (name === undefined) return false;
    const queue = this.#stateMachine.findQueue(name);
    return !queue || (states !== undefined && states.every((state) => queue.count(state) === 0));
  }

  #passes(row: number): boolean {
    const { queue, states } = this.#request;
    if (states && !states.includes(this.#stateMachine.state(row))) return false;
    return !this.#stateMachine.isUnwritten(row) && (queue === undefined || this.#stateMachine.queueOf(row).name === queue);
  }

  #add(id: number): void {
    this.#found += 1;
    if (id > this.#highest) return;
    this.#ids[this.#count] = id;
    this.#count += 1;
    if (this.#count === this.#ids.length) this.#sort();
  }

  /** In order, and only as many as the page takes. */
  #sort(): void {
    const { limit } = this.#request;
    this.#ids.subarray(0, this.#count).sort();
    if (this.#count < limit) return;
    this.#count = limit;
    this.#highest = this.#ids[limit - 1]!;
  }
}
