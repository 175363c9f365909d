/**
 * ○ The rows of all tasks, found by id, by key and by queue, and the sums over them. Knows what a task is, not what happens next.
 * Invariants: a row that can be found is counted once in its queue, under the state it has, and the queues' bytes add up
 * (`audit`).
 */
import { assert } from "../../core/assert.ts";
import { utf8 } from "../../core/bytes.ts";
import { OperationError, UsageError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { KeyIndex } from "./key-index.ts";
import { type Group, GroupQueueTable, TaskQueue } from "./task-queue.ts";
import { isEnded, mustNext, stateCode, type TaskEvent, type TaskState, TASK_STATES } from "./life-cycle.ts";
import { GROUPS_MAX, NAME_BYTES_MAX, QUEUE_BYTES_MAX, QUEUES_MAX, SUSPECT_LOSSES, TASK_OVERHEAD_BYTES } from "../limits.ts";
import { type CallerRef, type KeyedBodies, type TaskPolicy, PolicyTable, type TaskSpec } from "./task-policy.ts";
import type { TaskHead, TaskRecord } from "./task-record.ts";
import { hashNumber, RowIndex } from "./row-index.ts";
import { Traces } from "./traces.ts";
import { NOBODY, WorkerNames } from "./worker-names.ts";
import {
  AT,
  ATTEMPTS,
  BODY_BYTES,
  CONSUMER,
  CREATED,
  EXPIRES,
  FLAG_AFTER,
  FLAG_DAMAGED,
  FLAG_AWAITED,
  FLAG_EVICTED,
  FLAG_LEASE_WRITTEN,
  FLAG_REDRIVEN,
  FLAG_REMEMBERED,
  FLAG_RUN_AT,
  FLAG_FLOW,
  FLAG_STEPS,
  FLAG_SUSPENDED,
  FLAG_TRACED,
  FLAG_UNWRITTEN,
  FLAGS,
  FLAGS_WRITTEN,
  ID,
  GROUP_QUEUE,
  LOST,
  NONE,
  POLICY,
  RESULT_BYTES,
  STATE,
  STARTED,
  TaskColumns,
  TOKEN,
  WORKER,
} from "./task-columns.ts";

/** 4,096 rows, 16 KiB: what is in flight between a broker's peers at any time, mostly. */
const FOUND_LATELY = 4096;

function foundAt(id: number): number {
  return id & (FOUND_LATELY - 1);
}

export interface TaskTableOptions {
  readonly random: Random;
  /** The first task's number; greater than any given before a restart. */
  readonly firstId: number;
  readonly bytesMax?: number | undefined;
}

export class TaskTable {
  readonly table = new TaskColumns();
  readonly #byId = new RowIndex((row) => hashNumber(this.table.f(row, ID)));
  /** Rows that were found lately, by the low bits of their numbers: a look into an index of millions is a cache miss or two. */
  readonly #found = new Uint32Array(FOUND_LATELY);
  readonly #keys: KeyIndex;
  readonly #groupQueues = new GroupQueueTable();
  readonly #policies = new PolicyTable();
  readonly #queues = new Map<string, TaskQueue>();
  /** Tasks that were called by handlers, which wait for their ends. */
  readonly callers = new Map<number, CallerRef>();
  readonly traces = new Traces();
  protected readonly workers = new WorkerNames();
  readonly #bytesMax: number;
  #id: number;
  #bytes = 0;

  constructor({ random, firstId, bytesMax = QUEUE_BYTES_MAX }: TaskTableOptions) {
    this.#id = firstId;
    this.#bytesMax = bytesMax;
    this.#keys = new KeyIndex(this.table, random);
  }

  // ---- queues

  /**
   * The queue of this name, made when new. Ones that are no longer used make room for it.
   *
   * @throws UsageError QUEUE_NAME_INVALID, OperationError QUEUE_TOO_MANY
   */
  queue(name: string): TaskQueue {
    const known = this.#queues.get(name);
    if (known) return known;
    if (name === "" || utf8(name).length > NAME_BYTES_MAX) {
      throw new UsageError(
        "QUEUE_NAME_INVALID",
        `Cannot create queue '${name.slice(0, 40)}': its name must have 1 to ${NAME_BYTES_MAX} bytes`,
      );
    }
    if (this.#queues.size >= QUEUES_MAX) this.#forgetUnused();
    if (this.#queues.size >= QUEUES_MAX) {
      throw new OperationError("QUEUE_TOO_MANY", `Cannot create queue '${name}': limit of ${QUEUES_MAX} queues reached`);
    }
    const queue = new TaskQueue(name, this.table, this.#groupQueues);
    this.#queues.set(name, queue);
    return queue;
  }

  #forgetUnused(): void {
    for (const queue of this.#queues.values()) if (queue.isUnused) this.#queues.delete(queue.name);
  }

  findQueue(name: string): TaskQueue | undefined {
    return this.#queues.get(name);
  }

  queues(): IterableIterator<TaskQueue> {
    return this.#queues.values();
  }

  queueOf(row: number): TaskQueue {
    return this.groupOf(row).queue.owner;
  }

  // ---- submission

  /** The newest task under this key that the queue knows, or 0. It may not be written yet (`isUnwritten`). */
  findKey(queue: string, key: string): number {
    return this.#keys.find(queue, key);
  }

  /** The task that has this key now, or 0: another may be added under it. */
  findKeyHolder(queue: string, key: string, nowMs: number): number {
    const row = this.#keys.find(queue, key);
    return row !== NONE && this.#holdsKey(row, nowMs) ? row : NONE;
  }

  #holdsKey(row: number, nowMs: number): boolean {
    const { unique } = this.policy(row);
    if (unique === 0) return true;
    if (typeof unique === "number") return this.keyHeldUntilMs(row) > nowMs;
    return unique === "active" ? !isEnded(this.state(row)) : this.hasNotBegun(row);
  }

  /** Until when its key is its own whatever becomes of it; 0 where no time was said. */
  protected keyHeldUntilMs(row: number): number {
    const { unique } = this.policy(row);
    return typeof unique === "number" && unique > 0 ? this.table.f(row, CREATED) + unique : 0;
  }

  /** It waits for its first attempt. */
  hasNotBegun(row: number): boolean {
    if (this.table.u(row, ATTEMPTS) > 0 || (this.table.u(row, FLAGS) & FLAG_STEPS) !== 0) return false;
    const state = this.state(row);
    return state === "waiting" || state === "delayed" || state === "blocked";
  }

  /** It waits for its first attempt, and is of nothing else: what was asked for with it can be asked for anew. */
  isReplaceable(row: number): boolean {
    return (
      this.hasNotBegun(row) &&
      (this.table.u(row, FLAGS) & (FLAG_AFTER | FLAG_FLOW)) === 0 &&
      !this.callers.has(this.table.f(row, ID)) &&
      !this.keyedBodies(row)
    );
  }

  /** What was submitted under the key of this row, when it was several bodies. */
  keyedBodies(row: number): KeyedBodies | undefined {
    return this.#keys.bodies(row);
  }

  /** Whether tasks are known that were submitted with this row, the first of several bodies under a key. */
  hasKeyedMembers(row: number): boolean {
    const first = this.table.f(row, ID);
    const count = this.keyedBodies(row)?.count ?? 0;
    for (let id = first + 1; id < first + count; id += 1) if (this.find(id) !== NONE) return true;
    return false;
  }

  /** It stays known, since others wait for it, or died waiting. */
  isAwaited(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_AWAITED) !== 0;
  }

  /** Its handler waits for a signal, or for a task that it called. */
  isSuspended(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_SUSPENDED) !== 0;
  }

  isOfFlow(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_FLOW) !== 0;
  }

  isEvicted(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_EVICTED) !== 0;
  }

  /** True when so many bytes in so many tasks would pass a bound. */
  isFull(queue: TaskQueue, bodyBytes: number, tasks: number): boolean {
    const bytes = bodyBytes + tasks * TASK_OVERHEAD_BYTES;
    return this.#bytes + bytes > this.#bytesMax || queue.bytes + bytes > (queue.settings.bytesMax ?? Infinity);
  }

  /** True when the task could never fit, however empty the queue. */
  isTooLarge(queue: TaskQueue, bodyBytes: number, tasks: number): boolean {
    return bodyBytes + tasks * TASK_OVERHEAD_BYTES > Math.min(this.#bytesMax, queue.settings.bytesMax ?? Infinity);
  }

  /**
   * A row for a submission that is being written. Its id and its key are taken, its bytes are counted, but it is given out only after
   * `admit`. Ask `isFull` and `findKey` first.
   *
   * @throws OperationError QUEUE_TOO_MANY when its group would be one too many
   */
  reserve(queue: TaskQueue, spec: TaskSpec, bodyBytes: number, nowMs: number): number {
    const { table } = this;
    if (this.#groupQueues.groups >= GROUPS_MAX && spec.group !== "" && !queue.ready.group(spec.group)) {
      throw new OperationError("QUEUE_TOO_MANY", `Cannot create group '${spec.group}': limit of ${GROUPS_MAX} groups reached`);
    }
    const row = table.allocate();
    const id = this.#id;
    if (spec.caller) this.callers.set(id, spec.caller);
    table.setF(row, ID, id);
    this.#id += 1;
    table.setF(row, CREATED, nowMs);
    table.setF(row, EXPIRES, spec.expiresMs);
    const forWall = spec.runAtMs === undefined ? 0 : FLAG_RUN_AT;
    table.setF(row, AT, spec.runAtMs ?? spec.dueMs);
    table.setU(row, FLAGS, FLAG_UNWRITTEN | (spec.after.length > 0 ? FLAG_AFTER : 0) | (spec.flow ? FLAG_FLOW : 0) | forWall);
    if (spec.traceparent !== undefined) this.#trace(row, spec.traceparent);
    table.setU(row, BODY_BYTES, bodyBytes);
    table.setU(row, POLICY, this.#policies.intern(spec.policy));
    this.#place(row, queue, spec);
    this.#keys.insert(row, queue.name, spec);
    table.setU(
      row,
      STATE,
      stateCode(spec.after.length > 0 ? "blocked" : forWall || spec.dueMs > nowMs ? "delayed" : "waiting"),
    );
    this.#byId.insert(row);
    this.#found[foundAt(id)] = row;
    this.account(queue, bodyBytes + TASK_OVERHEAD_BYTES);
    queue.counted(this.state(row), 1);
    return row;
  }

  isUnwritten(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_UNWRITTEN) !== 0;
  }

  // ---- look-ups

  /** The trace that it belongs to is in the store alone. */
  lacksTrace(row: number): boolean {
    return this.isTraced(row) && this.traces.of(this.table.f(row, ID)) === undefined;
  }

  isTraced(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_TRACED) !== 0;
  }

  /** The row of a written task, or 0. */
  find(id: number): number {
    const { table } = this;
    let row = this.#found[foundAt(id)]!;
    // A row that was freed has the number 0.
    if (row === NONE || table.f(row, ID) !== id) {
      row = this.#byId.find(hashNumber(id), (candidate) => table.f(candidate, ID) === id);
      this.#found[foundAt(id)] = row;
    }
    return row !== NONE && this.isUnwritten(row) ? NONE : row;
  }

  /** The active row whose newest token this is, or 0: the lease is lost. */
  findLease(id: number, token: number): number {
    const row = this.find(id);
    return row !== NONE && this.state(row) === "active" && this.table.f(row, TOKEN) === token ? row : NONE;
  }

  /** The last number given to a task. */
  get lastId(): number {
    return this.#id - 1;
  }

  state(row: number): TaskState {
    return TASK_STATES[this.table.u(row, STATE)]!;
  }

  policy(row: number): TaskPolicy {
    return this.#policies.get(this.table.u(row, POLICY));
  }

  group(row: number): string {
    return this.groupOf(row).key;
  }

  priority(row: number): number {
    return this.#groupQueues.get(this.table.u(row, GROUP_QUEUE)).priority;
  }

  /** The number of the owner of its lease, or 0. */
  leaseOwner(row: number): number {
    return this.table.u(row, CONSUMER);
  }

  /** So many workers were lost while they had it that nothing else may run beside it. */
  isSuspect(row: number): boolean {
    return this.table.u(row, LOST) >= SUSPECT_LOSSES;
  }

  /** Its group is at a bound. */
  isParked(row: number): boolean {
    return this.groupOf(row).parkedUntilMs !== undefined;
  }

  /** What the store keeps of it is not what was written. */
  isDamaged(row: number): boolean {
    return (this.table.u(row, FLAGS) & FLAG_DAMAGED) !== 0;
  }

  /** Of an ended one. */
  resultBytes(row: number): number {
    return this.table.u(row, RESULT_BYTES);
  }

  /** The worker that has it, or was the last to; "" where that is not known. */
  worker(row: number): string {
    return this.workers.name(this.table.u(row, WORKER));
  }

  /** When its newest attempt began, as of a time after that; undefined where that is not known, or it had none. */
  startedMs(row: number, afterMs: number): number | undefined {
    const started = this.table.u(row, STARTED);
    return started === 0 ? undefined : Math.floor(afterMs) - ((startOf(afterMs) - started) >>> 0);
  }

  /** The part of a row that changes, for the store. */
  record(row: number): TaskRecord {
    const { table } = this;
    const state = this.state(row);
    return {
      state: state === "blocked" ? "delayed" : state,
      flags: table.u(row, FLAGS) & FLAGS_WRITTEN,
      atMs: table.f(row, AT),
      token: table.f(row, TOKEN),
      attempts: table.u(row, ATTEMPTS),
      lost: table.u(row, LOST),
      bodyBytes: table.u(row, BODY_BYTES),
      resultBytes: this.resultBytes(row),
      started: table.u(row, STARTED),
      worker: this.workers.bytes(table.u(row, WORKER)),
    };
  }

  /**
   * Checks the invariants over all rows; for simulations, since it costs as much as there are tasks.
   *
   * @throws AssertionFailed
   */
  audit(): void {
    let bytes = 0;
    for (const queue of this.#queues.values()) {
      let ready = 0;
      for (const group of queue.ready.groups()) {
        for (const groupQueue of group.groupQueues) {
          for (const row of groupQueue.ready.rows()) {
            ready += 1;
            assert(this.state(row) === "waiting", "a row in a ready list is waiting");
            assert(this.leaseOwner(row) === 0, "a waiting row has no owner");
            assert(groupQueue.isOfSuspects === this.isSuspect(row), "suspects wait apart from the others");
          }
        }
      }
      assert(ready === queue.ready.count, "a queue counts its waiting rows");
      assert(queue.limiter.running === queue.count("active"), "what runs is what is active");
      bytes += queue.bytes;
    }
    assert(bytes === this.#bytes, "the queues' bytes add up");
  }

  /** Bytes of tasks that have not ended, their bound, and bytes of the rows and their indices. */
  protected get sums(): { bytes: number; bytesMax: number; tableBytes: number } {
    const tableBytes = this.table.bytes + this.#byId.bytes + this.#keys.bytes;
    return { bytes: this.#bytes, bytesMax: this.#bytesMax, tableBytes };
  }

  // ---- changes of one row

  /** Numbers given from now on are at least as great. */
  protected countIdsFrom(firstId: number): void {
    this.#id = Math.max(this.#id, firstId);
  }

  /** A row for a task read from the store, in the state it is found in after a restart. Its bytes are not counted yet. */
  protected recall(id: number, head: TaskHead, record: TaskRecord): number {
    const { table } = this;
    const queue = this.queue(head.queue);
    const row = table.allocate();
    table.setF(row, ID, id);
    table.setF(row, CREATED, head.createdMs);
    table.setF(row, EXPIRES, head.expiresMs);
    table.setU(row, POLICY, this.#policies.intern(head.policy));
    this.#setRecord(row, record);
    if (head.traceparent !== undefined) this.#trace(row, head.traceparent);
    this.#place(row, queue, head);
    queue.counted(this.state(row), 1);
    this.#keys.insert(row, head.queue, head);
    this.#byId.insert(row);
    this.countIdsFrom(id + 1);
    return row;
  }

  /** The same for a row that is there: another state of it was read. */
  protected recallState(row: number, record: TaskRecord): void {
    const queue = this.queueOf(row);
    queue.counted(this.state(row), -1);
    this.#setRecord(row, record);
    this.setLost(row, record.lost);
    const state = this.state(row);
    queue.counted(state, 1);
    if (isEnded(state)) this.traces.forget(this.table.f(row, ID));
  }

  #setRecord(row: number, record: TaskRecord): void {
    const { table } = this;
    if (record.flags & (FLAG_REDRIVEN | FLAG_STEPS)) table.setF(row, EXPIRES, Infinity);
    const state = restoredState(record);
    // What was active waits again, as if it had from the beginning: its attempt's end says nothing any more.
    table.setF(row, AT, state === "waiting" && record.state === "active" ? 0 : record.atMs);
    table.setF(row, TOKEN, record.token);
    table.setU(row, FLAGS, record.flags | (table.u(row, FLAGS) & (FLAG_REMEMBERED | FLAG_TRACED)));
    table.setU(row, ATTEMPTS, record.attempts);
    table.setU(row, LOST, record.lost);
    table.setU(row, BODY_BYTES, record.bodyBytes);
    table.setU(row, RESULT_BYTES, record.resultBytes);
    table.setU(row, STARTED, record.started ?? 0);
    this.workers.release(table.u(row, WORKER));
    table.setU(row, WORKER, record.worker ? this.workers.holdRead(record.worker) : NOBODY);
    table.setU(row, STATE, stateCode(state));
  }

  groupOf(row: number): Group {
    return this.#groupQueues.get(this.table.u(row, GROUP_QUEUE)).group;
  }

  protected cost(row: number): number {
    return this.table.u(row, BODY_BYTES) + this.resultBytes(row) + TASK_OVERHEAD_BYTES;
  }

  protected account(queue: TaskQueue, bytes: number): void {
    this.#bytes += bytes;
    queue.bytes += bytes;
  }

  /** How many workers were lost while they had the row, which is in no list: suspects wait apart from the others. */
  protected setLost(row: number, losses: number): void {
    this.table.setU(row, LOST, losses);
    this.queueOf(row).ready.rebind(row, this.isSuspect(row));
  }

  #place(row: number, queue: TaskQueue, { group, priority }: { readonly group: string; readonly priority: number }): void {
    queue.ready.bind(row, group, { priority, isSuspect: this.isSuspect(row) });
  }

  #trace(row: number, traceparent: string): void {
    this.setFlag(row, FLAG_TRACED, true);
    if (!isEnded(this.state(row))) this.traces.add(this.table.f(row, ID), traceparent);
  }

  protected setFlag(row: number, flag: number, on: boolean): void {
    const flags = this.table.u(row, FLAGS);
    this.table.setU(row, FLAGS, on ? flags | flag : flags & ~flag);
  }

  protected move(row: number, queue: TaskQueue, event: TaskEvent): TaskState {
    const before = this.state(row);
    const after = mustNext(before, event);
    this.table.setU(row, STATE, stateCode(after));
    queue.counted(before, -1);
    queue.counted(after, 1);
    return after;
  }

  /** Forgets a row that nothing is scheduled for. */
  protected drop(row: number): void {
    const queue = this.queueOf(row);
    if (this.callers.size > 0) this.callers.delete(this.table.f(row, ID));
    if (this.isTraced(row)) this.traces.forget(this.table.f(row, ID));
    queue.counted(this.state(row), -1);
    this.#byId.remove(row);
    this.#keys.remove(row);
    this.#policies.release(this.table.u(row, POLICY));
    this.workers.release(this.table.u(row, WORKER));
    queue.ready.unbind(row);
    this.table.release(row);
  }
}

/** 49 days fit: what took longer is told as shorter by that. */
export function startOf(nowMs: number): number {
  return nowMs >>> 0 || 1;
}

/** A lease that was not written down is over. What waited for others is blocked until it has looked at them anew. */
function restoredState({ state, flags }: TaskRecord): TaskState {
  if (state === "active" && !(flags & FLAG_LEASE_WRITTEN)) return "waiting";
  return state === "delayed" && flags & (FLAG_AFTER | FLAG_SUSPENDED) ? "blocked" : state;
}
