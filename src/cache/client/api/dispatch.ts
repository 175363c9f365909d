/**
 * ● From a call to its result: finds the server, makes the operation, hands it over, and tells counters, events and
 * subscribers how it ended. All requests of callers go through here: reads, the verbs that write (writes.ts), `fetch`.
 */
import { channel } from "node:diagnostics_channel";
import type { EventEmitter } from "node:events";
import type { Clock } from "../../../core/clock.ts";
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import type { Codec } from "../operations/codec.ts";
import type { CacheCounts, CacheEvents, CallEvent } from "./events.ts";
import type { Flight } from "./fetch.ts";
import { toWireKey, withPrefix, type Key, type KeyPolicy } from "./key.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import {
  GetManyResult,
  GetOperation,
  GetManyOperation,
  readValue,
  unreadable,
  type ServerKeys,
  type ValueReader,
} from "../operations/get-operation.ts";
import {
  CommandOperation,
  UNCOUNTED,
  type CommandFields,
  type ReplyReader,
  type OperationOwner,
  type CacheOperation,
  type TagCheck,
  type ReadVerb,
  type Verb,
} from "../operations/operation.ts";
import type { NearItem } from "./near-cache.ts";
import type { NearReads } from "./near-reads.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { metaDone } from "./command-replies.ts";
import { invalidation, versionReply, versionRequest, type Look } from "./lease.ts";
import type { Pool } from "../pool/pool.ts";
import type { Random } from "../../../core/random.ts";
import { Tags } from "./tags.ts";
import { withoutTags, type TagVersion } from "../operations/tagged.ts";
import { startSpan } from "./tracing.ts";
import { exptimeOf, exptimeOfMs, ttlMs, type Ttl } from "./ttl.ts";
import { CallLimits } from "./call-limits.ts";
import { aborted } from "./within.ts";

type CommandVerb = Exclude<Verb, ReadVerb>;

/** Publishes a `CallEvent` for every call that settled; costs one property read while nobody listens. */
const calls = channel("holdfast:cache:call");

export interface DispatchSettings {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly onError: "throw" | "miss";
  readonly keys: KeyPolicy;
  /** Before every key; may be empty. */
  readonly prefix: string;
  readonly gutterTtlMs: number;
  readonly random: Random;
  /** The first list of servers; undefined when it is known from the start. */
  readonly starting: Promise<void> | undefined;
}

export class Dispatch implements OperationOwner {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly events: EventEmitter<CacheEvents>;
  readonly counts: CacheCounts = { hits: 0, nearHits: 0, misses: 0, calls: 0, errors: 0 };
  /** The near cache, where there is one. */
  near: NearReads | undefined = undefined;
  /** What callers of `fetch` share, by wire key (fetch.ts). */
  readonly flights = new Map<string, Flight<unknown>>();
  readonly tags: Tags;
  readonly #settings: DispatchSettings;
  readonly limits: CallLimits;
  readonly #closing = new AbortController();

  constructor(settings: DispatchSettings, events: EventEmitter<CacheEvents>) {
    this.#settings = settings;
    this.pool = settings.pool;
    this.clock = settings.clock;
    this.events = events;
    this.tags = new Tags(this, settings.random);
    this.limits = new CallLimits(settings.clock, settings.timeoutMs, settings.starting);
  }

  /** Aborts, with the error CLOSED, when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Whether a failed call gives what a miss gives. */
  get missesErrors(): boolean {
    return this.#settings.onError === "miss";
  }

  /** What stands before every key; may be empty. */
  get prefix(): string {
    return this.#settings.prefix;
  }

  /** The key on the wire. @throws UsageError CACHE_KEY_INVALID */
  toWireKey(key: Key): string {
    const { keys, prefix } = this.#settings;
    return toWireKey(prefix === "" ? key : withPrefix(key, prefix), keys);
  }

  /** The value of a key, from the near cache or its server. */
  get<T>(key: Key, codec: Codec<unknown>, options: CallOptions | undefined): Promise<T | undefined> {
    if (this.near) return this.near.get(key, codec, options);
    return this.lookup("get", key, codec, readValue as ValueReader<T>, options);
  }

