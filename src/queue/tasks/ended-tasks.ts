/**
 * ○ The tasks that have ended, in the order they did, and how many bytes are spent on remembering them: the dead apart from the
 * others, because somebody may want them back. Invariant: a row is in the list of its state, and counted with the bytes it was
 * kept with. Forgets nothing by itself; `surplus` names who must go.
 */
import type { EndedState } from "./life-cycle.ts";
import { DEAD_BYTES_MAX, ENDED_BYTES_MAX } from "../limits.ts";
import { NONE, RowList, type TaskColumns } from "./task-columns.ts";

export interface EndedTasksOptions {
  readonly endedBytesMax?: number | undefined;
  readonly deadBytesMax?: number | undefined;
}

export class EndedTasks {
  readonly #ended: RowList;
  readonly #dead: RowList;
  readonly #endedBytesMax: number;
  readonly #deadBytesMax: number;
  #endedBytes = 0;
  #deadBytes = 0;
  #deadDropped = 0;

  constructor(table: TaskColumns, { endedBytesMax = ENDED_BYTES_MAX, deadBytesMax = DEAD_BYTES_MAX }: EndedTasksOptions) {
    this.#ended = new RowList(table);
    this.#dead = new RowList(table);
    this.#endedBytesMax = endedBytesMax;
    this.#deadBytesMax = deadBytesMax;
  }

  get endedBytes(): number {
    return this.#endedBytes;
  }

  get deadBytes(): number {
    return this.#deadBytes;
  }

  /** Dead tasks that had to go because the bound on their bytes was reached. */
  get deadDropped(): number {
    return this.#deadDropped;
  }

  keepDead(row: number, bytes: number): void {
    this.#dead.pushBack(row);
    this.#deadBytes += bytes;
  }

  removeDead(row: number, bytes: number): void {
    this.#dead.remove(row);
    this.#deadBytes -= bytes;
  }

  /** Completed or cancelled. */
  keep(row: number, bytes: number): void {
    this.#ended.pushBack(row);
    this.#endedBytes += bytes;
  }

  remove(row: number, bytes: number): void {
    this.#ended.remove(row);
    this.#endedBytes -= bytes;
  }

  /** The oldest row while a bound is passed, to be forgotten before this is asked again; else 0. The newest always stays. */
  surplus(): number {
    if (this.#endedBytes > this.#endedBytesMax && this.#ended.count > 1) return this.#ended.head;
    if (this.#deadBytes > this.#deadBytesMax && this.#dead.count > 1) {
      this.#deadDropped += 1;
      return this.#dead.head;
    }
    return NONE;
  }

  /** The rows of dead tasks, or of the others that have ended; those that ended first come first. */
  rows(state: EndedState): IterableIterator<number> {
    return (state === "dead" ? this.#dead : this.#ended).rows();
  }
}
