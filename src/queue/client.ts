/**
 * ● A client's requests to the brokers behind one URL (the connections: broker-links.ts), and their answers. Each request settles
 * exactly once, by its deadline at the latest. One that was sent when its broker went away is sent again to the same broker,
 * under the same key, so that it is done once; one that was not sent goes to whichever broker is there.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type Cancel, type Clock, systemClock } from "../core/clock.ts";
import { ERROR_CODES, type ErrorCode } from "../core/error-codes.ts";
import { type HoldfastError, OperationError, ProtocolError, UsageError } from "../core/errors.ts";
import { Heap } from "../core/heap.ts";
import { type BrokerLink, BrokerLinks } from "./broker-links.ts";
import type { Lookup } from "./brokers.ts";
import type { ClientSecurity, Connection, ConnectionListener, LocalBroker } from "./connection.ts";
import type { TaskState } from "./life-cycle.ts";
import type { TaskOptions } from "./profile.ts";
import { asBuffer, brokerOf, EMPTY_FRAME, type Frames, readText, type VerbIn } from "./protocol.ts";

/** How brokers are reached. */
export interface ClientOptions {
  /** `tcp://HOST:PORT` or `ipc://PATH`; a host with several addresses means several brokers. Default `tcp://127.0.0.1:5555`. */
  readonly url?: string;
  /** A broker in this process, instead of a URL. */
  readonly broker?: LocalBroker;
  /** PLAIN or CURVE, as the broker asks for it; default none. */
  readonly security?: ClientSecurity;
  /** Looks up the URL's host; default: the system's. */
  readonly lookup?: Lookup;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** @internal Another way to make connections, for simulations. */
  readonly connect?: (endpoint: string, listener: ConnectionListener) => Connection;
}

/** How a task ended, as bytes. */
export interface RawOutcome {
  readonly id: string;
  readonly state: TaskState;
  readonly bytes: Uint8Array;
}

