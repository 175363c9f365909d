/**
 * ○ Tasks given to workers: who holds which, under which fencing token, and until when. Invariant: a row is active under one lease owner at
 * a time, each lease has a greater token than any before it, and what runs is counted against its queue's and group's bounds.
 */
import { Throttle } from "./throttle.ts";
import { type LeaseOwner, LeaseTable } from "./lease-table.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { AT, FLAG_LEASE_WRITTEN, NONE, TOKEN } from "./task-columns.ts";
import type { TaskQueue } from "./task-queue.ts";
import { TaskTable, type TaskTableOptions } from "./task-table.ts";

export interface LeasesOptions extends TaskTableOptions {
  readonly listener: {
    /** There may be something to take. */
    ready(queue: TaskQueue): void;
  };
  /** The first fencing token; greater than any given before a restart. */
  readonly firstToken: number;
}

export class Leases extends TaskTable {
  protected readonly deadlines = new DeadlineHeap(this.table);
  protected readonly throttle: Throttle;
  readonly #leaseOwners = new LeaseTable(this.table);
  #token: number;
  /** No token of this run is as low. */
  #tokenBefore: number;

  constructor(options: LeasesOptions) {
    super(options);
    this.throttle = new Throttle((queue) => options.listener.ready(queue));
    this.#token = options.firstToken;
    this.#tokenBefore = options.firstToken;
  }

  /** Tokens and ids of a new run, before the first is given. */
  countFrom({ firstToken, firstId }: { firstToken: number; firstId: number }): void {
    this.#token = firstToken;
    this.#tokenBefore = firstToken;
    this.countIdsFrom(firstId);
  }

  addLeaseOwner(): LeaseOwner {
    return this.#leaseOwners.add();
  }

  /** The lease owner has no leases any more and goes. */
  removeLeaseOwner(leaseOwner: LeaseOwner): void {
    this.#leaseOwners.remove(leaseOwner);
  }

  /** Leases the task whose turn it is to the lease owner. 0 when none may start now. */
  take(queue: TaskQueue, leaseOwner: LeaseOwner, nowMs: number): number {
    const row = this.throttle.take(queue, nowMs);
    if (row === NONE) return NONE;
    this.#token += 1;
    this.table.setF(row, TOKEN, this.#token);
    this.move(row, queue, "lease");
    this.setFlag(row, FLAG_LEASE_WRITTEN, false);
    this.#hold(row, leaseOwner, nowMs);
    return row;
  }

  /** Whether `take` would find something. */
  hasReady(queue: TaskQueue): boolean {
    return this.throttle.hasReady(queue);
  }

  /** The lease is to survive a restart: its worker can resume it. The caller writes the row. */
  leaseWritten(row: number): void {
    this.setFlag(row, FLAG_LEASE_WRITTEN, true);
  }

  /** A worker that was cut off has come back with a lease; true when it still holds it. */
  resume(id: number, token: number, leaseOwner: LeaseOwner, nowMs: number): boolean {
    const row = this.find(id);
    if (row === NONE) return false;
    const newest = this.table.f(row, TOKEN);
    // A lease of before the restart that was too short to be written down, and nobody had the task since: it is taken at its word.
    const unwritten = token > newest && token <= this.#tokenBefore && this.state(row) === "waiting";
    if (token !== newest && !unwritten) return false;
    this.table.setF(row, TOKEN, token);
    const queue = this.queueOf(row);
    if (this.state(row) === "waiting") {
      queue.ready.remove(row);
      this.throttle.started(queue, this.groupOf(row));
      this.move(row, queue, "lease");
    } else if (this.state(row) !== "active" || this.leaseOwner(row) !== 0) return false;
    this.#hold(row, leaseOwner, nowMs);
    return true;
  }

  /** Beside the rows' invariants those of the lease owners. */
  override audit(): void {
    super.audit();
    this.#leaseOwners.audit((row) => this.state(row) === "active");
  }

  /** An active row leaves its lease owner and its bounds; the state is the caller's to move. */
  protected stopped(row: number): TaskQueue {
    const queue = this.queueOf(row);
    this.#leaseOwners.release(row);
    this.deadlines.drop(row);
    this.throttle.stopped(queue, this.groupOf(row));
    return queue;
  }

  #hold(row: number, leaseOwner: LeaseOwner, nowMs: number): void {
    this.#leaseOwners.hold(row, leaseOwner);
    const { timeoutMs } = this.policy(row);
    this.table.setF(row, AT, timeoutMs > 0 ? nowMs + timeoutMs : Infinity);
    this.deadlines.set(row, this.table.f(row, AT));
  }
}
