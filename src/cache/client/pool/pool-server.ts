/**
 * ● One server of the pool: its queue, its connection and the next one, its deadlines and its health. Invariants: every operation
 * handed to `submit` settles, by its deadline or (a few ms later) when the timer for it fires; at most `callsMax` operations and
 * `bytesMax` bytes of values wait; nothing waits unless a socket is open or opening.
 *
 * Deadlines have no timer each: one timer is set to the earliest of them, and a sweep settles all that are due. An operation that
 * timed out stays among the requests in flight, so that its late reply is matched to it and dropped.
 */
import type { Cancel, Clock } from "../../../core/clock.ts";
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { ServerConnection, type ServerConnectionSettings } from "../protocol/server-connection.ts";
import type { InFlightRequest } from "../protocol/in-flight.ts";
import { Ring } from "../../../core/ring.ts";
import { handshake, type Credentials } from "../protocol/handshake.ts";
import { Health, type HealthOptions, type HealthState } from "./health.ts";
import { GetOperation, GetManyOperation } from "../operations/get-operation.ts";
import type { CacheOperation } from "../operations/operation.ts";
import { BatchWriter } from "../protocol/batch-writer.ts";
import type { ServerAddress } from "../operations/server-address.ts";
import type { ClientProtocol } from "../protocol/client-protocol.ts";

/** 50 ms: a server that goes on sending as it is read from needs far less for its next bytes. */
const QUIET_MS_MAX = 50;

/** 100 ms: a healthy event loop turns in far less. */
const HELD_MS_MIN = 100;

export interface PoolServerSettings extends Omit<ServerConnectionSettings, "server"> {
  readonly random: Random;
  readonly health: HealthOptions;
  readonly callsMax: number;
  readonly bytesMax: number;
  /** A connection that is silent for so long while requests are in flight is closed. */
  readonly stallMs: number;
  readonly newProtocol: () => ClientProtocol;
  /** Whether that is the text protocol, which alone has meta commands and `config`. */
  readonly textual: boolean;
  readonly credentials: Credentials | undefined;
  /** Called when the server is ejected ("ejected") and when it is restored ("up"). */
  readonly onHealth: (poolServer: PoolServer, state: HealthState, error?: HoldfastError) => void;
}

/** How long nothing is called late after the event loop was held: while nothing comes, and while something does. */
interface Grace {
  readonly silentUntilMs: number;
  readonly untilMs: number;
}

/** An eighth: what TCP gives a new sample of its round trip (RFC 6298). */
const SAMPLE_SHARE = 1 / 8;

/** Numbers the connections of all servers of this process. */
let connections = 0;