export interface WaitOptions {
  /** Milliseconds until it is given up. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a request is told beside its answer. */
export interface RequestWatcher {
  added?(ids: readonly string[]): void;
  ended?(outcome: RawOutcome): void;
  progress?(id: string, bytes: Uint8Array): void;
  partial?(id: string, bytes: Uint8Array): void;
}

/** What hears the broker's words to a worker. */
export interface WorkListener {
  up(link: BrokerLink): void;
  down(link: BrokerLink): void;
  heard(link: BrokerLink, verb: "TASK" | "KEPT" | "LOST" | "STOP" | "RECALL", frames: Frames): void;
}

interface Pending {
  readonly number: number;
  readonly verb: VerbIn;
  readonly rest: Frames;
  readonly watcher: RequestWatcher;
  readonly resolve: (value: Frames) => void;
  readonly reject: (error: HoldfastError) => void;
  readonly deadlineMs: number;
  /** The only broker that can answer: it was sent there, or its task lives there. */
  broker: string | undefined;
  link: BrokerLink | undefined;
  /** Ids of a CALL or WATCH whose outcome is not told yet; undefined before ADDED. */
  open: Set<string> | undefined;
  position: number;
  forget: () => void;
}

const WORK_VERBS: ReadonlySet<string> = new Set(["TASK", "KEPT", "LOST", "STOP", "RECALL"]);

/** The way to the brokers that queues and workers share: one connection to each, made again when it breaks. */
export class QueueClient {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #links: BrokerLinks;
  readonly #pending = new Map<number, Pending>();
  readonly #deadlines = new Heap<Pending>({
    before: (a, b) => a.deadlineMs < b.deadlineMs,
    setPosition: (pending, position) => (pending.position = position),
  });
  readonly #workers = new Set<WorkListener>();
  /** Makes the keys under which submissions are sent again: unique to this client. */
  readonly #keyPrefix = `~${randomBytes(9).toString("base64url")}.`;
  #number = 0;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #closed = false;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#links = new BrokerLinks(options, {
      welcome: (link) => this.#welcome(link),
      down: (link) => this.#down(link),
      heard: (link, verb, frames) => this.#heard(link, verb, frames),
      needs: (broker) => this.#needs(broker),
    });
  }

  /** @internal As it was made. */
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
    this.#links.stop();
    this.#timer?.cancel();
    for (const pending of this.#pending.values()) this.#fail(pending, new OperationError("CLOSED", "The client was closed"));
    await this.#links.close();
  }

  /** Brokers that can be spoken to now. */
  links(): BrokerLink[] {
    return this.#links.up();
  }

  // ---- requests

  /** Submits. Resolves to the ids when the broker has them on disk; the outcomes go to `watcher` when there is one. */
  async submit(
    submission: { queue: string; options: TaskOptions; bodies: readonly Uint8Array[]; watcher?: RequestWatcher },
    wait: WaitOptions,
  ): Promise<void> {
    const { queue, options, bodies, watcher } = submission;
    const rest = [Buffer.from(queue), this.#optionsFrame(options), ...bodies.map(asBuffer)];
    await this.#request(
      watcher?.ended ? "CALL" : "ADD",
      rest,
      { watcher: watcher ?? {}, broker: brokerOfAfter(options) },
      wait,
    );
  }

  /** Waits for the outcome of a task of any broker here. */
  async watch(id: string, watcher: RequestWatcher, wait: WaitOptions): Promise<void> {
    await this.#request("WATCH", [Buffer.from(id)], { watcher, broker: brokerOf(id), open: new Set([id]) }, wait);
  }

  /** Ends a task, as `Task.cancel` does. */
  async cancel(id: string, wait: WaitOptions): Promise<void> {
    await this.#request("CANCEL", [Buffer.from(id)], { broker: brokerOf(id) }, wait);
  }

  /** Any other request; resolves to what follows the request's number in the answer. With an id it goes to that task's broker. */
  async ask(verb: VerbIn, rest: Frames, wait: WaitOptions & { readonly id?: string }): Promise<Frames> {
    return this.#request(verb, rest, { broker: wait.id === undefined ? undefined : brokerOf(wait.id) }, wait);
  }

  /** The same request to every broker that is connected, or to the first that comes. */
  async askAll(verb: VerbIn, rest: Frames, wait: WaitOptions): Promise<void> {
    const brokers = this.links().flatMap(({ broker }) => (broker === undefined ? [] : [broker]));
    if (brokers.length === 0) await this.#request(verb, rest, {}, wait);
    else await Promise.all(brokers.map((broker) => this.#request(verb, rest, { broker }, wait)));
  }

  #request(
    verb: VerbIn,
    rest: Frames,
    { watcher = {}, broker, open }: { watcher?: RequestWatcher; broker?: string | undefined; open?: Set<string> },
    { timeoutMs, signal }: WaitOptions,
  ): Promise<Frames> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new UsageError("CLOSED", "Cannot use a client after it was closed");
      if (signal?.aborted) throw aborted(signal);
      this.#number += 1;
      const pending: Pending = {
        number: this.#number,
        verb,
        rest,
        watcher,
        resolve,
        reject,
        deadlineMs: this.#clock.now() + timeoutMs,
        broker,
        link: undefined,
        open,
        position: -1,
        forget: () => signal?.removeEventListener("abort", onAbort),
      };
      const onAbort = (): void => this.#abandon(pending, aborted(signal!));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(pending.number, pending);
      this.#deadlines.push(pending);
      this.#arm();
      this.#send(pending);
    });
  }

  /** Sends it if there is a broker for it; else it stays until one comes up. */
  #send(pending: Pending): void {
    const link = this.#links.find(pending.broker);
    if (!link) return;
    // A CALL whose tasks are known is no longer a submission: what is missing is their outcomes.
    const isWatch = pending.verb === "CALL" && pending.open !== undefined;
    const verb = isWatch ? "WATCH" : pending.verb;
    const rest = isWatch ? [...pending.open!].map((id) => Buffer.from(id)) : pending.rest;
    if (!link.send(verb, Buffer.from(`${pending.number}`, "latin1"), ...rest)) return;
    pending.link = link;
    pending.broker ??= link.broker;
    link.unanswered += 1;
  }

  // ---- connections

  #needs(broker: string): boolean {
    for (const pending of this.#pending.values()) if (pending.broker === broker) return true;
    return false;
  }

  /** What is owed to it is sent. */
  #welcome(link: BrokerLink): void {
    for (const pending of this.#pending.values()) if (!pending.link) this.#send(pending);
    for (const worker of this.#workers) worker.up(link);
  }

  #down(link: BrokerLink): void {
    for (const pending of this.#pending.values()) {
      if (pending.link !== link) continue;
      pending.link = undefined;
      // A question that changes nothing may be asked of another.
      if (READ_ONLY.has(pending.verb)) pending.broker = undefined;
    }
    for (const worker of this.#workers) worker.down(link);
  }

  // ---- answers

  #heard(link: BrokerLink, verb: string | undefined, frames: Frames): void {
    if (!verb || !WORK_VERBS.has(verb)) this.#answered(link, verb, frames);
    else for (const worker of this.#workers) worker.heard(link, verb as "TASK", frames);
  }

  #answered(link: BrokerLink, verb: string | undefined, frames: Frames): void {
    const pending = this.#pending.get(Number(readText(frames[2])));
    if (!pending || pending.link !== link) return;
    switch (verb) {
      case "ADDED":
        this.#added(pending, frames.slice(3).map(readText));
        return;
      case "ENDED":
        this.#ended(pending, {
          id: readText(frames[3]),
          state: readText(frames[4]) as TaskState,
          bytes: frames[5] ?? EMPTY_FRAME,
        });
        return;
      case "PROGRESS":
        pending.watcher.progress?.(readText(frames[3]), frames[4] ?? EMPTY_FRAME);
        return;
      case "PARTIAL":
        pending.watcher.partial?.(readText(frames[3]), frames[4] ?? EMPTY_FRAME);
        return;
      case "REFUSED":
        this.#fail(pending, errorOf(readText(frames[3]), readText(frames[4])));
        return;
      default:
        this.#settle(pending);
        pending.resolve(frames.slice(3));
    }
  }

  #added(pending: Pending, ids: readonly string[]): void {
    pending.broker ??= ids[0] && brokerOf(ids[0]);
    pending.watcher.added?.(ids);
    if (pending.verb === "CALL") {
      pending.open = new Set(ids);
      return;
    }
    this.#settle(pending);
    pending.resolve([]);
  }

  #ended(pending: Pending, outcome: RawOutcome): void {
    pending.open?.delete(outcome.id);
    pending.watcher.ended?.(outcome);
    if (pending.open && pending.open.size > 0) return;
    this.#settle(pending);
    pending.resolve([]);
  }

  #fail(pending: Pending, error: HoldfastError): void {
    this.#settle(pending);
    pending.reject(error);
  }

  /** Gives it up and tells the broker, so that it does not keep an answer for nobody. */
  #abandon(pending: Pending, error: HoldfastError): void {
    if (!this.#pending.has(pending.number)) return;
    if (pending.verb === "CALL" || pending.verb === "WATCH") {
      pending.link?.send("UNWATCH", Buffer.from(`${pending.number}`, "latin1"));
    }
    this.#fail(pending, error);
  }

  #settle(pending: Pending): void {
    if (!this.#pending.delete(pending.number)) return;
    if (pending.link) pending.link.unanswered -= 1;
    this.#deadlines.remove(pending.position);
    pending.forget();
  }

  // ---- workers

  /** @internal */
  addWorker(worker: WorkListener): void {
    this.#workers.add(worker);
    for (const link of this.links()) if (link.broker !== undefined) worker.up(link);
  }

  // ---- helpers

  /** Options on the wire. Without a key of the caller's a submission gets one of ours: sent again, it is still one task. */
  #optionsFrame(options: TaskOptions): Buffer {
    this.#keys += 1;
    const key = options.key ?? this.#keyPrefix + this.#keys.toString(36);
    for (const name in options) if (name !== "key") return Buffer.from(JSON.stringify({ ...options, key }));
    return Buffer.from(`=${key}`);
  }

  #keys = 0;

  #arm(): void {
    const atMs = this.#deadlines.peek()?.deadlineMs;
    if (atMs === undefined || (this.#timer && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    this.#timer = { atMs, cancel: this.#clock.at(atMs, () => this.#expire()) };
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.now();
    for (let pending = this.#deadlines.peek(); pending && pending.deadlineMs <= nowMs; pending = this.#deadlines.peek()) {
      this.#abandon(pending, this.#late(pending));
    }
    this.#arm();
  }

  #late({ verb, link, open }: Pending): OperationError {
    const what = open ? "The outcome did not come" : `No answer to ${verb} came`;
    const why = link ? "before the deadline" : `before the deadline: no broker of ${this.#links.url} is connected`;
    return new OperationError("QUEUE_UNREACHABLE", `${what} ${why}`);
  }
}

const READ_ONLY: ReadonlySet<string> = new Set(["LIST", "STATS"]);

/** Tasks that wait for others live where those live. */
function brokerOfAfter({ after }: TaskOptions): string | undefined {
  return after?.[0] === undefined ? undefined : brokerOf(after[0]);
}

/** Codes that are the caller's fault; the others are the world's. */
const USAGE_CODES: ReadonlySet<string> = new Set(["QUEUE_OPTIONS_INVALID", "QUEUE_NAME_INVALID"]);

function errorOf(code: string, message: string): HoldfastError {
  if (!Object.hasOwn(ERROR_CODES, code))
    return new ProtocolError("QUEUE_PROTOCOL", `The broker refused with '${code}': ${message}`);
  return USAGE_CODES.has(code) ? new UsageError(code as ErrorCode, message) : new OperationError(code as ErrorCode, message);
}

function aborted(signal: AbortSignal): OperationError {
  return new OperationError("ABORTED", "The caller gave up waiting", { cause: signal.reason });
}
