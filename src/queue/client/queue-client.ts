/**
 * ● A client's requests to the brokers behind one URL (the connections: broker-pool.ts), and their answers. Each request settles
 * exactly once, by its deadline at the latest. One that was sent when its broker went away is sent again to the same broker,
 * under the same key, so that it is done once; one that was not sent goes to any broker that is up.
 */
import { addLatencies } from "../../core/latency-histogram.ts";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type Cancel, type Clock, systemClock } from "../../core/clock.ts";
import { ERROR_CODES, type ErrorCode } from "../../core/error-codes.ts";
import { type HoldfastError, OperationError, ProtocolError, UsageError } from "../../core/errors.ts";
import { loadTracing } from "../../core/open-telemetry-tracing.ts";
import { joinShutdown } from "../../core/shutdown.ts";
import { type Log, makeLog } from "../../core/log.ts";
import { BrokerPool, type BrokerPoolListener, type ClientOptions, type PoolMessage } from "./broker-pool.ts";
import type { BatchHead, BrokerSession } from "./broker-session.ts";
import { operateAll } from "./administration.ts";
import { checkOptions } from "../option-check.ts";
import type { WorkerInfo } from "../operations/answers.ts";
import { type OperationRequest, type OperationName, OPERATIONS, type OperationAnswer } from "../operations/table.ts";
import type { QueueStats } from "../service/task-service.ts";
import { QUEUE } from "./options.ts";
import { type WaitFor, waitOptions } from "./wait-options.ts";
import { mustFit } from "./payload.ts";
import { type SendSpan, sent, startSend } from "./tracing.ts";
import { TASK_STATES } from "../tasks/life-cycle.ts";
import type { StateCounts } from "../tasks/state-words.ts";
import type { TaskOptions } from "../tasks/task-policy.ts";
import type { AnswerMessage, WorkMessage } from "../protocols/broker-messages.ts";
import { BATCHED_BODY_BYTES_MAX, type RecordBatchReader } from "../protocols/record-batch.ts";
import {
  PendingRequest,
  PendingRequests,
  type Question,
  type RawOutcome,
  type RawSubmission,
  type RequestWatcher,
} from "./pending-requests.ts";
import { asBuffer, brokerOf, type Frames, isTaskId, readJson, type RequestVerb } from "../protocols/messages.ts";

export interface RequestOptions {
  /** Milliseconds until it is given up. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface OperateOptions extends RequestOptions {
  readonly broker?: string | undefined;
  /** For whom, where that is not the caller; for the broker's log. */
  readonly by?: string | undefined;
  readonly body?: Uint8Array | undefined;
}

/** What receives the broker's messages to workers. */
export interface WorkListener {
  up(session: BrokerSession): void;
  down(session: BrokerSession): void;
  heard(session: BrokerSession, message: WorkMessage): void;
}

/** 2^32 - 1: the greatest request number that a batch can carry. */
const BATCHED_REQUEST_MAX = 2 ** 32 - 1;

/** The connections to the brokers that queues share: one to each, made again when it breaks. */
export class QueueClient {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  /** @internal */
  readonly log: Log;
  readonly #pool: BrokerPool;
  readonly #pending = new PendingRequests();
  readonly #workers = new Set<WorkListener>();
  /** Makes the keys under which submissions are sent again: unique to this client. */
  readonly #keyPrefix = `~${randomBytes(9).toString("base64url")}.`;
  /** The head of the last batch of submissions: the next is most likely the same. */
  #head: (BatchHead & { readonly json: string }) | undefined;
  #number = 0;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #closed = false;
  readonly #leaveShutdown: () => void;

  /** @throws UsageError QUEUE_OPTIONS_INVALID */
  constructor(options: ClientOptions = {}) {
    checkOptions(options, QUEUE);
    loadTracing();
    this.#options = options;
    this.#leaveShutdown = joinShutdown({ stage: "requests", drain: () => this.#submissionsAnswered() });
    this.#clock = options.clock ?? systemClock;
    this.log = makeLog(options.log);
    const listener: BrokerPoolListener = {
      welcome: (session) => this.#welcome(session),
      down: (session) => this.#down(session),
      heard: (session, message) => this.#heard(session, message),
      needs: (broker) => this.#needs(broker),
    };
    this.#pool = new BrokerPool(options, listener, this.log);
  }

