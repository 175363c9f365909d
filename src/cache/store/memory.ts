/**
 * ○ All memory of one store, as views over SharedArrayBuffers: the arena with the items, the hash buckets, and the control block
 * with LRU list ends, class tables and counters. Threads that get the same `MemoryHandle` see one store. Address space is
 * reserved at the start; the machine gives memory only to what is touched.
 */
import { Buffer } from "node:buffer";
import { LRU_LISTS, MEMORY_BYTES_MAX, MEMORY_RESERVE_BYTES_MIN, PAGE_BYTES, SLAB_CLASSES_MAX } from "./limits.ts";
import { type StoreSettings, TUNE_DEFAULTS } from "./settings.ts";

/** What another thread needs to open the same store. */
export interface MemoryHandle {
  readonly settings: StoreSettings;
  readonly arena: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  /** Items by size in steps of 32 bytes, where they are counted. */
  readonly sizes: SharedArrayBuffer | undefined;
  /** Of keys that were evicted, with S3-FIFO. */
  readonly ghosts: SharedArrayBuffer | undefined;
}

/** What `stats sizes` counts in; memcached's number. */
export const SIZE_STEP_BYTES = 32;

/** Places of the store-wide numbers in `Memory.globals`. */
export const GLOBAL = {
  /** Seconds since the store's start: memcached's current_time. */
  now: 0,
  oldestLive: 1,
  casId: 2,
  currBytes: 3,
  currItems: 4,
  totalItems: 5,
  memoryLimit: 6,
  memoryTaken: 7,
  freshPage: 8,
  poolPages: 9,
  bucketCount: 10,
  bucketMask: 11,
  limitReached: 12,
  connections: 13,
  lruMaintainerJuggles: 14,
  slabsMoved: 15,
  reassignRescues: 16,
  reassignChunkRescues: 17,
  reassignInlineReclaim: 18,
  reassignBusyItems: 19,
  reassignBusyDeletes: 20,
  reassignBusyNoMemory: 21,
  reassignLastBusy: 22,
  reassignRunning: 23,
  crawlerRunning: 24,
  crawlerStarts: 25,
  accepting: 26,
  totalConnections: 27,
  rejectedConnections: 28,
  listenDisabled: 29,
  largestClass: 30,
  debugTimeDelta: 31,
  mallocFails: 32,
  /** Not 0 while the hash table must not grow. */
  hashHeld: 33,
  crawlBlockedUntil: 34,
  /** Not 0 while `debugtime p` has stopped the clock. */
  clockPaused: 35,
  /** A class that just evicted, for `slabs automove 2`; 0 none. */
  starvedClass: 36,
  /** Bits that items linked now carry, see flush.ts; and what it needs to know of the last flush. */
  flushEpoch: 37,
  flushSecond: 38,
  flushesOfSecond: 39,
  totalItemsAtFlush: 40,
  flushedUpTo: 41,
  /** S3-FIFO: the small queue's share of each class, the ghosts that there is room for, and those that came back, by the queue they left. */
  smallShare: 42,
  ghosts: 43,
  ghostsBackSmall: 44,
  ghostsBackMain: 45,
} as const;
const GLOBALS = 64;

/** Places in `Memory.atomics`. */
export const ATOMIC = {
  lock: 0,
  /** Lines of logs made so far: memcached's gid. */
  logLines: 1,
  watchers: 2,
} as const;
const ATOMICS = 4;

/** Per-LRU list counters in `Memory.lruStats`, at `LRU list * LRU_STATS + LRU_STAT.x`. */
export const LRU_STAT = {
  evicted: 0,
  evictedNonzero: 1,
  reclaimed: 2,
  outOfMemory: 3,
  tailRepairs: 4,
  expiredUnfetched: 5,
  evictedUnfetched: 6,
  evictedActive: 7,
  crawlerReclaimed: 8,
  crawlerItemsChecked: 9,
  lruTailReflocked: 10,
  movesToCold: 11,
  movesToWarm: 12,
  movesWithinLru: 13,
  directReclaims: 14,
  evictedTime: 15,
} as const;
export const LRU_STATS = 16;

