/**
 * ● The cache client: one memory across many servers. Each call goes to the server that holds its key, over one pipelined
 * connection a server; all requests of one tick leave in one write. Invariant: every call settles exactly once, by its
 * deadline or its signal. It stores nothing that it was not told to store, and never gives the value of another key.
 */
import { EventEmitter } from "node:events";
import { systemClock } from "../../../core/clock.ts";
import { OperationError } from "../../../core/errors.ts";
import { durationMs, sizeBytes, type Duration } from "../../../core/units.ts";
import { BinaryProtocol } from "../protocol/binary-protocol.ts";
import { anyValue, type Codec } from "../operations/codec.ts";
import { Discovery, type ClusterDiscovery, type DnsDiscovery } from "../pool/discovery.ts";
import { Dispatch } from "./dispatch.ts";
import type { CacheCounts, CacheEvents } from "./events.ts";
import { Fetcher, type FetchOptions, type Loader } from "./fetch.ts";
import { fetchMany, type ManyLoader } from "./fetch-many.ts";
import { ok, statistics, versionText, type CasOutcome } from "./command-replies.ts";
import type { HealthState } from "../pool/health.ts";
import type { Key } from "./key.ts";
import { Keyspace } from "./keyspace.ts";
import * as limits from "../operations/limits.ts";
import type { PoolServerSettings } from "../pool/pool-server.ts";
import { readVersioned, type ValueReader, type Versioned } from "../operations/get-operation.ts";
import {
  checkOptions,
  type CacheClientOptions,
  type CallOptions,
  type CountOptions,
  type NearCacheOptions,
  type StoreOptions,
} from "./cache-client-options.ts";
import { NearReads } from "./near-reads.ts";
import { Pool } from "../pool/pool.ts";
import { parseServer } from "../operations/server-address.ts";
import { TextProtocol } from "../protocol/text-protocol.ts";
import { loadTracing } from "../../../core/open-telemetry-tracing.ts";
import { leaseSeconds, ttlMs, type Ttl } from "./ttl.ts";
import { Reads, type ListedItem, type Timed } from "./reads.ts";
import { Writes } from "./writes.ts";
import { ChangeStream } from "../pool/change-stream.ts";

/** A client of one or many memcached servers. */
export class CacheClient extends EventEmitter<CacheEvents> {
  readonly #dispatch: Dispatch;
  readonly #reads: Reads;
  readonly #writes: Writes;
  readonly #fetcher: Fetcher;
  readonly #codec: Codec<unknown>;
  readonly #poolServer: PoolServerSettings;
  readonly #discovery: Discovery | undefined;
  readonly #changeStreams = new Map<string, ChangeStream>();

