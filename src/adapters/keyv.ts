/**
 * ● The entry point `holdfast/keyv`: a store for Keyv (version 5 and 6), and so for cache-manager and all that is built on Keyv.
 */
import { EventEmitter } from "node:events";
import { deleteBehind, keysBehind, ownClient, ttlOfMs, type ClientSource, type OwnClient } from "./own-client.ts";

export type { ClientSource } from "./own-client.ts";

/** An entry of `setMany`. */
export interface KeyvStoreEntry {
  readonly key: string;
  readonly value: unknown;
  /** Milliseconds. */
  readonly ttl?: number;
}

/**
 * A store for Keyv on memcached or Holdfast. Times to live are rounded up to whole seconds; Keyv itself gives nothing beyond its end.
 * It has no `deleteMany`, which each version wants another answer of: Keyv deletes one by one, in one write. `clear` and the iterator list the servers' keys; `clear` without a namespace clears everything under the client's prefix.
 *
 * @example
 * const keyv = new Keyv({ store: new KeyvStore({ servers: ["10.0.0.1:11211"] }), namespace: "users" });
 */
export class KeyvStore extends EventEmitter {
  /** What keys stand behind, with a colon; Keyv sets it. */
  namespace: string | undefined;
  /** For Keyv 5, which iterates over stores of the dialects that it knows alone. */
  readonly opts: { readonly dialect: "redis"; readonly url: string } = { dialect: "redis", url: "memcached:" };
  readonly #client: OwnClient;

  /** @param source a client, which stays open, or options of one */
  constructor(source: ClientSource = {}) {
    super();
    this.#client = ownClient(source);
  }

  /** The value, or undefined. */
  async get(key: string): Promise<unknown> {
    return this.#client.cache.get(this.#prefixed(key));
  }

  /** The values in the order of the keys, undefined for those that have none. */
  async getMany(keys: readonly string[]): Promise<unknown[]> {
    const found = await this.#client.cache.getMany(keys.map((key) => this.#prefixed(key)));
    return keys.map((key) => found.get(this.#prefixed(key)));
  }

  /** Stores a value. @param ttl milliseconds; default: until it is evicted */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    return this.#client.cache.set(this.#prefixed(key), value, ttlOfMs(ttl));
  }

  /** Stores many, each with its own time to live. */
  async setMany(entries: readonly KeyvStoreEntry[]): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  /** True when there was one. */
  async delete(key: string): Promise<boolean> {
    return this.#client.cache.delete(this.#prefixed(key));
  }

  /** Whether there is a value. */
  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  /** Of which keys there is a value. */
  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return (await this.getMany(keys)).map((value) => value !== undefined);
  }

  /** Deletes all of the namespace, by listing it. */
  async clear(): Promise<void> {
    await deleteBehind(this.#client.cache, this.#prefixed(""));
  }

  /** Keys and values of a namespace, as the servers list them; without keys that the client has hashed. */
  async *iterator(namespace: string | undefined = this.namespace): AsyncGenerator<[key: string, value: unknown], void> {
    for await (const key of keysBehind(this.#client.cache, this.#prefixed(""))) {
      if (!this.namespace && namespace && !key.startsWith(namespace)) continue; // Keyv 6 puts it before keys itself
      const value = await this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  /** Closes the client if it is the store's own. */
  async disconnect(): Promise<void> {
    await this.#client.close();
  }

  #prefixed(key: string): string {
    return this.namespace ? `${this.namespace}:${key}` : key;
  }
}