  /** @internal As they were given. */
  get options(): ClientOptions {
    return this.#options;
  }

  /** @internal */
  get clock(): Clock {
    return this.#clock;
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends all connections; what is pending is rejected with CLOSED. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#pool.stop();
    this.#timer?.cancel();
    for (const pending of this.#pending.values()) this.#fail(pending, new OperationError("CLOSED", "The client was closed"));
    await this.#pool.close();
    this.#leaveShutdown();
  }

  /** Resolves when the broker has answered the submissions that it was sent. */
  async #submissionsAnswered(): Promise<void> {
    const isUnanswered = ({ question, session, open }: PendingRequest): boolean =>
      question.submission !== undefined && session !== undefined && open === undefined;
    while (this.#pending.values().some(isUnanswered)) {
      await new Promise<void>((resolve) => void this.#clock.at(this.#clock.now() + LOOK_MS, resolve));
    }
  }

  /** The sessions over which requests can be sent now. */
  links(): BrokerSession[] {
    return this.#pool.up();
  }

  /** @internal Where a broker may be found: all addresses but those where another is. */
  addressesOf(broker: string): string[] {
    return this.#pool.addressesOf(broker);
  }

  /** @internal The best session with a broker, of those that are up. */
  sessionTo(broker: string): BrokerSession | undefined {
    return this.#pool.find(broker);
  }

  // ---- requests

  /** Submits. Resolves to the ids when the broker has the tasks on disk. */
  add(submission: RawSubmission, wait: RequestOptions): Promise<readonly string[]> {
    const ask = (asked: RawSubmission): Promise<readonly string[]> =>
      this.#ask({ verb: "ADD", submission: asked, broker: brokerOfAfter(asked.options) }, wait);
    const span = sendSpan(submission);
    if (!span) return ask(submission);
    return sent(span, ask(withTrace(submission, span.traceparent)), (ids) => ({ ids }));
  }

  /** Submits. Resolves to the outcome, of several tasks the last. When the signal fires a single task is cancelled too. */
  call(submission: RawSubmission, wait: RequestOptions, watcher?: RequestWatcher): Promise<RawOutcome> {
    const ask = (asked: RawSubmission): Promise<RawOutcome> =>
      this.#ask({ verb: "CALL", submission: asked, watcher, broker: brokerOfAfter(asked.options), cancels: true }, wait);
    const span = sendSpan(submission);
    if (!span) return ask(submission);
    return sent(span, ask(withTrace(submission, span.traceparent)), ({ id, state }) => ({
      ids: [id],
      error: state === "completed" ? undefined : new Error(`the task is ${state}`),
    }));
  }

  /** Waits for the outcome of a task of any broker here. */
  watch(id: string, watcher: RequestWatcher, wait: RequestOptions): Promise<RawOutcome> {
    return this.#ask({ verb: "WATCH", rest: [], watcher, broker: taskBroker(id), open: id }, wait);
  }

  /** Ends a task, as `Task.cancel` does. */
  async cancel(id: string, wait: RequestOptions): Promise<void> {
    await this.#ask({ verb: "CANCEL", rest: [Buffer.from(id)], broker: taskBroker(id) }, wait);
  }

  /** Any other request; resolves to what follows the request's number in the answer. With an id it goes to that task's broker. */
  ask(verb: RequestVerb, rest: Frames, wait: RequestOptions & { readonly id?: string }): Promise<Frames> {
    return this.#ask(
      { verb, rest, read: (answer) => answer, broker: wait.id === undefined ? undefined : taskBroker(wait.id) },
      wait,
    );
  }

