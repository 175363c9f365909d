/**
 * ○ Tasks that wait for others (`after`): each is free once all of those are completed. What one makes of a parent that is dead or
 * cancelled is its own choice (`onParentDead`). Decides nothing else about a row: a listener is told what becomes of it. Invariants: a
 * parent is known for as long as a child waits for it, or died waiting and may be retried; so a parent that is not known was completed
 * and forgotten (before version 0.2, which did not keep it). A chain of tasks that wait for each other is walked in a loop, not by
 * recursion.
 */
import { isEnded, type TaskState } from "./life-cycle.ts";
import { FLAG_AFTER, FLAG_AWAITED, FLAG_SUSPENDED, FLAG_REDRIVEN, FLAGS, ID, NONE } from "./task-columns.ts";
import type { OnParentDead } from "./task-policy.ts";
import type { TaskTable } from "./task-table.ts";

/** What becomes of a row. Called in the middle of a change. */
export interface DependenciesListener {
  /** It waits for nobody (more): it runs when its time comes. */
  free(row: number): void;
  /** What it waits for will never be completed. */
  never(row: number, why: string, nowMs: number): void;
  /** From now on, or no longer, it is a parent that must stay known. */
  awaited(row: number, isAwaited: boolean): void;
}

/** What a task waits for. */
export interface Parents {
  readonly after: readonly number[];
  readonly onParentDead?: OnParentDead | undefined;
}

interface Child extends Parents {
  /** Those of `after` that it still waits for. */
  open: number[];
  /** It is of a flow, and waits for nobody more: its parents stay known, since it may ask for their results. */
  isFree?: boolean;
}

interface Ended {
  readonly id: number;
  readonly state: TaskState;
}

export class Dependencies {
  readonly #rows: TaskTable;
  readonly #listener: DependenciesListener;
  readonly #children = new Map<number, Child>();
  /** Task → its children: mostly one, a set only where there are more. */
  readonly #dependents = new Map<number, number | Set<number>>();
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

  /** The row is a child of these; they stay known until `release`. */
  hold(row: number, { after, onParentDead }: Parents): void {
    const id = this.#id(row);
    this.#children.set(id, { after, onParentDead, open: [], isFree: false });
    for (const parent of after) {
      const dependents = this.#dependents.get(parent);
      if (typeof dependents === "object") dependents.add(id);
      else if (dependents !== undefined) this.#dependents.set(parent, new Set([dependents, id]));
      else {
        this.#dependents.set(parent, id);
        this.#awaited(parent, true);
      }
    }
  }

  /** The row, which has run already, waits for the end of a task that is known and has not ended. */
  await(row: number, id: number): void {
    const known = this.#children.get(this.#id(row));
    // Of a flow, it keeps its parents too.
    if (known) {
      this.release(row);
      this.hold(row, { after: [...known.after, id], onParentDead: "continue" });
    } else this.hold(row, { after: [id], onParentDead: "continue" });
    this.#children.get(this.#id(row))!.open = [id];
  }

  /** Whether the row is a child that has not been free yet. */
  holds(row: number): boolean {
    return this.#hasFlag(row, FLAG_AFTER) && this.#children.get(this.#id(row))?.isFree === false;
  }

