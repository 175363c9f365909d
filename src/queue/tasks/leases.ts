/**
 * ○ Tasks given to workers: who has which, under which fencing token, and until when. Invariant: a row is active under one owner at a
 * time and is in that owner's list only (`audit`), each lease has a greater token than any before it, and what runs is counted
 * against its queue's and group's bounds.
 */
import { assert } from "../../core/assert.ts";
import { KEPT_MS_MAX } from "../limits.ts";
import { Throttle, type ThrottleListener } from "./throttle.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import {
  AT,
  CONSUMER,
  CREATED,
  FLAG_BEGUN,
  FLAG_LEASE_WRITTEN,
  FLAGS,
  ID,
  NONE,
  RowList,
  STARTED,
  TOKEN,
  WORKER,
} from "./task-columns.ts";
import type { Group, ReadyKind, TaskQueue } from "./task-queue.ts";
import { startOf, TaskTable, type TaskTableOptions } from "./task-table.ts";
import { NOBODY } from "./worker-names.ts";

/** Who has leases: a small number, so that a row needs four bytes to name its owner, and the rows. */
export interface LeaseOwner {
  readonly index: number;
  readonly leases: RowList;
  /** The number of its name. */
  readonly worker: number;
  /** It only keeps what its worker has begun, while that does not answer. */
  readonly keeps: boolean;
}

export interface LeasesOptions extends TaskTableOptions {
  readonly listener: ThrottleListener;
  /** The first fencing token; greater than any given before a restart. */
  readonly firstToken: number;
}

export class Leases extends TaskTable {
  protected readonly deadlines = new DeadlineHeap(this.table);
  protected readonly throttle: Throttle;
  /** By their numbers; 0 is nobody's. */
  readonly #owners: (LeaseOwner | undefined)[] = [undefined];
  readonly #freeNumbers: number[] = [];
  #token: number;
  /** No token of this run is as low. */
  #tokenBefore: number;

  constructor(options: LeasesOptions) {
    super(options);
    this.throttle = new Throttle(options.listener);
    this.#token = options.firstToken;
    this.#tokenBefore = options.firstToken;
  }

  /** Tokens and ids of a new run, before the first is given. */
  countFrom({ firstToken, firstId }: { firstToken: number; firstId: number }): void {
    this.#token = firstToken;
    this.#tokenBefore = firstToken;
    this.countIdsFrom(firstId);
  }

  /** @param options `worker`: its name */
  addLeaseOwner({ keeps = false, worker = "" }: { keeps?: boolean; worker?: string } = {}): LeaseOwner {
    const index = this.#freeNumbers.pop() ?? this.#owners.length;
    const owner: LeaseOwner = { index, leases: new RowList(this.table), worker: this.workers.hold(worker), keeps };
    this.#owners[index] = owner;
    return owner;
  }

  /** The owner has no leases any more and leaves. */
  removeLeaseOwner(owner: LeaseOwner): void {
    assert(owner.leases.count === 0, "an owner that leaves has given its leases back");
    this.workers.release(owner.worker);
    this.#owners[owner.index] = undefined;
    this.#freeNumbers.push(owner.index);
  }

  /**
   * Leases the task whose turn it is to the owner. 0 when none may start now. In a queue with a rate its start is only reserved: it is
   * to be committed before the task is given out, and `gave` told after it.
   */
  take(queue: TaskQueue, owner: LeaseOwner, nowMs: number, which: ReadyKind = "others"): number {
    const row = this.throttle.take(queue, which, nowMs);
    if (row === NONE) return NONE;
    this.#token += 1;
    const sinceMs = Math.max(this.table.f(row, CREATED), this.table.f(row, AT));
    queue.waits.observe(nowMs - sinceMs);
    if (this.isTraced(row)) this.traces.taken(this.table.f(row, ID), sinceMs);
    this.table.setF(row, TOKEN, this.#token);
    this.move(row, queue, "lease");
    this.setFlag(row, FLAG_LEASE_WRITTEN, false);
    this.#lease(row, owner);
    if (queue.isRated) this.throttle.reserve(this.groupOf(row));
    return row;
  }

  /** The task goes to its worker now: the time that the attempt may take begins. */
  given(row: number, nowMs: number): void {
    this.table.setU(row, STARTED, startOf(nowMs));
    const { timeoutMs } = this.policy(row);
    if (timeoutMs === 0) return;
    this.table.setF(row, AT, nowMs + timeoutMs);
    this.deadlines.set(row, nowMs + timeoutMs);
  }

  /** A start that was reserved in this group is over: the task was given out, or may have been. */
  gave(group: Group, nowMs: number): void {
    this.throttle.gave(group, nowMs);
  }

  /** The history of a group's starts was restored. */
  remember(group: Group, nowMs: number): void {
    this.throttle.remember(group, nowMs);
  }

  /** Whether `take` would find something. */
  hasReady(queue: TaskQueue, which: ReadyKind = "others"): boolean {
    return this.throttle.hasReady(queue, which);
  }

  /** The owner of the lease said that work on it has begun. */
  begun(row: number, nowMs: number): void {
    this.setFlag(row, FLAG_BEGUN, true);
    this.table.setU(row, STARTED, startOf(nowMs));
  }

  hasBegun(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_BEGUN) !== 0;
  }