  /**
   * An operation (docs/queue-protocol.md lists them) at the broker of the task that `input` names, at `broker`, or at any. Resolves once
   * what it changes is on disk.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID, OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE, ACCESS_DENIED, QUEUE_UNREACHABLE
   */
  operate<Name extends OperationName>(
    name: Name,
    input: OperationRequest<Name>,
    { broker, by = "", body, ...wait }: OperateOptions,
  ): Promise<{ readonly value: OperationAnswer<Name>; readonly body: Buffer | undefined }> {
    const { output, right } = OPERATIONS[name];
    const { id, after } = input as { readonly id?: string; readonly after?: string };
    const of = id ?? (name === "tasks" ? after : undefined);
    const rest = [name, JSON.stringify(input), by].map((text) => Buffer.from(text));
    const read = ([json, bytes]: Frames): { value: OperationAnswer<Name>; body: Buffer | undefined } => {
      const value = readJson(json);
      const wrong = output.wrong(value, name);
      if (wrong !== undefined)
        throw new ProtocolError("QUEUE_PROTOCOL", `Cannot read the broker's answer to ${name}: ${wrong}`);
      return { value: value as OperationAnswer<Name>, body: bytes };
    };
    const question = {
      verb: "OPERATE" as const,
      rest: body === undefined ? rest : [...rest, asBuffer(body)],
      read,
      isRead: right === "queue:read" && broker === undefined && of === undefined,
      broker: broker ?? (of === undefined ? undefined : taskBroker(of)),
    };
    return this.#ask(question, wait);
  }

  /** The queues of all brokers that are connected, with their counts of tasks by state; those of one name are one. */
  async queues(wait: WaitFor = {}): Promise<QueueStats[]> {
    const byName = new Map<string, QueueStats>();
    for (const { queues } of await operateAll(this, "queues", {}, waitOptions(wait))) {
      for (const stats of queues as readonly QueueStats[]) byName.set(stats.name, added(byName.get(stats.name), stats));
    }
    return [...byName.values()];
  }

  /** The workers that are connected to these brokers, the newest first; a hundred of each broker at most. */
  async workers(wait: WaitFor = {}): Promise<WorkerInfo[]> {
    const all = await operateAll(this, "workers", {}, waitOptions(wait));
    return all.flatMap(({ workers }) => workers).sort((a, b) => b.sinceMs - a.sinceMs);
  }

