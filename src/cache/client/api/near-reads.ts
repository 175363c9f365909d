/**
 * ● Reads that look into the near cache first, and keep there what they find. An item is given out without asking its server for
 * `ttl`, or for `watchedTtl` while the server's change stream is followed; after that it is asked for anew, or, with `validate`,
 * only whether it is still the same version.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../../core/clock.ts";
import { durationMs, sizeBytes, type Duration, type Size } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";
import { versionReply, versionQuestion } from "./lease.ts";
import { NEAR_BYTES_DEFAULT, NEAR_TTL_MS_DEFAULT, NEAR_WATCHED_TTL_MS_DEFAULT } from "../operations/limits.ts";
import { NearCache, type NearItem } from "./near-cache.ts";
import type { Read } from "../operations/lookup.ts";
import type { CallOptions } from "./cache-client-options.ts";
import type { ChangeListener } from "../pool/change-stream.ts";

/** A memory of recently read items in the client itself. */
export interface NearCacheOptions {
  /** What it may take, keys and bookkeeping counted; default "8m". */
  readonly bytes?: Size;
  /** How long an item is given out without asking: as old as this it may be; default "1s". */
  readonly ttl?: Duration;
  /** When the time is over, ask whether the version is still the same rather than for the value; needs memcached >= 1.6.10. */
  readonly validate?: boolean;
  /** Follow the servers' change streams (`watch`), so that changes by others are known at once; default false. */
  readonly watch?: boolean;
  /** As `ttl`, while the server's stream is followed; it does not mention touch and flush_all. Default "1m". */
  readonly watchedTtl?: Duration;
}

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

  /** Bytes kept now. */
  get bytes(): number {
    return this.#cache.bytes;
  }

  /** A fresh item by its wire key. */
  fresh(wire: string): NearItem | undefined {
    const item = this.#cache.fresh(wire, this.#clock.now());
    if (item) this.#dispatch.countNear(1);
    return item;
  }

  async get<T>(key: Key, codec: Codec<unknown>, options: CallOptions | undefined): Promise<T | undefined> {
    const wire = this.#dispatch.wireKey(key);
    const item = this.fresh(wire) ?? (await this.#ask(wire, key, options));
    return item && (this.#dispatch.decode(wire, item, codec) as T | undefined);
  }

  async getMany<T, K extends Key>(
    keys: Iterable<K>,
    codec: Codec<unknown>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    const values = new Map<K, T>();
    const take = (key: K, wire: string, item: NearItem): void => {
      const value = this.#dispatch.decode(wire, item, codec);
      if (value !== undefined) values.set(key, value as T);
    };
    const rest = new Map<string, K>();
    for (const key of keys) {
      const wire = this.#dispatch.wireKey(key);
      const item = this.fresh(wire);
      if (item) take(key, wire, item);
      else rest.set(wire, key);
    }
    if (rest.size === 0) return values;
    for (const wire of rest.keys()) this.#cache.filling(wire);
    let found = new Map<K, NearItem>();
    try {
      found = await this.#dispatch.lookupMany("gets", rest.values(), RAW, readRaw, options);
    } finally {
      for (const [wire, key] of rest) this.#keep(wire, found.get(key));
    }
    for (const [wire, key] of rest) if (found.has(key)) take(key, wire, found.get(key)!);
    return values;
  }

  /** A read by other means begins; the function given back must be called with what it found. */
  filling(wire: string): (item: NearItem | undefined) => void {
    this.#cache.filling(wire);
    return (item) => this.#keep(wire, item);
  }

  /** This client changes the item: before it asks, and again when it has the answer. */
  changed(wire: string): void {
    this.#cache.changed(wire);
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

  async #ask(wire: string, key: Key, options: CallOptions | undefined): Promise<NearItem | undefined> {
    const old = this.#validate ? this.#cache.old(wire) : undefined;
    if (old && old.cas !== 0n && this.#dispatch.pool.route(wire)?.meta) {
      const cas = await this.#dispatch.command(
        "meta",
        key,
        options,
        versionReply,
        undefined,
        () => versionQuestion(wire),
        "read",
      );
      if (cas === old.cas) {
        this.#cache.renew(wire, cas, this.#freshUntilMs(wire));
        this.#dispatch.countNear(1);
        return old;
      }
    }
    this.#cache.filling(wire);
    let item: NearItem | undefined;
    try {
      item = await this.#dispatch.lookup("gets", key, RAW, readRaw, options);
    } finally {
      this.#keep(wire, item);
    }
    return item;
  }

  #keep(wire: string, item: NearItem | undefined): void {
    const server = this.#dispatch.pool.route(wire)?.server.name ?? "";
    // Counters change by incr and decr, of which no stream tells.
    const kept = item && !isCounter(item.bytes) ? { ...item, server } : undefined;
    this.#cache.filled(wire, kept, this.#freshUntilMs(wire));
  }

  #freshUntilMs(wire: string): number {
    const server = this.#dispatch.pool.route(wire)?.server.name ?? "";
    return this.#clock.now() + (this.#followed.has(server) ? this.#watchedTtlMs : this.#ttlMs);
  }
}

/** A decimal number that memcached would count with, as it may stand padded. */
function isCounter(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.length <= 20 && bytes.every((byte) => (byte >= 0x30 && byte <= 0x39) || byte === 0x20);
}

const RAW: Codec<unknown> = { encode: () => ({ bytes: "", flags: 0 }), decode: (bytes) => bytes };

/** The item as it came, in bytes of its own. */
export const readRaw: Read<NearItem> = (reply) => ({
  bytes: Buffer.from(reply.valueBytes),
  flags: reply.flags,
  cas: reply.cas,
});
