/** ○ What operators do to tasks: cancel, redrive, purge. Each is answered once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { ServiceContext } from "./service-context.ts";
import type { Journal } from "./journal.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { NONE } from "../tasks/task-columns.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { Outcomes } from "./outcomes.ts";

export class AdminCommands {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #outcomes: Outcomes;

  constructor(context: ServiceContext, parts: { journal: Journal; dispatcher: Dispatcher; outcomes: Outcomes }) {
    this.#context = context;
    this.#journal = parts.journal;
    this.#dispatcher = parts.dispatcher;
    this.#outcomes = parts.outcomes;
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
    const never = stateMachine.whyNever(row);
    if (never !== undefined) return new OperationError("QUEUE_TASK_STATE", `Cannot retry: ${never}`);
    if (!stateMachine.redrive(row, this.#context.nowMs())) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot retry: the task is ${stateMachine.state(row)}, not dead`);
    }
    this.#journal.afterwards(settled);
    return undefined;
  }

  /** Forgets ended tasks of a queue in one state that no other waits for; at most `limit`. @returns how many */
  purge(queue: TaskQueue, state: EndedState, limit: number, settled: () => void): number {
    const stateMachine = this.#context.stateMachine();
    const rows: number[] = [];
    const most = Math.min(limit, queue.count(state));
    for (const row of stateMachine.endedRows(state)) {
      if (rows.length >= most) break;
      if (stateMachine.queueOf(row) === queue && stateMachine.state(row) === state) rows.push(row);
    }
    let removed = 0;
    // Tasks that others wait for stay; those that waited go first, and then those that only they waited for.
    for (let left = rows, before = -1; removed > before;) {
      before = removed;
      const free = left.filter((row) => !stateMachine.isAwaited(row));
      left = left.filter((row) => stateMachine.isAwaited(row));
      for (const row of free) stateMachine.remove(row);
      removed += free.length;
    }
    this.#journal.afterwards(settled);
    return removed;
  }
}

export function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "Unknown task, or its result is no longer stored");
}
