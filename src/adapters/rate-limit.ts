/**
 * ● The entry point `holdfast/rate-limit`: counters for express-rate-limit and rate-limiter-flexible, so that a limit holds for a
 * whole farm. Counting is one round trip, atomic on the server.
 */
import type { CacheClient } from "../cache/index.ts";
import { deleteBehind, ownClient, ttlOfMs, type ClientSource, type OwnClient } from "./own-client.ts";

export type { ClientSource } from "./own-client.ts";

/** Options of a store for express-rate-limit. */
export interface RateLimitStoreOptions {
  /** A client, which stays open, or options of one. */
  readonly cache?: ClientSource;
  /** What keys stand behind; default "rl:". Two limiters need two. */
  readonly prefix?: string;
}

/** How often a client has called, and when its count ends. */
export interface RateLimitInfo {
  readonly totalHits: number;
  readonly resetTime: Date | undefined;
}

/** 1 min: express-rate-limit's default. */
const WINDOW_MS_DEFAULT = 60_000;

/**
 * A store for express-rate-limit: fixed windows, each beginning with its first call, in whole seconds. When the servers cannot be
 * asked its calls reject; `passOnStoreError` of express-rate-limit says what happens then.
 *
 * @example
 * app.use(rateLimit({ windowMs: 60_000, limit: 100, store: new RateLimitStore({ cache: { servers: ["10.0.0.1:11211"] } }) }));
 */
export class RateLimitStore {
  /** What keys stand behind. */
  readonly prefix: string;
  /** Counts are shared with other processes. */
  readonly localKeys = false;
  readonly #client: OwnClient;
  #windowMs = WINDOW_MS_DEFAULT;

  /** @throws UsageError as `new CacheClient` does */
  constructor({ cache = {}, prefix = "rl:" }: RateLimitStoreOptions = {}) {
    this.#client = ownClient(cache);
    this.prefix = prefix;
  }

  /** express-rate-limit tells its window. */
  init({ windowMs }: { readonly windowMs: number }): void {
    this.#windowMs = windowMs;
  }

  /** The count, not changed. */
  async get(key: string): Promise<RateLimitInfo | undefined> {
    const timed = await this.#client.cache.getWithTtl(this.prefix + key);
    return timed && { totalHits: Number(timed.value), resetTime: resetTimeOf(timed.ttl) };
  }

  /** Counts a call. */
  async increment(key: string): Promise<RateLimitInfo> {
    const { cache } = this.#client;
    const counting = cache.incr(this.prefix + key, 1n, { initial: 1n, ...ttlOfMs(this.#windowMs) });
    const [totalHits, timed] = await Promise.all([counting, cache.getWithTtl(this.prefix + key).catch(() => undefined)]);
    if (totalHits === undefined) throw new Error("Cannot count: no server answers for the key");
    const resetTime = resetTimeOf(timed?.ttl) ?? new Date(Date.now() + this.#windowMs);
    return { totalHits: Number(totalHits), resetTime };
  }

  /** Takes a call back. */
  async decrement(key: string): Promise<void> {
    await this.#client.cache.decr(this.prefix + key);
  }

  /** Forgets a client. */
  async resetKey(key: string): Promise<void> {
    await this.#client.cache.delete(this.prefix + key);
  }

  /** Forgets all, by listing the servers' keys. */
  async resetAll(): Promise<void> {
    await deleteBehind(this.#client.cache, this.prefix);
  }

  /** Closes the client if it is the store's own. */
  async shutdown(): Promise<void> {
    await this.#client.close();
  }
}

function resetTimeOf(leftS: number | undefined): Date | undefined {
  return leftS === undefined ? undefined : new Date(Date.now() + leftS * 1000);
}

function shownCount(value: bigint | undefined): number | false {
  return value === undefined ? false : Number(value);
}

type Done<T> = (error: unknown, value?: T) => void;

/** What `RateLimiterMemcache` of rate-limiter-flexible asks of its `storeClient`. */
export interface MemcachedLike {
  get(key: string, done: Done<unknown>): void;
  set(key: string, value: unknown, seconds: number, done: Done<boolean>): void;
  add(key: string, value: unknown, seconds: number, done: Done<boolean>): void;
  incr(key: string, by: number, done: Done<number | false>): void;
  del(key: string, done: Done<boolean>): void;
}

/**
 * The `storeClient` of rate-limiter-flexible's `RateLimiterMemcache`, in the words of the npm package memcached that it was made for.
 *
 * @example
 * const limiter = new RateLimiterMemcache({ storeClient: memcachedLike(cache), points: 100, duration: 60 });
 */
export function memcachedLike(cache: CacheClient): MemcachedLike {
  const settle = <T, R>(work: Promise<T>, done: Done<R>, shown: (value: T) => R): void => {
    work.then(
      (value) => process.nextTick(done, undefined, shown(value)),
      (error: unknown) => process.nextTick(done, error),
    );
  };
  const life = (seconds: number): { ttl?: number } => (seconds > 0 ? { ttl: seconds } : {});
  return {
    get: (key, done) => settle(cache.get(key), done, (value) => value ?? false),
    set: (key, value, seconds, done) => settle(cache.set(key, value, life(seconds)), done, Boolean),
    add: (key, value, seconds, done) => settle(cache.add(key, value, life(seconds)), done, Boolean),
    incr: (key, by, done) => settle(by < 0 ? cache.decr(key, -by) : cache.incr(key, by), done, shownCount),
    del: (key, done) => settle(cache.delete(key), done, Boolean),
  };
}
