/**
 * ● A worker: takes tasks of one queue from every broker behind its URL and hands them to a function. Several sessions may lead to
 * the same broker; work comes over one of them, and moves to another when that goes down. Invariant: at most `concurrency` handlers
 * run at once; what was taken and not begun is given back when asked, and when the worker closes; a task stays in its broker's
 * `tasks` from its TASK until its outcome is on disk, or it is no longer the worker's.
 */
import { Buffer } from "node:buffer";
import { systemClock } from "../../core/clock.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import type { RunCodec } from "./handler-run.ts";
import { messageOf, OperationError, ProtocolError, UsageError } from "../../core/errors.ts";
import { joinShutdown, STOP_SIGNALS } from "../../core/shutdown.ts";
import { tracingApi } from "../../core/open-telemetry-tracing.ts";
import { durationMs } from "../../core/units.ts";
import { Batches, type BatchHandler } from "./batches.ts";
import { RemoteConnection } from "./broker-connection.ts";
import type { BrokerSession } from "./broker-session.ts";
import { checkOptions } from "../option-check.ts";
import { WORKER } from "./options.ts";
import { readRetryPause, type ReadPause } from "./retry-pause.ts";
import { afterMsOf, failureOf, type Handler, InterruptedError, isRunEnded } from "./handler.ts";
import { type HandlerThreads, handlerThreads } from "./handler-threads.ts";
import { KeptLeases } from "./keeper.ts";
import { LeasedTask, LeasedTaskContext, sayBegun, type Subscription } from "./leased-task.ts";
import { after, isPending, mustFit, type MaybePromise } from "./payload.ts";
import { traced, tracedCall, tracedStep } from "./tracing.ts";
import { QueueClient } from "./queue-client.ts";
import type { WorkMessage } from "../protocols/broker-messages.ts";
import type { RecordBatchReader } from "../protocols/record-batch.ts";
import { asBuffer } from "../protocols/messages.ts";
import type { Queue } from "./queue.ts";
import type { BatchWorkerOptions, WorkerOptions } from "./worker-options.ts";

const LOST_LEASE = new OperationError("QUEUE_RUN_ENDED", "Cannot go on: the task is another worker's by now");

/** 200 ms: when a group's leader changes all its brokers say so at about the same time. */
const DIRECT_MS = 200;

/** A worker's numbers; attempts are counted since it started. */
export interface WorkerSnapshot {
  readonly queue: string;
  readonly concurrency: number;
  /** Handlers that run now. */
  readonly running: number;
  /** Attempts whose handler returned a result. */
  readonly completed: number;
  /** Attempts whose handler threw. */
  readonly failed: number;
  /** Brokers that it is connected to. */
  readonly brokers: number;
}

/** Takes a queue's tasks. Made by `worker()`. */
export class Worker<P, R> {
  readonly #queue: Queue<P, R>;
  /** Its own: the tasks on their way to a worker that closes are given back when its connections close. */
  readonly #client: QueueClient;
  readonly #handler: Handler<P, R>;
  readonly #threads: HandlerThreads<P, R> | undefined;
  readonly #batches: Batches<P, R> | undefined;
  /** Work is asked for: the threads have loaded their module. */
  #isReady = true;
  readonly #options: WorkerOptions;
  /** Tasks at once. */
  readonly #concurrency: number;
  readonly #prefetch: number;
  readonly #pause: ReadPause;
  readonly #subscriptions = new Map<string, Subscription>();
  /** As they came, from the first that may still wait. */
  readonly #arrived: LeasedTask[] = [];
  /** How many of its tasks are in each state. */
  readonly #counts: Record<LeasedTask["state"], number> = { waiting: 0, running: 0, ended: 0, over: 0 };
  readonly #leaveShutdown: () => void;
  #completed = 0;
  #failures = 0;
  #beginning = false;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** @internal */
  constructor(
    queue: Queue<P, R>,
    handler: Handler<P, R> | BatchHandler<P, R> | URL,
    options: BatchWorkerOptions | WorkerOptions,
  ) {
    checkOptions(options, WORKER);
    if (!(queue?.client instanceof QueueClient))
      throw new UsageError(
        "QUEUE_OPTIONS_INVALID",
        "Cannot start the worker: what comes first is a queue, queue(name, { url })",
      );
    const { threads = 1, concurrency = threads } = options as WorkerOptions;
    const batch = "batch" in options ? options.batch : undefined;
    if (batch && handler instanceof URL)
      throw new UsageError("QUEUE_OPTIONS_INVALID", "Cannot start the worker: a handler of batches is a function, no module");
    this.#threads = handlerThreads(handler as Handler<P, R> | URL, options);
    this.#queue = queue;
    this.#options = options;
    const { clock = systemClock } = queue.client.options;
    this.#batches = batch && new Batches(handler as BatchHandler<P, R>, batch, { atOnce: concurrency, clock });
    this.#handler =
      this.#batches?.handler ??
      (handler instanceof URL ? (payload, context) => this.#threads!.run(payload, context) : (handler as Handler<P, R>));
    this.#concurrency = concurrency * (this.#batches?.size ?? 1);
    this.#prefetch = options.prefetch ?? 0;
    this.#pause = readRetryPause(options.backoff);
    const { signals = STOP_SIGNALS } = options;
    this.#leaveShutdown = joinShutdown({ stage: "work", signals, drain: () => this.close() });
    const { log } = options;
    this.#client = new QueueClient({ ...queue.client.options, ...(log !== undefined && { log }) });
    this.#client.addWorker({
      up: (session) => this.#up(session),
      down: (session) => this.#down(session),
      heard: (session, message) => this.#heard(session, message),
    });
    if (this.#threads) void this.#start(this.#threads);
  }

