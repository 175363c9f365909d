/**
 * ● The entry point `holdfast/next`: the caches of Next.js 15 and 16 (`cacheHandler` and `cacheHandlers`), shared by all of its processes.
 * A tag that is revalidated is invalidated on all servers (tags of the client); what Next asks of tags that an entry does not carry,
 * and of entries that are to be replaced in the background, stands in an item a tag: when it was last revalidated.
 */
import { deserialize, serialize } from "node:v8";
import { CacheClient, TAGS_MAX, type CacheClientOptions, type Codec, type Keyspace } from "../cache/index.ts";
import { ownClient } from "./own-client.ts";

/** Options of both handlers. */
export interface NextCacheOptions {
  /**
   * A client, or options of one; default one server at 127.0.0.1:11211. Options have `onError: "miss"` unless they say otherwise: a page
   * is rendered then as if nothing were cached.
   */
  readonly cache?: CacheClient | CacheClientOptions;
  /** What all keys and tags stand behind; default "next:". A build of one's own wants one of its own, such as its id. */
  readonly prefix?: string;
}

/** "NEXT" in ASCII: values as V8 serializes them, with their Buffers and Maps. */
const V8_FLAGS = 0x4e455854;

const v8Value: Codec<unknown> = {
  encode: (value) => ({ bytes: serialize(value), flags: V8_FLAGS }),
  decode: (bytes) => deserialize(bytes),
};

/** A year in seconds: Next's own longest, and well before 2038. */
const TTL_S_MAX = 365 * 86_400;

/** When a tag was last revalidated, in ms since 1970. */
interface TagEvent {
  /** Entries from before are replaced in the background. */
  readonly stale?: number;
  /** From then on entries from before are none. */
  readonly expired?: number;
}

type Durations = { readonly expire?: number } | undefined;

/** What both handlers share: entries and tags on the servers. */
class NextStore {
  readonly #cache: CacheClient;
  readonly #entries: Keyspace<unknown, "{key}">;
  readonly #prefix: string;

  constructor({ cache = {}, prefix = "next:" }: NextCacheOptions) {
    this.#cache = ownClient(cache instanceof CacheClient ? cache : { onError: "miss", ...cache }).cache;
    this.#entries = this.#cache.define(`${prefix}{key}` as "{key}", v8Value);
    this.#prefix = prefix;
  }

  get(key: string): Promise<unknown> {
    return this.#entries.get(key);
  }

