/**
 * ● From a question to its answer: finds the server, makes the operation, hands it over, and tells counters, events and
 * subscribers how it ended. Everything that asks servers goes through here: the client's verbs, typed keyspaces, `fetch`.
 */
import { channel } from "node:diagnostics_channel";
import type { EventEmitter } from "node:events";
import type { Clock } from "../../../core/clock.ts";
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import { durationMs } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import type { CacheCounts, CacheEvents, CallEvent } from "./events.ts";
import { wireKey, type Key, type KeyPolicy } from "./key.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import {
  GetManyResult,
  GetOperation,
  GetManyOperation,
  readValue,
  unreadable,
  type GetManyPart,
  type Read,
} from "../operations/lookup.ts";
import {
  CommandOperation,
  type CommandFields,
  type Interpret,
  type OperationObserver,
  type CacheOperation,
  type Time,
  type Verb,
} from "../operations/operation.ts";
import type { NearItem } from "./near-cache.ts";
import type { NearReads } from "./near-reads.ts";
import type { CallOptions } from "./cache-client-options.ts";
import type { Pool } from "../pool/pool.ts";
import { startSpan } from "./tracing.ts";
import { exptimeOf, exptimeOfMs, ttlMs, type Ttl } from "./ttl.ts";
import { aborted, within, type WaitBound } from "./within.ts";

type CommandVerb = Exclude<Verb, "get" | "gets">;

/** Publishes a `CallEvent` for every call that settled; costs one property read while nobody listens. */
const calls = channel("holdfast:cache:call");

export interface DispatchSettings {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly onError: "throw" | "miss";
  readonly keys: KeyPolicy;
  readonly gutterTtlMs: number;
  /** The first list of servers; undefined when it is known from the start. */
  readonly starting: Promise<void> | undefined;
}

export class Dispatch implements OperationObserver {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly events: EventEmitter<CacheEvents>;
  readonly counts: CacheCounts = { hits: 0, nearHits: 0, misses: 0, calls: 0, errors: 0 };
  /** The near cache, where there is one. */
  near: NearReads | undefined = undefined;
  readonly #settings: DispatchSettings;
  /** Calls wait for it as long as they may. */
  #starting: Promise<void> | undefined;
  #closed = false;

  constructor(settings: DispatchSettings, events: EventEmitter<CacheEvents>) {
    this.#settings = settings;
    this.pool = settings.pool;
    this.clock = settings.clock;
    this.events = events;
    this.#starting = settings.starting?.finally(() => (this.#starting = undefined));
  }