  /** Asks for work once the module is loaded. A module that cannot be loaded ends the program, as one that it imports itself would. */
  async #start(threads: HandlerThreads<P, R>): Promise<void> {
    this.#isReady = false;
    try {
      await threads.ready;
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#isReady = true;
    for (const { session } of this.#subscriptions.values()) if (session) this.#ask(session);
  }

  /** Tasks whose handlers run now. */
  get running(): number {
    return this.#counts.running;
  }

  /** Numbers as of now. */
  stats(): WorkerSnapshot {
    const brokers = [...this.#subscriptions.values()].filter(({ session }) => session !== undefined).length;
    return {
      queue: this.#queue.name,
      concurrency: this.#concurrency,
      running: this.#counts.running,
      completed: this.#completed,
      failed: this.#failures,
      brokers,
    };
  }

  /**
   * Takes no more, gives back what was not begun, and waits for what runs; after `drain` gives that back too. May be called twice.
   * The queue stays open: a worker has connections of its own.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { drain = DRAIN_MS_MAX } = this.#options;
    for (const { session } of this.#subscriptions.values()) session?.send("WORK", this.#name, Buffer.from("0"));
    for (const task of this.#tasksIn("waiting")) this.#giveBack(task);
    this.#batches?.flush();
    if (!this.#isIdle) {
      const { clock } = this.#client;
      await new Promise<void>((resolve) => {
        const cancel = clock.at(clock.now() + durationMs(drain, "drain"), resolve);
        this.#idle = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const task of this.#tasksIn("running")) {
      task.stop(new Error("the worker closes"));
      this.#giveBack(task);
    }
    for (const { session } of this.#subscriptions.values()) session?.send("BYE");
    await this.#client.close();
    for (const { kept } of this.#subscriptions.values()) kept?.release();
    await this.#threads?.close();
    this.#leaveShutdown();
  }

  get #name(): Buffer {
    return Buffer.from(this.#queue.name);
  }

  /** A session with a broker is up, perhaps again. Work comes over it unless it comes over another with the same broker. */
  #up(session: BrokerSession): void {
    const broker = session.broker!;
    let subscription = this.#subscriptions.get(broker);
    if (!subscription)
      this.#subscriptions.set(broker, (subscription = { broker, tasks: new Map(), kept: undefined, session: undefined }));
    this.#keep(subscription, session);
    if (subscription.session === session) this.#open(subscription, session);
    else if (subscription.session === undefined) this.#openSoon(subscription);
  }

  /** Leaves what runs to keepers wherever the broker may be found, should a handler hold the event loop before all of that is connected. */
  #keep(subscription: Subscription, { connection, hasKeepers }: BrokerSession): void {
    if (!hasKeepers || !(connection instanceof RemoteConnection)) return;
    const { options, log } = this.#client;
    const target = { broker: subscription.broker, security: options.security, queue: this.#queue.name };
    subscription.kept ??= new KeptLeases(target, { places: this.#concurrency, log });
    subscription.kept.at(this.#client.addressesOf(subscription.broker));
  }

  #down(session: BrokerSession): void {
    const subscription = this.#subscriptions.get(session.broker ?? "");
    if (subscription?.session !== session) return;
    subscription.session = undefined;
    this.#openSoon(subscription);
  }

  /** A session that another broker relays is used only when none leads to the broker itself. */
  #openSoon(subscription: Subscription): void {
    const session = this.#client.sessionTo(subscription.broker);
    if (!session?.isRelayed) {
      if (session) this.#open(subscription, session);
      return;
    }
    const { clock } = this.#client;
    clock.at(clock.now() + DIRECT_MS, () => {
      const best = subscription.session === undefined ? this.#client.sessionTo(subscription.broker) : undefined;
      if (best) this.#open(subscription, best);
    });
  }

  /** The leases that this worker still has of the broker are resumed and what has ended is said again; then more is asked for. */
  #open(subscription: Subscription, session: BrokerSession): void {
    subscription.session = session;
    // A task that was told to stop is no longer this worker's, even while its handler has not ended.
    const held = [...subscription.tasks.values()].filter((task) => !task.isStopped);
    if (held.length > 0) session.send("HOLD", this.#name, ...held.map(({ lease }) => lease));
    sayBegun(held.filter(({ state }) => state !== "waiting"));
    for (const task of held) {
      if (task.state === "ended") task.sendEnding();
      else task.steps?.askAgain();
    }
    this.#ask(session);
  }

  #ask(session: BrokerSession): void {
    if (this.#closing || !this.#isReady) return;
    session.send("WORK", this.#name, Buffer.from(`${this.#concurrency}`), Buffer.from(`${this.#prefetch}`));
  }

  #heard(session: BrokerSession, message: WorkMessage): void {
    const subscription = this.#subscriptions.get(session.broker ?? "");
    if (subscription?.session !== session) return;
    try {
      this.#message(subscription, message);
    } finally {
      // Of a batch that is cut off, what came before counts.
      this.#beginSoon();
      this.#settled();
    }
  }

  /** @throws ProtocolError QUEUE_PROTOCOL */
  #message(subscription: Subscription, message: WorkMessage): void {
    switch (message.verb) {
      case "TASK":
        this.#mustBeOurs(message.queue);
        this.#takeAlone(subscription, message);
        return;
      case "TASKS":
        this.#mustBeOurs(message.queue);
        this.#tasks(subscription, message.records);
        return;
      case "KEPT":
        for (const { token } of message.leases) this.#kept(subscription, token);
        return;
      case "KEPTS":
        while (message.records.more) {
          message.records.u64();
          this.#kept(subscription, message.records.u64());
        }
        return;
      case "HISTORY":
        subscription.tasks.get(message.lease.token)?.steps?.known(message.known);
        return;
      case "STEPPED":
        subscription.tasks.get(message.lease.token)?.steps?.answered(message.said, message.value);
        return;
      default: {
        const task = subscription.tasks.get(message.lease.token);
        if (task) this.#told(message.verb, task, message.why);
      }
    }
  }

  #takeAlone(
    subscription: Subscription,
    { lease, attempt, body, trace, hasSteps }: Extract<WorkMessage, { verb: "TASK" }>,
  ): void {
    const task = new LeasedTask(subscription, lease, attempt, body);
    task.trace = trace;
    task.hasSteps = hasSteps;
    this.#take(task);
  }

