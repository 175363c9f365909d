/**
 * ● Reads that look into the near cache first, and keep there what they find. An item is given out without asking its server for
 * `ttl`, or for `watchedTtl` while the server's change stream is followed; after that it is read anew, or, with `validate`,
 * first only its version.
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
  readonly #validate: boolean;
  readonly #followed = new Set<string>();

  /** @throws UsageError UNIT_INVALID */
  constructor(dispatch: Dispatch, options: NearCacheOptions) {
    this.#dispatch = dispatch;
    this.#clock = dispatch.clock;
    this.#cache = new NearCache(sizeBytes(options.bytes ?? NEAR_BYTES_DEFAULT, "nearCache.bytes"));
    this.#ttlMs = durationMs(options.ttl ?? NEAR_TTL_MS_DEFAULT, "nearCache.ttl");
    this.#watchedTtlMs = durationMs(options.watchedTtl ?? NEAR_WATCHED_TTL_MS_DEFAULT, "nearCache.watchedTtl");
    this.#validate = options.validate ?? false;
  }

  /** A fresh item by its wireKey key. */
  fresh(wireKey: string): NearItem | undefined {
    const item = this.#cache.fresh(wireKey, this.#clock.now());
    if (item) this.#dispatch.countNear(1);
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
    const take = (key: K, wireKey: string, item: NearItem): void => {
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
    for (const wireKey of rest.keys()) this.#cache.filling(wireKey);
    let found = new Map<K, NearItem>();
    try {
      found = await this.#dispatch.lookupMany("gets", rest.values(), RAW, readRaw, options);
    } finally {
      for (const [wireKey, key] of rest) this.#keep(wireKey, found.get(key));
    }
    for (const [wireKey, key] of rest) if (found.has(key)) take(key, wireKey, found.get(key)!);
    return values;
  }

  /** `fetch` reads the item itself; the function returned must be called with what it found. */
  filling(wireKey: string): (item: NearItem | undefined) => void {
    this.#cache.filling(wireKey);
    return (item) => this.#keep(wireKey, item);
  }

  /** This client changes the item (called before and after), or its server told of a change. */
  changed(wireKey: string): void {
    this.#cache.changed(wireKey);
  }

  clear(): void {
    this.#cache.clear();
  }

  following(server: string): void {
    this.#cache.serverLost(server); // what was read before the stream began may have changed before it began
    this.#followed.add(server);
  }

  lost(server: string): void {
    if (this.#followed.delete(server)) this.#cache.serverLost(server);
  }

  async #ask(wireKey: string, key: Key, options: CallOptions | undefined): Promise<NearItem | undefined> {
    const old = this.#validate ? this.#cache.old(wireKey) : undefined;
    if (old && old.cas !== 0n && this.#dispatch.pool.route(wireKey)?.meta) {
      const request = (): CommandFields => versionRequest(wireKey);
      const cas = await this.#dispatch.command("meta", key, options, versionReply, undefined, request, "read");
      if (cas === old.cas) {
        this.#cache.renew(wireKey, cas, this.#freshUntilMs(wireKey));
        this.#dispatch.countNear(1);
        return old;
      }
    }
    this.#cache.filling(wireKey);
    let item: NearItem | undefined;
    try {
      item = await this.#dispatch.lookup("gets", key, RAW, readRaw, options);
    } finally {
      this.#keep(wireKey, item);
    }
    return item;
  }

  #keep(wireKey: string, item: NearItem | undefined): void {
    const server = this.#dispatch.pool.route(wireKey)?.server.name ?? "";
    // No change stream tells of incr and decr, so counters are never kept.
    const kept = item && !isCounter(item.bytes) ? { ...item, server } : undefined;
    this.#cache.filled(wireKey, kept, this.#freshUntilMs(wireKey));
  }

  #freshUntilMs(wireKey: string): number {
    const server = this.#dispatch.pool.route(wireKey)?.server.name ?? "";
    return this.#clock.now() + (this.#followed.has(server) ? this.#watchedTtlMs : this.#ttlMs);
  }
}

/** A decimal number that memcached could count with; `decr` pads it with spaces. */
function isCounter(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.length <= 20 && bytes.every((byte) => (byte >= 0x30 && byte <= 0x39) || byte === 0x20);
}

const RAW: Codec<unknown> = { encode: () => ({ bytes: "", flags: 0 }), decode: (bytes) => bytes };

/** The item undecoded, in bytes of its own. */
export const readRaw: ValueReader<NearItem> = (reply) => ({
  bytes: Buffer.from(reply.valueBytes),
  flags: reply.flags,
  cas: reply.cas,
});
