/**
 * ○ Rows read from a store: each is put where its state says, changed and taken out again, before anybody works with them. What
 * needs the time or other rows (leases from before, tasks that wait for tasks) is kept aside until `wake`. Invariant: each row is
 * where a restart would put it.
 */
import { DeadlineHeap } from "./deadline-heap.ts";
import type { Parents } from "./dependencies.ts";
import { type EndedTask, EndedTasks, type EndedTasksOptions } from "./ended-tasks.ts";
import { Leases, type LeasesOptions } from "./leases.ts";
import { type EndedState, isEnded } from "./life-cycle.ts";
import { DEAD_KEEP_MS, RESUME_MS } from "../limits.ts";
import type { TaskQueue } from "./task-queue.ts";
import type { TaskHead, TaskRecord } from "./task-record.ts";
import { AT, EXPIRES, FLAG_RUN_AT, FLAGS, ID, NONE, TOKEN, WALL_HEAP } from "./task-columns.ts";

export interface RecoveryOptions extends LeasesOptions, EndedTasksOptions {}

const NOTHING: Parents = { after: [] };

export class Recovery extends Leases {
  protected readonly ended: EndedTasks;
  /** Delayed rows by the time of the wall clock at which they are due. */
  protected readonly wall = new DeadlineHeap(this.table, WALL_HEAP);
  /** Active rows, and those that wait for others, or died waiting, with what they wait for. */
  readonly #asleep = new Map<number, Parents>();

  constructor(options: RecoveryOptions) {
    super(options);
    this.ended = new EndedTasks(this.table, options);
  }

  /** A task read from the store. Many of them come in ascending order of their ids. */
  restore(id: number, head: TaskHead, record: TaskRecord): void {
    const row = this.recall(id, head, record);
    if (head.caller && !isEnded(this.state(row))) this.callers.set(id, head.caller);
    this.#enter(row, head.after.length > 0 ? { after: head.after, onParentDead: head.onParentDead } : NOTHING);
  }

  /** The store has a new state of a task. Harmless when the task is not known. */
  restate(id: number, record: TaskRecord): void {
    const row = this.find(id);
    if (row === NONE) return;
    const parents = this.#asleep.get(row) ?? NOTHING;
    this.#leave(row);
    this.recallState(row, record);
    this.#enter(row, parents);
  }

  /** The store no longer has the task. Harmless when it is not known. */
  forget(id: number): void {
    const row = this.find(id);
    if (row === NONE) return;
    this.#leave(row);
    this.drop(row);
  }

  /** Leases from before may be resumed for a while. @returns tasks that wait for others, or died waiting, with what they wait for */
  protected wakeAll(nowMs: number): readonly (readonly [row: number, parents: Parents])[] {
    const waiting: (readonly [number, Parents])[] = [];
    for (const [row, parents] of this.#asleep) {
      if (this.state(row) === "active") {
        this.throttle.started(this.queueOf(row), this.groupOf(row));
        this.deadlines.set(row, nowMs + RESUME_MS);
      }
      if (parents.after.length > 0) waiting.push([row, parents]);
    }
    this.#asleep.clear();
    return waiting;
  }

  stats(): {
    tasks: number;
    bytes: number;
    bytesMax: number;
    endedBytes: number;
    deadBytes: number;
    deadDropped: number;
    tableBytes: number;
  } {
    const { bytes, bytesMax, tableBytes } = this.sums;
    return {
      tasks: this.table.count,
      bytes,
      bytesMax,
      endedBytes: this.ended.endedBytes,
      deadBytes: this.ended.deadBytes,
      deadDropped: this.ended.deadDropped,
      tableBytes: tableBytes + this.deadlines.bytes + this.wall.bytes,
    };
  }

  protected keepEnded(row: number, state: EndedState, endedMs: number): void {
    const ended = this.endedTask(row, state);
    this.ended.keep(row, ended);
    const queue = this.queueOf(row);
    if (ended.isKept) this.account(queue, ended.bytes);
    this.retain(row, queue, ended, endedMs);
  }

  /** When, and with how many that ended later, its outcome need not be readable any more. */
  protected retain(row: number, { settings, retention }: TaskQueue, ended: EndedTask, endedMs: number): void {
    const { state } = ended;
    if (!ended.isEvicted && retention.isBounded(state)) {
      const count = settings[state === "dead" ? "keepDead" : "keepCompleted"] ?? 0;
      retention.ended(state, this.table.f(row, ID), { count, isKept: (id) => this.find(id) !== NONE });
    }
    const isDead = ended.state === "dead" && !ended.isEvicted;
    const keepMs = isDead
      ? (settings.keepDeadMs ?? DEAD_KEEP_MS)
      : Math.min(this.policy(row).keepMs, settings.keepCompletedMs ?? Infinity);
    this.deadlines.set(row, ended.isAwaited ? Infinity : Math.max(endedMs + keepMs, this.keyHeldUntilMs(row)));
  }

  protected letGoEnded(row: number, state: EndedState): void {
    const ended = this.endedTask(row, state);
    this.ended.remove(row, ended);
    if (ended.isKept) this.account(this.queueOf(row), -ended.bytes);
  }

  protected endedTask(row: number, state: EndedState): EndedTask {
    const isEvicted = this.isEvicted(row);
    const isAwaited = this.isAwaited(row);
    const isKept = isAwaited && !isEvicted && state === "completed" && this.isOfFlow(row);
    return { state, isEvicted, isAwaited, isKept, bytes: this.cost(row) };
  }

  protected scheduleExpiry(row: number): void {
    this.deadlines.set(row, this.table.f(row, EXPIRES));
  }

  protected scheduleDue(row: number): void {
    const atMs = this.table.f(row, AT);
    if (this.isForWall(row)) {
      this.wall.set(row, atMs);
      this.scheduleExpiry(row);
    } else this.deadlines.set(row, Math.min(atMs, this.table.f(row, EXPIRES)));
  }

  protected isForWall(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_RUN_AT) !== 0;
  }

  #enter(row: number, parents: Parents): void {
    const state = this.state(row);
    if (isEnded(state)) {
      this.keepEnded(row, state, this.table.f(row, AT));
      // Never leased: it may have died waiting, and may be retried.
      if (state === "dead" && parents.after.length > 0 && (this.table.f(row, TOKEN) === 0 || this.isOfFlow(row)))
        this.#asleep.set(row, parents);
      return;
    }
    const queue = this.queueOf(row);
    this.account(queue, this.cost(row));
    if (parents.after.length > 0 && this.isOfFlow(row)) this.#asleep.set(row, parents);
    if (state === "waiting") {
      this.scheduleExpiry(row);
      queue.ready.push(row, { returned: true });
    } else if (state === "active") this.#asleep.set(row, this.isOfFlow(row) ? parents : NOTHING);
    else if (state === "blocked" && this.isSuspended(row)) this.deadlines.set(row, this.table.f(row, AT));
    else if (state === "blocked") this.#asleep.set(row, parents);
    else this.scheduleDue(row);
  }

  #leave(row: number): void {
    const state = this.state(row);
    this.#asleep.delete(row);
    if (isEnded(state)) this.letGoEnded(row, state);
    else {
      const queue = this.queueOf(row);
      this.account(queue, -this.cost(row));
      if (state === "waiting") queue.ready.remove(row);
    }
    this.deadlines.drop(row);
    this.wall.drop(row);
  }
}
