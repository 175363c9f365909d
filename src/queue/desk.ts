/**
 * ○ The broker without its sockets: producers hand tasks in, workers take and settle them, watchers wait for outcomes, and
 * nothing is answered before the store has it. Dialects (own protocol, the lecture's, Majordomo) and the in-process API stand at
 * this one desk. Time comes from the clock it is given; the shell calls `tick` at `deadlineMs` and `flush` when it has handed in
 * all that it had.
 */
import type { Clock } from "../core/clock.ts";
import { type HoldfastError, OperationError, UsageError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { BodyCache } from "./body-cache.ts";
import { CommitQueue } from "./commit-queue.ts";
import { Consumer, type ConsumerOptions, ConsumerRing } from "./consumers.ts";
import { Engine, type EngineListener, type EngineOptions } from "./engine.ts";
import { isEnded, type TaskState } from "./life-cycle.ts";
import { BODY_BYTES_MAX, BODY_CACHE_BYTES_MAX, LEASE_WRITE_MS, NOTE_BYTES_MAX } from "./limits.ts";
import { decodeNote, encodeNote, type Note } from "./note.ts";
import { decodeHead, decodeState, encodeState, type TaskHead } from "./record.ts";
import { Roster, type RosterStats } from "./roster.ts";
import type { Store, StoreOp, StoreOpening } from "./store.ts";
import { type Submission, type SubmissionAnswer, Submissions } from "./submissions.ts";
import { ATTEMPTS, BODY_BYTES, ID, NONE, TOKEN } from "./table.ts";
import { type QueueSettings, readSettings, type TaskQueue } from "./task-queue.ts";
import { type TaskView, viewTask, whyWaiting } from "./view.ts";
import { type Outcome, Watchers, type Watcher } from "./watchers.ts";

export interface DeskOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** Bytes of tasks that have not ended; default 4 GiB. */
  readonly bytesMax?: number;
  readonly endedBytesMax?: number;
  readonly deadBytesMax?: number;
  readonly bodyCacheBytesMax?: number;
  readonly bodyBytesMax?: number;
  /** One commit a change. */
  readonly single?: boolean;
  /** Makes the engine; simulations put broken ones here. */
  readonly makeEngine?: (options: EngineOptions) => Engine;
  /** Told when `deadlineMs` may have changed or there is something to flush. */
  wake?(): void;
}

export interface DeskStats extends RosterStats {
  readonly tasks: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly endedBytes: number;
  readonly deadBytes: number;
  /** Dead tasks dropped because the bound on their bytes was reached. */
  readonly deadDropped: number;
  /** Bytes of rows and indices outside the heap. */
  readonly tableBytes: number;
  readonly bodyCacheBytes: number;
  readonly commits: number;
  readonly writes: number;
  readonly storeTrouble: string | undefined;
  readonly queues: readonly QueueStats[];
}