  #ask<T>(question: Question, { timeoutMs, signal }: RequestOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new UsageError("CLOSED", "Cannot use a client after it was closed");
      if (signal?.aborted) throw aborted(signal);
      if (question.submission) mustFit(question.submission.bodies);
      this.#number += 1;
      const pending = new PendingRequest(this.#number, question, {
        deadlineMs: this.#clock.now() + timeoutMs,
        resolve: resolve as (answer: unknown) => void,
        reject,
      });
      if (signal) this.#heed(pending, signal);
      this.#pending.add(pending);
      this.#arm();
      this.#send(pending);
    });
  }

  #heed(pending: PendingRequest, signal: AbortSignal): void {
    const onAbort = (): void => {
      const { question, broker, open } = pending;
      // It may have ended in this very moment; then there is nothing left to cancel.
      if (question.cancels && typeof open === "string") {
        this.#ask({ verb: "CANCEL", rest: [Buffer.from(open)], broker }, { timeoutMs: CANCEL_TIMEOUT_MS }).catch(() => {});
      }
      this.#abandon(pending, aborted(signal));
    };
    pending.forget = () => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
  }

  /** Sends it if there is a broker for it; else it stays until one comes up. */
  #send(pending: PendingRequest): void {
    const session = this.#pool.find(pending.broker);
    if (!session || !this.#sendTo(session, pending)) return;
    pending.session = session;
    pending.broker ??= session.broker;
    session.unanswered += 1;
  }

  #sendTo(session: BrokerSession, pending: PendingRequest): boolean {
    const { question, number, open } = pending;
    const { verb, rest } = question;
    const submission = question.submission && forSession(session, question.submission);
    if (open === undefined && submission && this.#sendInBatch(session, pending, submission)) return true;
    const request = Buffer.from(`${number}`, "latin1");
    // A CALL whose tasks are known is no longer a submission: what is missing is their outcomes.
    if (open !== undefined) return session.send("WATCH", request, ...pending.openIds.map((id) => Buffer.from(id)));
    if (!submission) return session.send(verb, request, ...(rest ?? []));
    const { queue, options, bodies } = submission;
    const key = options.key ?? `${this.#keyPrefix}${number}`;
    return session.send(verb, request, Buffer.from(queue), optionsFrame(options, key), ...bodies.map(asBuffer));
  }

  /** One body under a key made here can go with others. */
  #sendInBatch(
    session: BrokerSession,
    { number, question }: PendingRequest,
    { queue, options, bodies }: RawSubmission,
  ): boolean {
    if (
      !session.readsBatches ||
      options.key !== undefined ||
      options.each ||
      bodies.length !== 1 ||
      number > BATCHED_REQUEST_MAX
    )
      return false;
    const body = bodies[0]!;
    if (body.length > BATCHED_BODY_BYTES_MAX) return false;
    const verb = question.verb === "CALL" ? "CALLS" : "ADDS";
    const json = options === NO_OPTIONS ? "" : JSON.stringify(options);
    if (this.#head?.verb !== verb || this.#head.queue !== queue || this.#head.json !== json) {
      this.#head = { verb, queue, json, options: optionsFrame(options, this.#keyPrefix) };
    }
    session.submit(this.#head, number, body);
    return true;
  }

  // ---- connections

  #needs(broker: string): boolean {
    for (const pending of this.#pending.values()) if (pending.broker === broker) return true;
    return false;
  }

  /** What waits for it is sent. */
  #welcome(session: BrokerSession): void {
    for (const pending of this.#pending.values()) if (!pending.session) this.#send(pending);
    for (const worker of this.#workers) worker.up(session);
  }

  #down(session: BrokerSession): void {
    for (const pending of this.#pending.values()) {
      if (pending.session !== session) continue;
      pending.session = undefined;
      // A question that changes nothing may be asked of another.
      if (pending.question.isRead) pending.broker = undefined;
      // Another session may lead to the same broker.
      this.#send(pending);
    }
    for (const worker of this.#workers) worker.down(session);
  }

  // ---- answers

  #heard(session: BrokerSession, message: PoolMessage): void {
    switch (message.verb) {
      case "ADDEDS":
        return this.#addedInBatch(session, message.records);
      case "ENDEDS":
        return this.#endedInBatch(session, message.records);
      case "ADDED":
      case "ENDED":
      case "PROGRESS":
      case "PARTIAL":
      case "OK":
      case "DATA":
      case "REFUSED":
        return this.#answered(session, message);
      default:
        if (this.#workers.size === 0)
          throw new ProtocolError("QUEUE_PROTOCOL", `The broker said ${message.verb} to a client that has no worker`);
        for (const worker of this.#workers) worker.heard(session, message);
    }
  }

  #addedInBatch(session: BrokerSession, records: RecordBatchReader): void {
    while (records.more) {
      const pending = this.#pendingOf(session, records.u32(), "ADDED");
      const id = `${session.broker}-${records.u64()}`;
      if (pending) this.#added(pending, [id]);
    }
  }

  #endedInBatch(session: BrokerSession, records: RecordBatchReader): void {
    while (records.more) {
      const pending = this.#pendingOf(session, records.u32(), "ENDED");
      const state = records.endState();
      const bytes = records.body();
      if (pending) this.#ended(pending, { id: typeof pending.open === "string" ? pending.open : "", state, bytes });
    }
  }

  /** The request of this number; undefined when it is over, or was sent to another. */
  #pendingOf(session: BrokerSession, request: number | undefined, verb: AnswerMessage["verb"]): PendingRequest | undefined {
    const pending = request === undefined ? undefined : this.#pending.get(request);
    if (!pending || pending.session !== session) return undefined;
    if (verb !== "REFUSED" && !ANSWERS[pending.question.verb].includes(verb))
      throw new ProtocolError("QUEUE_PROTOCOL", `The broker answered ${verb} to ${pending.question.verb}`);
    return pending;
  }

  #answered(session: BrokerSession, message: AnswerMessage): void {
    // Of a message that has no request of its own, such as a worker's.
    if (message.verb === "REFUSED" && !message.request) {
      const { code, message: reason } = message;
      this.log("queue.message-refused", { address: session.connection.address, code, reason });
    }
    const pending = this.#pendingOf(session, message.request, message.verb);
    if (!pending) return;
    const { watcher } = pending.question;
    switch (message.verb) {
      case "ADDED":
        this.#added(pending, message.ids);
        return;
      case "ENDED":
        this.#ended(pending, message);
        return;
      case "PROGRESS":
        watcher?.progress?.(message.id, message.bytes);
        return;
      case "PARTIAL":
        watcher?.partial?.(message.id, message.bytes);
        return;
      case "REFUSED":
        this.#fail(pending, refusal(pending.question, message));
        return;
      default:
        this.#read(pending, message.rest);
    }
  }

  /** An answer that cannot be read is told to who asked, and costs the connection. */
  #read(pending: PendingRequest, rest: Frames): void {
    let answer: unknown;
    try {
      answer = pending.question.read?.(rest);
    } catch (error) {
      if (error instanceof ProtocolError) this.#fail(pending, error);
      throw error;
    }
    if (this.#pending.remove(pending)) pending.resolve(answer);
  }

  #added(pending: PendingRequest, ids: readonly string[]): void {
    if (ids.length !== pending.question.submission?.bodies.length)
      throw new ProtocolError(
        "QUEUE_PROTOCOL",
        `The broker answered ${ids.length} ids to a submission of another number of bodies`,
      );
    pending.question.watcher?.added?.(ids);
    if (pending.question.verb === "CALL") pending.open = ids.length === 1 ? ids[0] : new Set(ids);
    else if (this.#pending.remove(pending)) pending.resolve(ids);
  }

  #ended(pending: PendingRequest, outcome: RawOutcome): void {
    if (!pending.isOpen(outcome.id))
      throw new ProtocolError(
        "QUEUE_PROTOCOL",
        `The broker told the end of ${outcome.id || "a task"}, which was not asked for`,
      );
    pending.question.watcher?.ended?.(outcome);
    if (pending.closed(outcome.id) && this.#pending.remove(pending)) pending.resolve(outcome);
  }

  #fail(pending: PendingRequest, error: HoldfastError): void {
    if (this.#pending.remove(pending)) pending.reject(error);
  }

  /** Gives it up and tells the broker, which then keeps no answer for it. */
  #abandon(pending: PendingRequest, error: HoldfastError): void {
    const { verb } = pending.question;
    if (verb === "CALL" || verb === "WATCH") pending.session?.send("UNWATCH", Buffer.from(`${pending.number}`, "latin1"));
    this.#fail(pending, error);
  }

  // ---- workers

  /** @internal */
  addWorker(worker: WorkListener): void {
    this.#workers.add(worker);
    for (const session of this.links()) if (session.broker !== undefined) worker.up(session);
  }

  // ---- helpers

  #arm(): void {
    const atMs = this.#pending.deadlineMs;
    if (atMs === undefined || (this.#timer && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    this.#timer = { atMs, cancel: this.#clock.at(atMs, () => this.#expire()) };
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.now();
    for (let pending = this.#pending.late(nowMs); pending; pending = this.#pending.late(nowMs)) {
      this.#abandon(pending, this.#late(pending));
    }
    this.#arm();
  }

  #late({ question, session, open, broker }: PendingRequest): OperationError {
    const what = open === undefined ? `No answer to ${question.verb}` : "No result";
    const why = session ? "before the deadline" : `before the deadline: ${this.#pool.whyNot(broker)}`;
    return new OperationError("QUEUE_UNREACHABLE", `${what} ${why}`);
  }
}

