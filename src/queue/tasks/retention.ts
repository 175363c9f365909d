/**
 * ○ How many completed and dead tasks a queue keeps, where that is bounded by their number: their ids in the order in which they ended.
 * Invariant: every task of the state that ended since it was bounded is among them; who is no more, or has another state by now, is passed
 * over when its turn comes.
 */
import { Ring } from "../../core/ring.ts";
import type { EndedState } from "./life-cycle.ts";

/** Of which the number can be bounded. */
export type RetainedState = Extract<EndedState, "completed" | "dead">;

/** 1024 ids that are passed over cost nothing; more are left out. */
const SLACK = 1024;

export class Retention {
  readonly #ids = new Map<RetainedState, Ring<number>>();

  /** From now on the ids of this state are remembered, or no longer. */
  bound(state: RetainedState, isBounded: boolean): void {
    if (isBounded) this.#ids.set(state, new Ring());
    else this.#ids.delete(state);
  }

  isBounded(state: EndedState): state is RetainedState {
    return this.#ids.size > 0 && this.#ids.has(state as RetainedState);
  }

  /** It ended. @param isKept whether a task is still there, for the day when too many are not */
  ended(state: RetainedState, id: number, { count, isKept }: { count: number; isKept(id: number): boolean }): void {
    const ids = this.#ids.get(state)!;
    ids.push(id);
    if (ids.length <= 2 * count + SLACK) return;
    const kept = [...ids.drain()].filter(isKept);
    for (const each of kept) ids.push(each);
  }

  /** The one that ended first; undefined: none is left. */
  oldest(state: RetainedState): number | undefined {
    return this.#ids.get(state)?.shift();
  }
}
