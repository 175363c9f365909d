/**
 * ○ Tasks that wait for others: each is free once all of those are completed, and never once one of them is dead or cancelled. Decides
 * nothing else about a row; what becomes of it is told. Invariant: a chain of tasks that wait for each other is walked, not nested.
 */
import { DependencyGraph } from "./dependency-graph.ts";
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
  readonly #graph = new DependencyGraph();
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
    if (open.length > 0) this.#graph.wait(this.#id(row), open);
    else this.#listener.free(row);
    return open.length > 0;
  }

  /** A row has ended: it waits no more, and those that wait for it are told. */
  ended(row: number, state: TaskState, nowMs: number): void {
    if (this.#hasFlag(row, FLAG_AFTER)) this.#graph.forget(this.#id(row));
    if (!this.#hasFlag(row, FLAG_AWAITED)) return;
    this.#untold.push({ id: this.#id(row), state });
    if (this.#telling) return;
    this.#telling = true;
    for (let ended = this.#untold.pop(); ended; ended = this.#untold.pop()) this.#tell(ended, nowMs);
    this.#telling = false;
  }

  #tell(ended: Ended, nowMs: number): void {
    if (ended.state === "completed") for (const id of this.#graph.done(ended.id)) this.#listener.free(this.#rows.find(id));
    else for (const id of this.#graph.failed(ended.id)) this.#listener.never(this.#rows.find(id), why(ended), nowMs);
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