  /** The row is known from now on: tasks that came with it wait for it already. */
  admitted(row: number): void {
    if (this.#dependents.size > 0 && this.#dependents.has(this.#id(row))) this.#listener.awaited(row, true);
  }

  /** As `hold`, of a row that was free already when it was read from the store. */
  holdFree(row: number, parents: Parents): void {
    this.hold(row, parents);
    this.#children.get(this.#id(row))!.isFree = true;
  }

  /** The row is free, or gone for good: its parents need not be kept for it. */
  release(row: number): void {
    if (!this.#hasFlag(row, FLAG_AFTER | FLAG_SUSPENDED)) return;
    const id = this.#id(row);
    const child = this.#children.get(id);
    if (!child) return;
    this.#children.delete(id);
    for (const parent of child.after) {
      const dependents = this.#dependents.get(parent);
      if (typeof dependents === "object") dependents.delete(id);
      if (dependents !== id && (typeof dependents !== "object" || dependents.size > 0)) continue;
      this.#dependents.delete(parent);
      this.#awaited(parent, false);
    }
  }

  #awaited(id: number, isAwaited: boolean): void {
    const row = this.#rows.find(id);
    if (row !== NONE) this.#listener.awaited(row, isAwaited);
  }

  /** A blocked row looks at its parents. @returns whether it waits; when not, the listener has been told what becomes of it */
  settle(row: number, nowMs: number): boolean {
    const child = this.#children.get(this.#id(row));
    child!.open = [];
    for (const id of child!.after) {
      const parent = this.#rows.find(id);
      const state = parent === NONE ? "completed" : this.#rows.state(parent);
      if (state === "completed") continue;
      if (!isEnded(state) || this.#waitsFor(row, child!, state)) child!.open.push(id);
      else if (child!.onParentDead !== "continue") {
        this.#listener.never(row, why({ id, state }), nowMs);
        return false;
      }
    }
    if (child!.open.length > 0) return true;
    this.#free(row);
    return false;
  }

  /** Why it is in vain to retry it: a parent that will never be completed, in words; undefined: it is not. */
  whyNever(row: number): string | undefined {
    const child = this.#children.get(this.#id(row));
    if (child && child.onParentDead !== undefined) return undefined;
    for (const id of child?.after ?? []) {
      const parent = this.#rows.find(id);
      if (parent !== NONE && this.#rows.state(parent) === "cancelled") return why({ id, state: "cancelled" });
    }
    return undefined;
  }

  /** Which of the parents that a blocked row waits for has ended without being completed, in words; undefined: none. */
  whyBlocked(row: number): string | undefined {
    for (const id of this.#children.get(this.#id(row))?.open ?? []) {
      const parent = this.#rows.find(id);
      if (parent !== NONE && isEnded(this.#rows.state(parent))) return why({ id, state: this.#rows.state(parent) });
    }
    return undefined;
  }

  /** A row has ended: its children are told. */
  ended(row: number, state: TaskState, nowMs: number): void {
    if (!this.#hasFlag(row, FLAG_AWAITED)) return;
    this.#untold.push({ id: this.#id(row), state });
    if (this.#telling) return;
    this.#telling = true;
    for (let ended = this.#untold.pop(); ended; ended = this.#untold.pop()) this.#tell(ended, nowMs);
    this.#telling = false;
  }

  #tell(ended: Ended, nowMs: number): void {
    const dependents = this.#dependents.get(ended.id) ?? [];
    for (const id of typeof dependents === "object" ? [...dependents] : [dependents]) {
      const child = this.#children.get(id);
      const row = this.#rows.find(id);
      // One that is not written yet, or has died, is not blocked: it looks at its parents when it is.
      if (!child || row === NONE || this.#rows.state(row) !== "blocked" || !child.open.includes(ended.id)) continue;
      const isLost = ended.state !== "completed";
      if (isLost && child.onParentDead === "wait") continue;
      if (isLost && child.onParentDead !== "continue") this.#listener.never(row, why(ended), nowMs);
      else {
        child.open[child.open.indexOf(ended.id)] = child.open.at(-1)!;
        child.open.pop();
        if (child.open.length === 0) this.#free(row);
      }
    }
  }

  /** A child that was retried waits for a parent that is dead to be retried as well. */
  #waitsFor(row: number, { onParentDead }: Child, state: TaskState): boolean {
    if (onParentDead === "continue") return false;
    return onParentDead === "wait" || (state === "dead" && this.#hasFlag(row, FLAG_REDRIVEN));
  }

  #free(row: number): void {
    if (this.#rows.isOfFlow(row)) this.#children.get(this.#id(row))!.isFree = true;
    else this.release(row);
    this.#listener.free(row);
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
