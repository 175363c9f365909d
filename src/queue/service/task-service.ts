/**
 * ○ The one service that all protocols of the broker call: producers submit tasks, workers take and settle them, watchers wait for
 * outcomes, and nothing is answered before the store has it. Time comes from the clock it is given; the caller calls `tick` at
 * `deadlineMs`, and `flush` when it has handed in all that it had.
 */
import type { Clock } from "../../core/clock.ts";
import { OperationError, UsageError } from "../../core/errors.ts";
import type { LatencyCounts } from "../../core/latency-histogram.ts";
import type { Random } from "../../core/random.ts";
import { BodyCache } from "./body-cache.ts";
import { BodyReads } from "./body-reads.ts";
import { GroupCommit } from "../../store/group-commit.ts";
import type { CommittedEvent } from "./event-entry.ts";
import { EventRing } from "./event-ring.ts";
import type { Log } from "../../core/log.ts";
import { Guard, type Owner } from "./guard.ts";
import type { Consumer, ConsumerOptions } from "./consumers.ts";
import { EMPTY, utf8 } from "../../core/bytes.ts";
import { Flows } from "./flows.ts";
import { DurableSteps } from "./durable-steps.ts";
import { Dispatcher, type LeaseRef } from "./dispatcher.ts";
import { TaskStateMachine, type TaskStateMachineOptions } from "../tasks/task-state-machine.ts";
import type { TaskStateMachineListener } from "../tasks/task-state-machine-listener.ts";
import { AdminCommands } from "./admin-commands.ts";
import { Journal, TIME_SETTING } from "./journal.ts";
import { EVENTS_BYTES_MAX, EVENTS_KEEP_MS, BODY_BYTES_MAX, BODY_CACHE_BYTES_MAX, WALL_LOOK_MS } from "../limits.ts";
import { epochsOf, refuseMoved } from "../stores/move.ts";
import { errorTexts } from "../../store/facts.ts";
import { decodeAttemptError, type AttemptError } from "./attempt-error.ts";
import { Outcomes, type OutcomeWatcher } from "./outcomes.ts";
import type { ServiceContext } from "./service-context.ts";
import { decodeHead, type TaskHead } from "../tasks/task-record.ts";
import { readTasks } from "./read-tasks.ts";
import type { Standby, TakeoverOptions, TaskStore } from "../stores/follower-state.ts";
import type { StoredTask, StoreOpening } from "../../store/store.ts";

import { type Submission, type SubmissionAnswer, Submissions } from "./submissions.ts";
import { ID, NONE, TOKEN } from "../tasks/task-columns.ts";
import { type QueueSettings, mergedSettings, readSettings } from "../tasks/queue-settings.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import { RemovedTasks } from "./removed-tasks.ts";
import { TaskEvents } from "./task-events.ts";
import { TaskSearch } from "./task-search.ts";
import { type TaskView, viewTask, whyWaiting } from "./task-view.ts";
import type { StateCounts } from "../tasks/state-words.ts";
import type { WorkerRegistryStats } from "./worker-registry.ts";

export interface TaskServiceOptions {
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Bytes of tasks that have not ended; default 4 GiB. */
  readonly bytesMax?: number | undefined;
  readonly endedBytesMax?: number | undefined;
  readonly deadBytesMax?: number | undefined;
  /** How long events are kept for listeners, and how many bytes of them; default 1 h and 64 MiB, 0 bytes: none. */
  readonly eventsKeepMs?: number | undefined;
  readonly eventsBytesMax?: number | undefined;
  readonly bodyCacheBytesMax?: number;
  readonly bodyBytesMax?: number;
  /** One commit a change. */
  readonly single?: boolean;
  /** Makes the state machine; simulations give broken ones. */
  readonly makeStateMachine?: (options: TaskStateMachineOptions) => TaskStateMachine;
  /** Told of errors that nobody expected: `queue.program-error`, with the stack and, where known, peer and task. */
  readonly log?: Log;
  /** Whether tasks may be given out now; once they may again, the caller calls `flush`. Default: always. */
  mayGiveOut?(): boolean;
  /** Told when `deadlineMs` may have changed or there is something to flush. */
  wake?(): void;
}

/** Told how far a start is. */
export interface StartProgress {
  /** The store is opened; its tasks are read now. */
  opened?(opening: StoreOpening<Standby>): void;
  /** So much of them is read, from 0 to 1. */
  read?(share: number): void;
}

