/**
 * ○ The life of an item: allocated (evicting when there is no room), filled by its uploader, linked under its key, unlinked,
 * freed when nobody holds it any more. Invariant: an item is linked into index and LRU list together or not at all.
 */
import type { Buffer } from "node:buffer";
import { assert } from "../../core/assert.ts";
import type { Counters } from "./counters.ts";
import { HashIndex } from "./hash-index.ts";
import * as Item from "./item.ts";
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
    this.#baseFlags = memory.settings.useCas ? Item.HAS_CAS : 0;
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
    return this.slabs.classOf(Item.itemBytes(keyBytes, length, this.#flagsFor(clientFlags))) !== 0;
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
    const counted = Item.itemBytes(keyBytes, length, flags);
    const slabClass = this.slabs.classOf(counted);
    if (slabClass === 0) return 0;
    const chunked = counted > this.#chunkBytesMax;
    const headClass = chunked ? this.slabs.classOf(Item.chunkedHeadBytes(keyBytes, flags)) : slabClass;
    const handle = this.pull(headClass);
    if (handle === 0) {
      this.count(slabClass, LRU_STAT.outOfMemory);
      return 0;
    }
    const words = this.words;
    Item.setNext(words, handle, 0);
    Item.setPrev(words, handle, 0);
    Item.setChain(words, handle, 0);
    Item.setExpiry(words, handle, expiry);
    Item.setLength(words, handle, length);
    const lruList = slabClass | this.#firstSegment(expiry);
    Item.setMeta(words, handle, { flags: chunked ? flags | Item.CHUNKED : flags, lruList, keyBytes });
    Item.setCas(words, handle, 0, 0);
    Item.setClientFlags(words, handle, clientFlags);
    const bytes = this.bytes;
    const to = Item.keyStart(handle);
    for (let index = 0; index < keyBytes; index += 1) bytes[to + index] = key[keyStart + index]!;
    if (chunked) {
      Item.setFirstChunk(words, handle, 0);
      Item.setHeadClass(words, handle, headClass);
    }
    return handle;
  }

  /** A chunk of the class, evicting when there is none free. */
  pull(slabClass: number): number {
    let tries = 0;
    let handle = 0;
    const segmented = this.#tune[TUNE.segmented] !== 0;
    for (; tries < ALLOCATE_TRIES; tries += 1) {
      if (!segmented) this.eviction.pull(slabClass, Item.COLD);
      handle = this.slabs.allocate(slabClass);
      if (handle !== 0) break;
      if (this.eviction.pull(slabClass, Item.COLD, EVICT) > 0) continue;
      if (!segmented) break;
      this.eviction.pull(slabClass, Item.HOT);
    }
    if (tries > 0) this.count(slabClass, LRU_STAT.directReclaims, tries);
    return handle;
  }

  /** Puts a filled item under its key, as the newest. */
  link(handle: number, hash: number): void {
    const words = this.words;
    Item.clearFlags(words, handle, Item.EPOCH);
    Item.setFlags(words, handle, Item.LINKED | this.#globals[GLOBAL.flushEpoch]!);
    Item.setLastAccess(words, handle, this.now);
    this.hold(handle);
    this.#globals[GLOBAL.currBytes]! += Item.countedBytes(this.words, handle);
    this.#globals[GLOBAL.currItems]! += 1;
    this.#globals[GLOBAL.totalItems]! += 1;
    this.index.insert(handle, hash);
    this.lruLists.link(handle);
    if (this.memory.sizesHistogram) this.#trackSize(handle, 1);
  }

  unlink(handle: number): void {
    const words = this.words;
    if (!Item.has(words, handle, Item.LINKED)) return;
    Item.clearFlags(words, handle, Item.LINKED);
    this.#globals[GLOBAL.currBytes]! -= Item.countedBytes(this.words, handle);
    this.#globals[GLOBAL.currItems]! -= 1;
    this.index.remove(handle);
    this.lruLists.unlink(handle);
    if (this.memory.sizesHistogram) this.#trackSize(handle, -1);
    this.release(handle);
  }

  /** Keeps an item's memory from being used again until it is released. */
  hold(handle: number): void {
    Item.setReferences(this.words, handle, Item.references(this.words, handle) + 1);
  }

  /** Gives up one hold on an item; the last one frees it. */
  release(handle: number): void {
    const left = Item.references(this.words, handle) - 1;
    assert(left >= 0, "an item is released at most as often as it was held");
    Item.setReferences(this.words, handle, left);
    if (left === 0) this.#free(handle);
  }

  /** Marks an access for the LRU lists: once makes FETCHED, twice ACTIVE, and an active COLD item goes to WARM at once. */
  bump(handle: number): void {
    const words = this.words;
    if (this.#tune[TUNE.segmented] === 0) {
      Item.setFlags(words, handle, Item.FETCHED);
      this.update(handle);
    } else if (!Item.has(words, handle, Item.ACTIVE)) {
      if (!Item.has(words, handle, Item.FETCHED)) {
        Item.setFlags(words, handle, Item.FETCHED);
      } else {
        Item.setFlags(words, handle, Item.ACTIVE);
        this.update(handle);
      }
    }
  }

  /** Renews an item's last access, and its place where its LRU list says so. */
  update(handle: number): void {
    const words = this.words;
    if (!Item.has(words, handle, Item.LINKED)) return;
    const now = this.now;
    if (this.#tune[TUNE.segmented] !== 0) {
      Item.setLastAccess(words, handle, now);
      if (Item.segment(words, handle) !== Item.COLD || !Item.has(words, handle, Item.ACTIVE)) return;
      this.lruLists.unlink(handle);
      const warm = Item.slabClass(words, handle) | Item.WARM;
      Item.setLruList(words, handle, warm);
      Item.clearFlags(words, handle, Item.ACTIVE);
      this.lruLists.link(handle);
      this.count(warm, LRU_STAT.movesToWarm);
    } else if (Item.lastAccess(words, handle) < now - BUMP_INTERVAL_SECONDS) {
      Item.setLastAccess(words, handle, now);
      this.lruLists.unlink(handle);
      this.lruLists.link(handle);
    }
  }

  /** True for what a `flush_all` before it was linked, or one that has come due since, has made invisible. */
  isFlushed(handle: number): boolean {
    const globals = this.#globals;
    if (Item.epoch(this.words, handle) !== globals[GLOBAL.flushEpoch]) return true;
    const time = Item.lastAccess(this.words, handle);
    const oldestLive = globals[GLOBAL.oldestLive]!;
    return time <= globals[GLOBAL.flushedUpTo]! || (time <= oldestLive && oldestLive <= globals[GLOBAL.now]!);
  }

  count(lruList: number, stat: number, by = 1): void {
    this.memory.lruStats[lruList * LRU_STATS + stat]! += by;
  }

  /** A view of the item's key. */
  keyOf(handle: number): Uint8Array {
    const start = Item.keyStart(handle);
    return this.bytes.subarray(start, start + Item.keyBytes(this.words, handle));
  }

  /** Tells who listens that a live item is about to be lost. */
  logEviction(handle: number): void {
    if (!this.log?.evicted) return;
    const words = this.words;
    const expiry = Item.expiry(words, handle);
    this.log.evicted({
      key: this.keyOf(handle),
      fetched: Item.has(words, handle, Item.FETCHED),
      ttlSeconds: expiry === 0 ? -1 : expiry - this.now,
      idleSeconds: this.now - Item.lastAccess(words, handle),
      slabClass: Item.slabClass(words, handle),
      valueBytes: Item.length(words, handle),
    });
  }

  #trackSize(handle: number, by: 1 | -1): void {
    this.memory.sizesHistogram![Math.ceil(Item.countedBytes(this.words, handle) / SIZE_STEP_BYTES)]! += by;
  }

  #flagsFor(clientFlags: number): number {
    return clientFlags === 0 ? this.#baseFlags : this.#baseFlags | Item.HAS_CLIENT_FLAGS;
  }

  #firstSegment(expiry: number): number {
    const tune = this.#tune;
    if (tune[TUNE.tempLru] !== 0 && (expiry - this.now) >>> 0 <= tune[TUNE.tempTtl]!) return Item.TEMP;
    return tune[TUNE.segmented] === 0 ? Item.COLD : Item.HOT;
  }

  #free(handle: number): void {
    const words = this.words;
    if (!Item.has(words, handle, Item.CHUNKED)) {
      this.slabs.free(handle, Item.slabClass(words, handle));
      return;
    }
    let chunk = Item.firstChunk(words, handle);
    this.slabs.free(handle, Item.headClass(words, handle));
    while (chunk !== 0) {
      const next = Item.next(words, chunk);
      this.slabs.free(chunk, Item.slabClass(words, chunk));
      chunk = next;
    }
  }
}