/** Where the small queue's share begins with S3-FIFO. */
const SMALL_SHARE = 0.3;
/** 2 KiB of ghosts. What fills no page is not counted; of larger tables whole pages are. */
export const GHOSTS_MIN = 512;
/** 96: no item counts for less, so there are never more ghosts than this allows. */
const ITEM_BYTES_MIN = 96;

/** 64: memcached's own bound on `-t` is a warning at 64. */
export const THREADS_MAX = 64;

/** Numbers a thread counts for itself; see counters.ts. */
export const THREAD_COUNTERS = 768;

export class Memory {
  readonly settings: StoreSettings;
  readonly handle: MemoryHandle;
  /** The arena as bytes and as 32-bit words. */
  readonly bytes: Buffer;
  /** The arena for copying eight bytes at a time. */
  readonly view: DataView;
  readonly words: Uint32Array;
  readonly buckets: Uint32Array;
  readonly globals: Float64Array;
  readonly tune: Float64Array;
  readonly heads: Uint32Array;
  readonly tails: Uint32Array;
  /** Items in each LRU list. */
  readonly sizes: Uint32Array;
  readonly sizesBytes: Float64Array;
  readonly lruStats: Float64Array;
  readonly classBytes: Uint32Array;
  readonly classPerPage: Uint32Array;
  readonly classFree: Uint32Array;
  readonly classFreeCount: Uint32Array;
  readonly classPages: Uint32Array;
  /** The oldest page of a class, from which `pageNext` leads to the newest. */
  readonly classFirstPage: Uint32Array;
  readonly classLastPage: Uint32Array;
  readonly pageNext: Uint32Array;
  readonly counters: Float64Array;
  readonly sizesHistogram: Int32Array | undefined;
  readonly ghosts: Uint32Array | undefined;
  /** Items that each class's small and main queue have evicted, with S3-FIFO. */
  readonly givenUp: Float64Array;
  /** Whole numbers that threads change without holding the lock, the lock itself among them: `ATOMIC`. */
  readonly atomics: Int32Array;
  /** Pages the arena has room for, the first of which is not used. */
  readonly pages: number;

  private constructor(handle: MemoryHandle) {
    this.handle = handle;
    this.settings = handle.settings;
    this.bytes = Buffer.from(handle.arena);
    this.sizesHistogram = handle.sizes && new Int32Array(handle.sizes);
    this.ghosts = handle.ghosts && new Uint32Array(handle.ghosts);
    this.view = new DataView(handle.arena);
    this.words = new Uint32Array(handle.arena);
    this.buckets = new Uint32Array(handle.buckets);
    this.pages = handle.arena.byteLength / PAGE_BYTES;
    const layout = new Layout(handle.control);
    this.globals = layout.float64(GLOBALS);
    this.tune = layout.float64(GLOBALS);
    this.sizesBytes = layout.float64(LRU_LISTS);
    this.lruStats = layout.float64(LRU_LISTS * LRU_STATS);
    this.givenUp = layout.float64(SLAB_CLASSES_MAX * 2);
    this.counters = layout.float64(THREADS_MAX * THREAD_COUNTERS);
    this.heads = layout.uint32(LRU_LISTS);
    this.tails = layout.uint32(LRU_LISTS);
    this.sizes = layout.uint32(LRU_LISTS);
    this.classBytes = layout.uint32(SLAB_CLASSES_MAX);
    this.classPerPage = layout.uint32(SLAB_CLASSES_MAX);
    this.classFree = layout.uint32(SLAB_CLASSES_MAX);
    this.classFreeCount = layout.uint32(SLAB_CLASSES_MAX);
    this.classPages = layout.uint32(SLAB_CLASSES_MAX);
    this.classFirstPage = layout.uint32(SLAB_CLASSES_MAX);
    this.classLastPage = layout.uint32(SLAB_CLASSES_MAX);
    this.pageNext = layout.uint32(this.pages);
    this.atomics = new Int32Array(handle.control, layout.offset, ATOMICS);
  }

