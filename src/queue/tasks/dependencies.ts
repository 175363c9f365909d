/**
 * ○ Tasks that wait for others: each is free once all of those are completed, and never once one of them is dead or cancelled. Decides
 * nothing else about a row: a listener is told what becomes of it. Holds entries only for tasks that wait or are waited for.
 * Invariant: a chain of tasks that wait for each other is walked in a loop, not by recursion.
 */
import { isEnded, type TaskState } from "./life-cycle.ts";
import { FLAG_AFTER, FLAG_AWAITED, FLAGS, ID, NONE } from "./task-columns.ts";
import type { TaskTable } from "./task-table.ts";

/** What becomes of a row that waited. Called in the middle of a change. */
export interface DependenciesListener {
  /** It waits for nobody (more): it runs when its time comes. */
  free(row: number): void;
  /** What it waits for will never be completed. */
  never(row: number, why: string, nowMs: number): void;
}

interface Ended {
  readonly id: number;
  readonly state: TaskState;
}

export class Dependencies {
  readonly #rows: TaskTable;
  readonly #listener: DependenciesListener;
  /** Task → tasks that wait for it. */
  readonly #dependents = new Map<number, number[]>();
  /** Task → how many it still waits for. */
  readonly #open = new Map<number, number>();
  /** Ended tasks whose dependents are not told yet. */
  readonly #untold: Ended[] = [];
  #telling = false;

  constructor(rows: TaskTable, listener: DependenciesListener) {
    this.#rows = rows;
    this.#listener = listener;
  }

  /** Whether dependents are being told: more tasks may end before it is over. */
  get telling(): boolean {
    return this.#telling;
  }

  /**
   * A blocked task looks at what it waits for: those not known any more were completed and forgotten.
   *
   * @returns whether it waits; when not, the listener has been told what becomes of it
   */
  settle(row: number, after: readonly number[], nowMs: number): boolean {
    const open: number[] = [];
    for (const id of after) {
      const other = this.#rows.find(id);
      const state = other === NONE ? "completed" : this.#rows.state(other);
      if (state === "completed") continue;
      if (isEnded(state)) {
        this.#listener.never(row, why({ id, state }), nowMs);
        return false;
      }
      const { table } = this.#rows;
      table.setU(other, FLAGS, table.u(other, FLAGS) | FLAG_AWAITED);
      open.push(id);
    }
    if (open.length === 0) {
      this.#listener.free(row);
      return false;
    }
    this.#wait(this.#id(row), open);
    return true;
  }

  /** A row has ended: it waits no more, and those that wait for it are told. */
  ended(row: number, state: TaskState, nowMs: number): void {
    if (this.#hasFlag(row, FLAG_AFTER)) this.#open.delete(this.#id(row));
    if (!this.#hasFlag(row, FLAG_AWAITED)) return;
    this.#untold.push({ id: this.#id(row), state });
    if (this.#telling) return;
    this.#telling = true;
    for (let ended = this.#untold.pop(); ended; ended = this.#untold.pop()) this.#tell(ended, nowMs);
    this.#telling = false;
  }

  #wait(id: number, others: readonly number[]): void {
    this.#open.set(id, others.length);
    for (const other of others) {
      const dependents = this.#dependents.get(other);
      if (dependents) dependents.push(id);
      else this.#dependents.set(other, [id]);
    }
  }

  #tell(ended: Ended, nowMs: number): void {
    const dependents = this.#dependents.get(ended.id) ?? [];
    this.#dependents.delete(ended.id);
    for (const id of dependents) {
      const open = this.#open.get(id);
      // It waits no more: it was cancelled, or expired.
      if (open === undefined) continue;
      if (ended.state === "completed" && open > 1) {
        this.#open.set(id, open - 1);
        continue;
      }
      this.#open.delete(id);
      if (ended.state === "completed") this.#listener.free(this.#rows.find(id));
      else this.#listener.never(this.#rows.find(id), why(ended), nowMs);
    }
  }

  #id(row: number): number {
    return this.#rows.table.f(row, ID);
  }

  #hasFlag(row: number, flag: number): boolean {
    return (this.#rows.table.u(row, FLAGS) & flag) !== 0;
  }
}

function why({ id, state }: Ended): string {
  return `task ${id}, which it waited for, is ${state}`;
}
