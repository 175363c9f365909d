/**
 * ○ Rows read from a store: each is put where its state says, changed and taken out again, before anybody works with them. What
 * needs the time or other rows (leases from before, tasks that wait for tasks) is kept aside until `wake`. Invariant: each row is
 * where a restart would put it.
 */
import { EndedTasks, type EndedTasksOptions } from "./ended-tasks.ts";
import { Leases, type LeasesOptions } from "./leases.ts";
import { type EndedState, isEnded } from "./life-cycle.ts";
import { DEAD_KEEP_MS, RESUME_MS } from "../limits.ts";
import type { TaskHead, TaskRecord } from "./task-record.ts";
import { AT, EXPIRES, ID, NONE } from "./task-columns.ts";

export interface RecoveryOptions extends LeasesOptions, EndedTasksOptions {}

const NOTHING: readonly number[] = [];

export class Recovery extends Leases {
  protected readonly ended: EndedTasks;
  /** Active rows, and blocked ones with the ids of the tasks that they wait for. */
  readonly #asleep = new Map<number, readonly number[]>();

  constructor(options: RecoveryOptions) {
    super(options);
    this.ended = new EndedTasks(this.table, options);
  }

  /** A task read from the store. Many of them come in ascending order of their ids. */
  restore(id: number, head: TaskHead, record: TaskRecord): void {
    const row = this.recall(id, head, record);
    this.#enter(row, head.after);
  }

  /** The store has a new state of a task. Harmless when the task is not known. */
  restate(id: number, record: TaskRecord): void {
    const row = this.find(id);
    if (row === NONE) return;
    const after = this.#asleep.get(row) ?? NOTHING;
    this.#leave(row);
    this.recallState(row, record);
    this.#enter(row, after);
  }

  /** The store no longer has the task. Harmless when it is not known. */
  forget(id: number): void {
    const row = this.find(id);
    if (row === NONE) return;
    this.#leave(row);
    this.drop(row);
  }

  /** Leases from before may be resumed for a while. @returns tasks that wait for others, each with the ids of those */
  protected wakeAll(nowMs: number): readonly (readonly [id: number, after: readonly number[]])[] {
    const waiting: (readonly [number, readonly number[]])[] = [];
    for (const [row, after] of this.#asleep) {
      if (this.state(row) === "active") {
        this.throttle.started(this.queueOf(row), this.groupOf(row));
        this.deadlines.set(row, nowMs + RESUME_MS);
      } else waiting.push([this.table.f(row, ID), after]);
    }
    this.#asleep.clear();
    return waiting;
  }

  protected keepEnded(row: number, state: EndedState, endedMs: number): void {
    const isEvicted = this.isEvicted(row);
    this.ended.keep(row, { state, isEvicted, bytes: this.cost(row) });
    this.deadlines.set(row, endedMs + (state === "dead" && !isEvicted ? DEAD_KEEP_MS : this.policy(row).keepMs));
  }

  protected letGoEnded(row: number, state: EndedState): void {
    this.ended.remove(row, { state, isEvicted: this.isEvicted(row), bytes: this.cost(row) });
  }

  protected scheduleExpiry(row: number): void {
    this.deadlines.set(row, this.table.f(row, EXPIRES));
  }

  protected scheduleDue(row: number): void {
    this.deadlines.set(row, Math.min(this.table.f(row, AT), this.table.f(row, EXPIRES)));
  }

  #enter(row: number, after: readonly number[]): void {
    const state = this.state(row);
    if (isEnded(state)) {
      this.keepEnded(row, state, this.table.f(row, AT));
      return;
    }
    const queue = this.queueOf(row);
    this.account(queue, this.cost(row));
    if (state === "waiting") {
      this.scheduleExpiry(row);
      queue.ready.push(row, { returned: true });
    } else if (state === "active") this.#asleep.set(row, NOTHING);
    else if (state === "blocked") this.#asleep.set(row, after);
    else this.scheduleDue(row);
  }

  #leave(row: number): void {
    const state = this.state(row);
    if (isEnded(state)) this.letGoEnded(row, state);
    else {
      const queue = this.queueOf(row);
      this.account(queue, -this.cost(row));
      if (state === "waiting") queue.ready.remove(row);
      this.#asleep.delete(row);
    }
    this.deadlines.drop(row);
  }
}
