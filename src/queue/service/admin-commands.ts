/** ○ What people do to tasks, past their usual life: cancel, redrive, purge. Each is told once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";
import type { Journal } from "./journal.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { NONE } from "../tasks/task-columns.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { OutcomeWatchers } from "./outcome-watchers.ts";

/** What admin commands need of the task service. */
export interface AdminCommandsContext {
  stateMachine(): TaskStateMachine;
  nowMs(): number;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly watchers: OutcomeWatchers;
}

export class AdminCommands {
  readonly #context: AdminCommandsContext;

  constructor(context: AdminCommandsContext) {
    this.#context = context;
  }

  /** @returns why not, or undefined; `settled` is called when it is on disk */
  cancel(id: number, settled: () => void): HoldfastError | undefined {
    const { dispatcher, journal, nowMs } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return unknownTask();
    const consumer = dispatcher.consumer(stateMachine.leaseOwner(row));
    if (!stateMachine.cancel(row, nowMs())) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot cancel: the task is ${stateMachine.state(row)}`);
    }
    if (consumer) dispatcher.released(consumer, id);
    journal.afterwards(settled);
    return undefined;
  }

  /** A dead task gets a new life. @returns why not, or undefined */
  redrive(id: number, settled: () => void): HoldfastError | undefined {
    const { watchers, journal } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return unknownTask();
    if (watchers.isSettling(id)) return new OperationError("QUEUE_TASK_STATE", "Cannot redrive: its death is being written");
    if (!stateMachine.redrive(row)) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot redrive: the task is ${stateMachine.state(row)}, not dead`);
    }
    journal.afterwards(settled);
    return undefined;
  }

  /** Forgets ended tasks of a queue in one state; at most `limit`. @returns how many */
  purge(queue: TaskQueue, state: EndedState, limit: number, settled: () => void): number {
    const stateMachine = this.#context.stateMachine();
    const rows: number[] = [];
    for (const row of stateMachine.endedRows(state)) {
      if (rows.length >= limit) break;
      if (stateMachine.queueOf(row) === queue && stateMachine.state(row) === state) rows.push(row);
    }
    for (const row of rows) stateMachine.remove(row);
    this.#context.journal.afterwards(settled);
    return rows.length;
  }
}

function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "No such task is known, or its outcome is no longer kept");
}
