/**
 * ● Reads that look into the near cache first, and keep there what they find. An item is given out without asking its server for
 * `ttl`, or for `watchedTtl` while the server's change stream is followed, and never beyond its own end; after that it is read anew,
 * or, with `validate`, first only its version. A server without meta commands does not tell an item's end: nothing of it is kept.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../../core/clock.ts";
import { durationMs, sizeBytes } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";
import { versionReply, versionRequest } from "./lease.ts";
import { NEAR_BYTES_DEFAULT, NEAR_TTL_MS_DEFAULT, NEAR_WATCHED_TTL_MS_DEFAULT } from "../operations/limits.ts";
import { NearCache, type NearItem } from "./near-cache.ts";
import { TAGGED_FLAG, tagsOf } from "../operations/tagged.ts";
import type { CommandFields } from "../operations/operation.ts";
import type { ValueReader } from "../operations/get-operation.ts";
import type { CallOptions, NearCacheOptions } from "./cache-client-options.ts";
import type { ChangeListener } from "../pool/change-stream.ts";

export class NearReads implements ChangeListener {
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #cache: NearCache;
  readonly #ttlMs: number;
  readonly #watchedTtlMs: number;
  /** As `#watchedTtlMs`, of servers whose stream tells stores and deletes alone. */
  readonly #partlyWatchedTtlMs: number;
  readonly #validate: boolean;
  /** Servers whose stream is followed, and whether it tells every change. */
  readonly #followed = new Map<string, boolean>();
  #routesVersion = 0;

  /** @throws UsageError UNIT_INVALID */
  constructor(dispatch: Dispatch, options: NearCacheOptions) {
    this.#dispatch = dispatch;
    this.#clock = dispatch.clock;
    this.#cache = new NearCache(sizeBytes(options.bytes ?? NEAR_BYTES_DEFAULT, "nearCache.bytes"));
    this.#ttlMs = durationMs(options.ttl ?? NEAR_TTL_MS_DEFAULT, "nearCache.ttl");
    const { watchedTtl } = options;
    this.#watchedTtlMs = durationMs(watchedTtl ?? NEAR_WATCHED_TTL_MS_DEFAULT, "nearCache.watchedTtl");
    this.#partlyWatchedTtlMs = watchedTtl === undefined ? this.#ttlMs : this.#watchedTtlMs;
    this.#validate = options.validate ?? false;
  }

  /** A fresh item, by its wire key. @param forFetch not an old one, which `fetch` shall compute anew */
  fresh(wireKey: string, forFetch = false): NearItem | undefined {
    const { pool } = this.#dispatch;
    if (pool.routesVersion !== this.#routesVersion) {
      this.#routesVersion = pool.routesVersion;
      this.#cache.routesChanged((key, server) => pool.answersFor(key, server));
    }
    const item = this.#cache.fresh(wireKey, this.#clock.now());
    if (!item || (forFetch && item.old)) return undefined;
    if (item.flags >= TAGGED_FLAG) {
      const tags = tagsOf(item.bytes, item.flags);
      if (tags && !this.#dispatch.tags.areKnown(item.server, tags)) return undefined;
    }
    this.#dispatch.countNear(1);
    return item;
  }

  async get<T>(key: Key, codec: Codec<unknown>, options: CallOptions | undefined): Promise<T | undefined> {
    const wireKey = this.#dispatch.toWireKey(key);
    const item = this.fresh(wireKey) ?? (await this.#ask(wireKey, key, options));
    return item && (this.#dispatch.decode(wireKey, item, codec) as T | undefined);
  }

  async getMany<T, K extends Key>(
    keys: Iterable<K>,
    codec: Codec<unknown>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    const values = new Map<K, T>();
    const take = (key: K, wireKey: string, item: RawItem | NearItem): void => {
      const value = this.#dispatch.decode(wireKey, item, codec);
      if (value !== undefined) values.set(key, value as T);
    };
    const rest = new Map<string, K>();
    for (const key of keys) {
      const wireKey = this.#dispatch.toWireKey(key);
      const item = this.fresh(wireKey);
      if (item) take(key, wireKey, item);
      else rest.set(wireKey, key);
    }
    if (rest.size === 0) return values;
    const fills = new Map([...rest.keys()].map((wireKey) => [wireKey, this.filling(wireKey)]));
    let found = new Map<K, RawItem>();
    try {
      const verb = rest.keys().every((wireKey) => this.#hasMeta(wireKey)) ? "mg" : "gets";
      found = await this.#dispatch.lookupMany(verb, rest.values(), RAW, readRaw, options, "any");
    } finally {
      for (const [wireKey, key] of rest) fills.get(wireKey)!(found.get(key));
    }
    for (const [wireKey, key] of rest) if (found.has(key)) take(key, wireKey, found.get(key)!);
    return values;
  }

  /**
   * A read begins, at a server that answers for the key. The function returned must be called with what it found: that is
   * kept for no longer than the item lives. Its seconds are counted from before the request, by a server whose clock ticks whole
   * seconds: n left are more than n - 1.
   *
   * @param aheadMs how long before its end it must be read from its server again
   */
  filling(wireKey: string, aheadMs = 0): (item: RawItem | undefined) => void {
    this.#cache.filling(wireKey);
    const askedMs = this.#clock.now();
    return (item) => {
      const { pool } = this.#dispatch;
      const keptMs = item && this.#mayKeep(item) && pool.answersFor(wireKey, item.server) ? lifeMsOf(item.leftS) - aheadMs : 0;
      const connection = pool.named(item?.server ?? "")?.connection ?? 0;
      this.#cache.filled(
        wireKey,
        item && keptMs > 0 ? { ...item, old: isOld(item), connection } : undefined,
        this.#freshUntilMs(askedMs, keptMs, item && isOld(item) ? undefined : item?.server),
      );
    };
  }

  /** This client changes the item (called before and after), or its server told of a change. */
  changed(wireKey: string): void {
    this.#cache.changed(wireKey);
    this.#dispatch.tags.changed(wireKey);
  }

  /** Whether the stores and deletes on a server are told. */
  follows(server: string): boolean {
    return this.#followed.has(server);
  }

  invalidated(wireKey: string): void {
    this.#cache.invalidated(wireKey);
  }

  clear(): void {
    this.#cache.clear();
  }

  following(server: string, everyChange: boolean): void {
    this.flushed(server); // what was read before the stream began may have changed before it began
    this.#followed.set(server, everyChange);
  }

  flushed(server: string): void {
    this.#cache.serverLost(server);
    this.#dispatch.tags.serverLost(server);
  }

  lost(server: string): void {
    if (this.#followed.delete(server)) this.flushed(server);
  }

  async #ask(wireKey: string, key: Key, options: CallOptions | undefined): Promise<RawItem | NearItem | undefined> {
    const old = this.#validate ? this.#cache.old(wireKey) : undefined;
    // Versions are compared at the first server alone; a copy is read again.
    if (
      old &&
      !old.old &&
      old.cas !== 0n &&
      old.server === this.#dispatch.pool.route(wireKey)?.server.name &&
      old.connection === this.#dispatch.connectionOf(wireKey) &&
      this.#hasMeta(wireKey)
    ) {
      const askedMs = this.#clock.now();
      const request = (): CommandFields => versionRequest(wireKey);
      const answer = await this.#dispatch.command("meta", key, options, versionReply, undefined, request, "read");
      const now = answer === "nothing" ? undefined : answer;
      if (now?.won) this.#dispatch.turnTaken(wireKey, now.cas, old.server);
      const isSame = now?.cas === old.cas && old.connection === this.#dispatch.connectionOf(wireKey);
      const tags = isSame ? tagsOf(old.bytes, old.flags) : undefined;
      if (isSame && (!tags || (await this.#dispatch.tags.areCurrent(old.server, tags, options)))) {
        this.#cache.renew(wireKey, now.cas, this.#freshUntilMs(askedMs, lifeMsOf(now.leftS), old.server));
        this.#dispatch.countNear(1);
        return old;
      }
    }
    const filled = this.filling(wireKey);
    let item: RawItem | undefined;
    try {
      item = await this.#dispatch.lookup(this.#hasMeta(wireKey) ? "mg" : "gets", key, RAW, readRaw, options, "any");
    } finally {
      filled(item);
    }
    return item;
  }

  /** Counters only where the stream tells of incr and decr. */
  #mayKeep({ bytes, server }: RawItem): boolean {
    return this.#followed.get(server) === true || !isCounter(bytes);
  }

  #hasMeta(wireKey: string): boolean {
    const { pool } = this.#dispatch;
    if (pool.copies > 1) return pool.owners(wireKey).every(({ meta }) => meta);
    return pool.route(wireKey)?.meta === true;
  }

  #freshUntilMs(askedMs: number, lifeMs: number, server: string | undefined): number {
    const everyChange = server === undefined ? undefined : this.#followed.get(server);
    const watchedTtlMs = everyChange ? this.#watchedTtlMs : this.#partlyWatchedTtlMs;
    return askedMs + Math.min(everyChange === undefined ? this.#ttlMs : watchedTtlMs, lifeMs);
  }
}

function isOld({ won, stale, claimed }: RawItem): boolean {
  return won || stale || claimed;
}

/** Milliseconds that an item surely lives, by the seconds it is said to have left; 0 where nothing was said. */
function lifeMsOf(leftS: number | undefined): number {
  if (leftS === undefined) return 0;
  return leftS < 0 ? Infinity : Math.max(0, leftS - 1) * 1000;
}

/** A decimal number that memcached could count with; `decr` pads it with spaces. */
function isCounter(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.length <= 20 && bytes.every((byte) => (byte >= 0x30 && byte <= 0x39) || byte === 0x20);
}

const RAW: Codec<unknown> = { encode: () => ({ bytes: "", flags: 0 }), decode: (bytes) => bytes };

/** An item undecoded, as its server gave it. */
export interface RawItem {
  readonly bytes: Buffer;
  readonly flags: number;
  readonly cas: bigint;
  /** The server that gave it. */
  readonly server: string;
  /** Seconds left; -1 without end, undefined where the server was not asked. */
  readonly leftS: number | undefined;
  /** The server asks this reader to compute it anew. */
  readonly won: boolean;
  /** It was invalidated. */
  readonly stale: boolean;
  /** Another reader computes it anew. */
  readonly claimed: boolean;
}

/** The item undecoded, in bytes of its own. */
export const readRaw: ValueReader<RawItem> = (reply, _codec, server) => ({
  bytes: Buffer.from(reply.valueBytes),
  flags: reply.flags,
  cas: reply.cas,
  server,
  leftS: reply.ttl,
  won: reply.won,
  stale: reply.stale,
  claimed: reply.claimed,
});
