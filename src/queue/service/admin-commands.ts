/** ○ What operators do to tasks: cancel, redrive, purge, one or all that a filter lets through. Answered once it is on disk. */
import { type HoldfastError, OperationError } from "../../core/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { ServiceContext } from "./service-context.ts";
import type { Journal } from "./journal.ts";
import { BODY_BYTES, ID, NONE } from "../tasks/task-columns.ts";
import { decodeHead, encodeHead } from "../tasks/task-record.ts";
import type { RemovedTasks } from "./removed-tasks.ts";
import type { RowFilter } from "./task-scan.ts";
import type { TaskSearch } from "./task-search.ts";
import type { Outcomes } from "./outcomes.ts";
import type { Inspection } from "../../store/store.ts";

interface AdminParts {
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly outcomes: Outcomes;
  readonly search: TaskSearch;
  readonly removedTasks: RemovedTasks;
  readonly bodyBytesMax: number;
}

/** What may be changed of a task. */
export interface TaskUpdateRequest {
  /** Due so many ms from now. */
  readonly delayMs?: number | undefined;
  readonly priority?: number | undefined;
  readonly body?: Uint8Array | undefined;
}

export class AdminCommands {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #outcomes: Outcomes;

  readonly #search: TaskSearch;
  readonly #removedTasks: RemovedTasks;
  readonly #bodyBytesMax: number;
  #updating: Promise<void> = Promise.resolve();

  constructor(context: ServiceContext, parts: AdminParts) {
    this.#context = context;
    this.#journal = parts.journal;
    this.#dispatcher = parts.dispatcher;
    this.#outcomes = parts.outcomes;
    this.#search = parts.search;
    this.#removedTasks = parts.removedTasks;
    this.#bodyBytesMax = parts.bodyBytesMax;
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
    this.#context.events.note(id, "retried", this.#context.nowMs());
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
    this.#context.events.note(id, "promoted", this.#context.nowMs());
    this.#journal.afterwards(settled);
    return undefined;
  }

  /**
   * Changes a task that has not begun; resolves when that is on disk. One after the other: each reads what the one before wrote.
   *
   * @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE, QUEUE_TASK_DAMAGED, QUEUE_BODY_TOO_LARGE, QUEUE_FULL
   */
  async update(id: number, { body, ...changes }: TaskUpdateRequest): Promise<void> {
    // The frame that it lies in is not ours.
    const own = body && Uint8Array.from(body);
    const updating = this.#updating.then(() => this.#update(id, { ...changes, body: own }));
    this.#updating = updating.catch(() => {});
    await updating;
  }

  async #update(id: number, { delayMs, priority, body }: TaskUpdateRequest): Promise<void> {
    const { store, bodies, events, nowMs } = this.#context;
    const stateMachine = this.#context.stateMachine();
    if (stateMachine.find(id) === NONE) throw unknownTask();
    const isRewritten = priority !== undefined || body !== undefined;
    let kept: Inspection | undefined;
    let read: Uint8Array | undefined;
    // A submission under its key may replace it meanwhile.
    let before = isRewritten ? -1 : this.#journal.rewrites;
    while (before !== this.#journal.rewrites) {
      before = this.#journal.rewrites;
      await this.#onDisk();
      [kept, read] = await Promise.all([store.inspect(id), body ?? store.read([id]).then(([old]) => old)]);
    }
    const row = stateMachine.find(id);
    if (row === NONE) throw unknownTask();
    if (isRewritten && (!kept?.head || !read))
      throw new OperationError("QUEUE_TASK_DAMAGED", "Cannot update: what the store keeps of the task is damaged");
    if (body) this.#mustHaveRoom(row, body);
    const dueMs = delayMs === undefined ? undefined : nowMs() + delayMs;
    if (!stateMachine.change(row, { dueMs, priority, bodyBytes: body?.length }, nowMs()))
      throw new OperationError("QUEUE_TASK_STATE", `Cannot update: the task is ${stateMachine.state(row)}`);
    events.note(id, "changed", nowMs());
    if (body) bodies.hold(id, body);
    if (!isRewritten) this.#journal.changed(row);
    else {
      const head = decodeHead(kept!.head!);
      this.#journal.rewritten(row, encodeHead({ ...head, priority: priority ?? head.priority }), read!);
    }
    await this.#onDisk();
    bodies.trim(id);
  }

  /** Resolves when all that has changed until now is written. */
  #onDisk(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#journal.afterwards(resolve);
      this.#context.flush();
    });
  }

  #mustHaveRoom(row: number, body: Uint8Array): void {
    const stateMachine = this.#context.stateMachine();
    if (body.length > this.#bodyBytesMax)
      throw new OperationError("QUEUE_BODY_TOO_LARGE", `Cannot update: a body has at most ${this.#bodyBytesMax} bytes`);
    const more = body.length - stateMachine.table.u(row, BODY_BYTES);
    if (more > 0 && stateMachine.isFull(stateMachine.queueOf(row), more, 0))
      throw new OperationError("QUEUE_FULL", "Cannot update: the queue has no room for the longer body");
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