  /** The values of many keys, from the near cache or their servers. */
  getMany<T, K extends Key>(keys: Iterable<K>, codec: Codec<unknown>, options: CallOptions | undefined): Promise<Map<K, T>> {
    if (this.near) return this.near.getMany(keys, codec, options);
    return this.lookupMany("get", keys, codec, readValue as ValueReader<T>, options);
  }

  lookup<T>(
    verb: ReadVerb,
    key: Key,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
  ): Promise<T | undefined> {
    if (this.limits.starting) return this.limits.onceStarted(options, (rest) => this.lookup(verb, key, codec, read, rest));
    return new Promise((resolve, reject) => {
      const wireKey = this.toWireKey(key);
      const operation = new GetOperation(verb, wireKey, this, this.limits.times(options), codec, read, resolve, reject);
      this.#submit(this.pool.route(wireKey), operation, options);
    });
  }

  lookupMany<T, K extends Key>(
    verb: ReadVerb,
    keys: Iterable<K>,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    if (this.limits.starting) {
      const kept = [...keys];
      return this.limits.onceStarted(options, (rest) => this.lookupMany(verb, kept, codec, read, rest));
    }
    return new Promise((resolve, reject) => {
      const result = new GetManyResult<K, T>(resolve, reject);
      const byServer = this.#byServer(keys, result);
      result.open = byServer.size;
      if (byServer.size === 0) resolve(new Map());
      const times = this.limits.times(options);
      for (const [poolServer, serverKeys] of byServer) {
        this.#submit(poolServer, new GetManyOperation(verb, serverKeys, this, times, codec, read, result), options);
      }
    });
  }

