/**
 * ○ The settings that a store is made with, and the numbers that a running server may change (`lru tune`, `slabs automove`,
 * `cache_memlimit` …). The latter live in shared memory, so that all threads see a change.
 */
import { PAGE_BYTES } from "./limits.ts";

/** What goes when there is no room: memcached's segmented LRU, or S3-FIFO with a small queue that adapts. */
export type EvictionPolicy = "lru" | "s3fifo";

/** Fixed for the life of a store. */
export interface StoreSettings {
  /** `-m` in bytes. */
  readonly memoryBytes: number;
  /** `-I`: the largest item, header and key included. */
  readonly itemBytesMax: number;
  /** `-f` */
  readonly growthFactor: number;
  /** `-n`: room for key, flags and value in the smallest class. */
  readonly chunkBytesMin: number;
  /** `-o slab_chunk_max`: larger items become a chain of chunks. */
  readonly chunkBytesMax: number;
  /** `-o slab_sizes`: the classes' chunk sizes, instead of growing by a factor. */
  readonly slabSizes: readonly number[] | undefined;
  /** `-C` turns it off. */
  readonly useCas: boolean;
  /** `-M` turns it off: answer out of memory instead of evicting. */
  readonly evictToFree: boolean;
  /** `-o hashpower`: buckets at the start, as a power of two. */
  readonly hashPower: number;
  /** `-o no_hashexpand` turns it off. */
  readonly hashExpand: boolean;
  /** `-L`: one page of every class at the start. */
  readonly preallocate: boolean;
  /** `-o slab_reassign` */
  readonly slabReassign: boolean;
  /** `-o eviction`: memcached's LRU, or S3-FIFO (s3-fifo.ts). */
  readonly eviction: EvictionPolicy;
  /** `-o lru_maintainer` */
  readonly lruMaintainer: boolean;
  /** Mixed into every key's hash, so that nobody outside can choose keys that fall into one bucket. */
  readonly hashSeed: number;
  /** Wall seconds at which the store's second 0 lies; memcached's process_started. */
  readonly startedSeconds: number;
  /** Bytes that are pretended to be taken already, for tests of the limit. */
  readonly initialMallocBytes: number;
  /** `-o track_sizes`: count items by size for `stats sizes`. */
  readonly trackSizes: boolean;
  /** `-D`: ends the prefix in `stats detail`. */
  readonly prefixDelimiter: string;
}

export const STORE_DEFAULTS: StoreSettings = {
  memoryBytes: 64 * 1024 * 1024,
  itemBytesMax: PAGE_BYTES,
  growthFactor: 1.25,
  chunkBytesMin: 48,
  chunkBytesMax: PAGE_BYTES / 2,
  slabSizes: undefined,
  useCas: true,
  evictToFree: true,
  hashPower: 16,
  hashExpand: true,
  preallocate: false,
  slabReassign: true,
  eviction: "lru",
  lruMaintainer: true,
  hashSeed: 0,
  startedSeconds: 0,
  initialMallocBytes: 0,
  trackSizes: false,
  prefixDelimiter: ":",
};

/** The numbers that a running server may change, with memcached's defaults. */
export const TUNE_DEFAULTS = {
  hotPercent: 20,
  warmPercent: 40,
  hotMaxFactor: 0.2,
  warmMaxFactor: 2,
  segmented: 1,
  tempLru: 0,
  tempTtl: 61,
  automove: 1,
  automoveRatio: 0.8,
  automoveWindow: 10,
  automoveFreeRatio: 0.01,
  automoveVersion: 0,
  crawlerSleepUs: 100,
  crawlerToCrawl: 0,
  crawlerEnabled: 1,
  verbosity: 0,
  detail: 0,
  tailRepairSeconds: 0,
  maintainer: 1,
} as const;

/** Their places in shared memory. */
export const TUNE = Object.fromEntries(Object.keys(TUNE_DEFAULTS).map((name, place) => [name, place])) as Readonly<
  Record<keyof typeof TUNE_DEFAULTS, number>
>;