/** What STATS tells of the broker: numbers that are kept anyway, put together when somebody asks. */
export interface TaskServiceStats extends WorkerRegistryStats {
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

/** The numbers of a broker that has no tasks at hand: it starts, or another of its group leads. */
export const NO_TASKS: TaskServiceStats = {
  tasks: 0,
  bytes: 0,
  bytesMax: 0,
  endedBytes: 0,
  deadBytes: 0,
  deadDropped: 0,
  tableBytes: 0,
  bodyCacheBytes: 0,
  commits: 0,
  writes: 0,
  storeTrouble: undefined,
  queues: [],
  workers: [],
  workersLeft: [],
};

/** One queue's numbers. */
export interface QueueStats {
  readonly name: string;
  /** Tasks in each state. */
  readonly states: StateCounts;
  readonly bytes: number;
  readonly consumers: number;
  readonly slots: number;
  /** Since the broker started. */
  readonly added: number;
  readonly finished: number;
  /** Attempts that failed. */
  readonly failures: number;
  readonly settings: QueueSettings;
  /** Since when the task that has waited longest waits, in ms since 1970; undefined while none waits. */
  readonly waitingSinceMs?: number | undefined;
  /** How long tasks waited for a worker, since the broker started. */
  readonly waits?: LatencyCounts | undefined;
  /** How long attempts ran that completed or failed. */
  readonly runs?: LatencyCounts | undefined;
}

const QUEUE_SETTING = "queue:";

/** How an attempt failed. */
export interface Failure {
  readonly error: string;
  /** No attempt will help. */
  readonly final?: boolean;
  /** How long until the next one, instead of what the task says. */
  readonly pauseMs?: number;
  /** It does not count as an attempt, nor as a failure: its worker only asks for the task again after the pause. */
  readonly isFree?: boolean;
}

export class TaskService {
  readonly #store: TaskStore;
  readonly #clock: Clock;
  readonly #commits: GroupCommit<CommittedEvent>;
  /** What listeners are told. */
  readonly ring: EventRing;
  readonly guard: Guard;
  readonly #outcomes: Outcomes;
  readonly #bodies: BodyCache;
  readonly #reads: BodyReads;
  readonly #bodyBytesMax: number;
  readonly #options: TaskServiceOptions;
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #submissions: Submissions;
  readonly adminCommands: AdminCommands;
  readonly search: TaskSearch;
  readonly removedTasks: RemovedTasks;
  readonly steps: DurableSteps;
  readonly flows: Flows;
  /** What happened to tasks lately. */
  readonly events = new TaskEvents();
  /** Queue time at which the tasks of the store were here. */
  openedMs = 0;
  #settledCallbacks: { readonly callback: () => void; readonly owner: Owner | undefined }[] = [];
  #closed = false;
  /** Resolves when `open` has ended, either way. */
  #opened: Promise<void> | undefined;
  #isOpen = false;
  #stateMachineOrUndefined: TaskStateMachine | undefined;
  /** Queue time minus the monotonic clock. */
  #offsetMs = 0;
  /** When the wall clock is to be looked at again, if something waits for it. */
  #wallLookMs = -Infinity;