  /** The lease is to survive a restart: its worker can resume it. The caller writes the row. */
  leaseWritten(row: number): void {
    this.setFlag(row, FLAG_LEASE_WRITTEN, true);
  }

  /** A worker that was cut off has come back with a lease; true when the lease is still its own. */
  resume(id: number, token: number, owner: LeaseOwner, nowMs: number): boolean {
    const row = this.find(id);
    if (row === NONE) return false;
    const newest = this.table.f(row, TOKEN);
    // A lease of before the restart that was too short to be written down, and nobody had the task since: the worker is believed.
    const unwritten = token > newest && token <= this.#tokenBefore && this.state(row) === "waiting";
    if (token !== newest && !unwritten) return false;
    this.table.setF(row, TOKEN, token);
    const queue = this.queueOf(row);
    const started = unwritten ? 0 : this.table.u(row, STARTED);
    if (this.state(row) === "waiting") {
      queue.ready.remove(row);
      this.throttle.started(queue, this.groupOf(row));
      this.move(row, queue, "lease");
    } else if (this.state(row) !== "active" || this.leaseOwner(row) !== 0) return false;
    this.#lease(row, owner);
    this.given(row, nowMs);
    this.table.setU(row, STARTED, started);
    this.#boundKept(row, owner, nowMs);
    return true;
  }

  /** The same worker has the active row under this owner from now on. The attempt goes on, and so does its time. */
  handOver(row: number, owner: LeaseOwner, nowMs: number): void {
    this.#owners[this.leaseOwner(row)]!.leases.remove(row);
    this.#own(row, owner);
    this.#boundKept(row, owner, nowMs);
  }

  /** Beside the rows' invariants those of the owners. */
  override audit(): void {
    super.audit();
    for (const owner of this.#owners) {
      for (const row of owner?.leases.rows() ?? []) {
        assert(this.state(row) === "active", "a row in an owner's list is active");
        assert(this.leaseOwner(row) === owner!.index, "an active row names its owner");
      }
    }
  }

  /** The attempt has ended with an outcome: how long it ran is counted, if it is known. */
  protected ran(row: number, nowMs: number): TaskQueue {
    const started = this.table.u(row, STARTED);
    if (started !== 0) this.queueOf(row).runs.observe((startOf(nowMs) - started) >>> 0);
    return this.stopped(row);
  }

  /** The lease that the row had is not to be resumed, though the row may wait for a worker again soon. */
  protected outdate(row: number): void {
    this.#token += 1;
    this.table.setF(row, TOKEN, this.#token);
  }

  /** An active row leaves its owner (after a restart it has none yet) and its bounds; the caller changes its state. */
  protected stopped(row: number): TaskQueue {
    const queue = this.queueOf(row);
    const owner = this.leaseOwner(row);
    if (owner !== 0) this.#owners[owner]!.leases.remove(row);
    this.table.setU(row, CONSUMER, 0);
    this.setFlag(row, FLAG_BEGUN, false);
    this.deadlines.drop(row);
    if (this.isTraced(row)) this.traces.stopped(this.table.f(row, ID));
    this.throttle.stopped(queue, this.groupOf(row));
    return queue;
  }

  #lease(row: number, owner: LeaseOwner): void {
    this.#own(row, owner);
    this.table.setF(row, AT, Infinity);
    this.deadlines.set(row, Infinity);
  }

  #own(row: number, owner: LeaseOwner): void {
    this.table.setU(row, CONSUMER, owner.index);
    owner.leases.pushBack(row);
    // One that keeps it does not work on it.
    if (!owner.keeps && this.table.u(row, WORKER) !== owner.worker) this.#worker(row, owner.worker);
  }

  #worker(row: number, number: number): void {
    this.workers.release(this.table.u(row, WORKER));
    this.table.setU(row, WORKER, this.workers.holdAgain(number));
  }

  /** Nobody worked on it: what it was given for did not begin. */
  protected notBegun(row: number): void {
    this.table.setU(row, STARTED, 0);
    this.#worker(row, NOBODY);
  }

  /** An attempt without a bound of its own has one while its worker does not answer. */
  #boundKept(row: number, owner: LeaseOwner, nowMs: number): void {
    if (this.policy(row).timeoutMs > 0) return;
    this.table.setF(row, AT, owner.keeps ? nowMs + KEPT_MS_MAX : Infinity);
    this.deadlines.set(row, this.table.f(row, AT));
  }
}