  /** Reserves the memory of a new, empty store. */
  static create(settings: StoreSettings): Memory {
    const arena = reserve(settings.memoryBytes);
    const pages = arena.byteLength / PAGE_BYTES;
    const bucketsMax = Math.max(2 ** settings.hashPower, ceilPowerOfTwo(arena.byteLength / BYTES_PER_BUCKET));
    const buckets = new SharedArrayBuffer(bucketsMax * 4);
    const control = new SharedArrayBuffer(CONTROL_BYTES + pages * 4);
    const steps = Math.floor(settings.itemBytesMax / SIZE_STEP_BYTES) + 1;
    const sizes = settings.trackSizes ? new SharedArrayBuffer(steps * 4) : undefined;
    const ghosts = settings.eviction === "s3fifo" ? new SharedArrayBuffer(ghostsMax(settings.memoryBytes) * 4) : undefined;
    const memory = new Memory({ settings, arena, buckets, control, sizes, ghosts });
    memory.tune.set(Object.values(TUNE_DEFAULTS));
    memory.globals[GLOBAL.memoryLimit] = settings.memoryBytes;
    memory.globals[GLOBAL.memoryTaken] = settings.initialMallocBytes;
    memory.globals[GLOBAL.casId] = 1;
    memory.globals[GLOBAL.freshPage] = 1;
    memory.globals[GLOBAL.smallShare] = SMALL_SHARE;
    memory.globals[GLOBAL.accepting] = 1;
    memory.globals[GLOBAL.bucketCount] = 2 ** settings.hashPower;
    memory.globals[GLOBAL.bucketMask] = 2 ** settings.hashPower * 2 - 1;
    return memory;
  }

  /** One of `LRU_STAT`, of one LRU list. */
  lruStat(lruList: number, stat: number): number {
    return this.lruStats[lruList * LRU_STATS + stat]!;
  }

  /** The store of another thread. */
  static open(handle: MemoryHandle): Memory {
    return new Memory(handle);
  }
}

/** 128: no item counts for less than 96 bytes, and few are so small; beyond that, chains grow a little. */
const BYTES_PER_BUCKET = 128;

/** The fixed views above with room to spare; `pageNext` comes on top. */
const CONTROL_BYTES = 1024 * 1024;

/** Spare pages beyond the limit: each class may take its first page even when the limit is reached, as in memcached. */
const PAGES_BEYOND_LIMIT = SLAB_CLASSES_MAX + 1;

function reserve(memoryBytes: number): SharedArrayBuffer {
  const least = (Math.ceil(memoryBytes / PAGE_BYTES) + PAGES_BEYOND_LIMIT) * PAGE_BYTES;
  const roomy = Math.min(Math.max(least * 2, MEMORY_RESERVE_BYTES_MIN), MEMORY_BYTES_MAX);
  try {
    return new SharedArrayBuffer(Math.max(least, roomy));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new SharedArrayBuffer(least); // a machine that promises no memory it has not got: cache_memlimit cannot grow here
  }
}

/** Ghosts that a store of so many bytes may ever need. */
function ghostsMax(memoryBytes: number): number {
  return Math.max(GHOSTS_MIN, ceilPowerOfTwo(memoryBytes / ITEM_BYTES_MIN));
}

function ceilPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, value)));
}

/** Hands out consecutive views of one buffer. */
class Layout {
  readonly #buffer: SharedArrayBuffer;
  offset = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#buffer = buffer;
  }

  float64(length: number): Float64Array {
    const view = new Float64Array(this.#buffer, this.offset, length);
    this.offset += length * 8;
    return view;
  }

  uint32(length: number): Uint32Array {
    const view = new Uint32Array(this.#buffer, this.offset, length);
    this.offset += length * 4;
    return view;
  }
}