  constructor(options: TaskServiceOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#bodies = new BodyCache(options.bodyCacheBytesMax ?? BODY_CACHE_BYTES_MAX);
    const { log = () => {} } = options;
    this.#reads = new BodyReads({ store: options.store, clock: options.clock, log });
    this.guard = new Guard(log);
    const { eventsKeepMs: keepMs = EVENTS_KEEP_MS, eventsBytesMax = EVENTS_BYTES_MAX } = options;
    const { clock, store } = options;
    this.ring = new EventRing({ clock, store, nowMs: () => this.nowMs, keepMs, bytesMax: eventsBytesMax });
    this.#commits = new GroupCommit({
      record: (events) => this.ring.record(events),
      guard: this.guard,
      what: "the queue's store",
      troubled: (trouble, forMs) => {
        if (trouble) log("queue.store-trouble", { error: trouble.cause });
        else log("queue.store-recovered", { forMs });
      },
      write: (ops) => options.store.write(ops),
      clock: options.clock,
      single: options.single ?? false,
      patienceMs: () => options.store.patienceMs,
      full: () => options.store.full,
      settled: () => this.flush(),
    });
    const context: ServiceContext = (this.#context = {
      stateMachine: () => this.stateMachine,
      nowMs: () => this.nowMs,
      store: options.store,
      commits: this.#commits,
      guard: this.guard,
      log,
      events: this.events,
      ring: this.ring,
      bodies: this.#bodies,
      reads: this.#reads,
      damaged: (row, what) => this.#damaged(row, what),
      flush: () => this.flush(),
    });
    const journal = new Journal(context);
    const outcomes = new Outcomes(context, journal);
    const dispatcher = new Dispatcher(context, journal);
    this.#journal = journal;
    this.#outcomes = outcomes;
    this.#dispatcher = dispatcher;
    this.#submissions = new Submissions(context, { journal, outcomes, bodyBytesMax: this.#bodyBytesMax });
    this.steps = new DurableSteps(context, { journal, dispatcher, bodyBytesMax: this.#bodyBytesMax });
    this.flows = new Flows(context, { journal, outcomes, bodyBytesMax: this.#bodyBytesMax });
    this.search = new TaskSearch(context, options.clock);
    this.removedTasks = new RemovedTasks(context, journal);
    this.adminCommands = new AdminCommands(context, {
      journal,
      dispatcher,
      outcomes,
      search: this.search,
      removedTasks: this.removedTasks,
      bodyBytesMax: this.#bodyBytesMax,
    });
  }

  // ---- life

  /** Opens the store and continues with what it holds. Errors are the store's, QUEUE_STORE_MOVED, and CLOSED when it was closed meanwhile. */
  async open(progress: StartProgress = {}): Promise<StoreOpening<Standby>> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#opened = promise;
    try {
      const opening = await this.#store.open();
      try {
        refuseMoved(opening.settings);
        progress.opened?.(opening);
        await this.#recover(opening, progress);
        this.#isOpen = true;
        this.openedMs = this.nowMs;
      } catch (error) {
        await this.#store.close();
        throw error;
      }
      return opening;
    } finally {
      resolve();
    }
  }

  async #recover(opening: StoreOpening<Standby>, progress: StartProgress): Promise<void> {
    // When the wall clock was set back meanwhile, queue time goes on from where it was: delays must not grow by that.
    const lastMs = Number(opening.settings.get(TIME_SETTING)) || 0;
    this.#offsetMs = Math.max(this.#clock.wallMs(), lastMs) - this.#clock.now();
    const term = { listener: this.#listener, firstToken: epochsOf(opening) * 2 ** 32, firstId: opening.lastId + 1 };
    this.ring.open(opening, epochsOf(opening) * 2 ** 31 + (Math.floor(this.#clock.wallMs()) % 2 ** 31));
    const stateMachine = opening.standby?.begin(term) ?? this.#makeStateMachine(term);
    this.#stateMachineOrUndefined = stateMachine;
    for (const [name, value] of opening.settings) {
      if (!name.startsWith(QUEUE_SETTING)) continue;
      const queue = stateMachine.queue(name.slice(QUEUE_SETTING.length));
      stateMachine.configure(queue, readSettings(JSON.parse(value)), this.nowMs);
    }
    this.#journal.starts.restore(opening.settings, stateMachine, this.nowMs);
    if (!opening.standby)
      await readTasks(this.#portions(opening, progress), stateMachine, (row, what) => this.#damaged(row, what));
    stateMachine.wake(this.nowMs);
    this.flush();
  }

  #makeStateMachine(term: TakeoverOptions): TaskStateMachine {
    const {
      random,
      bytesMax,
      endedBytesMax,
      deadBytesMax,
      makeStateMachine = (options) => new TaskStateMachine(options),
    } = this.#options;
    return makeStateMachine({ ...term, random, bytesMax, endedBytesMax, deadBytesMax });
  }

  async *#portions({ lastId }: StoreOpening<Standby>, { read }: StartProgress): AsyncIterable<readonly StoredTask[]> {
    let firstId: number | undefined;
    for await (const portion of this.#store.tasks()) {
      if (this.#closed) throw new OperationError("CLOSED", "The broker was closed while it read its tasks");
      yield portion;
      firstId ??= portion[0]!.id;
      read?.((portion.at(-1)!.id - firstId + 1) / (lastId - firstId + 1));
    }
  }

  /** Only this task is affected: it is dead, and that is told. */
  #damaged(row: number, what: string): void {
    const { stateMachine } = this;
    const error = `damaged: ${what} is not what was written`;
    this.#context.log("queue.task-damaged", {
      task: stateMachine.table.f(row, ID),
      queue: stateMachine.queueOf(row).name,
      error,
    });
    stateMachine.damage(row, error, this.nowMs);
  }

  /** Writes what there is to write and closes the store. What workers have stays active on disk, or waiting. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#reads.close();
    await this.#opened;
    if (!this.#isOpen) return;
    this.ring.close();
    this.#submissions.close();
    this.removedTasks.close();
    this.flush();
    if (!this.#commits.trouble) await this.#commits.drained();
    await this.#store.close();
  }

  get log(): Log {
    return this.#context.log;
  }

  /** Each change is a commit of its own. */
  get single(): boolean {
    return this.#options.single ?? false;
  }

  get stateMachine(): TaskStateMachine {
    if (!this.#stateMachineOrUndefined) throw new UsageError("CLOSED", "The broker is not open");
    return this.#stateMachineOrUndefined;
  }

  /** Queue time in ms: wall time as of the start, from then on without jumps. */
  get nowMs(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  get wallMs(): number {
    return this.#clock.wallMs();
  }

  /** When `tick` has something to do, in the clock's ms, or undefined. */
  get deadlineMs(): number | undefined {
    const { deadlineMs = Infinity, wallDueMs } = this.stateMachine;
    const atMs = Math.min(deadlineMs, this.#dispatcher.deadlineMs, this.removedTasks.deadlineMs) - this.#offsetMs;
    if (wallDueMs === undefined) return atMs === Infinity ? undefined : atMs;
    return Math.min(atMs, wallDueMs - this.#clock.wallMs() + this.#clock.now(), this.#wallLookMs);
  }

  tick(): void {
    const { nowMs } = this;
    this.#wallLookMs = this.#clock.isWallSteady ? Infinity : this.#clock.now() + WALL_LOOK_MS;
    this.stateMachine.tick(nowMs, this.#clock.wallMs());
    this.#dispatcher.tick(nowMs);
    this.removedTasks.tick(nowMs);
    this.flush();
  }

  /** Gives out what can be given out and hands the store what has changed. */
  flush(): void {
    this.#dispatcher.gather();
    if (!this.#closed) {
      this.#submissions.admitHeld();
      if (this.#dispatcher.hasWork && (this.#options.mayGiveOut?.() ?? true)) this.#dispatcher.giveOut();
    }
    const settled = this.#settledCallbacks;
    this.#settledCallbacks = [];
    for (const { callback, owner } of settled) this.guard.run(callback, owner);
    this.#submissions.seal();
    this.#journal.submit();
    this.#options.wake?.();
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
  watch(id: number, watcher: OutcomeWatcher): boolean {
    return this.#outcomes.watch(id, watcher);
  }

  unwatch(id: number, watcher: OutcomeWatcher): void {
    this.#outcomes.remove(id, watcher);
  }

  // ---- workers

  /** A worker offers to work on a queue. Nothing is given out before `flush`. */
  consume(queueName: string, options: ConsumerOptions): Consumer {
    return this.#dispatcher.consume(queueName, options);
  }

  /** New numbers of slots; 0 pauses this consumer. */
  adjust(consumer: Consumer, { slots, prefetch }: { slots: number; prefetch: number }): void {
    this.#dispatcher.adjust(consumer, { slots, prefetch });
  }

  /** The connection of the first broke: what it has begun goes on under the second, of the same process. */
  keep(broken: Consumer, keeper: Consumer): void {
    this.#dispatcher.keep(broken, keeper);
    const { peer, queue } = broken;
    if (keeper.held > 0) this.#context.log("queue.worker-kept", { peer, queue: queue.name, held: keeper.held });
  }

  /** The worker leaves; what it has is given back, as lost when its connection broke. */
  leave(consumer: Consumer, { lost }: { lost: boolean }): void {
    const { peer, queue, held } = consumer;
    if (lost && held > 0) this.#context.log("queue.worker-lost", { peer, queue: queue.name, held });
    this.#dispatcher.leave(consumer, { lost });
  }

  /**
   * A worker's result. Watchers are told once it is on disk; then `settled` is called. A result larger than a body may be is a
   * failed attempt.
   *
   * @returns false when the lease is lost: the result is refused
   */
  finish(consumer: Consumer, lease: LeaseRef, result: Uint8Array, settled?: () => void): boolean {
    const row = this.#dispatcher.heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    if (result.length > this.#bodyBytesMax) {
      const error = `Cannot store a result of ${result.length} bytes: at most ${this.#bodyBytesMax} are allowed`;
      return this.fail(consumer, lease, { error }, settled);
    }
    const { nowMs } = this;
    this.events.note(lease.id, "completed", nowMs, consumer.peer);
    this.stateMachine.finish(row, result, nowMs);
    this.#released(consumer, lease.id, settled);
    return true;
  }

  fail(consumer: Consumer, lease: LeaseRef, failure: Failure, settled?: () => void): boolean {
    const row = this.#dispatcher.heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    const { error, final = false, pauseMs, isFree = false } = failure;
    if (isFree) this.stateMachine.again(row, this.nowMs + (pauseMs ?? 0));
    else this.stateMachine.fail(row, error, this.nowMs, { final, pauseMs });
    this.events.note(lease.id, "failed", this.nowMs, consumer.peer);
    this.#released(consumer, lease.id, settled);
    return true;
  }

  giveBack(consumer: Consumer, lease: LeaseRef): boolean {
    const row = this.#dispatcher.heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return false;
    this.stateMachine.giveBack(row, this.nowMs);
    this.events.note(lease.id, "returned", this.nowMs, consumer.peer);
    this.#released(consumer, lease.id, undefined);
    return true;
  }

  /** The worker said something, whatever it is: it has not frozen. */
  heard(consumer: Consumer): void {
    this.#dispatcher.heard(consumer);
  }

  /** Work on it has begun: when the worker is lost, this counts against the task. Of a lost lease it says nothing. */
  begun(consumer: Consumer, lease: LeaseRef): void {
    this.#dispatcher.begun(consumer, lease);
  }

  progress(consumer: Consumer, lease: LeaseRef, bytes: Uint8Array): boolean {
    if (this.#dispatcher.heldRow(consumer, lease.id, lease.token) === NONE) return false;
    this.#outcomes.progress(lease, bytes);
    return true;
  }

  partial(consumer: Consumer, lease: LeaseRef, bytes: Uint8Array): boolean {
    if (this.#dispatcher.heldRow(consumer, lease.id, lease.token) === NONE) return false;
    this.#outcomes.partial(lease.id, bytes);
    return true;
  }

  /** A worker that was cut off is back with a lease from before; true when it has it again. */
  resume(consumer: Consumer, lease: LeaseRef): boolean {
    return this.#dispatcher.resume(consumer, lease);
  }

  /** Who has this lease; undefined: it is lost. */
  holding(lease: LeaseRef): Consumer | undefined {
    return this.#dispatcher.holding(lease);
  }

  /** Calls once all that has changed until now is on disk. */
  afterwards(callback: () => void, owner?: Owner): void {
    this.#journal.afterwards(callback, owner);
  }

  /** Calls once, soon, when all outcomes of the batch that was just written have been told: to put many answers in one message. */
  whenSettled(callback: () => void, owner?: Owner): void {
    this.#settledCallbacks.push({ callback, owner });
  }

  #released(consumer: Consumer, id: number, settled: (() => void) | undefined): void {
    this.#dispatcher.released(consumer, id);
    this.steps.released(id);
    if (settled) this.#journal.afterwards(settled, consumer.port.owner);
  }

  // ---- settings and inspection

  /** What is known of a task without asking the store. */
  view(row: number): TaskView {
    return viewTask(this.stateMachine, row, this.nowMs);
  }

  /** Why a task that has not ended does not run, in words; undefined when it does run or has ended. */
  whyWaiting(row: number): string | undefined {
    const { stateMachine } = this;
    const queue = stateMachine.queueOf(row);
    return whyWaiting(stateMachine, row, {
      consumers: this.#dispatcher.ring(queue)?.size ?? 0,
      storeTrouble: this.#commits.trouble?.message,
    });
  }

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  configure(queueName: string, settings: QueueSettings, settled: () => void): void {
    const queue = this.stateMachine.queue(queueName);
    const merged = mergedSettings(queue.settings, readSettings(settings));
    this.stateMachine.configure(queue, merged, this.nowMs);
    this.#journal.starts.configured(queue);
    const isDefault = Object.keys(merged).length === 0;
    this.setting(QUEUE_SETTING + queueName, isDefault ? undefined : JSON.stringify(merged), settled);
  }

  /** Keeps a named setting in the store; undefined takes it away. */
  setting(name: string, value: string | undefined, settled: () => void): void {
    this.#journal.set(name, value);
    this.#journal.afterwards(settled);
  }

  /** Who works on an active task, and the newest that it said of its progress. */
  working(row: number): { worker: string | undefined; progress: Uint8Array | undefined } {
    const { stateMachine } = this;
    const { table } = stateMachine;
    return {
      worker: this.#dispatcher.consumer(stateMachine.leaseOwner(row))?.peer,
      progress: this.#outcomes.newestProgress({ id: table.f(row, ID), token: table.f(row, TOKEN) }),
    };
  }

  /** What is kept of a task beside what is in memory; without its head when that is damaged. */
  async inspect(id: number): Promise<{ head: TaskHead | undefined; errors: readonly AttemptError[] } | undefined> {
    const kept = await this.#store.inspect(id);
    return kept && { head: kept.head && decodeHead(kept.head), errors: errorTexts(kept.facts).map(decodeAttemptError) };
  }

  /** Its body, or its result when it is completed. */
  async body(id: number): Promise<Uint8Array | undefined> {
    await this.#outcomes.onDisk([id]);
    return (await this.#store.read([id]))[0];
  }

  /** Tasks that have not ended: what clients compare when they choose among brokers. */
  get load(): number {
    let load = 0;
    for (const queue of this.stateMachine.queues()) load += queue.ready.count + queue.count("active");
    return load;
  }

  stats(): TaskServiceStats {
    const { batches, ops } = this.#commits.stats;
    return {
      ...this.stateMachine.stats(),
      ...this.#dispatcher.workerStats,
      bodyCacheBytes: this.#bodies.bytes,
      commits: batches,
      writes: ops,
      storeTrouble: this.#commits.refusal?.message,
      queues: [...this.stateMachine.queues()].map((queue) => this.queueStats(queue)),
    };
  }

  queueStats(queue: TaskQueue): QueueStats {
    const { name, bytes, added, finished, failures, settings } = queue;
    const ring = this.#dispatcher.ring(queue);
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
      waitingSinceMs: queue.ready.waitingSinceMs(),
      waits: queue.waits.now,
      runs: queue.runs.now,
    };
  }

  // ---- what the state machine tells

  readonly #listener: TaskStateMachineListener = {
    changed: (row) => this.#journal.changed(row),
    ended: (row, state, result) => {
      const id = this.stateMachine.table.f(row, ID);
      this.#outcomes.ended(row, state, result);
      this.steps.forget(id);
      if (this.stateMachine.callers.size > 0) {
        const bytes = state === "completed" ? result! : state === "dead" ? utf8(this.#journal.errorOf(id)) : EMPTY;
        this.steps.childEnded(id, state, bytes);
      }
      this.#bodies.drop(id);
      this.#reads.forget(id);
    },
    evicted: (row) => {
      this.#bodies.drop(this.stateMachine.table.f(row, ID));
      this.#journal.evicted(row);
    },
    revoked: (row, leaseOwner, why) => this.#dispatcher.revoked(row, leaseOwner, why),
    removed: (row) => {
      const id = this.stateMachine.table.f(row, ID);
      this.#bodies.drop(id);
      if (!this.removedTasks.isTaking) this.#journal.removed(id);
    },
    errorRecorded: (row, error, attempt) => this.#journal.addError(row, error, attempt),
    due: (row, queue) => {
      if (!this.ring.isWanted("waiting", queue.name)) return;
      this.ring.live({ event: "waiting", id: this.stateMachine.table.f(row, ID), queue: queue.name, attempt: 0 });
    },
    ready: (queue) => this.#dispatcher.ready(queue),
    startsForgotten: (group) => this.#journal.starts.forgotten(group),
    broken: (row, error) => this.guard.report(error, { task: this.stateMachine.table.f(row, ID) }),
  };
}