  /** @throws UsageError CACHE_OPTION_INVALID, UNIT_INVALID or ADDRESS_INVALID */
  constructor(options: CacheClientOptions = {}) {
    super();
    checkOptions(options);
    const { clock = systemClock, random = Math.random, whenDown } = options;
    const gutter = typeof whenDown === "object" ? whenDown.gutter : undefined;
    const timeoutMs = durationMs(options.timeout ?? limits.TIMEOUT_MS_DEFAULT, "timeout");
    const poolServer = poolServerSettingsOf(options, this, timeoutMs);
    this.#poolServer = poolServer;
    const pool = new Pool({
      poolServer,
      placement: options.placement ?? "ketama",
      whenDown: whenDown === "next" ? "next" : "miss",
      gutter: (gutter?.servers ?? []).map(parseServer),
      copies: options.copies ?? 1,
      zone: options.zone,
      random,
    });
    const { servers = ["127.0.0.1"] } = options;
    if ("map" in servers) pool.apply(servers.map(parseServer));
    else this.#discovery = this.#discover(servers, { pool, poolServer, timeoutMs });
    this.#codec = options.codec ?? anyValue;
    this.#dispatch = new Dispatch(
      {
        pool,
        clock,
        timeoutMs,
        onError: options.onError ?? "throw",
        keys: options.keys ?? "refuse",
        prefix: options.prefix ?? "",
        starting: this.#discovery?.start(),
        random,
        gutterTtlMs: ttlMs(gutter?.ttl ?? "10s", clock.wallMs()),
      },
      this,
    );
    this.#reads = new Reads(this.#dispatch, this.#codec);
    this.#writes = new Writes(this.#dispatch);
    this.#fetcher = new Fetcher(this.#dispatch, random);
    if (options.nearCache) this.#keepNear(options.nearCache, poolServer);
    loadTracing();
  }

  /** Totals since the client was made. */
  get counts(): Readonly<CacheCounts> {
    return { ...this.#dispatch.counts };
  }

  /** The servers and how they are: "up", "failing" or "ejected". */
  get servers(): readonly { readonly name: string; readonly state: HealthState; readonly version: string | undefined }[] {
    return this.#dispatch.pool.poolServers.map(({ server, state, version }) => ({ name: server.name, state, version }));
  }

  /**
   * The value of a key, or undefined when there is none.
   *
   * @throws UsageError CACHE_KEY_INVALID; OperationError CACHE_TIMEOUT, CACHE_UNREACHABLE, CACHE_QUEUE_FULL, CACHE_SERVER_ERROR,
   *   ABORTED, CLOSED; ProtocolError CACHE_REPLY_INVALID, CACHE_VALUE_UNREADABLE
   */
  get<T = unknown>(key: Key, options?: CallOptions): Promise<T | undefined> {
    return this.#dispatch.get(key, this.#codec, options);
  }

  /** The value of a key with its CAS number, for `cas`. Errors as `get`. */
  gets<T = unknown>(key: Key, options?: CallOptions): Promise<Versioned<T> | undefined> {
    return this.#dispatch.lookup("gets", key, this.#codec, readVersioned as ValueReader<Versioned<T>>, options);
  }

  /**
   * The values of many keys, over any number of servers. Keys that have none are not in the map; with `onError: "miss"` neither
   * are those of servers that failed. Errors as `get`.
   */
  getMany<T = unknown, K extends Key = string>(keys: Iterable<K>, options?: CallOptions): Promise<Map<K, T>> {
    return this.#dispatch.getMany(keys, this.#codec, options);
  }

  /** As `getMany`, each value with its CAS number. */
  getsMany<T = unknown, K extends Key = string>(keys: Iterable<K>, options?: CallOptions): Promise<Map<K, Versioned<T>>> {
    return this.#dispatch.lookupMany("gets", keys, this.#codec, readVersioned as ValueReader<Versioned<T>>, options);
  }

  /**
   * What is there of any number of keys, as it comes, in the order of the keys: for lists that are too long for one Map. At most two
   * thousand are asked for ahead. A key that stands in it twice may be given twice. Errors as `get`.
   */
  getEach<T = unknown, K extends Key = string>(
    keys: Iterable<K> | AsyncIterable<K>,
    options?: CallOptions,
  ): AsyncGenerator<[key: K, value: T], void, undefined> {
    return this.#reads.each(keys, options);
  }

  /**
   * The value of a key with its CAS number and the seconds that it has left. Errors as `get`.
   *
   * @throws OperationError CACHE_REFUSED on servers without the meta protocol
   */
  async getWithTtl<T = unknown>(key: Key, options?: CallOptions): Promise<Timed<T> | undefined> {
    return (await this.#reads.timed<T, Key>([key], options)).get(key);
  }

  /** As `getMany`, each value with its CAS number and the seconds that it has left. Errors as `getWithTtl`. */
  getManyWithTtl<T = unknown, K extends Key = string>(keys: Iterable<K>, options?: CallOptions): Promise<Map<K, Timed<T>>> {
    return this.#reads.timed(keys, options);
  }

  /**
   * Stores a value.
   *
   * @returns true when stored; false where the call counts as a miss: its server is ejected, or failed under `onError: "miss"`
   * @throws UsageError CACHE_KEY_INVALID, CACHE_TTL_INVALID, CACHE_VALUE_INVALID; else as `get`
   */
  set(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("set", key, value, this.#codec, options);
  }

  /** Stores a value where there is none. False when there is one. Errors as `set`. */
  add(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("add", key, value, this.#codec, options);
  }

  /** Stores a value where there is one. False when there is none. Errors as `set`. */
  replace(key: Key, value: unknown, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("replace", key, value, this.#codec, options);
  }

  /** Puts text or bytes behind the value that is there. False when there is none. Errors as `set`. */
  append(key: Key, more: string | Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#writes.join("append", key, more, options);
  }

  /** Puts text or bytes before the value that is there. False when there is none. Errors as `set`. */
  prepend(key: Key, more: string | Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#writes.join("prepend", key, more, options);
  }

  /**
   * Stores a value if the item is still the version that `gets` read.
   *
   * @returns "stored", "exists" (someone else stored meanwhile) or "missing"
   */
  cas(key: Key, value: unknown, cas: bigint, options?: StoreOptions): Promise<CasOutcome> {
    return this.#writes.cas(key, value, cas, this.#codec, options);
  }

  /**
   * A value from the cache, or computed by the loader, once for everybody who waits for it: in this process, and, on memcached
   * >= 1.6.10 or Holdfast, among all processes.
   *
   * @returns the value; an old one where `stale` allows it and another caller computes, or the loader fails
   * @throws what the loader throws; OperationError CACHE_TIMEOUT, ABORTED. A cache that does not answer is not an error here
   */
  fetch<T>(key: Key, loader: Loader<T>, options?: FetchOptions): Promise<T> {
    return this.#fetcher.fetch(key, this.#codec as Codec<T>, loader, options);
  }

  /**
   * As `fetch` of many keys, with one call of the loader for all that must be computed here. Keys that it gives no value for are
   * not in the map, and nothing is kept of them. Errors as `fetch`: the first of any key.
   */
  fetchMany<T, K extends Key = string>(
    keys: Iterable<K>,
    loader: ManyLoader<K, T>,
    options?: FetchOptions,
  ): Promise<Map<K, T>> {
    return fetchMany(this.#fetcher, keys, this.#codec as Codec<T>, loader, options);
  }

  /**
   * Marks an item as out of date: the next `fetch` computes it anew, and until then others get the old value.
   *
   * @param options.stale the longest the old value may still be given out; default: as long as it would have lived
   * @returns true when there was an item
   * @throws OperationError CACHE_REFUSED on servers without the meta protocol; else as `get`
   */
  async invalidate(key: Key, options: CallOptions & { readonly stale?: Duration } = {}): Promise<boolean> {
    const leftS = options.stale === undefined ? undefined : leaseSeconds(options.stale, "stale");
    return this.#writes.invalidate(key, leftS, options);
  }

  /**
   * Invalidates all items that were stored with one of these tags, on all servers: no read that begins after it gives one.
   *
   * @throws OperationError when not all servers confirmed it, after all were asked: items on the others may go on (with `onError: "miss"`
   *   nobody is told); CACHE_REFUSED on servers without the meta protocol
   */
  invalidateTag(tags: string | readonly string[], options?: CallOptions): Promise<void> {
    return this.#dispatch.tags.invalidate(typeof tags === "string" ? [tags] : tags, options);
  }

  /**
   * A typed family of items: `cache.define("user:{id}", json<User>())`. The parts in braces are filled in per call, percent-encoded,
   * so that no two give one key.
   *
   * @throws UsageError CACHE_OPTION_INVALID when a brace is not closed or a name stands twice
   */
  define<T, const P extends string = string>(template: P, codec: Codec<T>): Keyspace<T, P> {
    return new Keyspace({ dispatch: this.#dispatch, writes: this.#writes, fetcher: this.#fetcher }, template, codec);
  }

  /** Deletes an item. True when there was one. Errors as `get`. */
  delete(key: Key, options?: CallOptions): Promise<boolean> {
    return this.#writes.delete(key, options);
  }

  /** Gives an item a new time to live. True when there was one. Errors as `set`. */
  touch(key: Key, ttl: Ttl, options?: CallOptions): Promise<boolean> {
    return this.#writes.touch(key, ttl, options);
  }

  /** The value of a key, which lives for `ttl` from now on; undefined when there is none. Errors as `get` and `touch`. */
  getAndTouch<T = unknown>(key: Key, ttl: Ttl, options?: CallOptions): Promise<T | undefined> {
    return this.#writes.getAndTouch(key, ttl, this.#codec, options);
  }

  /**
   * Adds to a counter: an item whose value is a decimal number, below 2^64, where it wraps around.
   *
   * @param delta at least 0; default 1
   * @param options.initial where there is no item, one is made with this number, to live for `ttl`
   * @returns the new number, or undefined when there is no item
   * @throws OperationError CACHE_REFUSED when the value is no number; UsageError CACHE_VALUE_INVALID, CACHE_TTL_INVALID; else as `get`
   */
  incr(key: Key, delta: bigint | number = 1n, options?: CountOptions): Promise<bigint | undefined> {
    return this.#writes.count("incr", key, delta, options);
  }

  /** Subtracts from a counter, which stops at 0. As `incr`. */
  decr(key: Key, delta: bigint | number = 1n, options?: CountOptions): Promise<bigint | undefined> {
    return this.#writes.count("decr", key, delta, options);
  }

  /** Empties every server. Rejects when one could not be asked, after all were. */
  async flush(options?: CallOptions): Promise<void> {
    try {
      await this.#dispatch.everywhere("flush_all", {}, options, () => ok, false);
    } finally {
      this.#dispatch.near?.clear();
      this.#dispatch.flights.clear();
    }
  }

  /**
   * Statistics of every server, by its name.
   *
   * @param group one of memcached's: "settings", "items", "slabs", "sizes", "conns"; default the general ones
   */
  stats(group = "", options?: CallOptions): Promise<Map<string, ReadonlyMap<string, string>>> {
    return this.#dispatch.everywhere("stats", { words: group }, options, statistics, new Map());
  }

  /**
   * The items of all servers, as their crawlers find them, in no order: `for await (const { key, ttl } of cache.keys())`. With a `prefix`
   * only those of the client. Items that come or go meanwhile may be left out or be listed. A listing in progress holds at most some
   * thousand keys; it has no deadline, but a server that is silent for `timeout` fails it.
   *
   * @throws OperationError CACHE_UNREACHABLE, CACHE_TIMEOUT, CACHE_REFUSED (no crawler, or the binary protocol), ABORTED
   */
  keys(options: CallOptions = {}): AsyncGenerator<ListedItem, void, undefined> {
    return this.#reads.list(this.#poolServer, options);
  }

  /** The version of every server, by its name. */
  versions(options?: CallOptions): Promise<Map<string, string>> {
    return this.#dispatch.everywhere("version", {}, options, () => versionText, "");
  }

  /** Closes all connections. Calls that wait settle with CLOSED. May be called twice. */
  async close(): Promise<void> {
    this.#discovery?.close(new OperationError("CLOSED", "The cache client was closed"));
    this.#dispatch.close();
    for (const stream of this.#changeStreams.values()) stream.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #keepNear(options: NearCacheOptions, poolServer: PoolServerSettings): void {
    const near = new NearReads(this.#dispatch, options);
    this.#dispatch.near = near;
    if (!options.watch) return;
    const follow = (): void => {
      const servers = this.#dispatch.pool.poolServers.map(({ server }) => server);
      for (const server of servers.filter(({ name }) => !this.#changeStreams.has(name))) {
        this.#changeStreams.set(server.name, new ChangeStream(server, poolServer, near));
      }
      for (const [name, stream] of this.#changeStreams) {
        if (servers.some((server) => server.name === name)) continue;
        stream.close();
        this.#changeStreams.delete(name);
      }
    };
    follow();
    this.on("servers", follow);
  }

  #discover(
    where: DnsDiscovery | ClusterDiscovery,
    { pool, poolServer, timeoutMs }: { pool: Pool; poolServer: PoolServerSettings; timeoutMs: number },
  ): Discovery {
    const { clock, random } = poolServer;
    const server = "dns" in where ? where.dns : where.cluster;
    return new Discovery(where, {
      clock,
      random,
      timeoutMs,
      poolServer,
      found: (servers) => {
        const { added, removed } = pool.apply(servers);
        if (added.length + removed.length === 0) return;
        this.emit("servers", { added: added.map(({ name }) => name), removed: removed.map(({ name }) => name) });
      },
      failed: (error) => this.emit("failed", { verb: "config", key: "", server, error }),
    });
  }
}

function poolServerSettingsOf(
  options: CacheClientOptions,
  events: EventEmitter<CacheEvents>,
  timeoutMs: number,
): PoolServerSettings {
  const { tls, backoff = {} } = options;
  const binary = options.protocol === "binary" || options.credentials?.by === "sasl";
  const valueBytesMax = sizeBytes(options.valueBytes ?? limits.VALUE_BYTES_MAX, "valueBytes");
  return {
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    health: {
      ejectAfterFailures: options.ejectAfterFailures ?? limits.EJECT_AFTER_FAILURES,
      backoffMsMin: durationMs(backoff.min ?? limits.BACKOFF_MS_MIN, "backoff.min"),
      backoffMsMax: durationMs(backoff.max ?? limits.BACKOFF_MS_MAX, "backoff.max"),
    },
    callsMax: options.queueCalls ?? limits.QUEUE_CALLS_MAX,
    bytesMax: sizeBytes(options.queueBytes ?? limits.QUEUE_BYTES_MAX, "queueBytes"),
    stallMs: timeoutMs,
    connectTimeoutMs: durationMs(options.connectTimeout ?? timeoutMs, "connectTimeout"),
    tls: tls === true ? {} : tls,
    credentials: options.credentials,
    newProtocol: () => (binary ? new BinaryProtocol(valueBytesMax) : new TextProtocol(valueBytesMax)),
    textual: !binary,
    onHealth({ server: { name: server } }, state, error) {
      if (state === "ejected") events.emit("ejected", { server, error });
      else events.emit("restored", { server });
    },
  };
}
