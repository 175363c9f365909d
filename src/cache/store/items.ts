/**
 * ○ The life of an item: allocated (evicting when there is no room), filled by its uploader, linked under its key, unlinked,
 * freed when nobody holds it any more. Invariant: an item is linked into index and LRU list together or not at all.
 */
import type { Buffer } from "node:buffer";
import { assert } from "../../core/assert.ts";
import type { Counters } from "./counters.ts";
import { HashIndex } from "./hash-index.ts";
import * as I from "./item.ts";
import { BUMP_INTERVAL_SECONDS } from "./limits.ts";
import { GLOBAL, type Memory, LRU_STAT, LRU_STATS, SIZE_STEP_BYTES } from "./memory.ts";
import { LruLists } from "./lru-lists.ts";
import { TUNE } from "./settings.ts";
import { Slabs } from "./slabs.ts";
import type { StoreLog } from "./store-log.ts";
import { EVICT, LruEviction } from "./lru-eviction.ts";

/** Evictions tried for one allocation; memcached's number. */
const ALLOCATE_TRIES = 10;

export class Items {
  readonly memory: Memory;
  readonly words: Uint32Array;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly index: HashIndex;
  readonly lruLists: LruLists;
  readonly slabs: Slabs;
  readonly eviction: LruEviction;
  readonly counters: Counters;
  /** Who is told of evictions; undefined while nobody does. */
  log: StoreLog | undefined;
  readonly #globals: Float64Array;
  readonly #tune: Float64Array;
  readonly #baseFlags: number;
  readonly #chunkBytesMax: number;
  /** Hashes whose items eviction and slab rebalancer must leave alone: `debugitem lock`. */
  readonly locked = new Set<number>();

  constructor(memory: Memory, counters: Counters) {
    this.memory = memory;
    this.words = memory.words;
    this.bytes = memory.bytes;
    this.view = memory.view;
    this.counters = counters;
    this.index = new HashIndex(memory);
    this.lruLists = new LruLists(memory);
    this.slabs = new Slabs(memory);
    this.eviction = new LruEviction(this);
    this.#globals = memory.globals;
    this.#tune = memory.tune;
    this.#baseFlags = memory.settings.useCas ? I.HAS_CAS : 0;
    this.#chunkBytesMax = memory.settings.chunkBytesMax;
  }

  get now(): number {
    return this.#globals[GLOBAL.now]!;
  }

  nextCas(): number {
    const next = this.#globals[GLOBAL.casId]! + 1;
    this.#globals[GLOBAL.casId] = next;
    return next;
  }

