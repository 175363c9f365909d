/**
 * ○ The tasks that have ended, in the order they did, and how many bytes are spent on remembering them: the dead apart from the
 * others, because somebody may want them back, and those of which only the key and the state are left (evicted) apart from both.
 * Invariant: a row is in the list where it belongs, and counted with the bytes it was kept with. Forgets nothing by itself;
 * `surplus` names who must go.
 */
import type { EndedState } from "./life-cycle.ts";
import { DEAD_BYTES_MAX, ENDED_BYTES_MAX, EVICTED_BYTES_MAX } from "../limits.ts";
import { NONE, RowList, type TaskColumns } from "./task-columns.ts";

/** What a row was kept with. */
export interface EndedTask {
  readonly state: EndedState;
  readonly isEvicted: boolean;
  readonly bytes: number;
}

export interface EndedTasksOptions {
  readonly endedBytesMax?: number | undefined;
  readonly deadBytesMax?: number | undefined;
}

/** Rows in the order in which they ended, and a bound on their bytes. */
class BoundedRows {
  readonly rows: RowList;
  bytes = 0;
  readonly #bytesMax: number;

  constructor(table: TaskColumns, bytesMax: number) {
    this.rows = new RowList(table);
    this.#bytesMax = bytesMax;
  }

  /** The oldest row while the bound is passed, else 0. The newest always stays. */
  get surplus(): number {
    return this.bytes > this.#bytesMax && this.rows.count > 1 ? this.rows.head : NONE;
  }
}

export class EndedTasks {
  /** Completed or cancelled. */
  readonly #ended: BoundedRows;
  readonly #dead: BoundedRows;
  readonly #evicted: BoundedRows;
  #deadDropped = 0;

  constructor(table: TaskColumns, { endedBytesMax = ENDED_BYTES_MAX, deadBytesMax = DEAD_BYTES_MAX }: EndedTasksOptions) {
    this.#ended = new BoundedRows(table, endedBytesMax);
    this.#dead = new BoundedRows(table, deadBytesMax);
    this.#evicted = new BoundedRows(table, EVICTED_BYTES_MAX);
  }

  get endedBytes(): number {
    return this.#ended.bytes + this.#evicted.bytes;
  }

  get deadBytes(): number {
    return this.#dead.bytes;
  }

  /** Dead tasks that had to go because the bound on their bytes was reached. */
  get deadDropped(): number {
    return this.#deadDropped;
  }

  keep(row: number, { state, isEvicted, bytes }: EndedTask): void {
    const list = this.#listOf(state, isEvicted);
    list.rows.pushBack(row);
    list.bytes += bytes;
  }

  remove(row: number, { state, isEvicted, bytes }: EndedTask): void {
    const list = this.#listOf(state, isEvicted);
    list.rows.remove(row);
    list.bytes -= bytes;
  }

  /** The oldest row while a bound is passed, to be forgotten or evicted before this is asked again; else 0. */
  surplus(): number {
    const row = this.#ended.surplus || this.#evicted.surplus;
    if (row !== NONE) return row;
    const dead = this.#dead.surplus;
    if (dead !== NONE) this.#deadDropped += 1;
    return dead;
  }

  /** The rows of dead tasks, or of the others that have ended, and all that were evicted; those that ended first come first. */
  *rows(state: EndedState): IterableIterator<number> {
    yield* this.#listOf(state, false).rows.rows();
    yield* this.#evicted.rows.rows();
  }

  #listOf(state: EndedState, isEvicted: boolean): BoundedRows {
    if (isEvicted) return this.#evicted;
    return state === "dead" ? this.#dead : this.#ended;
  }
}