export class PoolServer {
  readonly server: ServerAddress;
  /** True for the spare servers that stand in for dead ones. */
  readonly gutter: boolean;
  /** What it fails together with; alone, where its address names no zone. */
  readonly zone: string;
  readonly #settings: PoolServerSettings;
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #queue = new Ring<CacheOperation>();
  #queuedBytes = 0;
  #connection: ServerConnection | undefined = undefined;
  #ready = false;
  /** The number of the connection: the one behind another may lead to a server that was started anew. */
  connection = 0;
  /** How long it takes to answer, smoothed; measured only where a read may ask another instead. */
  latencyMs = 0;
  #version: string | undefined = undefined;
  /** Replies that belonged to the handshake. */
  #handshakeReplies = 0;
  #lastError: HoldfastError | undefined = undefined;
  #flushDue = false;
  readonly #flush = (): void => {
    this.#flushDue = false;
    this.#work();
  };
  #sweepAtMs = Infinity;
  #cancelSweep: Cancel | undefined = undefined;
  #cancelProbe: Cancel | undefined = undefined;
  #closed: HoldfastError | undefined = undefined;

  constructor(server: ServerAddress, settings: PoolServerSettings, gutter: boolean) {
    this.server = server;
    this.gutter = gutter;
    this.zone = server.zone === undefined ? `server ${server.name}` : `zone ${server.zone}`;
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#health = new Health(settings.health, settings.random);
  }

  get state(): HealthState {
    return this.#health.state;
  }

  /** True unless the server is ejected. */
  get usable(): boolean {
    return this.#health.state !== "ejected";
  }

  /** What `version` answered last; undefined before the first connection. */
  get version(): string | undefined {
    return this.#version;
  }

  /** Whether it supports the meta protocol of memcached 1.6.10; true before the first connection. */
  get meta(): boolean {
    if (!this.#settings.textual) return false;
    if (this.#version === undefined) return true;
    const [major = 0, minor = 0, patch = 0] = this.#version.split(/\D/).map(Number);
    return major > 1 || (major === 1 && (minor > 6 || (minor === 6 && patch >= 10)));
  }

  /** Calls queued or in flight. */
  get waiting(): number {
    return this.#queue.length + (this.#connection?.pendingCalls ?? 0);
  }

  /** Queues an operation; it is sent at the end of this tick. */
  submit(operation: CacheOperation): void {
    operation.server = this.server.name;
    const refusal = this.#closed ?? this.#refusal(operation);
    if (refusal) {
      operation.fail(refusal);
      return;
    }
    this.#queue.push(operation);
    this.#queuedBytes += operation.bodyBytes;
    if (operation.deadlineMs < this.#sweepAtMs) this.#sweepAt(operation.deadlineMs);
    this.#scheduleFlush();
  }

  /** A read took so long, answered or not. */
  took(ms: number): void {
    this.latencyMs += (ms - this.latencyMs) * SAMPLE_SHARE;
  }

  /** Leaves the pool: what waits may still be answered, within a call's timeout. */
  retire(error: HoldfastError): void {
    if (this.waiting === 0) this.close(error);
    else this.#clock.at(this.#clock.now() + this.#settings.stallMs, () => this.#clock.afterInput(() => this.close(error)));
  }

  /** Settles everything with the error and stays closed. */
  close(error: HoldfastError): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#cancelSweep?.();
    this.#cancelProbe?.();
    this.#failQueue(error);
    this.#connection?.close(error);
  }

  #refusal(operation: CacheOperation): OperationError | undefined {
    const { callsMax, bytesMax, textual } = this.#settings;
    const { name } = this.server;
    if (!textual && (operation.verb === "meta" || operation.verb === "config")) {
      return new OperationError("CACHE_REFUSED", `Cannot send to ${name}: the binary protocol has no such command`);
    }
    if (this.waiting >= callsMax)
      return new OperationError("CACHE_QUEUE_FULL", `Cannot send to ${name}: ${callsMax} calls are already queued`);
    if (this.#queuedBytes + operation.bodyBytes <= bytesMax) return undefined;
    return new OperationError("CACHE_QUEUE_FULL", `Cannot send to ${name}: more than ${bytesMax} bytes would be queued`);
  }

  #scheduleFlush(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    process.nextTick(this.#flush);
  }

  #work(): void {
    if (this.#closed || this.#queue.length === 0) return;
    if (!this.#connection) this.#connect();
    else if (this.#ready) this.#drainQueue(this.#connection);
  }

  /** Opens a connection. During the wait after a failure it fails what is queued instead: no call waits for the next attempt. */
  #connect(): void {
    const { name } = this.server;
    if (this.#clock.now() < this.#health.retryAtMs) {
      const message = `Cannot send to ${name}: it failed, and the next attempt to connect follows shortly`;
      this.#failQueue(new OperationError("CACHE_UNREACHABLE", message, { cause: this.#lastError }));
      return;
    }
    this.#ready = false;
    const protocol = this.#settings.newProtocol();
    const connection: ServerConnection = new ServerConnection({ ...this.#settings, server: this.server }, protocol, {
      opened: () => handshake(connection, this.#settings.credentials, (version) => this.#established(connection, version)),
      drained: () => this.#scheduleFlush(),
      heard: () => {
        if (this.#queue.length > 0 && connection.window.open) this.#scheduleFlush();
        if (this.#health.failures > 0 && this.#ready && connection.answered > this.#handshakeReplies) this.#health.answered();
      },
      closed: (error, unanswered) => this.#lost(error, unanswered),
    });
    this.#connection = connection;
  }

  #drainQueue(connection: ServerConnection): void {
    const batchWriter = new BatchWriter(connection);
    while (batchWriter.open) {
      const operation = this.#queue.peek();
      if (!operation) break;
      if (operation.connection !== undefined && operation.connection !== this.connection) operation.missed();
      if (operation.settled || batchWriter.write(operation)) this.#dequeue();
    }
    batchWriter.end();
  }

  #dequeue(): void {
    this.#queuedBytes -= this.#queue.shift()!.bodyBytes;
  }

  #failQueue(error: HoldfastError): void {
    this.#queuedBytes = 0;
    for (const operation of this.#queue.drain()) operation.fail(error);
  }

  /** Fails the operations whose deadline had passed at `nowMs`, and sets the timer to the next deadline. */
  #sweep(nowMs: number): void {
    const { name } = this.server;
    let nextMs = Infinity;
    const check = (operation: CacheOperation): void => {
      if (operation.settled) return;
      if (operation.deadlineMs > nowMs) nextMs = Math.min(nextMs, operation.deadlineMs);
      else
        operation.fail(
          new OperationError("CACHE_TIMEOUT", `No answer from ${name} before the deadline${held(nowMs, operation)}`),
        );
    };
    for (const operation of this.#queue.drain()) {
      check(operation);
      if (operation.settled) this.#queuedBytes -= operation.bodyBytes;
      else this.#queue.push(operation);
    }
    const connection = this.#connection;
    if (connection && connection.pending.length > 0) {
      for (const request of connection.pending) for (const operation of request.operations()) check(operation);
      // During the handshake the connection's own timer decides.
      const stalledAtMs = this.#ready ? connection.aliveAtMs + this.#settings.stallMs : Infinity;
      if (stalledAtMs <= nowMs) {
        const message = `${this.server.name} has not answered for ${this.#settings.stallMs} ms`;
        connection.close(new OperationError("CACHE_TIMEOUT", message));
      } else nextMs = Math.min(nextMs, stalledAtMs);
    }
    if (nextMs < this.#sweepAtMs) this.#sweepAt(nextMs);
  }

  #sweepAt(deadlineMs: number): void {
    this.#cancelSweep?.();
    this.#sweepAtMs = deadlineMs;
    this.#wakeAt(deadlineMs, { silentUntilMs: -Infinity, untilMs: -Infinity });
  }

  /** @param grace a timer that fires late gives another: time in which the event loop was held is nobody's fault */
  #wakeAt(dueMs: number, grace: Grace): void {
    this.#cancelSweep = this.#clock.at(dueMs, () => {
      const nowMs = this.#clock.now();
      const heldMs = nowMs - dueMs;
      const { stallMs } = this.#settings;
      const given: Grace = { silentUntilMs: nowMs + Math.min(heldMs, stallMs), untilMs: nowMs + heldMs };
      this.#sweepAfterInput(nowMs, heldMs < HELD_MS_MIN ? grace : given);
    });
  }

  /**
   * Answers that had arrived by `nowMs` are read before anything is called late. Requests that the held loop wrote late have the grace
   * to be answered; and an answer that is longer than the socket's buffers arrives only as it is read, for as long as more comes.
   */
  #sweepAfterInput(nowMs: number, grace: Grace): void {
    this.#cancelSweep = this.#clock.afterInput(() => {
      const heardMs = this.#connection?.aliveAtMs ?? -Infinity;
      const isComing = nowMs < grace.silentUntilMs || (nowMs < grace.untilMs && nowMs - heardMs < QUIET_MS_MAX);
      if (isComing && this.waiting > 0) {
        this.#wakeAt(nowMs + 1, grace);
        return;
      }
      this.#sweepAtMs = Infinity;
      this.#cancelSweep = undefined;
      this.#sweep(nowMs);
    });
  }

  #established(connection: ServerConnection, version: string): void {
    connection.established();
    this.#version = version;
    this.#ready = true;
    this.connection = connections += 1;
    this.#handshakeReplies = connection.answered + 1;
    const wasEjected = !this.usable;
    this.#health.connected();
    if (wasEjected) this.#settings.onHealth(this, "up");
    this.#work();
  }

  #lost(error: HoldfastError, unanswered: readonly InFlightRequest[]): void {
    const served = this.#ready;
    this.#connection = undefined;
    this.#ready = false;
    if (this.#closed) {
      for (const request of unanswered) request.fail(error);
      return;
    }
    // A connection that served and ends while idle is no sign of failure: the next call opens another. Nor is a refusal, which is an
    // answer: only the bytes behind it cannot be trusted.
    const isRefusal = served && error.code === "CACHE_REFUSED";
    if (!served || (unanswered.length > 0 && !isRefusal)) this.#failed(error, served);
    const again = served && this.usable ? readsOf(unanswered) : new Set<CacheOperation>();
    for (const operation of again) operation.retries += 1;
    for (const request of unanswered) {
      for (const operation of request.operations())
        if (!again.has(operation)) operation.fail(isRefusal ? cutOff(error) : error);
    }
    if (!served || !this.usable) this.#failQueue(error);
    const rest = this.#queue.drain().filter((operation) => !again.has(operation));
    for (const operation of [...again, ...rest]) this.#queue.push(operation);
    if (this.#queue.length > 0) this.#scheduleFlush();
  }

  #failed(error: HoldfastError, served: boolean): void {
    this.#lastError = error;
    const wasUsable = this.usable;
    this.#health.failed(this.#clock.now(), served);
    if (this.usable) return;
    if (wasUsable) this.#settings.onHealth(this, "ejected", error);
    this.#cancelProbe = this.#clock.at(this.#health.retryAtMs, () => {
      if (!this.#closed && !this.#connection) this.#connect();
    });
  }
}

/** For the error's sentence: how late it was noticed, where the program left the event loop no turn. */
function held(nowMs: number, { deadlineMs }: CacheOperation): string {
  const lateMs = Math.round(nowMs - deadlineMs);
  return lateMs < HELD_MS_MIN ? "" : `; the event loop was held, so that this was noticed ${lateMs} ms late`;
}

/** What follows a refused value on its connection is not the refusal's fault. */
function cutOff(cause: HoldfastError): OperationError {
  return new OperationError(
    "CACHE_UNREACHABLE",
    "Connection was closed, because the server refused a command before this one",
    {
      cause,
    },
  );
}

/** The reads among them that may be sent once more, because a read changes nothing at the server. */
function readsOf(unanswered: readonly InFlightRequest[]): ReadonlySet<CacheOperation> {
  const reads = new Set<CacheOperation>();
  for (const request of unanswered) {
    for (const operation of request.operations()) {
      if (operation.settled || operation.retries > 0) continue;
      if (operation instanceof GetManyOperation) operation.restart();
      if (operation instanceof GetOperation || operation instanceof GetManyOperation) reads.add(operation);
    }
  }
  return reads;
}