  /** The key on the wire. @throws UsageError CACHE_KEY_INVALID */
  wireKey(key: Key): string {
    return wireKey(key, this.#settings.keys);
  }

  /** The value of a key, from the near cache or its server. */
  get<T>(key: Key, codec: Codec<unknown>, options: CallOptions | undefined): Promise<T | undefined> {
    if (this.near) return this.near.get(key, codec, options);
    return this.lookup("get", key, codec, readValue as Read<T>, options);
  }

  /** The values of many keys, from the near cache or their servers. */
  getMany<T, K extends Key>(keys: Iterable<K>, codec: Codec<unknown>, options: CallOptions | undefined): Promise<Map<K, T>> {
    if (this.near) return this.near.getMany(keys, codec, options);
    return this.lookupMany("get", keys, codec, readValue as Read<T>, options);
  }

  lookup<T>(
    verb: "get" | "gets",
    key: Key,
    codec: Codec<unknown>,
    read: Read<T>,
    options: CallOptions | undefined,
  ): Promise<T | undefined> {
    if (this.#starting) return this.#onceStarted(options, (rest) => this.lookup(verb, key, codec, read, rest));
    return new Promise((resolve, reject) => {
      const wire = wireKey(key, this.#settings.keys);
      const operation = new GetOperation(verb, wire, this, this.time(options), codec, read, resolve, reject);
      this.#submit(this.pool.route(wire), operation, options);
    });
  }

  lookupMany<T, K extends Key>(
    verb: "get" | "gets",
    keys: Iterable<K>,
    codec: Codec<unknown>,
    read: Read<T>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    if (this.#starting) {
      const kept = [...keys];
      return this.#onceStarted(options, (rest) => this.lookupMany(verb, kept, codec, read, rest));
    }
    return new Promise((resolve, reject) => {
      const getManyResult = new GetManyResult<K, T>(resolve, reject);
      const parts = this.#partsOf(keys, getManyResult);
      getManyResult.open = parts.size;
      if (parts.size === 0) resolve(new Map());
      const time = this.time(options);
      for (const [poolServer, part] of parts) {
        this.#submit(poolServer, new GetManyOperation(verb, part, this, time, codec, read, getManyResult), options);
      }
    });
  }

  /** The keys by the server that answers for them, each once. */
  #partsOf<K extends Key, T>(
    keys: Iterable<K>,
    getManyResult: GetManyResult<K, T>,
  ): Map<PoolServer | undefined, GetManyPart<K>> {
    const parts = new Map<PoolServer | undefined, GetManyPart<K>>();
    let latest: PoolServer | undefined;
    let part: GetManyPart<K> | undefined;
    for (const key of keys) {
      const wire = wireKey(key, this.#settings.keys);
      if (!getManyResult.expect(key)) continue;
      const poolServer = this.pool.route(wire);
      if (!part || poolServer !== latest) {
        latest = poolServer;
        part = parts.get(poolServer);
        if (!part) parts.set(poolServer, (part = { keys: [], wireKeys: [] }));
      }
      part.keys.push(key);
      part.wireKeys.push(wire);
    }
    return parts;
  }

  /**
   * @param fields what the command says, known once its server is: the gutter shortens times to live
   * @param effect "change" when the item may be another afterwards, so that the near cache forgets it
   */
  command<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    interpret: Interpret<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
    effect: "change" | "read" = "change",
  ): Promise<T> {
    if (this.#starting) {
      return this.#onceStarted(options, (rest) => this.command(verb, key, rest, interpret, missed, fields, effect));
    }
    const ask = (): Promise<T> => this.#ask(verb, key, options, interpret, missed, fields);
    return this.near && effect === "change" ? this.#change(key, this.near, ask) : ask();
  }

  /** The near cache forgets the item when the change is asked for, and again when it is answered: reads may come between. */
  async #change<T>(key: Key, near: NearReads, ask: () => Promise<T>): Promise<T> {
    const wire = this.wireKey(key);
    near.changed(wire);
    try {
      return await ask();
    } finally {
      near.changed(wire);
    }
  }

  #ask<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    interpret: Interpret<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const wire = wireKey(key, this.#settings.keys);
      const poolServer = this.pool.route(wire);
      const operation = new CommandOperation(
        verb,
        wire,
        this,
        this.time(options),
        fields(poolServer),
        interpret,
        missed,
        resolve,
        reject,
      );
      this.#submit(poolServer, operation, options);
    });
  }

  /** Asks every server; rejects with the first failure once all have settled. */
  async everywhere<T>(
    verb: CommandVerb,
    words: string,
    options: CallOptions | undefined,
    interpret: () => Interpret<T>,
    missed: T,
  ): Promise<Map<string, T>> {
    if (this.#starting) return this.#onceStarted(options, (rest) => this.everywhere(verb, words, rest, interpret, missed));
    const time = this.time(options);
    const { poolServers } = this.pool;
    const answers = await Promise.allSettled(
      poolServers.map(
        (poolServer) =>
          new Promise<T>((resolve, reject) => {
            this.#submit(
              poolServer,
              new CommandOperation(verb, "", this, time, { words }, interpret(), missed, resolve, reject),
              options,
            );
          }),
      ),
    );
    const results = new Map<string, T>();
    answers.forEach((answer, index) => {
      if (answer.status === "rejected") throw answer.reason;
      results.set(poolServers[index]!.server.name, answer.value);
    });
    return results;
  }

  /** What the near cache keeps, decoded; where the codec cannot, the error, or a miss as the client was told. */
  decode(wire: string, { bytes, flags }: NearItem, codec: Codec<unknown>): unknown {
    try {
      return codec.decode(bytes, flags);
    } catch (error) {
      this.counts.errors += 1;
      if (this.#settings.onError === "miss") return undefined;
      throw unreadable(wire, error);
    }
  }

  /** Keys answered by the near cache: hits without a call. */
  countNear(keys: number): void {
    this.counts.hits += keys;
    this.counts.nearHits += keys;
  }

  /** memcached's exptime for an item on this server: the gutter's are short. @throws UsageError CACHE_TTL_INVALID */
  exptime(poolServer: PoolServer | undefined, ttl: Ttl | undefined): number {
    const wallMs = this.clock.wallMs();
    return poolServer?.gutter ? this.exptimeOfMs(poolServer, ttlMs(ttl, wallMs)) : exptimeOf(ttl, wallMs);
  }

  /** The same for a life in milliseconds; Infinity: no end. */
  exptimeOfMs(poolServer: PoolServer | undefined, lifeMs: number): number {
    return exptimeOfMs(poolServer?.gutter ? Math.min(this.#settings.gutterTtlMs, lifeMs) : lifeMs, this.clock.wallMs());
  }

  /** @throws UsageError UNIT_INVALID */
  time(options: CallOptions | undefined): Time {
    const startedMs = this.clock.now();
    const timeout = options?.timeout;
    return {
      startedMs,
      deadlineMs: startedMs + (timeout === undefined ? this.#settings.timeoutMs : durationMs(timeout, "timeout")),
    };
  }

  close(): void {
    this.#closed = true;
    this.pool.close(closed());
  }

  failed(operation: CacheOperation, error: HoldfastError): boolean {
    this.counts.errors += 1;
    if (this.events.listenerCount("failed") > 0) {
      this.events.emit("failed", { verb: operation.verb, key: operation.key, server: operation.server, error });
    }
    operation.span?.failed(error);
    return this.#settings.onError === "miss" && error.code !== "ABORTED";
  }

  settled(operation: CacheOperation): void {
    const { counts } = this;
    counts.calls += 1;
    counts.hits += operation.hits;
    counts.misses += operation.misses;
    if (calls.hasSubscribers) calls.publish(eventOf(operation, this.clock.now()));
    operation.span?.ended(operation);
  }

  /** Resolves when the servers are known, or the bound is reached. @throws OperationError ABORTED */
  async started(bound: WaitBound): Promise<void> {
    if (this.#starting) await within(this.clock, this.#starting, bound, () => (this.#starting = undefined));
  }

  /** Asks when the servers are known, or when the call's time is over: then it fails as a call without servers does. */
  async #onceStarted<T>(options: CallOptions | undefined, ask: (rest: CallOptions) => Promise<T>): Promise<T> {
    const { deadlineMs } = this.time(options);
    await this.started({ deadlineMs, signal: options?.signal });
    return ask({ ...options, timeout: Math.max(0, deadlineMs - this.clock.now()) });
  }

  #submit(poolServer: PoolServer | undefined, operation: CacheOperation, options: CallOptions | undefined): void {
    operation.span = startSpan(operation);
    if (options?.signal) watch(options.signal, operation);
    if (operation.settled) return;
    if (this.#closed) operation.fail(closed());
    else if (poolServer) poolServer.submit(operation);
    else if (this.pool.poolServers.length === 0)
      operation.fail(new OperationError("CACHE_UNREACHABLE", "The servers are not known yet"));
    else operation.missed();
  }
}

function eventOf(operation: CacheOperation, nowMs: number): CallEvent {
  const { verb, key, server, outcome, hits, misses } = operation;
  return { verb, key, server, outcome, hits, misses, durationMs: nowMs - operation.startedMs };
}

function watch(signal: AbortSignal, operation: CacheOperation): void {
  const abort = (): void => operation.fail(aborted(signal));
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener("abort", abort, { once: true });
  operation.release = () => signal.removeEventListener("abort", abort);
}

function closed(): OperationError {
  return new OperationError("CLOSED", "The cache client was closed");
}
