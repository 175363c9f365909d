/**
 * ○ How tasks ended, told to whoever waits for it (outcome-outcome-watchers.ts) and not before it is on disk. What ended earlier is read back from
 * the store.
 */
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";
import type { Journal } from "./journal.ts";
import { type EndedState, isEnded } from "../tasks/life-cycle.ts";
import { decodeAttemptError } from "./attempt-error.ts";
import type { Store } from "../stores/store.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import { type OutcomeWatcher, OutcomeWatchers } from "./outcome-watchers.ts";

/** What outcomes need of the task service. */
export interface OutcomesContext {
  stateMachine(): TaskStateMachine;
  readonly store: Store;
  readonly journal: Journal;
  /** An outcome that was read back has been told. */
  told(): void;
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

export class Outcomes {
  readonly #context: OutcomesContext;
  readonly watchers = new OutcomeWatchers();

  constructor(context: OutcomesContext) {
    this.#context = context;
  }

  /**
   * Tells the outcome once the task has ended and that is on disk; at once when it is already.
   *
   * @returns false when no such task is known
   */
  watch(id: number, watcher: OutcomeWatcher): boolean {
    if (this.watchers.isSettling(id)) {
      this.watchers.add(id, watcher);
      return true;
    }
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return false;
    const state = stateMachine.state(row);
    if (!isEnded(state)) this.watchers.add(id, watcher);
    else void this.#readBack(id, state, watcher);
    return true;
  }

  /** A task ended: that is written, then told. */
  ended(row: number, state: EndedState, result: Uint8Array | undefined): void {
    const { journal } = this.#context;
    const id = this.#context.stateMachine().table.f(row, ID);
    journal.ended(row, state, result);
    const bytes = state === "completed" ? result! : state === "dead" ? encoder.encode(journal.noteOf(id)) : EMPTY;
    this.watchers.settle({ id, state, bytes });
    journal.afterwards(() => this.watchers.settled(id));
  }

  async #readBack(id: number, state: EndedState, watcher: OutcomeWatcher): Promise<void> {
    const { store, told } = this.#context;
    let bytes: Uint8Array = EMPTY;
    try {
      if (state === "completed") bytes = (await store.read([id]))[0] ?? EMPTY;
      if (state === "dead") bytes = encoder.encode(lastError((await store.inspect(id))?.notes));
    } catch {
      // The disk does not answer now. The waiter asks again as after a broken connection.
      return;
    }
    watcher.ended({ id, state, bytes });
    told();
  }
}

function lastError(notes: readonly string[] | undefined): string {
  const note = notes?.at(-1);
  return note === undefined ? "" : decodeAttemptError(note).error;
}
