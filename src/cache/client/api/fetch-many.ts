/**
 * ● `fetchMany`: each key has its own flight and its own lease, as in `fetch`, but what must be computed is computed by one call of
 * the loader. Invariant: the loader is called once every key is known to be there, to be computed here, or to be computed by
 * another; again only for keys that another gave up.
 */
import type { Codec } from "../operations/codec.ts";
import { NOTHING_LOADED, type Fetcher, type FetchOptions, type LoadContext } from "./fetch.ts";
import type { Key } from "./key.ts";

/** Computes values that are not in the cache. A key that the map lacks has none. */
export type ManyLoader<K, T> = (keys: K[], context: LoadContext) => ReadonlyMap<K, T> | Promise<ReadonlyMap<K, T>>;

export async function fetchMany<T, K extends Key>(
  fetcher: Fetcher,
  keys: Iterable<K>,
  codec: Codec<T>,
  loader: ManyLoader<K, T>,
  options: FetchOptions | undefined,
): Promise<Map<K, T>> {
  const all = [...new Set(keys)];
  const batch = new LoadBatch(all, loader);
  const found = await Promise.all(all.map((key) => fetchOne(key)));
  return new Map(found.filter((entry) => entry !== undefined));

  async function fetchOne(key: K): Promise<[K, T] | undefined> {
    try {
      const load = (context: LoadContext): Promise<T> => batch.load(key, context);
      return [key, await fetcher.fetch(key, codec, load, options, () => batch.decided(key))];
    } catch (error) {
      if (error === NOTHING_LOADED) return undefined;
      throw error;
    } finally {
      batch.decided(key);
    }
  }
}

/** A key that waits for the loader. */
interface Wanted<T> {
  readonly signal: AbortSignal;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

class LoadBatch<K, T> {
  readonly #loader: ManyLoader<K, T>;
  readonly #undecided: Set<K>;
  #wanted = new Map<K, Wanted<T>>();

  constructor(keys: readonly K[], loader: ManyLoader<K, T>) {
    this.#undecided = new Set(keys);
    this.#loader = loader;
  }

  /** The key is there, or is computed by the loader or by another. */
  decided(key: K): void {
    if (this.#undecided.delete(key) && this.#undecided.size === 0) queueMicrotask(() => void this.#load());
  }

  load(key: K, { signal }: LoadContext): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wanted.set(key, { signal, resolve, reject });
      if (this.#undecided.size === 0) queueMicrotask(() => void this.#load());
      else this.decided(key);
    });
  }

  async #load(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted.size === 0) return;
    this.#wanted = new Map();
    try {
      const loaded = await this.#loader([...wanted.keys()], { signal: whenAll([...wanted.values()]) });
      for (const [key, { resolve, reject }] of wanted) {
        if (loaded.has(key)) resolve(loaded.get(key)!);
        else reject(NOTHING_LOADED);
      }
    } catch (error) {
      for (const { reject } of wanted.values()) reject(error);
    }
  }
}

/** Aborts when all have: nobody waits for any of the values. */
function whenAll(wanted: readonly { readonly signal: AbortSignal }[]): AbortSignal {
  const all = new AbortController();
  let left = wanted.length;
  for (const { signal } of wanted) {
    const aborted = (): void => {
      left -= 1;
      if (left === 0) all.abort(signal.reason);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  }
  return all.signal;
}
