/**
 * ● From a call to its result: finds the server, makes the operation, hands it over, and tells counters, events and
 * subscribers how it ended. All requests of callers go through here: reads, the verbs that write (writes.ts), `fetch`.
 */
import { channel } from "node:diagnostics_channel";
import type { EventEmitter } from "node:events";
import type { Clock } from "../../../core/clock.ts";
import { OperationError, UsageError, type HoldfastError } from "../../../core/errors.ts";
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
  type CommandVerb,
  type ReadVerb,
} from "../operations/operation.ts";
import type { NearItem } from "./near-cache.ts";
import type { NearReads } from "./near-reads.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { metaDone } from "./command-replies.ts";
import { invalidation, versionReply, versionRequest, type Look } from "./lease.ts";
import type { Pool } from "../pool/pool.ts";
import type { Random } from "../../../core/random.ts";
import { Copies, type OwnerAnswer } from "./copies.ts";
import { Tags } from "./tags.ts";
import { withoutTags, type TagVersion } from "../operations/tagged.ts";
import { startSpan } from "./tracing.ts";
import { exptimeOf, exptimeOfMs, ttlMs, type Ttl } from "./ttl.ts";
import { CallLimits } from "./call-limits.ts";
import { aborted } from "./within.ts";

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
  readonly copies: Copies;
  readonly #settings: DispatchSettings;
  readonly limits: CallLimits;
  readonly #closing = new AbortController();

  constructor(settings: DispatchSettings, events: EventEmitter<CacheEvents>) {
    this.#settings = settings;
    this.pool = settings.pool;
    this.clock = settings.clock;
    this.events = events;
    this.tags = new Tags(this, settings.random);
    this.copies = new Copies(this);
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
    return this.lookup("get", key, codec, readValue as ValueReader<T>, options, "any");
  }

  /** The values of many keys, from the near cache or their servers. */
  getMany<T, K extends Key>(keys: Iterable<K>, codec: Codec<unknown>, options: CallOptions | undefined): Promise<Map<K, T>> {
    if (this.near) return this.near.getMany(keys, codec, options);
    return this.lookupMany("get", keys, codec, readValue as ValueReader<T>, options, "any");
  }

  /** @param from which of its owners give the item: "any", or only the first, whose versions count for `cas` */
  lookup<T>(
    verb: ReadVerb,
    key: Key,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
    from: "any" | "first" = "first",
  ): Promise<T | undefined> {
    if (this.limits.starting)
      return this.limits.onceStarted(options, (rest) => this.lookup(verb, key, codec, read, rest, from));
    if (from === "any" && this.pool.copies > 1) return this.copies.lookup(verb, key, codec, read, options);
    return new Promise((resolve, reject) => {
      const wireKey = this.toWireKey(key);
      const operation = new GetOperation(verb, wireKey, this, this.limits.times(options), codec, read, resolve, reject);
      this.submit(this.pool.route(wireKey), operation, options);
    });
  }

  lookupMany<T, K extends Key>(
    verb: ReadVerb,
    keys: Iterable<K>,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
    from: "any" | "first" = "first",
  ): Promise<Map<K, T>> {
    if (this.limits.starting) {
      const kept = [...keys];
      return this.limits.onceStarted(options, (rest) => this.lookupMany(verb, kept, codec, read, rest, from));
    }
    if (from === "any" && this.pool.copies > 1) return this.copies.lookupMany(verb, keys, codec, read, options);
    return new Promise((resolve, reject) => {
      const result = new GetManyResult<K, T>(resolve, reject);
      const byServer = this.#byServer(keys, result);
      result.open = byServer.size;
      if (byServer.size === 0) resolve(new Map());
      const times = this.limits.times(options);
      for (const [poolServer, serverKeys] of byServer) {
        this.submit(poolServer, new GetManyOperation(verb, serverKeys, this, times, codec, read, result), options);
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
   * A command to the first server of a key that is not ejected.
   *
   * @param fields what the command sends; depends on its server, because the gutter shortens times to live
   * @param effect "change" when the item may be another afterwards, so that the near cache forgets it, and copies are deleted; "first"
   *   where the caller sees to the copies
   */
  command<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    read: ReplyReader<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
    effect: "change" | "first" | "read" = "change",
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
        this.submit(poolServer, operation, options);
      });
    if (effect === "read") return send();
    if (effect === "first" || this.pool.copies === 1) return this.#change(key, send);
    return this.#change(key, async () => this.copies.alone(this.toWireKey(key), options, send));
  }

  /** A command that changes an item, to all its servers: their answers, the first's first. @throws OperationError CACHE_PARTIAL */
  commandAll<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    reader: () => ReplyReader<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
  ): Promise<readonly OwnerAnswer<T>[]> {
    if (this.limits.starting) {
      return this.limits.onceStarted(options, (rest) => this.commandAll(verb, key, rest, reader, missed, fields));
    }
    if (this.pool.copies === 1) {
      let poolServer: PoolServer | undefined;
      const sent = (owner: PoolServer | undefined): CommandFields => fields((poolServer = owner));
      return this.command(verb, key, options, reader(), missed, sent).then((answer) => [{ poolServer, answer }]);
    }
    return this.#change(key, () => this.copies.everywhere(verb, key, options, reader, missed, fields));
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
  turnTaken(wireKey: string, cas: bigint, server: string): void {
    const poolServer = this.pool.named(server);
    const request = invalidation(wireKey, undefined, { cas, connection: poolServer?.connection ?? 0 });
    this.errandAt(poolServer, metaDone, false, request, undefined).catch(() => {});
  }

  /**
   * What is under the key. What is called right behind it goes out in the same write, after it.
   *
   * @param invalidates the caller invalidates what it sees, and so gives a turn back itself
   */
  look(wireKey: string, options: CallOptions | undefined, invalidates = false): Promise<Look> {
    if (this.limits.starting)
      return this.limits.onceStarted(options, (rest) => this.look(wireKey, rest, invalidates)).catch(() => undefined);
    return this.lookAt(this.pool.route(wireKey), wireKey, options, invalidates);
  }

  /** The same at all servers of the key, the first first. */
  async lookAll(wireKey: string, options: CallOptions | undefined): Promise<readonly Look[]> {
    if (this.pool.copies === 1) return [await this.look(wireKey, options)];
    if (this.limits.starting) return this.limits.onceStarted(options, (rest) => this.lookAll(wireKey, rest));
    return Promise.all(this.pool.owners(wireKey).map((owner) => this.lookAt(owner, wireKey, options)));
  }

  async lookAt(
    poolServer: PoolServer | undefined,
    wireKey: string,
    options: CallOptions | undefined,
    invalidates = false,
  ): Promise<Look> {
    if (poolServer?.usable !== true) return undefined;
    const request = versionRequest(wireKey);
    const found = await this.errandAt(poolServer, versionReply, undefined, request, options).catch(() => undefined);
    if (found === undefined || found === "nothing") return found;
    const { held, won, cas, tagged } = found;
    if (won && !held && !invalidates) this.turnTaken(wireKey, cas, poolServer.server.name);
    return { held, tagged, cas, connection: poolServer.connection };
  }

  /**
   * The near cache drops the item before the change is sent and again after its reply: reads may come between. Whoever fetches it from
   * now on shares nothing that was begun before.
   */
  #change<T>(key: Key, send: () => Promise<T>): Promise<T> {
    return this.near || this.flights.size > 0 ? this.#forgetting(key, send) : send();
  }

  async #forgetting<T>(key: Key, send: () => Promise<T>): Promise<T> {
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
        this.submit(poolServer, operation, options);
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

  /** Keys of reads that are counted apart from their requests. */
  countReads(hits: number, misses: number): void {
    this.counts.hits += hits;
    this.counts.misses += misses;
  }

  /** Keys answered by the near cache: hits without a call. */
  countNear(keys: number): void {
    this.counts.hits += keys;
    this.counts.nearHits += keys;
  }

  /** memcached's exptime for an item on this server: the gutter's are short. @throws UsageError CACHE_TTL_INVALID */
  exptime(poolServer: PoolServer | undefined, ttl: Ttl | undefined): number {
    const wallMs = this.clock.wallMs();
    if (poolServer?.gutter) return this.exptimeOfMs(poolServer, ttlMs(ttl, wallMs));
    return this.#ending(exptimeOf(ttl, wallMs));
  }

  /** The same for a life in milliseconds; Infinity: no end. */
  exptimeOfMs(poolServer: PoolServer | undefined, lifeMs: number): number {
    const { gutterTtlMs } = this.#settings;
    return this.#ending(exptimeOfMs(poolServer?.gutter ? Math.min(gutterTtlMs, lifeMs) : lifeMs, this.clock.wallMs()));
  }

  /** A copy on a server that was away while the item changed must end some time. */
  #ending(exptime: number): number {
    if (exptime !== 0 || this.pool.copies === 1) return exptime;
    throw new UsageError("CACHE_TTL_INVALID", "Cannot use no ttl: with copies each item needs an end");
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
    this.countReads(operation.hits, operation.misses);
    this.told(operation);
  }

  /** Tells subscribers and traces of an operation that has settled. */
  told(operation: CacheOperation): void {
    this.counts.calls += 1;
    if (calls.hasSubscribers) calls.publish(eventOf(operation, this.clock.now()));
    operation.span?.ended(operation);
  }

  /** Hands an operation to a server; undefined: none answers for its key. */
  submit(poolServer: PoolServer | undefined, operation: CacheOperation, options: CallOptions | undefined): void {
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