  /** True when `allocate` could ever succeed for such an item. */
  fits(keyBytes: number, clientFlags: number, length: number): boolean {
    return this.slabs.classOf(I.itemBytes(keyBytes, length, this.#flagsFor(clientFlags))) !== 0;
  }

  /**
   * A new unlinked item with its key in place, held once by the caller; 0 when too large or no memory.
   *
   * @param length bytes of the value with its CR LF
   */
  allocate(
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    { clientFlags, expiry, length }: { clientFlags: number; expiry: number; length: number },
  ): number {
    const flags = this.#flagsFor(clientFlags);
    const counted = I.itemBytes(keyBytes, length, flags);
    const slabClass = this.slabs.classOf(counted);
    if (slabClass === 0) return 0;
    const chunked = counted > this.#chunkBytesMax;
    const headClass = chunked ? this.slabs.classOf(I.chunkedHeadBytes(keyBytes, flags)) : slabClass;
    const handle = this.pull(headClass);
    if (handle === 0) {
      this.count(slabClass, LRU_STAT.outOfMemory);
      return 0;
    }
    const words = this.words;
    const at = handle * 2;
    words[at + I.NEXT] = 0;
    words[at + I.PREV] = 0;
    words[at + I.CHAIN] = 0;
    words[at + I.EXPIRY] = expiry;
    words[at + I.LENGTH] = length;
    words[at + I.META] =
      flags |
      (chunked ? I.CHUNKED : 0) |
      ((slabClass | this.#firstLruList(expiry)) << I.CLASS_SHIFT) |
      (keyBytes << I.KEY_SHIFT);
    words[at + I.CAS_LOW] = 0;
    words[at + I.CAS_HIGH] = 0;
    words[at + I.CLIENT_FLAGS] = clientFlags;
    const bytes = this.bytes;
    const to = handle * 8 + I.HEADER_BYTES;
    for (let index = 0; index < keyBytes; index += 1) bytes[to + index] = key[keyStart + index]!;
    if (chunked) {
      const place = this.chunkPlace(handle);
      words[place] = 0;
      words[place + 1] = headClass;
    }
    return handle;
  }

  /** Where a chunked item keeps its first chunk, and after it the class of its head: words behind the key. */
  chunkPlace(handle: number): number {
    return handle * 2 + ((I.HEADER_BYTES + (this.words[handle * 2 + I.META]! >>> I.KEY_SHIFT) + 3) >> 2);
  }

  /** Where the value of an item that is not chunked starts in `bytes`. */
  valueStart(handle: number): number {
    return handle * 8 + I.HEADER_BYTES + (this.words[handle * 2 + I.META]! >>> I.KEY_SHIFT);
  }

  /** What the item counts for. */
  countedBytes(handle: number): number {
    const meta = this.words[handle * 2 + I.META]!;
    return I.itemBytes(meta >>> I.KEY_SHIFT, this.words[handle * 2 + I.LENGTH]!, meta);
  }

  /** A chunk of the class, evicting when there is none free. */
  pull(slabClass: number): number {
    let tries = 0;
    let handle = 0;
    const segmented = this.#tune[TUNE.segmented] !== 0;
    for (; tries < ALLOCATE_TRIES; tries += 1) {
      if (!segmented) this.eviction.pull(slabClass, I.COLD);
      handle = this.slabs.allocate(slabClass);
      if (handle !== 0) break;
      if (this.eviction.pull(slabClass, I.COLD, EVICT) > 0) continue;
      if (!segmented) break;
      this.eviction.pull(slabClass, I.HOT);
    }
    if (tries > 0) this.count(slabClass, LRU_STAT.directReclaims, tries);
    return handle;
  }

  /** Puts a filled item under its key, as the newest. */
  link(handle: number, hash: number): void {
    const words = this.words;
    const at = handle * 2;
    words[at + I.META] = (words[at + I.META]! & ~I.EPOCH) | I.LINKED | this.#globals[GLOBAL.flushEpoch]!;
    words[at + I.TIME] = this.now;
    words[at + I.REFERENCES]! += 1;
    this.#globals[GLOBAL.currBytes]! += this.countedBytes(handle);
    this.#globals[GLOBAL.currItems]! += 1;
    this.#globals[GLOBAL.totalItems]! += 1;
    this.index.insert(handle, hash);
    this.lruLists.link(handle);
    if (this.memory.sizesHistogram) this.#trackSize(handle, 1);
  }

  unlink(handle: number): void {
    const words = this.words;
    const at = handle * 2;
    if ((words[at + I.META]! & I.LINKED) === 0) return;
    words[at + I.META]! &= ~I.LINKED;
    this.#globals[GLOBAL.currBytes]! -= this.countedBytes(handle);
    this.#globals[GLOBAL.currItems]! -= 1;
    this.index.remove(handle);
    this.lruLists.unlink(handle);
    if (this.memory.sizesHistogram) this.#trackSize(handle, -1);
    this.release(handle);
  }

  /** Keeps an item's memory from being used again until it is released. */
  hold(handle: number): void {
    this.words[handle * 2 + I.REFERENCES]! += 1;
  }

  /** Gives up one hold on an item; the last one frees it. */
  release(handle: number): void {
    const at = handle * 2;
    const left = this.words[at + I.REFERENCES]! - 1;
    assert(left >= 0, "an item is released at most as often as it was held");
    this.words[at + I.REFERENCES] = left;
    if (left === 0) this.#free(handle);
  }

  /** Marks an access for the LRU lists: once makes FETCHED, twice ACTIVE, and an active COLD item goes to WARM at once. */
  bump(handle: number): void {
    const words = this.words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    if (this.#tune[TUNE.segmented] === 0) {
      words[at + I.META] = meta | I.FETCHED;
      this.update(handle);
    } else if ((meta & I.ACTIVE) === 0) {
      if ((meta & I.FETCHED) === 0) {
        words[at + I.META] = meta | I.FETCHED;
      } else {
        words[at + I.META] = meta | I.ACTIVE;
        this.update(handle);
      }
    }
  }

  /** Renews an item's last access, and its place where its LRU list says so. */
  update(handle: number): void {
    const words = this.words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    if ((meta & I.LINKED) === 0) return;
    const now = this.now;
    if (this.#tune[TUNE.segmented] !== 0) {
      words[at + I.TIME] = now;
      if (((meta >>> I.CLASS_SHIFT) & I.TEMP) !== I.COLD || (meta & I.ACTIVE) === 0) return;
      this.lruLists.unlink(handle);
      const warm = ((meta >>> I.CLASS_SHIFT) & 0x3f) | I.WARM;
      words[at + I.META] = (meta & ~(0xff << I.CLASS_SHIFT) & ~I.ACTIVE) | (warm << I.CLASS_SHIFT);
      this.lruLists.link(handle);
      this.count(warm, LRU_STAT.movesToWarm);
    } else if (words[at + I.TIME]! < now - BUMP_INTERVAL_SECONDS) {
      words[at + I.TIME] = now;
      this.lruLists.unlink(handle);
      this.lruLists.link(handle);
    }
  }

  /** True for what a `flush_all` before it was linked, or one that has come due since, has made invisible. */
  isFlushed(handle: number): boolean {
    const globals = this.#globals;
    if (((this.words[handle * 2 + I.META]! ^ globals[GLOBAL.flushEpoch]!) & I.EPOCH) !== 0) return true;
    const time = this.words[handle * 2 + I.TIME]!;
    const oldestLive = globals[GLOBAL.oldestLive]!;
    return time <= globals[GLOBAL.flushedUpTo]! || (time <= oldestLive && oldestLive <= globals[GLOBAL.now]!);
  }

  count(lruList: number, stat: number, by = 1): void {
    this.memory.lruStats[lruList * LRU_STATS + stat]! += by;
  }

  /** A view of the item's key. */
  keyOf(handle: number): Uint8Array {
    const start = handle * 8 + I.HEADER_BYTES;
    return this.bytes.subarray(start, start + (this.words[handle * 2 + I.META]! >>> I.KEY_SHIFT));
  }

  /** Tells who listens that a live item is about to be lost. */
  logEviction(handle: number): void {
    if (!this.log?.evicted) return;
    const words = this.words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    const expiry = words[at + I.EXPIRY]!;
    this.log.evicted({
      key: this.keyOf(handle),
      fetched: (meta & I.FETCHED) !== 0,
      ttlSeconds: expiry === 0 ? -1 : expiry - this.now,
      idleSeconds: this.now - words[at + I.TIME]!,
      slabClass: (meta >>> I.CLASS_SHIFT) & 0x3f,
      valueBytes: words[at + I.LENGTH]!,
    });
  }

  #trackSize(handle: number, by: 1 | -1): void {
    this.memory.sizesHistogram![Math.ceil(this.countedBytes(handle) / SIZE_STEP_BYTES)]! += by;
  }

  #flagsFor(clientFlags: number): number {
    return clientFlags === 0 ? this.#baseFlags : this.#baseFlags | I.HAS_CLIENT_FLAGS;
  }

  #firstLruList(expiry: number): number {
    const tune = this.#tune;
    if (tune[TUNE.tempLru] !== 0 && (expiry - this.now) >>> 0 <= tune[TUNE.tempTtl]!) return I.TEMP;
    return tune[TUNE.segmented] === 0 ? I.COLD : I.HOT;
  }

  #free(handle: number): void {
    const words = this.words;
    const meta = words[handle * 2 + I.META]!;
    if ((meta & I.CHUNKED) === 0) {
      this.slabs.free(handle, (meta >>> I.CLASS_SHIFT) & 0x3f);
      return;
    }
    const place = this.chunkPlace(handle);
    let chunk = words[place]!;
    this.slabs.free(handle, words[place + 1]!);
    while (chunk !== 0) {
      const next = words[chunk * 2 + I.NEXT]!;
      this.slabs.free(chunk, (words[chunk * 2 + I.META]! >>> I.CLASS_SHIFT) & 0x3f);
      chunk = next;
    }
  }
}
