/** ○ What operators do to tasks: cancel, redrive, purge, one or all that a filter lets through. Answered once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { ServiceContext } from "./service-context.ts";
import type { Journal } from "./journal.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { RemovedTasks } from "./removed-tasks.ts";
import type { TaskFilter } from "./task-scan.ts";
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

  /** Makes all dead tasks that pass, and can be, ready again. @returns how many, once that is on disk */
  redriveAll(filter: TaskFilter): Promise<number> {
    const redrive = (rows: readonly number[]): number => {
      const { table } = this.#context.stateMachine();
      const ids = rows.map((row) => table.f(row, ID));
      return ids.filter((id) => this.redrive(id, () => {}) === undefined).length;
    };
    return this.#search.each({ ...filter, states: ["dead"] }, redrive, { settled: this.#settled });
  }

  /** Forgets ended tasks that pass, and that no other waits for; at most `most`. `undo` gets the keys with which they come back. */
  purge(
    filter: TaskFilter & { readonly states: readonly [EndedState] },
    { most, undoMs, undo }: { most: number; undoMs?: number | undefined; undo?: (key: string) => void },
  ): Promise<number> {
    const remove = (rows: readonly number[]): number => {
      const { removed, key } = this.#removedTasks.remove(rows, undoMs);
      if (key !== undefined) undo?.(key);
      return removed;
    };
    return this.#search.each(filter, remove, { settled: this.#settled, most });
  }

  readonly #settled = (callback: () => void): void => this.#journal.afterwards(callback);
}

export function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "Unknown task, or its result is no longer stored");
}
