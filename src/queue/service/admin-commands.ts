/** ○ What operators do to tasks: cancel, redrive, purge, one or all that a filter lets through. Answered once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { ServiceContext } from "./service-context.ts";
import type { Journal } from "./journal.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { RemovedTasks } from "./removed-tasks.ts";
import type { RowFilter } from "./task-scan.ts";
import type { TaskSearch } from "./task-search.ts";
import type { Outcomes } from "./outcomes.ts";

interface AdminParts {
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly outcomes: Outcomes;
  readonly search: TaskSearch;
  readonly removedTasks: RemovedTasks;
}

export class AdminCommands {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #outcomes: Outcomes;

  readonly #search: TaskSearch;
  readonly #removedTasks: RemovedTasks;

  constructor(context: ServiceContext, parts: AdminParts) {
    this.#context = context;
    this.#journal = parts.journal;
    this.#dispatcher = parts.dispatcher;
    this.#outcomes = parts.outcomes;
    this.#search = parts.search;
    this.#removedTasks = parts.removedTasks;
  }

  /** @returns why not, or undefined; `settled` is called when it is on disk */
  cancel(id: number, settled: () => void): HoldfastError | undefined {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return unknownTask();
    const consumer = this.#dispatcher.consumer(stateMachine.leaseOwner(row));
    if (!stateMachine.cancel(row, this.#context.nowMs())) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot cancel: the task is ${stateMachine.state(row)}`);
    }
    if (consumer) this.#dispatcher.released(consumer, id);
    this.#journal.afterwards(settled);
    return undefined;
  }

  /** Makes a dead task ready again. @returns why not, or undefined */
  redrive(id: number, settled: () => void): HoldfastError | undefined {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return unknownTask();
    if (this.#outcomes.isSettling(id))
      return new OperationError("QUEUE_TASK_STATE", "Cannot retry: the task's state is still being written");
    if (stateMachine.isEvicted(row))
      return new OperationError("QUEUE_TASK_STATE", "Cannot retry: the task's body had to make room for those of newer ones");
    if (stateMachine.isDamaged(row))
      return new OperationError("QUEUE_TASK_DAMAGED", "Cannot retry: what the store keeps of the task is damaged");
    const never = stateMachine.dependencies.whyNever(row);
    if (never !== undefined) return new OperationError("QUEUE_TASK_STATE", `Cannot retry: ${never}`);
    if (!stateMachine.redrive(row, this.#context.nowMs())) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot retry: the task is ${stateMachine.state(row)}, not dead`);
    }
    this.#journal.afterwards(settled);
    return undefined;
  }

  /** Makes a task that waits for its time, or for its next attempt, wait for a worker. @returns why not, or undefined */
  promote(id: number, settled: () => void): HoldfastError | undefined {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return unknownTask();
    if (!stateMachine.promote(row, this.#context.nowMs()))
      return new OperationError(
        "QUEUE_TASK_STATE",
        `Cannot promote: the task is ${stateMachine.state(row)}, neither delayed nor retrying`,
      );
    this.#journal.afterwards(settled);
    return undefined;
  }

  /** Does something to each task that passes. @returns to how many it could be done, once that is on disk */
  each(filter: RowFilter, act: (id: number) => boolean): Promise<number> {
    const { table } = this.#context.stateMachine();
    const all = (rows: readonly number[]): number => rows.map((row) => table.f(row, ID)).filter(act).length;
    return this.#search.each(filter, all, { settled: this.#settled });
  }

  /** Forgets ended tasks that pass, and that no other waits for; at most `most`. `undo` gets the keys with which they come back. */
  purge(
    filter: RowFilter,
    { most, undoMs, undo }: { most?: number; undoMs?: number | undefined; undo?: (key: string) => void },
  ): Promise<number> {
    const remove = (rows: readonly number[]): number => {
      const { removed, key } = this.#removedTasks.remove(rows, undoMs);
      if (key !== undefined) undo?.(key);
      return removed;
    };
    return this.#search.each(filter, remove, { settled: this.#settled, most });
  }

  /** Cancels tasks that pass, and forgets those that no other waits for. @returns how many there were */
  drain(filter: RowFilter): Promise<number> {
    const stateMachine = this.#context.stateMachine();
    const drained = (rows: readonly number[]): number => {
      // Those that wait for others first: they would die with them.
      const ids = rows.map((row) => stateMachine.table.f(row, ID)).reverse();
      const cancelled = ids.filter((id) => this.cancel(id, () => {}) === undefined);
      this.#removedTasks.remove(cancelled.map((id) => stateMachine.find(id)).filter((row) => row !== NONE));
      return cancelled.length;
    };
    return this.#search.each(filter, drained, { settled: this.#settled });
  }

  readonly #settled = (callback: () => void): void => this.#journal.afterwards(callback);
}

export function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "Unknown task, or its result is no longer stored");
}