/** What a broker may answer, beside REFUSED. */
const ANSWERS: Readonly<Record<RequestVerb, readonly AnswerMessage["verb"][]>> = {
  ADD: ["ADDED"],
  CALL: ["ADDED", "ENDED", "PROGRESS", "PARTIAL"],
  WATCH: ["ENDED", "PROGRESS", "PARTIAL"],
  CANCEL: ["OK"],
  OPERATE: ["DATA"],
  SHOW: ["DATA"],
  LIST: ["DATA"],
  STATS: ["DATA"],
  RETRY: ["OK", "DATA"],
  SET: ["OK"],
  PURGE: ["DATA"],
  CRON: ["OK", "DATA"],
};

/** 10 ms between two looks whether submissions are answered, while the process ends. */
const LOOK_MS = 10;

/** 10 s: for cancelling what nobody waits for any more. */
const CANCEL_TIMEOUT_MS = 10_000;

/** Options of a submission that asks for nothing: one object, recognised by identity. */
export const NO_OPTIONS: TaskOptions = {};

/** What is submitted with a trace already is somebody else's: a relay's. */
function sendSpan({ queue, options, bodies }: RawSubmission): SendSpan | undefined {
  return options.traceparent === undefined ? startSend(queue, bodies.length) : undefined;
}