export interface QueueStats {
  readonly name: string;
  readonly states: Readonly<Record<TaskState, number>>;
  readonly bytes: number;
  readonly consumers: number;
  readonly slots: number;
  /** Since the broker started. */
  readonly added: number;
  readonly finished: number;
  /** Attempts that failed. */
  readonly failures: number;
  readonly settings: QueueSettings;
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const QUEUE_SETTING = "queue:";
const TIME_SETTING = "time";
/** 1 s between notes of what time it is: a clock set back over a restart makes delays longer by no more than that. */
const TIME_NOTE_MS = 1000;
/** 1 s after a body could not be read, it is tried again. */
const READ_RETRY_MS = 1000;

interface Missing {
  readonly row: number;
  readonly id: number;
  readonly token: number;
  readonly consumer: Consumer;
}

export class Desk {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #commits: CommitQueue;
  readonly #watchers = new Watchers();
  readonly #bodies: BodyCache;
  readonly #options: DeskOptions;
  readonly #rings = new Map<TaskQueue, ConsumerRing>();
  readonly #consumers = new Map<number, Consumer>();
  readonly #roster = new Roster();
  readonly #submissions: Submissions;
  /** Queues where something may be given out. */
  readonly #dirty = new Set<TaskQueue>();
  /** Queues where something could be given out, were it not for the store. */
  readonly #stalled = new Set<TaskQueue>();
  /** Changes since the last flush, and what to do when they are on disk. */
  #ops: StoreOp[] = [];
  #after: (() => void)[] = [];
  /** Leases that are written down when they have lasted a while: [when, id, token]. */
  #leases: { readonly atMs: number; readonly id: number; readonly token: number }[] = [];
  readonly #recalled = new Set<number>();
  #lastNote = { id: 0, note: "" };
  /** Consumers whose leases changed in the middle of something. */
  readonly #unranked = new Set<Consumer>();
  readonly #settledCallbacks: (() => void)[] = [];
  #readTroubleUntilMs = -Infinity;
  #closed = false;
  #engineOrUndefined: Engine | undefined;
  #timeNotedMs = -Infinity;
  /** Engine time minus the monotonic clock: engine time is wall time as of the start, and never jumps. */
  #offsetMs = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#bodies = new BodyCache(options.bodyCacheBytesMax ?? BODY_CACHE_BYTES_MAX);
    this.#commits = new CommitQueue({
      write: (ops) => options.store.write(ops),
      clock: options.clock,
      single: options.single ?? false,
      settled: () => this.flush(),
    });
    this.#submissions = new Submissions({
      engine: () => this.engine,
      nowMs: () => this.nowMs,
      commits: this.#commits,
      watchers: this.#watchers,
      bodies: this.#bodies,
      bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX,
      watch: (id, watcher) => this.watch(id, watcher),
      noteTime: (ops) => this.#noteTime(ops),
      timeNotNoted: () => (this.#timeNotedMs = -Infinity),
    });
  }

  // ---- life

  /** Opens the store and takes up what was left. Errors are the store's. */
  async open(): Promise<StoreOpening> {
    const opening = await this.#store.open();
    // When the wall clock was set back meanwhile, engine time goes on from where it was: delays must not grow by that.
    const lastMs = Number(opening.settings.get(TIME_SETTING) ?? 0);
    this.#offsetMs = Math.max(this.#clock.wallMs(), lastMs) - this.#clock.now();
    const { random, bytesMax, endedBytesMax, deadBytesMax, makeEngine = (options) => new Engine(options) } = this.#options;
    const engine = makeEngine({
      listener: this.#listener,
      random,
      firstToken: opening.epoch * 2 ** 32,
      firstId: opening.lastId + 1,
      ...(bytesMax === undefined ? {} : { bytesMax }),
      ...(endedBytesMax === undefined ? {} : { endedBytesMax }),
      ...(deadBytesMax === undefined ? {} : { deadBytesMax }),
    });
    this.#engineOrUndefined = engine;
    for (const [name, value] of opening.settings) {
      if (!name.startsWith(QUEUE_SETTING)) continue;
      const queue = engine.queue(name.slice(QUEUE_SETTING.length));
      engine.configure(queue, readSettings(JSON.parse(value)));
    }
    const nowMs = this.nowMs;
    for await (const portion of this.#store.tasks()) {
      for (const { id, head, state } of portion) engine.restore(id, decodeHead(head), decodeState(state), nowMs);
    }
    this.flush();
    return opening;
  }

  /** Writes what there is to write and lets go of the store. What workers hold stays leased on disk or ready. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#submissions.close();
    this.flush();
    if (!this.#commits.trouble) await this.#commits.drained();
    await this.#store.close();
  }

  get engine(): Engine {
    if (!this.#engineOrUndefined) throw new UsageError("CLOSED", "The desk is not open");
    return this.#engineOrUndefined;
  }

  /** Engine time in ms: wall time as of the start, from then on without jumps. */
  get nowMs(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  get wallMs(): number {
    return this.#clock.wallMs();
  }

  /** When `tick` has something to do, in the clock's ms, or undefined. */
  get deadlineMs(): number | undefined {
    let atMs = this.engine.deadlineMs ?? Infinity;
    if (this.#leases.length > 0) atMs = Math.min(atMs, this.#leases[0]!.atMs);
    if (this.#readTroubleUntilMs > this.nowMs) atMs = Math.min(atMs, this.#readTroubleUntilMs);
    return atMs === Infinity ? undefined : atMs - this.#offsetMs;
  }

  tick(): void {
    const { nowMs } = this;
    this.engine.tick(nowMs);
    this.#writeLeases(nowMs);
    if (this.#readTroubleUntilMs !== -Infinity && this.#readTroubleUntilMs <= nowMs) {
      this.#readTroubleUntilMs = -Infinity;
    }
    this.flush();
  }

  /** Gives out what can be given out and hands the store what has changed. */
  flush(): void {
    for (const consumer of this.#unranked) {
      this.#rings.get(consumer.queue)!.ranked(consumer);
      this.#dirty.add(consumer.queue);
    }
    this.#unranked.clear();
    if (!this.#closed) {
      if (!this.#commits.trouble && this.#readTroubleUntilMs <= this.nowMs) {
        for (const queue of this.#stalled) this.#dirty.add(queue);
        this.#stalled.clear();
      }
      this.#submissions.admitHeld();
      for (const queue of this.#dirty) {
        this.#dirty.delete(queue);
        this.#dispatch(queue);
      }
    }
    for (const callback of this.#settledCallbacks.splice(0)) callback();
    if (this.#ops.length > 0 || this.#after.length > 0) {
      this.#noteTime(this.#ops);
      const after = this.#after;
      this.#commits.submit({
        ops: this.#ops,
        refusable: false,
        done: () => {
          for (const callback of after) callback();
        },
      });
      this.#ops = [];
      this.#after = [];
    }
    this.#options.wake?.();
  }

  /** With the changes, so that no delay is on disk without the time that it counts from. */
  #noteTime(ops: StoreOp[]): void {
    const { nowMs } = this;
    if (nowMs - this.#timeNotedMs < TIME_NOTE_MS) return;
    this.#timeNotedMs = nowMs;
    ops.push({ kind: "set", name: TIME_SETTING, value: String(Math.round(nowMs)) });
  }

  // ---- producers

  /** Takes a submission in: all of its bodies or none. */
  add(submission: Submission, answer: SubmissionAnswer): void {
    this.#submissions.add(submission, answer);
  }

  // ---- outcomes

  /**
   * Tells the outcome once the task has ended and that is on disk; at once when it is already.
   *
   * @returns false when no such task is known
   */
  watch(id: number, watcher: Watcher): boolean {
    if (this.#watchers.isSettling(id)) {
      this.#watchers.add(id, watcher);
      return true;
    }
    const row = this.engine.find(id);
    if (row === NONE) return false;
    const state = this.engine.state(row);
    if (!isEnded(state)) this.#watchers.add(id, watcher);
    else void this.#readOutcome(id, state, watcher);
    return true;
  }

  unwatch(id: number, watcher: Watcher): void {
    this.#watchers.remove(id, watcher);
  }

  async #readOutcome(id: number, state: TaskState, watcher: Watcher): Promise<void> {
    let bytes: Uint8Array = EMPTY;
    try {
      if (state === "done") bytes = (await this.#store.read([id]))[0] ?? EMPTY;
      if (state === "dead") bytes = encoder.encode((await this.inspect(id))?.notes.at(-1)?.error ?? "");
    } catch {
      // The disk does not answer now. The waiter asks again as after a broken connection.
      return;
    }
    watcher.ended({ id, state, bytes });
    this.#options.wake?.();
  }

  // ---- workers

  /** A worker offers to work on a queue. Nothing is given out before `flush`. */
  consume(queueName: string, options: ConsumerOptions): Consumer {
    const queue = this.engine.queue(queueName);
    const consumer = new Consumer(queue, this.engine.addHolder(), options);
    this.#consumers.set(consumer.holder.index, consumer);
    this.#roster.joined(consumer, this.nowMs);
    let ring = this.#rings.get(queue);
    if (!ring) this.#rings.set(queue, (ring = new ConsumerRing()));
    ring.add(consumer);
    this.#dirty.add(queue);
    return consumer;
  }

  /** New numbers of slots; 0 pauses this consumer. */
  adjust(consumer: Consumer, { slots, prefetch }: { slots: number; prefetch: number }): void {
    consumer.slots = slots;
    consumer.prefetch = prefetch;
    this.#rings.get(consumer.queue)!.ranked(consumer);
    this.#dirty.add(consumer.queue);
  }

  /** The worker leaves; what it holds is given back, as lost when its connection broke. */
  leave(consumer: Consumer, { lost }: { lost: boolean }): void {
    const { nowMs } = this;
    this.#roster.left(consumer, { nowMs, lost });
    this.#rings.get(consumer.queue)!.remove(consumer);
    for (const row of [...consumer.holder.leases.rows()].reverse()) {
      this.#recalled.delete(this.engine.table.f(row, ID));
      this.engine.giveBack(row, nowMs, { lost });
    }
    this.#consumers.delete(consumer.holder.index);
    this.engine.removeHolder(consumer.holder);
  }

  /** The leased row, if this consumer still holds it under this token. */
  #heldRow(consumer: Consumer, id: number, token: number): number {
    const row = this.engine.findLease(id, token);
    return row !== NONE && this.engine.holder(row) === consumer.holder.index ? row : NONE;
  }

  /**
   * A worker's result. Told to whom waits once it is on disk; then `settled` is called.
   *
   * @returns false when the lease is lost: the result is refused
   */
  finish(consumer: Consumer, lease: LeaseRef, result: Uint8Array, settled?: () => void): boolean {
    const row = this.#heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    this.engine.finish(row, result, this.nowMs);
    this.#released(consumer, lease.id, settled);
    return true;
  }

  fail(consumer: Consumer, lease: LeaseRef, failure: { error: string; final?: boolean }, settled?: () => void): boolean {
    const row = this.#heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    this.engine.fail(row, failure.error, this.nowMs, { final: failure.final ?? false });
    this.#released(consumer, lease.id, settled);
    return true;
  }

  giveBack(consumer: Consumer, lease: LeaseRef): boolean {
    const row = this.#heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    this.engine.giveBack(row, this.nowMs);
    this.#released(consumer, lease.id, undefined);
    return true;
  }

  progress(consumer: Consumer, lease: LeaseRef, bytes: Uint8Array): boolean {
    if (this.#heldRow(consumer, lease.id, lease.token) === NONE) return false;
    this.#watchers.progress(lease.id, bytes);
    return true;
  }

  partial(consumer: Consumer, lease: LeaseRef, bytes: Uint8Array): boolean {
    if (this.#heldRow(consumer, lease.id, lease.token) === NONE) return false;
    this.#watchers.partial(lease.id, bytes);
    return true;
  }

  /** A worker that was cut off is back with a lease from before; true when it holds it again. */
  resume(consumer: Consumer, lease: LeaseRef): boolean {
    const resumed = this.engine.resume(lease.id, lease.token, consumer.holder, this.nowMs);
    if (resumed) this.#rings.get(consumer.queue)!.ranked(consumer);
    return resumed;
  }

  /** Who holds this lease, or undefined: it is lost. */
  holding(lease: LeaseRef): Consumer | undefined {
    const row = this.engine.findLease(lease.id, lease.token);
    return row === NONE ? undefined : this.#consumers.get(this.engine.holder(row));
  }

  /** Calls once, soon, when all outcomes of the batch that was just written have been told: to say many things in one message. */
  whenSettled(callback: () => void): void {
    this.#settledCallbacks.push(callback);
  }

  #released(consumer: Consumer, id: number, settled: (() => void) | undefined): void {
    this.#recalled.delete(id);
    this.#rings.get(consumer.queue)?.ranked(consumer);
    this.#dirty.add(consumer.queue);
    if (settled) this.#after.push(settled);
  }

  // ---- the users' hands

  /** @returns why not, or undefined; `settled` is called when it is on disk */
  cancel(id: number, settled: () => void): HoldfastError | undefined {
    const row = this.engine.find(id);
    if (row === NONE) return unknownTask();
    const consumer = this.#consumers.get(this.engine.holder(row));
    if (!this.engine.cancel(row, this.nowMs)) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot cancel: the task is ${this.engine.state(row)}`);
    }
    if (consumer) this.#released(consumer, id, undefined);
    this.#after.push(settled);
    return undefined;
  }

  /** A dead task gets a new life. @returns why not, or undefined */
  redrive(id: number, settled: () => void): HoldfastError | undefined {
    const row = this.engine.find(id);
    if (row === NONE) return unknownTask();
    if (this.#watchers.isSettling(id))
      return new OperationError("QUEUE_TASK_STATE", "Cannot redrive: its death is being written");
    if (!this.engine.redrive(row)) {
      return new OperationError("QUEUE_TASK_STATE", `Cannot redrive: the task is ${this.engine.state(row)}, not dead`);
    }
    this.#after.push(settled);
    return undefined;
  }

  /** What is known of a task without asking the store. */
  view(row: number): TaskView {
    return viewTask(this.engine, row);
  }

  /** Why a task that has not ended does not run, in words; undefined when it does run or has ended. */
  whyWaiting(row: number): string | undefined {
    const { engine } = this;
    const queue = engine.queueOf(row);
    return whyWaiting(engine, row, {
      consumers: this.#rings.get(queue)?.size ?? 0,
      storeTrouble: this.#commits.trouble?.message,
    });
  }

  /** Forgets ended tasks of a queue in one state; at most `limit`. @returns how many */
  purge(queue: TaskQueue, state: "dead" | "done" | "cancelled", limit: number, settled: () => void): number {
    const { engine } = this;
    const rows: number[] = [];
    for (const row of engine.endedRows(state)) {
      if (rows.length >= limit) break;
      if (engine.queueOf(row) === queue && engine.state(row) === state) rows.push(row);
    }
    for (const row of rows) engine.remove(row);
    this.#after.push(settled);
    return rows.length;
  }

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  configure(queueName: string, settings: QueueSettings, settled: () => void): void {
    const queue = this.engine.queue(queueName);
    const merged = { ...queue.settings, ...readSettings(settings) };
    this.engine.configure(queue, merged);
    this.setting(QUEUE_SETTING + queueName, JSON.stringify(merged), settled);
  }

  /** Keeps a named setting in the store; undefined takes it away. */
  setting(name: string, value: string | undefined, settled: () => void): void {
    this.#ops.push({ kind: "set", name, value });
    this.#after.push(settled);
  }

  async inspect(id: number): Promise<{ head: TaskHead; notes: readonly Note[] } | undefined> {
    const kept = await this.#store.inspect(id);
    return kept && { head: decodeHead(kept.head), notes: kept.notes.map(decodeNote) };
  }

  async body(id: number): Promise<Uint8Array | undefined> {
    return (await this.#store.read([id]))[0];
  }

  /** Tasks that have not ended: what clients compare when they choose among brokers. */
  get load(): number {
    let load = 0;
    for (const queue of this.engine.queues()) load += queue.ready.count + queue.count("leased");
    return load;
  }

  stats(): DeskStats {
    const { batches, ops } = this.#commits.stats;
    return {
      ...this.engine.stats(),
      ...this.#roster.stats(this.nowMs),
      bodyCacheBytes: this.#bodies.bytes,
      commits: batches,
      writes: ops,
      storeTrouble: this.#commits.trouble?.message,
      queues: [...this.engine.queues()].map((queue) => this.queueStats(queue)),
    };
  }

  queueStats(queue: TaskQueue): QueueStats {
    const ring = this.#rings.get(queue);
    const { name, bytes, added, finished, failures, settings } = queue;
    return {
      name,
      states: queue.counts(),
      bytes,
      consumers: ring?.size ?? 0,
      slots: ring?.slots ?? 0,
      added,
      finished,
      failures,
      settings,
    };
  }

  // ---- giving out

  #dispatch(queue: TaskQueue): void {
    const ring = this.#rings.get(queue);
    if (!ring) return;
    if (this.#commits.trouble || this.#readTroubleUntilMs > this.nowMs) {
      this.#stalled.add(queue);
      return;
    }
    const { engine, nowMs } = this;
    const missing: Missing[] = [];
    for (let consumer = ring.next(); consumer; consumer = ring.next()) {
      const row = engine.take(queue, consumer.holder, nowMs);
      if (row === NONE) break;
      ring.served(consumer);
      const id = engine.table.f(row, ID);
      const token = engine.table.f(row, TOKEN);
      const body = engine.table.u(row, BODY_BYTES) === 0 ? EMPTY : this.#bodies.get(id);
      if (body) this.#deliver(consumer, row, body);
      else missing.push({ row, id, token, consumer });
    }
    if (missing.length > 0) void this.#readBodies(missing);
    if (ring.idle && !engine.hasReady(queue)) this.#recall(ring);
  }

  #deliver(consumer: Consumer, row: number, body: Uint8Array): void {
    const { table } = this.engine;
    const id = table.f(row, ID);
    const token = table.f(row, TOKEN);
    if (consumer.resumable) this.#leases.push({ atMs: this.nowMs + LEASE_WRITE_MS, id, token });
    consumer.port.task({
      id,
      token,
      queue: consumer.queue.name,
      attempt: table.u(row, ATTEMPTS) + 1,
      timeoutMs: this.engine.profile(row).timeoutMs,
      body,
    });
  }

  async #readBodies(missing: readonly Missing[]): Promise<void> {
    let bodies: readonly (Uint8Array | undefined)[] = [];
    try {
      bodies = await this.#store.read(missing.map(({ id }) => id));
    } catch {
      // The disk does not answer: the tasks go back to the front, and nothing is given out for a moment.
      this.#readTroubleUntilMs = this.nowMs + READ_RETRY_MS;
    }
    missing.forEach(({ row, id, token, consumer }, index) => {
      if (this.#heldRow(consumer, id, token) !== row) return;
      const body = bodies[index];
      if (body) this.#deliver(consumer, row, body);
      else if (this.#readTroubleUntilMs > this.nowMs) this.giveBack(consumer, { id, token });
      else this.fail(consumer, { id, token }, { error: "its body is missing from the store", final: true });
    });
    this.flush();
  }

  /** An idle slot finds nothing ready: one prefetched task is asked back. */
  #recall(ring: ConsumerRing): void {
    const consumer = ring.mostLoaded();
    if (!consumer) return;
    const { table } = this.engine;
    const row = consumer.holder.leases.tail;
    const id = table.f(row, ID);
    if (this.#recalled.has(id)) return;
    this.#recalled.add(id);
    consumer.port.recall(id, table.f(row, TOKEN));
  }

  #writeLeases(nowMs: number): void {
    let count = 0;
    for (const { atMs, id, token } of this.#leases) {
      if (atMs > nowMs) break;
      count += 1;
      const row = this.engine.findLease(id, token);
      if (row === NONE) continue;
      this.engine.leaseWritten(row);
      this.#listener.changed(row);
    }
    if (count > 0) this.#leases.splice(0, count);
  }

  readonly #listener: EngineListener = {
    changed: (row) => {
      const { engine } = this;
      this.#ops.push({ kind: "state", id: engine.table.f(row, ID), state: encodeState(engine.record(row)) });
    },
    ended: (row, state, result) => this.#ended(row, state, result),
    revoked: (row, holder, why) => {
      const consumer = this.#consumers.get(holder)!;
      const { table } = this.engine;
      const id = table.f(row, ID);
      consumer.port.revoked(id, table.f(row, TOKEN), why);
      this.#recalled.delete(id);
      this.#unranked.add(consumer);
    },
    removed: (row) => {
      const { table } = this.engine;
      this.#bodies.drop(table.f(row, ID));
      this.#ops.push({ kind: "remove", id: table.f(row, ID) });
    },
    noted: (row, error) => {
      const id = this.engine.table.f(row, ID);
      const note = error.slice(0, NOTE_BYTES_MAX);
      this.#lastNote = { id, note };
      this.#ops.push({ kind: "note", id, note: encodeNote(note, this.nowMs) });
    },
    ready: (queue) => this.#dirty.add(queue),
  };

  #ended(row: number, state: TaskState, result: Uint8Array | undefined): void {
    const { engine } = this;
    const id = engine.table.f(row, ID);
    const record = encodeState(engine.record(row));
    if (state === "dead") this.#ops.push({ kind: "state", id, state: record });
    else this.#ops.push({ kind: "end", id, state: record, result: result ?? EMPTY });
    this.#bodies.drop(id);
    const bytes = state === "done" ? result! : state === "dead" ? encoder.encode(this.#noteOf(id)) : EMPTY;
    const outcome: Outcome = { id, state, bytes };
    this.#watchers.settle(outcome);
    this.#after.push(() => this.#watchers.settled(id));
  }

  /** Why the task that just died did: the engine noted it right before. */
  #noteOf(id: number): string {
    return this.#lastNote.id === id ? this.#lastNote.note : "";
  }
}

/** What a worker names when it speaks of a task it holds. */
export interface LeaseRef {
  readonly id: number;
  readonly token: number;
}

function unknownTask(): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", "No such task is known, or its outcome is no longer kept");
}
