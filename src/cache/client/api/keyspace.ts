/**
 * ● Typed families of items: a key template and a codec, so that values are read with the type they were stored with. Invariant:
 * different parameters never give the same key, because each is percent-encoded.
 */
import { UsageError } from "../../../core/errors.ts";
import type { Codec } from "../operations/codec.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Fetcher, FetchOptions, Loader } from "./fetch.ts";
import { fetchMany, type ManyLoader } from "./fetch-many.ts";
import type { CasOutcome } from "./command-replies.ts";
import { readVersioned, type ValueReader, type Versioned } from "../operations/get-operation.ts";
import type { CallOptions, StoreOptions } from "./cache-client-options.ts";
import type { Ttl } from "./ttl.ts";
import type { Writes } from "./writes.ts";

type Parameter = string | number | bigint;

/** The names in braces of a template. */
type Names<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;

type IsOne<T, All = T> = [T] extends [never] ? false : T extends unknown ? ([All] extends [T] ? true : false) : never;

/** What fills a template: its one parameter itself, or an object with all of them by name. */
export type KeyParameters<P extends string> =
  | { readonly [Name in Names<P>]: Parameter }
  | (IsOne<Names<P>> extends true ? Parameter : never);

/** The parts of the client that a family works through. */
export interface KeyspaceClient {
  readonly dispatch: Dispatch;
  readonly writes: Writes;
  readonly fetcher: Fetcher;
}

/** A typed family of items of a `CacheClient`; see `CacheClient.define`. Methods are those of the client, and fail as they do. */
export class Keyspace<T, P extends string> {
  /** As given to `define`. */
  readonly template: P;
  readonly #dispatch: Dispatch;
  readonly #writes: Writes;
  readonly #fetcher: Fetcher;
  readonly #codec: Codec<T>;
  /** Text and names in turn: "user:", "id", "". */
  readonly #parts: readonly string[];

  /** @internal */
  constructor({ dispatch, writes, fetcher }: KeyspaceClient, template: P, codec: Codec<T>) {
    this.template = template;
    this.#dispatch = dispatch;
    this.#writes = writes;
    this.#fetcher = fetcher;
    this.#codec = codec;
    this.#parts = template.split(/\{(\w+)\}/);
    const names = this.#parts.filter((_, index) => index % 2 === 1);
    const unclosed = this.#parts.some((part, index) => index % 2 === 0 && /[{}]/.test(part));
    if (unclosed || new Set(names).size < names.length) {
      throw new UsageError("CACHE_OPTION_INVALID", `Cannot define '${template}': unbalanced braces, or a duplicate name`);
    }
  }

  /** The key that these parameters give. @throws UsageError CACHE_KEY_INVALID when one is missing or empty */
  key(parameters: KeyParameters<P>): string {
    const parts = this.#parts;
    let key = parts[0]!;
    for (let index = 1; index < parts.length; index += 2) {
      const isObject = typeof parameters === "object" && parameters !== null;
      const value: unknown = isObject ? (parameters as Record<string, Parameter>)[parts[index]!] : parameters;
      if (value === undefined || value === "") {
        throw new UsageError("CACHE_KEY_INVALID", `Cannot make key '${this.template}': no ${parts[index]} given`);
      }
      if (!isParameter(value)) {
        const message = `Cannot make key '${this.template}': ${parts[index]} must be whole text, a finite number or a bigint`;
        throw new UsageError("CACHE_KEY_INVALID", message);
      }
      key += encodeURIComponent(String(value)) + parts[index + 1]!;
    }
    return key;
  }

  /** The value; undefined when there is none. */
  async get(parameters: KeyParameters<P>, options?: CallOptions): Promise<T | undefined> {
    return this.#dispatch.get(this.key(parameters), this.#codec, options);
  }

  /** The value with its version, for `cas`. */
  async gets(parameters: KeyParameters<P>, options?: CallOptions): Promise<Versioned<T> | undefined> {
    return this.#dispatch.lookup(
      "gets",
      this.key(parameters),
      this.#codec,
      readVersioned as ValueReader<Versioned<T>>,
      options,
    );
  }

  /** The values found, by the parameters as they were given. */
  async getMany<K extends KeyParameters<P>>(all: Iterable<K>, options?: CallOptions): Promise<Map<K, T>> {
    const byKey = new Map<string, K>();
    for (const parameters of all) byKey.set(this.key(parameters), parameters);
    const found = await this.#dispatch.getMany<T, string>(byKey.keys(), this.#codec, options);
    return new Map([...found].map(([key, value]) => [byKey.get(key)!, value]));
  }

  /** Stores, whatever was there. */
  async set(parameters: KeyParameters<P>, value: T, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("set", this.key(parameters), value, this.#codec, options);
  }

  /** Stores where nothing is; false where something is. */
  async add(parameters: KeyParameters<P>, value: T, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("add", this.key(parameters), value, this.#codec, options);
  }

  /** Stores where something is; false where nothing is. */
  async replace(parameters: KeyParameters<P>, value: T, options?: StoreOptions): Promise<boolean> {
    return this.#writes.store("replace", this.key(parameters), value, this.#codec, options);
  }

  /** Stores if the version is still the one that `gets` told. */
  async cas(parameters: KeyParameters<P>, value: T, cas: bigint, options?: StoreOptions): Promise<CasOutcome> {
    return this.#writes.cas(this.key(parameters), value, cas, this.#codec, options);
  }

  /** Deletes. True when there was an item. */
  async delete(parameters: KeyParameters<P>, options?: CallOptions): Promise<boolean> {
    return this.#writes.delete(this.key(parameters), options);
  }

  /** The value, which lives for `ttl` from now on. */
  async getAndTouch(parameters: KeyParameters<P>, ttl: Ttl, options?: CallOptions): Promise<T | undefined> {
    return this.#writes.getAndTouch(this.key(parameters), ttl, this.#codec, options);
  }

  /** Gives a new time to live. True when there was an item. */
  async touch(parameters: KeyParameters<P>, ttl: Ttl, options?: CallOptions): Promise<boolean> {
    return this.#writes.touch(this.key(parameters), ttl, options);
  }

  /** The value, or what the loader gives where there is none: loaded once for all who ask at once, then stored. */
  async fetch(parameters: KeyParameters<P>, loader: Loader<T>, options?: FetchOptions): Promise<T> {
    return this.#fetcher.fetch(this.key(parameters), this.#codec, loader, options);
  }

  /** The values, by the parameters as they were given; those that are missing come from one call of the loader. */
  async fetchMany<K extends KeyParameters<P>>(
    all: Iterable<K>,
    loader: ManyLoader<K, T>,
    options?: FetchOptions,
  ): Promise<Map<K, T>> {
    const byKey = new Map<string, K>();
    for (const parameters of all) byKey.set(this.key(parameters), parameters);
    const load: ManyLoader<string, T> = async (keys, context) => {
      const loaded = await loader(
        keys.map((key) => byKey.get(key)!),
        context,
      );
      return new Map([...loaded].map(([parameters, value]) => [this.key(parameters), value]));
    };
    const found = await fetchMany(this.#fetcher, byKey.keys(), this.#codec, load, options);
    return new Map([...found].map(([key, value]) => [byKey.get(key)!, value]));
  }
}

/** Objects would all give one key, and half of a surrogate pair has no bytes. */
function isParameter(value: unknown): value is Parameter {
  if (typeof value === "string") return value.isWellFormed();
  return typeof value === "number" ? Number.isFinite(value) : typeof value === "bigint";
}