function withTrace(submission: RawSubmission, traceparent: string): RawSubmission {
  return { ...submission, options: { ...submission.options, traceparent } };
}

/** Brokers of 0.1 refuse the option. */
function forSession({ readsTraces }: BrokerSession, submission: RawSubmission): RawSubmission {
  if (readsTraces || submission.options.traceparent === undefined) return submission;
  const { traceparent: _, ...options } = submission.options;
  return { ...submission, options };
}

/** Options on the wire. Without a key of the caller's a submission gets one of ours: sent again, it is still one task. */
function optionsFrame(options: TaskOptions, key: string): Buffer {
  for (const name in options) if (name !== "key") return Buffer.from(JSON.stringify({ ...options, key }));
  return Buffer.from(`=${key}`);
}

/** Tasks that wait for others live where those live. */
function brokerOfAfter({ after, each }: TaskOptions): string | undefined {
  const [first] = after ?? each?.flatMap((own) => own.after ?? []) ?? [];
  return first === undefined ? undefined : taskBroker(first);
}

/** @throws UsageError QUEUE_OPTIONS_INVALID for what no broker can have given as an id: no answer would ever come */
function taskBroker(id: string): string {
  if (!isTaskId(id))
    throw new UsageError("QUEUE_OPTIONS_INVALID", `'${id}' is not a task id; an id has the form BROKER-NUMBER`);
  return brokerOf(id);
}

/** Codes that are the caller's fault; all others are not. */
const USAGE_CODES: ReadonlySet<string> = new Set(["QUEUE_OPTIONS_INVALID", "QUEUE_NAME_INVALID", "ACCESS_DENIED"]);

function refusal({ verb }: Question, { code, message }: { readonly code: string; readonly message: string }): HoldfastError {
  if (verb === "OPERATE" && code === "QUEUE_PROTOCOL")
    return new OperationError(
      "QUEUE_PROTOCOL",
      `The broker is of version 0.1, which knows no operations; use its own command: ${message}`,
    );
  return errorOf(code, message);
}

function errorOf(code: string, message: string): HoldfastError {
  if (!Object.hasOwn(ERROR_CODES, code))
    return new ProtocolError("QUEUE_PROTOCOL", `The broker refused with '${code}': ${message}`);
  return USAGE_CODES.has(code) ? new UsageError(code as ErrorCode, message) : new OperationError(code as ErrorCode, message);
}

function aborted(signal: AbortSignal): OperationError {
  return new OperationError("ABORTED", "The caller aborted the operation", { cause: signal.reason });
}

/** One queue of several brokers. */
function added(first: QueueStats | undefined, second: QueueStats): QueueStats {
  if (!first) return second;
  const states = Object.fromEntries(
    TASK_STATES.map((state) => [state, first.states[state] + second.states[state]]),
  ) as StateCounts;
  const numbers = (["bytes", "consumers", "slots", "added", "finished", "failures"] as const).map((name) => [
    name,
    first[name] + second[name],
  ]);
  const waitingSinceMs = Math.min(first.waitingSinceMs ?? Infinity, second.waitingSinceMs ?? Infinity);
  return {
    ...first,
    ...Object.fromEntries(numbers),
    states,
    waitingSinceMs: Number.isFinite(waitingSinceMs) ? waitingSinceMs : undefined,
    waits: addLatencies(first.waits, second.waits),
    runs: addLatencies(first.runs, second.runs),
  };
}
