/**
 * ○ What `stats` counts per thread, in memcached's names. Each thread adds to its own block of shared memory, so that counting
 * needs no lock; readers add the blocks up.
 */
import { LRU_LISTS, SLAB_CLASSES_MAX } from "./limits.ts";
import { type Memory, THREADS_MAX, THREAD_COUNTERS } from "./memory.ts";

/** Places of a thread's plain counters. */
export const COUNT = {
  getCommands: 0,
  getMisses: 1,
  getExpired: 2,
  getFlushed: 3,
  touchCommands: 4,
  touchMisses: 5,
  deleteMisses: 6,
  incrMisses: 7,
  decrMisses: 8,
  casMisses: 9,
  flushCommands: 10,
  metaCommands: 11,
  bytesRead: 12,
  bytesWritten: 13,
  storeTooLarge: 14,
  storeNoMemory: 15,
  authCommands: 16,
  authErrors: 17,
  connYields: 18,
  idleKicks: 19,
  readBufferOom: 20,
  responseOom: 21,
  logWritten: 22,
  logSent: 23,
  logSkipped: 24,
} as const;
const PLAIN = 64;

/** Hits by LRU list, then these by class. */
export const BY_CLASS = {
  setCommands: 0,
  touchHits: 1,
  deleteHits: 2,
  incrHits: 3,
  decrHits: 4,
  casHits: 5,
  casBadValue: 6,
} as const;
const LRU_LIST_HITS = PLAIN;
const CLASS_COUNTERS = LRU_LIST_HITS + LRU_LISTS;

/** One thread's counters. */
export class Counters {
  readonly values: Float64Array;

  constructor(memory: Memory, thread: number) {
    this.values = memory.counters.subarray(thread * THREAD_COUNTERS, (thread + 1) * THREAD_COUNTERS);
  }

  add(counter: number): void {
    this.values[counter]! += 1;
  }

  addMany(counter: number, count: number): void {
    this.values[counter]! += count;
  }

  hit(lruList: number): void {
    this.values[LRU_LIST_HITS + lruList]! += 1;
  }

  addOfClass(kind: number, slabClass: number): void {
    this.values[CLASS_COUNTERS + kind * SLAB_CLASSES_MAX + slabClass]! += 1;
  }
}

/** The sums over all threads. */
export class CounterTotals {
  readonly #sums = new Float64Array(THREAD_COUNTERS);

  constructor(memory: Memory) {
    for (let thread = 0; thread < THREADS_MAX; thread += 1) {
      const base = thread * THREAD_COUNTERS;
      for (let index = 0; index < THREAD_COUNTERS; index += 1) this.#sums[index]! += memory.counters[base + index]!;
    }
  }

  of(counter: number): number {
    return this.#sums[counter]!;
  }

  hitsOfLruList(lruList: number): number {
    return this.#sums[LRU_LIST_HITS + lruList]!;
  }

  /** Hits of all four LRU lists of a class, or of all classes. */
  hits(slabClass?: number): number {
    let sum = 0;
    for (let lruList = 0; lruList < LRU_LISTS; lruList += 1) {
      if (slabClass === undefined || lruList % SLAB_CLASSES_MAX === slabClass) sum += this.hitsOfLruList(lruList);
    }
    return sum;
  }

  ofClass(kind: number, slabClass: number): number {
    return this.#sums[CLASS_COUNTERS + kind * SLAB_CLASSES_MAX + slabClass]!;
  }

  ofAllClasses(kind: number): number {
    let sum = 0;
    for (let slabClass = 0; slabClass < SLAB_CLASSES_MAX; slabClass += 1) sum += this.ofClass(kind, slabClass);
    return sum;
  }
}

/** `stats reset`: memcached zeroes what threads counted, and keeps what describes the present. */
export function resetCounters(memory: Memory): void {
  memory.counters.fill(0);
  memory.lruStats.fill(0);
}