  #mustBeOurs(queue: string): void {
    if (queue !== this.#queue.name)
      throw new ProtocolError(
        "QUEUE_PROTOCOL",
        `The broker gave a task of queue '${queue}' to a worker of '${this.#queue.name}'`,
      );
  }

  #tasks(subscription: Subscription, records: RecordBatchReader): void {
    while (records.more) {
      const lease = { id: records.u64(), token: records.u64() };
      const attempt = records.u32();
      records.u64();
      this.#take(new LeasedTask(subscription, lease, attempt, records.body()));
    }
  }

  #take(task: LeasedTask): void {
    task.subscription.tasks.set(task.token, task);
    this.#counts.waiting += 1;
    if (this.#closing) this.#giveBack(task);
    else this.#arrived.push(task);
  }

  /** The outcome is on disk. */
  #kept({ tasks }: Subscription, token: number): void {
    const task = tasks.get(token);
    if (task?.state === "ended") this.#over(task);
  }

  #told(verb: "LOST" | "RECALL" | "STOP", task: LeasedTask, why: string): void {
    switch (verb) {
      case "LOST":
        if (task.state === "ended") this.#tooLate(task);
        else task.steps?.fail(LOST_LEASE);
        return;
      case "RECALL":
        if (task.state === "waiting") this.#giveBack(task);
        return;
      case "STOP":
        task.stop(new Error(why || "stopped"));
        if (task.state === "ended") this.#tooLate(task);
        else if (task.state === "waiting") this.#over(task);
    }
  }

  #tooLate(task: LeasedTask): void {
    this.#over(task);
    this.#toldOf(task, "queue.result-late", new Error("the result came too late: the lease was lost"));
  }

  #giveBack(task: LeasedTask): void {
    const { session, kept } = task.subscription;
    if (session) task.send("RETURN");
    else kept?.giveBack({ id: task.number, token: task.token });
    this.#over(task);
  }

  /** It is not this worker's any more. */
  #over(task: LeasedTask): void {
    this.#enter(task, "over");
    task.leaveBoard();
    task.subscription.tasks.delete(task.token);
  }

  #enter(task: LeasedTask, state: LeasedTask["state"]): void {
    this.#counts[task.state] -= 1;
    this.#counts[state] += 1;
    task.state = state;
  }

  #tasksIn(state: LeasedTask["state"]): LeasedTask[] {
    return [...this.#subscriptions.values()].flatMap(({ tasks }) => [...tasks.values()].filter((task) => task.state === state));
  }

  /** Once for all that came or ended in this turn of the event loop. */
  #beginSoon(): void {
    if (this.#beginning || this.#counts.waiting === 0) return;
    this.#beginning = true;
    process.nextTick(() => {
      this.#beginning = false;
      this.#begin();
    });
  }

  /**
   * Takes up what there is room for. The handlers are called when the brokers' sockets have been told: a task that kills the process
   * at once must be known to have begun.
   */
  #begin(): void {
    const begun: LeasedTask[] = [];
    let passed = 0;
    for (const task of this.#arrived) {
      if (this.#counts.running >= this.#concurrency) break;
      passed += 1;
      if (task.state !== "waiting") continue;
      this.#enter(task, "running");
      task.enterBoard();
      begun.push(task);
    }
    this.#arrived.splice(0, passed);
    if (begun.length === 0) return;
    sayBegun(begun);
    process.nextTick(() => {
      for (const task of begun) if (task.state === "running") this.#run(task);
    });
  }

  /** Costs no promise where there is nothing to wait for. */
  #run(task: LeasedTask): void {
    try {
      const result = after(this.#queue.payload.decode(task.body), (payload) =>
        tracingApi() ? this.#traced(task, payload) : this.#handle(task, payload),
      );
      const bytes = after(result, (value) => this.#queue.results.encode(value));
      if (isPending(bytes)) void this.#awaited(task, bytes);
      else this.#returned(task, bytes);
    } catch (error) {
      this.#threw(task, error);
    }
  }

  #handle(task: LeasedTask, payload: P): MaybePromise<R> {
    return this.#handler(payload, new LeasedTaskContext(task, this.#codec));
  }

  #traced(task: LeasedTask, payload: P): MaybePromise<R> {
    const { id, attempt, trace } = task;
    const wallMs = this.#client.clock.wallMs();
    return traced({ queue: this.#queue.name, id, attempt, trace, wallMs }, () => this.#handle(task, payload));
  }

  async #awaited(task: LeasedTask, result: PromiseLike<Uint8Array>): Promise<void> {
    try {
      this.#returned(task, await result);
    } catch (error) {
      this.#threw(task, error);
    }
  }

  #returned(task: LeasedTask, result: Uint8Array): void {
    task.over?.();
    const bytes = asBuffer(result);
    mustFit([bytes]);
    task.ending = { kind: "done", result: bytes };
    this.#ended(task);
  }

  #threw(task: LeasedTask, error: unknown): void {
    if (task.steps?.isSuspended) this.#suspended(task, error);
    else if (error instanceof InterruptedError && task.state === "running" && !task.isStopped) this.#giveBack(task);
    else this.#failed(task, error);
    this.#ended(task);
  }

  /** The broker has ended the run: nothing is left to say. A handler that did not let that pass is told of. Never throws. */
  #suspended(task: LeasedTask, error: unknown): void {
    if (!isRunEnded(error)) this.#toldOf(task, "queue.attempt-failed", error);
    if (task.state === "running") this.#over(task);
  }

  /** Never throws. */
  #failed(task: LeasedTask, error: unknown): void {
    const afterMs = afterMsOf(error);
    if (afterMs !== undefined) {
      task.ending = { kind: "again", why: messageOf(error), afterMs };
      return;
    }
    this.#toldOf(task, "queue.attempt-failed", error);
    task.ending = { kind: "failed", ...failureOf(error), pauseMs: this.#pauseMs(task, error) };
  }

  #pauseMs({ id, attempt }: LeasedTask, error: unknown): number | undefined {
    try {
      return this.#pause(attempt, error);
    } catch (failure) {
      // The task's own backoff goes.
      this.#client.log("queue.program-error", { error: failure, task: id });
      return undefined;
    }
  }

  /** Never throws. */
  #toldOf({ id, attempt }: LeasedTask, event: "queue.attempt-failed" | "queue.result-late", error: unknown): void {
    const { onError } = this.#options;
    try {
      if (onError) onError(error, { id, attempt });
      else this.#client.log(event, { task: id, queue: this.#queue.name, attempt, error });
    } catch (failure) {
      // What it was told of goes on as if it had been heard.
      this.#client.log("queue.program-error", { error: failure, task: id });
    }
  }

  /** Its handler has ended. */
  #ended(task: LeasedTask): void {
    // Otherwise it was given back meanwhile, and nothing is left to say.
    if (task.state === "running") {
      if (task.isStopped) this.#over(task);
      else this.#outcome(task);
    }
    this.#beginSoon();
    this.#settled();
  }

  #outcome(task: LeasedTask): void {
    this.#enter(task, "ended");
    task.leaveBoard();
    if (task.ending?.kind === "done") this.#completed += 1;
    else if (task.ending?.kind === "failed") this.#failures += 1;
    task.sendEnding();
  }

  readonly #codec: RunCodec = {
    encode: (said) => {
      const bytes = asBuffer(this.#queue.encodeAny(said));
      mustFit([bytes]);
      return bytes;
    },
    decode: (bytes) => this.#queue.decodeAny(bytes),
    parents: (id) => this.#queue.parentsOf(this.#client, id),
    calledTaskOptions: (options) => this.#queue.calledTaskOptions(options),
    tracedStep,
    tracedCall,
  };

  #settled(): void {
    if (this.#isIdle) this.#idle?.();
  }

  /** Nothing runs, and all that ended is on disk. */
  get #isIdle(): boolean {
    return this.#counts.running === 0 && this.#counts.ended === 0;
  }
}

/**
 * Starts a worker on a queue.
 *
 * @param handler a function; or a module's URL, whose default export is that function: it runs in `threads`, so that it may hold its event
 * loop, and one that dies or does not end when its signal fires costs its own task only
 * @example
 * const running = worker(emails, async (email, { signal }) => send(email, { signal }), { concurrency: 10 });
 * await running.close();
 * @example
 * const resizing = worker(pictures, new URL("./resize.js", import.meta.url), { threads: 4 });
 */
export function worker<P, R>(queue: Queue<P, R>, handler: Handler<P, R> | URL, options?: WorkerOptions): Worker<P, R>;
/**
 * Starts a worker whose handler does the work of many tasks at once.
 *
 * @example
 * const inserting = worker(rows, async (batch) => database.insertAll(batch), { batch: { size: 100, wait: "50ms" } });
 */
export function worker<P, R>(queue: Queue<P, R>, handler: BatchHandler<P, R>, options: BatchWorkerOptions): Worker<P, R>;
export function worker<P, R>(
  queue: Queue<P, R>,
  handler: Handler<P, R> | BatchHandler<P, R> | URL,
  options: WorkerOptions | BatchWorkerOptions = {},
): Worker<P, R> {
  return new Worker(queue, handler, options);
}
