/** ● The entry point `holdfast/unstorage`: a driver for unstorage, and so for Nitro and Nuxt. */
import type { CacheClient, CacheClientOptions } from "../cache/index.ts";
import { deleteBehind, keysBehind, ownClient } from "./own-client.ts";

/** Options of the driver: a client, or those of one that it makes and closes. */
export interface HoldfastDriverOptions extends CacheClientOptions {
  /** A client that is there; it stays open. */
  readonly cache?: CacheClient;
  /** What keys stand behind on the servers, with a colon; default none. */
  readonly base?: string;
  /** Seconds that items live where the call does not say; default: until they are evicted. */
  readonly ttl?: number;
}

/** Options of a call, as unstorage hands them on. */
export interface TransactionOptions {
  /** Seconds that the item lives. */
  readonly ttl?: number;
}

/** The driver, in unstorage's words. */
export interface HoldfastDriver {
  readonly name: "holdfast";
  readonly options: HoldfastDriverOptions;
  getInstance(): CacheClient;
  hasItem(key: string): Promise<boolean>;
  getItem(key: string): Promise<string | null>;
  getItems(items: readonly { readonly key: string }[]): Promise<{ key: string; value: string | null }[]>;
  setItem(key: string, value: string, options?: TransactionOptions): Promise<void>;
  setItems(
    items: readonly { readonly key: string; readonly value: string; readonly options?: TransactionOptions }[],
  ): Promise<void>;
  getItemRaw(key: string): Promise<unknown>;
  setItemRaw(key: string, value: unknown, options?: TransactionOptions): Promise<void>;
  removeItem(key: string): Promise<void>;
  /** Lists the servers' keys. */
  getKeys(base?: string): Promise<string[]>;
  /** Deletes what `getKeys` lists. */
  clear(base?: string): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * A driver for unstorage on memcached or Holdfast. Raw values that are bytes stay bytes.
 *
 * @throws UsageError as `new CacheClient` does
 * @example
 * const storage = createStorage({ driver: holdfastDriver({ servers: ["10.0.0.1:11211"], base: "app" }) });
 */
export function holdfastDriver(options: HoldfastDriverOptions = {}): HoldfastDriver {
  const { cache: given, base = "", ttl, ...clientOptions } = options;
  const { cache, close } = ownClient(given ?? clientOptions);
  const prefix = base === "" ? "" : `${base.replace(/:$/, "")}:`;
  const life = (call: TransactionOptions | undefined): { ttl?: number } => {
    const seconds = call?.ttl ?? ttl;
    return seconds ? { ttl: Math.ceil(seconds) } : {};
  };
  const textOf = (value: unknown): string | null => {
    if (value === undefined || typeof value === "string") return value ?? null;
    return value instanceof Uint8Array ? Buffer.from(value).toString() : JSON.stringify(value);
  };
  const set = async (key: string, value: unknown, call?: TransactionOptions): Promise<void> => {
    await cache.set(prefix + key, value, life(call));
  };
  return {
    name: "holdfast",
    options,
    getInstance: () => cache,
    hasItem: async (key) => (await cache.get(prefix + key)) !== undefined,
    getItem: async (key) => textOf(await cache.get(prefix + key)),
    async getItems(items) {
      const found = await cache.getMany(items.map(({ key }) => prefix + key));
      return items.map(({ key }) => ({ key, value: textOf(found.get(prefix + key)) }));
    },
    setItem: set,
    async setItems(items) {
      await Promise.all(items.map((item) => set(item.key, item.value, item.options)));
    },
    getItemRaw: async (key) => (await cache.get(prefix + key)) ?? null,
    setItemRaw: set,
    async removeItem(key) {
      await cache.delete(prefix + key);
    },
    async getKeys(under = "") {
      const keys: string[] = [];
      for await (const key of keysBehind(cache, prefix + under)) keys.push(under + key);
      return keys;
    },
    clear: (under = "") => deleteBehind(cache, prefix + under),
    dispose: close,
  };
}
