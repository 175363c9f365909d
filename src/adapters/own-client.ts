/** ● What all adapters share: the client that they work through, and listing by prefix. */
import { CacheClient, type CacheClientOptions } from "../cache/index.ts";

/** A client that is there, or the options of one that the adapter makes for itself and closes with itself. */
export type ClientSource = CacheClient | CacheClientOptions;

/** The client, and how to give it up: one's own is closed. */
export interface OwnClient {
  readonly cache: CacheClient;
  close(): Promise<void>;
}

/** @throws UsageError as `new CacheClient` does */
export function ownClient(source: ClientSource): OwnClient {
  if (source instanceof CacheClient) return { cache: source, close: () => Promise.resolve() };
  // Keys of applications may be of any length: hashed, none is refused.
  const cache = new CacheClient({ keys: "hash", ...source });
  return { cache, close: () => cache.close() };
}

/** Keys that begin so, without it; what a client hashes cannot be told. */
export async function* keysBehind(cache: CacheClient, prefix: string): AsyncGenerator<string, void, undefined> {
  for await (const { key } of cache.keys()) {
    if (typeof key === "string" && key.startsWith(prefix)) yield key.slice(prefix.length);
  }
}

/** 500 deletes at once: their answers fit one read of the socket. */
const DELETES_AT_ONCE = 500;

/** 5: a listing misses what memcached moves between its lists meanwhile; who stores all the time is never done. */
const LISTINGS_MAX = 5;

/** Deletes all keys that begin so, until a listing finds none. */
export async function deleteBehind(cache: CacheClient, prefix: string): Promise<void> {
  for (let listing = 0; listing < LISTINGS_MAX; listing += 1) if ((await deleteListed(cache, prefix)) === 0) return;
}

/** @returns how many were listed */
async function deleteListed(cache: CacheClient, prefix: string): Promise<number> {
  let listed = 0;
  let keys: string[] = [];
  const deleteThem = async (): Promise<void> => {
    listed += keys.length;
    await Promise.all(keys.map((key) => cache.delete(prefix + key)));
    keys = [];
  };
  for await (const key of keysBehind(cache, prefix)) {
    keys.push(key);
    if (keys.length === DELETES_AT_ONCE) await deleteThem();
  }
  await deleteThem();
  return listed;
}

/** A `ttl` of at least the second that memcached counts, for milliseconds; undefined: no end. */
export function ttlOfMs(ms: number | undefined): { readonly ttl?: string } {
  return ms === undefined || ms <= 0 ? {} : { ttl: `${Math.max(1000, Math.ceil(ms))}ms` };
}