  /** The keys by the server that answers for them, each once. */
  #byServer<K extends Key, T>(keys: Iterable<K>, result: GetManyResult<K, T>): Map<PoolServer | undefined, ServerKeys<K>> {
    const byServer = new Map<PoolServer | undefined, ServerKeys<K>>();
    let latest: PoolServer | undefined;
    let serverKeys: ServerKeys<K> | undefined;
    for (const key of keys) {
      const wireKey = this.toWireKey(key);
      if (!result.expect(key)) continue;
      const poolServer = this.pool.route(wireKey);
      if (!serverKeys || poolServer !== latest) {
        latest = poolServer;
        serverKeys = byServer.get(poolServer);
        if (!serverKeys) byServer.set(poolServer, (serverKeys = { keys: [], wireKeys: [] }));
      }
      serverKeys.keys.push(key);
      serverKeys.wireKeys.push(wireKey);
    }
    return byServer;
  }

  /**
   * @param fields what the command sends; depends on its server, because the gutter shortens times to live
   * @param effect "change" when the item may be another afterwards, so that the near cache forgets it
   */
  command<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    read: ReplyReader<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
    effect: "change" | "read" = "change",
  ): Promise<T> {
    if (this.limits.starting) {
      return this.limits.onceStarted(options, (rest) => this.command(verb, key, rest, read, missed, fields, effect));
    }
    const send = (): Promise<T> =>
      new Promise((resolve, reject) => {
        const wireKey = this.toWireKey(key);
        const poolServer = this.pool.route(wireKey);
        const times = this.limits.times(options);
        const sent = fields(poolServer);
        const operation = new CommandOperation(verb, wireKey, this, times, sent, read, missed, resolve, reject);
        this.#submit(poolServer, operation, options);
      });
    return effect === "change" && (this.near || this.flights.size > 0) ? this.#change(key, send) : send();
  }

  /** The connection that the answers for a key come from now: a version that it told is worth nothing on another. */
  connectionOf(wireKey: string): number {
    return this.pool.route(wireKey)?.connection ?? 0;
  }

  /** The client's own errand at the server of a key, in a meta command: in no counter, no event. Missed where the server has none. */
  errand<T>(
    wireKey: string,
    read: ReplyReader<T>,
    missed: T,
    fields: CommandFields,
    options: CallOptions | undefined,
  ): Promise<T> {
    if (this.limits.starting) {
      return this.limits.onceStarted(options, (rest) => this.errand(wireKey, read, missed, fields, rest));
    }
    return this.errandAt(this.pool.route(wireKey), read, missed, fields, options);
  }

  /** The same at a server that is known. */
  errandAt<T>(
    poolServer: PoolServer | undefined,
    read: ReplyReader<T>,
    missed: T,
    fields: CommandFields,
    options: CallOptions | undefined,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const times = this.limits.times(options);
      const operation = new CommandOperation("meta", "", UNCOUNTED, times, fields, read, missed, resolve, reject);
      if (options?.signal) watch(options.signal, operation);
      if (operation.settled) return;
      if (poolServer?.meta) poolServer.submit(operation);
      else operation.missed();
    });
  }

  checkTags({ server, deadlineMs }: CacheOperation, tags: readonly TagVersion[], checked: (check: TagCheck) => void): void {
    const timeout = Math.max(0, deadlineMs - this.clock.now());
    this.tags.areCurrent(server!, tags, { timeout }).then(checked, checked);
  }

  /** Gives the turn back, so that the next fetch has it. Where that fails, the claim ends when it has stood for too long (lease.ts). */
  turnTaken(wireKey: string, cas: bigint): void {
    const request = invalidation(wireKey, undefined, { cas, connection: this.connectionOf(wireKey) });
    this.errand(wireKey, metaDone, false, request, undefined).catch(() => {});
  }

  /**
   * What is under the key. What is called right behind it goes out in the same write, after it.
   *
   * @param invalidates the caller invalidates what it sees, and so gives a turn back itself
   */
  async look(wireKey: string, options: CallOptions | undefined, invalidates = false): Promise<Look> {
    const request = versionRequest(wireKey);
    const found = await this.errand(wireKey, versionReply, undefined, request, options).catch(() => undefined);
    if (found === undefined || found === "nothing") return found;
    const { held, won, cas, tagged } = found;
    if (won && !held && !invalidates) this.turnTaken(wireKey, cas);
    return { held, tagged, cas, connection: this.connectionOf(wireKey) };
  }

  /**
   * The near cache drops the item before the change is sent and again after its reply: reads may come between. Whoever fetches it from
   * now on shares nothing that was begun before.
   */
  async #change<T>(key: Key, send: () => Promise<T>): Promise<T> {
    const wireKey = this.toWireKey(key);
    this.near?.changed(wireKey);
    this.flights.delete(wireKey);
    try {
      return await send();
    } finally {
      this.near?.changed(wireKey);
    }
  }

  /** Sends a command to every server; rejects with the first failure once all have settled. */
  async everywhere<T>(
    verb: CommandVerb,
    fields: CommandFields,
    options: CallOptions | undefined,
    reader: () => ReplyReader<T>,
    missed: T,
    which: "poolServers" | "holders" = "poolServers",
  ): Promise<Map<string, T>> {
    if (this.limits.starting)
      return this.limits.onceStarted(options, (rest) => this.everywhere(verb, fields, rest, reader, missed, which));
    const poolServers = this.pool[which];
    const times = this.limits.times(options);
    const send = (poolServer: PoolServer): Promise<T> =>
      new Promise((resolve, reject) => {
        const operation = new CommandOperation(verb, "", this, times, fields, reader(), missed, resolve, reject);
        this.#submit(poolServer, operation, options);
      });
    const answers = await Promise.allSettled(poolServers.map(send));
    const results = new Map<string, T>();
    answers.forEach((answer, index) => {
      if (answer.status === "rejected") throw answer.reason;
      results.set(poolServers[index]!.server.name, answer.value);
    });
    return results;
  }

  /** What the near cache keeps, decoded; where the codec fails, its error, or a miss with `onError: "miss"`. */
  decode(wireKey: string, { bytes, flags }: Pick<NearItem, "bytes" | "flags">, codec: Codec<unknown>): unknown {
    try {
      const item = withoutTags(bytes, flags);
      return codec.decode(item.bytes, item.flags);
    } catch (error) {
      this.counts.errors += 1;
      if (this.#settings.onError === "miss") return undefined;
      throw unreadable(wireKey, error);
    }
  }

  /** A read that went out as another verb. */
  countRead(found: boolean): void {
    if (found) this.counts.hits += 1;
    else this.counts.misses += 1;
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

  close(): void {
    const error = new OperationError("CLOSED", "The cache client was closed");
    this.#closing.abort(error);
    this.pool.close(error);
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

  #submit(poolServer: PoolServer | undefined, operation: CacheOperation, options: CallOptions | undefined): void {
    operation.span = startSpan(operation);
    if (options?.signal) watch(options.signal, operation);
    if (operation.settled) return;
    if (this.#closing.signal.aborted) operation.fail(this.#closing.signal.reason as OperationError);
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