  async set(key: string, entry: unknown, tags: readonly string[], expireS: number | undefined): Promise<void> {
    const ttl = expireS === undefined ? undefined : Math.max(1, Math.min(Math.ceil(expireS), TTL_S_MAX));
    await this.#entries.set(key, entry, {
      tags: tags.slice(0, TAGS_MAX).map((tag) => this.#prefix + tag),
      ...(ttl !== undefined && { ttl: `${ttl}s` }),
    });
  }

  /** How entries of a time with these tags stand. */
  async standing(tags: readonly string[], fromMs: number): Promise<"fresh" | "stale" | "expired"> {
    if (tags.length === 0) return "fresh";
    const events = [...(await this.#cache.getMany<TagEvent>(tags.map((tag) => this.#tagKey(tag)))).values()];
    const nowMs = Date.now();
    const isExpired = ({ expired }: TagEvent): boolean => expired !== undefined && expired > fromMs && expired <= nowMs;
    if (events.some(isExpired)) return "expired";
    return events.some(({ stale }) => stale !== undefined && stale > fromMs) ? "stale" : "fresh";
  }

  /** At once, or, with durations, stale now and gone after `expire` seconds. */
  async revalidate(tags: readonly string[], durations: Durations): Promise<void> {
    const nowMs = Date.now();
    const event = async (tag: string): Promise<void> => {
      const before = durations && (await this.#cache.get<TagEvent>(this.#tagKey(tag)));
      const expired = durations ? (durations.expire === undefined ? before?.expired : nowMs + durations.expire * 1000) : nowMs;
      await this.#cache.set(this.#tagKey(tag), {
        ...(durations && { stale: nowMs }),
        ...(expired !== undefined && { expired }),
      });
    };
    const own = tags.map((tag) => this.#prefix + tag);
    await Promise.all([...tags.map(event), ...(durations ? [] : [this.#cache.invalidateTag(own)])]);
  }

  #tagKey(tag: string): string {
    return `${this.#prefix}tag:${tag}`;
  }
}

/** The header in which Next names a page's tags. */
const TAGS_HEADER = "x-next-cache-tags";

/** What Next's `cacheHandler` is given of an entry; the rest is Next's own. */
interface NextValue {
  readonly kind: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
}

interface NextEntry {
  readonly lastModified: number;
  readonly value: NextValue | null;
  readonly cacheControl: CacheControl | undefined;
}

/** How long Next gives an entry, in seconds. */
export interface CacheControl {
  readonly revalidate: number | false;
  readonly expire?: number | undefined;
}

/** What Next hands to `get` and `set` beside the key. */
export interface NextCacheContext {
  readonly kind?: string;
  readonly tags?: readonly string[];
  readonly softTags?: readonly string[];
  readonly cacheControl?: CacheControl;
}

/** Next's `cacheHandler`, of which it makes one a request. */
export interface NextCacheHandler {
  get(key: string, context?: NextCacheContext): Promise<unknown>;
  set(key: string, value: unknown, context?: NextCacheContext): Promise<void>;
  revalidateTag(tags: string | readonly string[], durations?: { readonly expire?: number }): Promise<void>;
  resetRequestCache(): void;
}

/**
 * The class for `cacheHandler` in next.config.js: pages, routes and fetches (incremental static regeneration). With it stands
 * `cacheMaxMemorySize: 0`, lest each process keep its own.
 *
 * @throws UsageError as `new CacheClient` does
 * @example
 * export default nextCacheHandler({ cache: { servers: ["10.0.0.1:11211"] } }); // cache-handler.mjs
 */
export function nextCacheHandler(options: NextCacheOptions = {}): new () => NextCacheHandler {
  const store = new NextStore(options);
  return class HoldfastCacheHandler implements NextCacheHandler {
    async get(key: string, context: NextCacheContext = {}): Promise<unknown> {
      const entry = (await store.get(key)) as NextEntry | undefined;
      if (!entry) return null;
      const tags = context.kind === "FETCH" ? [...(context.tags ?? []), ...(context.softTags ?? [])] : tagsOf(entry.value);
      const standing = await store.standing(tags, entry.lastModified);
      if (standing === "expired") return null;
      return standing === "stale" ? { ...entry, lastModified: -1 } : entry;
    }

    async set(key: string, value: unknown, context: NextCacheContext = {}): Promise<void> {
      const { cacheControl } = context;
      const entry: NextEntry = { lastModified: Date.now(), value: value as NextValue | null, cacheControl };
      await store.set(key, entry, context.tags ?? tagsOf(entry.value), cacheControl?.expire);
    }

    async revalidateTag(tags: string | readonly string[], durations?: { readonly expire?: number }): Promise<void> {
      await store.revalidate(typeof tags === "string" ? [tags] : tags, durations);
    }

    resetRequestCache(): void {
      // keeps nothing for a request
    }
  };
}

function tagsOf(value: NextValue | null): readonly string[] {
  const header = value?.headers?.[TAGS_HEADER];
  return typeof header === "string" && header !== "" ? header.split(",") : (value?.tags ?? []);
}

/** An entry of `use cache`, in Next's words. */
export interface UseCacheEntry {
  readonly value: ReadableStream<Uint8Array>;
  readonly tags: string[];
  readonly stale: number;
  readonly timestamp: number;
  readonly expire: number;
  readonly revalidate: number;
}

/** Next's handler for `use cache`. */
export interface UseCacheHandler {
  get(cacheKey: string, softTags: readonly string[]): Promise<UseCacheEntry | undefined>;
  set(cacheKey: string, pendingEntry: Promise<UseCacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: readonly string[]): Promise<number>;
  updateTags(tags: readonly string[], durations?: { readonly expire?: number }): Promise<void>;
}

interface StoredUseCache extends Omit<UseCacheEntry, "value"> {
  readonly bytes: Uint8Array;
}

/**
 * A handler for `cacheHandlers` in next.config.js: what `use cache` caches.
 *
 * @throws UsageError as `new CacheClient` does
 * @example
 * export default nextUseCacheHandler({ cache: { servers: ["10.0.0.1:11211"] } }); // use-cache-handler.mjs
 */
export function nextUseCacheHandler(options: NextCacheOptions = {}): UseCacheHandler {
  const store = new NextStore(options);
  /** Entries that this process is storing: a read waits for them. */
  const storing = new Map<string, Promise<void>>();
  return {
    async get(cacheKey, softTags) {
      await storing.get(cacheKey);
      const stored = (await store.get(`use:${cacheKey}`)) as StoredUseCache | undefined;
      if (!stored) return undefined;
      const { bytes, ...entry } = stored;
      const standing = await store.standing([...entry.tags, ...softTags], entry.timestamp);
      if (standing === "expired") return undefined;
      const value = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(bytes);
          controller.close();
        },
      });
      return { ...entry, value, ...(standing === "stale" && { revalidate: -1 }) };
    },
    async set(cacheKey, pendingEntry) {
      const done = (async () => {
        const { value, ...entry } = await pendingEntry;
        const bytes = new Uint8Array(await new Response(value).arrayBuffer());
        await store.set(`use:${cacheKey}`, { ...entry, bytes } satisfies StoredUseCache, entry.tags, entry.expire);
      })();
      const settled = done.catch(() => {}); // a stream that broke is no entry, and the reads that wait ask the servers
      storing.set(cacheKey, settled);
      await done.finally(() => {
        if (storing.get(cacheKey) === settled) storing.delete(cacheKey);
      });
    },
    async refreshTags() {
      // are asked for with each read
    },
    getExpiration: () => Promise.resolve(Infinity),
    updateTags: (tags, durations) => store.revalidate(tags, durations),
  };
}
