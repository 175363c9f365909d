/**
 * ○ Tasks that were removed and may come back for a while: out of every list and count, but still in the store, where only the end of
 * that time removes them. A broker that dies before has them again. Holds UNDO_TASKS_MAX at most; more ends the time of the oldest.
 */
import { UNDO_TASKS_MAX } from "../limits.ts";
import { ERROR, ID, NONE } from "../tasks/task-columns.ts";
import { decodeHead, type TaskRecord } from "../tasks/task-record.ts";
import type { Journal } from "./journal.ts";
import type { ServiceContext } from "./service-context.ts";

interface Removal {
  readonly tasks: { readonly id: number; readonly record: TaskRecord; readonly error: number }[];
  /** Queue time. */
  readonly untilMs: number;
}

export class RemovedTasks {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  /** In the order in which they were made. */
  readonly #removals = new Map<string, Removal>();
  #count = 0;
  #made = 0;
  #isTaking = false;

  constructor(context: ServiceContext, journal: Journal) {
    this.#context = context;
    this.#journal = journal;
  }

  /** When the next one's time is over, in queue time; Infinity without one. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const { untilMs } of this.#removals.values()) deadlineMs = Math.min(deadlineMs, untilMs);
    return deadlineMs;
  }

  /** Ends those whose time is over. */
  tick(nowMs: number): void {
    for (const [key, { untilMs }] of this.#removals) if (untilMs <= nowMs) this.#end(key);
  }

  /** Rows are being taken out: the store keeps their tasks. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /**
   * Removes ended tasks that no other waits for; those that waited go first, and then those that only they waited for.
   *
   * @returns how many, and the key with which they come back within `undoMs`, where that is given
   */
  remove(rows: readonly number[], undoMs?: number, most = UNDO_TASKS_MAX): { removed: number; key: string | undefined } {
    const stateMachine = this.#context.stateMachine();
    const { table } = stateMachine;
    const tasks: Removal["tasks"] = [];
    let removed = 0;
    this.#isTaking = undoMs !== undefined;
    for (let left = rows, free = rows; free.length > 0; removed += free.length) {
      free = left.filter((row) => !stateMachine.isAwaited(row));
      left = left.filter((row) => stateMachine.isAwaited(row));
      for (const row of free) {
        if (this.#isTaking) tasks.push({ id: table.f(row, ID), record: stateMachine.record(row), error: table.u(row, ERROR) });
        stateMachine.remove(row);
      }
    }
    this.#isTaking = false;
    return { removed, key: undoMs === undefined || removed === 0 ? undefined : this.#keep(tasks, { undoMs, most }) };
  }

  #keep(tasks: Removal["tasks"], { undoMs, most }: { undoMs: number; most: number }): string {
    const nowMs = this.#context.nowMs();
    this.#made += 1;
    const key = `${Math.round(nowMs)}-${this.#made}`;
    this.#removals.set(key, { tasks, untilMs: nowMs + undoMs });
    this.#count += tasks.length;
    while (this.#count > most && this.#removals.size > 1) this.#end(this.#removals.keys().next().value!);
    return key;
  }

  /** Brings them back as they were. @returns how many; undefined when their time is over */
  async undo(key: string): Promise<number | undefined> {
    const removal = this.#forget(key);
    if (!removal) return undefined;
    const stateMachine = this.#context.stateMachine();
    let back = 0;
    for (const { id, record, error } of removal.tasks) {
      const kept = await this.#context.store.inspect(id);
      if (!kept?.head || stateMachine.find(id) !== NONE) continue;
      stateMachine.restore(id, decodeHead(kept.head), record);
      stateMachine.table.setU(stateMachine.find(id), ERROR, error);
      back += 1;
    }
    stateMachine.wake(this.#context.nowMs());
    this.#context.flush();
    return back;
  }

  /** The broker closes in good order: what was removed is removed. */
  close(): void {
    for (const key of this.#removals.keys()) this.#end(key);
  }

  #end(key: string): void {
    for (const { id } of this.#forget(key)?.tasks ?? []) this.#journal.removed(id);
  }

  #forget(key: string): Removal | undefined {
    const removal = this.#removals.get(key);
    this.#removals.delete(key);
    this.#count -= removal?.tasks.length ?? 0;
    return removal;
  }
}
