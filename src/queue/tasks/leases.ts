/**
 * ○ Tasks given to workers: who holds which, under which fencing token, and until when. Invariant: a row is leased by one holder at
 * a time, each lease has a greater token than any before it, and what runs is counted against its queue's and group's bounds.
 */
import { Gates } from "./throttle.ts";
import { type Holder, Holders } from "./lease-table.ts";
import { Schedule } from "./deadline-heap.ts";
import { AT, FLAG_LEASE_WRITTEN, NONE, TOKEN } from "./task-columns.ts";
import type { TaskQueue } from "./task-queue.ts";
import { TaskRows, type TaskRowsOptions } from "./task-table.ts";

export interface LeasedRowsOptions extends TaskRowsOptions {
  readonly listener: {
    /** There may be something to take. */
    ready(queue: TaskQueue): void;
  };
  /** The first fencing token; greater than any given before a restart. */
  readonly firstToken: number;
}

export class LeasedRows extends TaskRows {
  protected readonly schedule = new Schedule(this.table);
  protected readonly gates: Gates;
  readonly #holders = new Holders(this.table);
  #token: number;
  /** No token of this run is as low. */
  #tokenBefore: number;

  constructor(options: LeasedRowsOptions) {
    super(options);
    this.gates = new Gates((queue) => options.listener.ready(queue));
    this.#token = options.firstToken;
    this.#tokenBefore = options.firstToken;
  }

  /** Tokens and ids of a new run, before the first is given. */
  countFrom({ firstToken, firstId }: { firstToken: number; firstId: number }): void {
    this.#token = firstToken;
    this.#tokenBefore = firstToken;
    this.countIdsFrom(firstId);
  }

  addHolder(): Holder {
    return this.#holders.add();
  }

  /** The holder has no leases any more and goes. */
  removeHolder(holder: Holder): void {
    this.#holders.remove(holder);
  }

  /** Leases the task whose turn it is to the holder. 0 when none may start now. */
  take(queue: TaskQueue, holder: Holder, nowMs: number): number {
    const row = this.gates.take(queue, nowMs);
    if (row === NONE) return NONE;
    this.#token += 1;
    this.table.setF(row, TOKEN, this.#token);
    this.move(row, queue, "lease");
    this.setFlag(row, FLAG_LEASE_WRITTEN, false);
    this.#hold(row, holder, nowMs);
    return row;
  }

  /** Whether `take` would find something. */
  hasReady(queue: TaskQueue): boolean {
    return this.gates.hasReady(queue);
  }

  /** The lease is to survive a restart: its worker can resume it. The caller writes the row. */
  leaseWritten(row: number): void {
    this.setFlag(row, FLAG_LEASE_WRITTEN, true);
  }

  /** A worker that was cut off has come back with a lease; true when it still holds it. */
  resume(id: number, token: number, holder: Holder, nowMs: number): boolean {
    const row = this.find(id);
    if (row === NONE) return false;
    const newest = this.table.f(row, TOKEN);
    // A lease of before the restart that was too short to be written down, and nobody had the task since: it is taken at its word.
    const unwritten = token > newest && token <= this.#tokenBefore && this.state(row) === "ready";
    if (token !== newest && !unwritten) return false;
    this.table.setF(row, TOKEN, token);
    const queue = this.queueOf(row);
    if (this.state(row) === "ready") {
      queue.ready.remove(row);
      this.gates.started(queue, this.groupOf(row));
      this.move(row, queue, "lease");
    } else if (this.state(row) !== "leased" || this.holder(row) !== 0) return false;
    this.#hold(row, holder, nowMs);
    return true;
  }

  /** Beside the rows' invariants those of the holders. */
  override audit(): void {
    super.audit();
    this.#holders.audit((row) => this.state(row) === "leased");
  }

  /** A leased row leaves its holder and its bounds; the state is the caller's to move. */
  protected stopped(row: number): TaskQueue {
    const queue = this.queueOf(row);
    this.#holders.release(row);
    this.schedule.drop(row);
    this.gates.stopped(queue, this.groupOf(row));
    return queue;
  }

  #hold(row: number, holder: Holder, nowMs: number): void {
    this.#holders.hold(row, holder);
    const { timeoutMs } = this.profile(row);
    this.table.setF(row, AT, timeoutMs > 0 ? nowMs + timeoutMs : Infinity);
    this.schedule.set(row, this.table.f(row, AT));
  }
}
