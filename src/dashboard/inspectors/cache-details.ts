/** ○ Parses memcached's statistics for the cache view: slab classes with their LRU lists, and keys by prefix. */
import { PREFIXES_SHOWN_MAX } from "../limits.ts";

/** One slab class and its four lists. */
export interface SlabClassStats {
  readonly id: number;
  readonly chunkBytes: number;
  readonly pages: number;
  readonly usedChunks: number;
  readonly totalChunks: number;
  readonly hot: number;
  readonly warm: number;
  readonly cold: number;
  readonly temp: number;
  readonly evicted: number;
  /** Seconds between the last use of the item evicted last and its eviction. */
  readonly evictedAgeSeconds: number;
  readonly reclaimed: number;
  /** Seconds since the oldest item of the class was used. */
  readonly oldestAgeSeconds: number;
  /** Moves between the lists since the start. */
  readonly movesToCold: number;
  readonly movesToWarm: number;
  readonly movesWithinLru: number;
}

export interface KeyPrefix {
  /** Up to and with the first ':', or the whole key. */
  readonly prefix: string;
  readonly keys: number;
  readonly bytes: number;
}

export interface CacheDetails {
  readonly classes: readonly SlabClassStats[];
}

export interface PrefixShares {
  /** Keys scanned; fewer than all when there are many. */
  readonly looked: number;
  readonly prefixes: readonly KeyPrefix[];
}

/** @param slabs lines of `stats slabs`. @param items lines of `stats items` */
export function detailsOf(slabs: readonly string[], items: readonly string[]): CacheDetails {
  const numbers = new Map<string, number>();
  const ids = new Set<number>();
  for (const line of [...slabs, ...items]) {
    const [, id, name, value] = /^STAT (?:items:)?(\d+):(\w+) (-?\d+)/.exec(line) ?? [];
    if (id === undefined) continue;
    ids.add(Number(id));
    numbers.set(`${id}:${name}`, Number(value));
  }
  const classes = [...ids]
    .sort((a, b) => a - b)
    .map((id) => {
      const of = (name: string): number => numbers.get(`${id}:${name}`) ?? 0;
      return {
        id,
        chunkBytes: of("chunk_size"),
        pages: of("total_pages"),
        usedChunks: of("used_chunks"),
        totalChunks: of("total_chunks"),
        hot: of("number_hot"),
        warm: of("number_warm"),
        cold: of("number_cold"),
        temp: of("number_temp"),
        evicted: of("evicted"),
        evictedAgeSeconds: of("evicted_time"),
        reclaimed: of("reclaimed"),
        oldestAgeSeconds: of("age"),
        movesToCold: of("moves_to_cold"),
        movesToWarm: of("moves_to_warm"),
        movesWithinLru: of("moves_within_lru"),
      };
    });
  return { classes: classes.filter(({ pages, usedChunks }) => pages > 0 || usedChunks > 0) };
}

/** Sums up the lines of `lru_crawler metadump`: `key=… exp=… … size=…`. */
export function prefixesOf(lines: readonly string[]): PrefixShares {
  const found = new Map<string, { keys: number; bytes: number }>();
  let looked = 0;
  for (const line of lines) {
    const [, encoded] = /^key=(\S+)/.exec(line) ?? [];
    if (encoded === undefined) continue;
    looked += 1;
    const prefix = prefixOf(decoded(encoded));
    const entry = found.get(prefix) ?? { keys: 0, bytes: 0 };
    entry.keys += 1;
    entry.bytes += Number(/ size=(\d+)/.exec(line)?.[1] ?? 0);
    found.set(prefix, entry);
  }
  const prefixes = Array.from(found, ([prefix, entry]) => ({ prefix, ...entry })).sort((a, b) => b.bytes - a.bytes);
  return { looked, prefixes: prefixes.slice(0, PREFIXES_SHOWN_MAX) };
}

function prefixOf(key: string): string {
  const colon = key.indexOf(":");
  return colon < 0 ? key : key.slice(0, colon + 1);
}

/** Keys are URI-encoded in the dump; a key that is not UTF-8 stays encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
