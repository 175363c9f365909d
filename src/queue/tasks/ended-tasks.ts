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
  /** Others wait for it. */
  readonly isAwaited: boolean;
  /** Its result has to stay for those: its bytes count as those of a task that has not ended. */
  readonly isKept: boolean;
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

/** A list for each of those that may be forgotten, and one for those that others wait for. */
interface Lists {
  readonly free: BoundedRows;
  readonly awaited: BoundedRows;
}

export class EndedTasks {
  /** Completed or cancelled. */
  readonly #ended: Lists;
  readonly #dead: Lists;
  /** Those that are awaited have no bound: there are no more than tasks that wait for them allow. */
  readonly #evicted: Lists;
  readonly #kept: BoundedRows;
  #deadDropped = 0;

  constructor(table: TaskColumns, { endedBytesMax = ENDED_BYTES_MAX, deadBytesMax = DEAD_BYTES_MAX }: EndedTasksOptions) {
    const lists = (free: number, awaited: number): Lists => ({
      free: new BoundedRows(table, free),
      awaited: new BoundedRows(table, awaited),
    });
    this.#ended = lists(endedBytesMax, endedBytesMax);
    this.#dead = lists(deadBytesMax, deadBytesMax);
    this.#evicted = lists(EVICTED_BYTES_MAX, Infinity);
    this.#kept = new BoundedRows(table, Infinity);
  }

  get endedBytes(): number {
    return this.#ended.free.bytes + this.#ended.awaited.bytes + this.#evicted.free.bytes + this.#evicted.awaited.bytes;
  }

  get deadBytes(): number {
    return this.#dead.free.bytes + this.#dead.awaited.bytes;
  }

  /** Dead tasks that had to go because the bound on their bytes was reached. */
  get deadDropped(): number {
    return this.#deadDropped;
  }

  keep(row: number, ended: EndedTask): void {
    const list = this.#listOf(ended);
    list.rows.pushBack(row);
    list.bytes += ended.bytes;
  }

  remove(row: number, ended: EndedTask): void {
    const list = this.#listOf(ended);
    list.rows.remove(row);
    list.bytes -= ended.bytes;
  }

  /** The oldest row while a bound is passed, to be forgotten or evicted before this is asked again; else 0. */
  surplus(): number {
    const row = this.#ended.free.surplus || this.#ended.awaited.surplus || this.#evicted.free.surplus;
    if (row !== NONE) return row;
    const dead = this.#dead.free.surplus || this.#dead.awaited.surplus;
    if (dead !== NONE) this.#deadDropped += 1;
    return dead;
  }

  /** The rows of dead tasks, or of the others that have ended, and all that were evicted; those that ended first come first. */
  *rows(state: EndedState): IterableIterator<number> {
    for (const { free, awaited } of [state === "dead" ? this.#dead : this.#ended, this.#evicted]) {
      yield* free.rows.rows();
      yield* awaited.rows.rows();
    }
    if (state !== "dead") yield* this.#kept.rows.rows();
  }

  #listOf({ state, isEvicted, isAwaited, isKept }: EndedTask): BoundedRows {
    if (isKept) return this.#kept;
    const lists = isEvicted ? this.#evicted : state === "dead" ? this.#dead : this.#ended;
    return isAwaited ? lists.awaited : lists.free;
  }
}
