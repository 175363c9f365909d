/**
 * ○ Looks at every row that there is, a slice at a time, for the tasks that a filter lets through: complete whatever has passed through
 * the broker before, and ten million rows hold up nobody. `IdPage` puts what was found in the order of the tasks' numbers.
 */
import type { TaskState } from "../tasks/life-cycle.ts";
import { ERROR, ID, NONE } from "../tasks/task-columns.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";

/** 100,000 rows at a time: 2 ms, in which no message is answered. */
export const SCAN_ROWS = 100_000;

export interface TaskFilter {
  readonly queue?: string | undefined;
  readonly states?: readonly TaskState[] | undefined;
  /** The fingerprint of its newest error. */
  readonly error?: number | undefined;
  /** Only greater numbers; default 0. */
  readonly after?: number | undefined;
}

export class TaskScan {
  readonly #stateMachine: TaskStateMachine;
  readonly #filter: TaskFilter;
  #row = NONE + 1;

  constructor(stateMachine: TaskStateMachine, filter: TaskFilter) {
    this.#stateMachine = stateMachine;
    this.#filter = filter;
  }

  /** Looks at the next rows. @returns false when all were looked at */
  look(found: (id: number, row: number) => void, rows = SCAN_ROWS): boolean {
    const { table } = this.#stateMachine;
    const { after = 0 } = this.#filter;
    if (this.#isEmpty()) return false;
    const end = Math.min(table.end, this.#row + rows);
    for (; this.#row < end; this.#row += 1) {
      const id = table.f(this.#row, ID);
      if (id > after && this.passes(this.#row)) found(id, this.#row);
    }
    return this.#row < table.end;
  }

  passes(row: number): boolean {
    const { queue, states, error } = this.#filter;
    const { table } = this.#stateMachine;
    if (states && !states.includes(this.#stateMachine.state(row))) return false;
    if (error !== undefined && table.u(row, ERROR) !== error) return false;
    return !this.#stateMachine.isUnwritten(row) && (queue === undefined || this.#stateMachine.queueOf(row).name === queue);
  }

  /** The queue's counts say that nothing can pass: most lists that are looked at are such. */
  #isEmpty(): boolean {
    const { queue: name, states } = this.#filter;
    if (name === undefined) return false;
    const queue = this.#stateMachine.findQueue(name);
    return !queue || (states !== undefined && states.every((state) => queue.count(state) === 0));
  }
}

/** Room for 1024 numbers beyond the limit: sorting them out costs 40 ns a number. */
const SPARE = 1024;

/** The smallest numbers of all that were added, as many as `limit`. */
export class IdPage {
  readonly #limit: number;
  readonly #ids: Float64Array;
  #count = 0;
  /** Numbers above it have no place on the page. */
  #highest = Infinity;
  #found = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#ids = new Float64Array(limit + SPARE);
  }

  add(id: number): void {
    this.#found += 1;
    if (id > this.#highest) return;
    this.#ids[this.#count] = id;
    this.#count += 1;
    if (this.#count === this.#ids.length) this.#sort();
  }

  /** In order, and the number to go on after; undefined when these were all. */
  get(): { ids: readonly number[]; next: number | undefined } {
    this.#sort();
    const ids = Array.from(this.#ids.subarray(0, this.#count));
    return { ids, next: this.#found > ids.length ? ids.at(-1) : undefined };
  }

  #sort(): void {
    this.#ids.subarray(0, this.#count).sort();
    if (this.#count < this.#limit) return;
    this.#count = this.#limit;
    this.#highest = this.#ids[this.#limit - 1]!;
  }
}
