/** ○ What people do to tasks, past their usual life: cancel, redrive, purge. Each is told once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Engine } from "../tasks/task-state-machine.ts";
import type { Journal } from "./journal.ts";
import { NONE } from "../tasks/task-columns.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { Watchers } from "./outcome-watchers.ts";

/** What interventions need of the desk. */
export interface InterventionsWorld {
  engine(): Engine;
  nowMs(): number;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly watchers: Watchers;
}

export class Interventions {
  readonly #world: InterventionsWorld;

  constructor(world: InterventionsWorld) {
    this.#world = world;
  }

  /** @returns why not, or undefined; `settled` is called when it is on disk */
  cancel(id: number, settled: () => void): HoldfastError | undefined {
    const { dispatcher, journal, nowMs } = this.#world;
    const engine = this.#world.engine();
    const row = engine.find(id);
    if (row === NONE) return unknownTask();
    const consumer = dispatcher.consumer(engine.holder(row));
    if (!engine.cancel(row, nowMs())) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot cancel: the task is ${engine.state(row)}`);
    }
    if (consumer) dispatcher.released(consumer, id);
    journal.afterwards(settled);
    return undefined;
  }

  /** A dead task gets a new life. @returns why not, or undefined */
  redrive(id: number, settled: () => void): HoldfastError | undefined {
    const { watchers, journal } = this.#world;
    const engine = this.#world.engine();
    const row = engine.find(id);
    if (row === NONE) return unknownTask();
    if (watchers.isSettling(id)) return new OperationError("QUEUE_TASK_STATE", "Cannot redrive: its death is being written");
    if (!engine.redrive(row)) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot redrive: the task is ${engine.state(row)}, not dead`);
    }
    journal.afterwards(settled);
    return undefined;
  }

  /** Forgets ended tasks of a queue in one state; at most `limit`. @returns how many */
  purge(queue: TaskQueue, state: "dead" | "done" | "cancelled", limit: number, settled: () => void): number {
    const engine = this.#world.engine();
    const rows: number[] = [];
    for (const row of engine.endedRows(state)) {
      if (rows.length >= limit) break;
      if (engine.queueOf(row) === queue && engine.state(row) === state) rows.push(row);
    }
    for (const row of rows) engine.remove(row);
    this.#world.journal.afterwards(settled);
    return rows.length;
  }
}

function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "No such task is known, or its outcome is no longer kept");
}
