/**
 * ○ The life of an item: allocated (evicting when there is no room), filled by its uploader, linked under its key, moved between the
 * segments of its class's LRU, unlinked, and freed when nobody holds it any more. Eviction and the moves follow memcached's items.c,
 * as `stats items` counts them. Invariant: an item is linked into hash index and LRU list together or not at all.
 */
import type { Buffer } from "node:buffer";
import { assert } from "../../core/assert.ts";
import type { Counters } from "./counters.ts";
import { HashIndex } from "./hash-index.ts";
import * as Item from "./item.ts";
import { BUMP_INTERVAL_SECONDS } from "./limits.ts";
import { GLOBAL, type Memory, LRU_STAT, LRU_STATS, SIZE_STEP_BYTES } from "./memory.ts";
import { LruLists, isMark } from "./lru-lists.ts";
import { TUNE } from "./settings.ts";
import { S3Fifo } from "./s3-fifo.ts";
import { Slabs } from "./slabs.ts";
import type { StoreLog } from "./store-log.ts";

/** Evictions tried for one allocation; memcached's number. */
const ALLOCATE_TRIES = 10;

/** 256 items: what S3-FIFO may put back in a row before it takes the oldest all the same; 20 us. The mean is below one. */
const PUT_BACK_MAX = 256;

/** Items looked at from the tail of an LRU list; those that somebody holds are passed over. memcached's number. */
const TAIL_TRIES = 5;

export interface PullOptions {
  /** Free the oldest COLD item even if it is alive. */
  readonly evict?: boolean;
  /** Stop at a crawler's mark. */
  readonly crawlBlocks?: boolean;
  /** Bytes of the whole class: what is beyond HOT's and WARM's share of them moves to COLD. */
  readonly totalBytes?: number;
  /** So does what was not read for longer than this, in seconds. */
  readonly maxAge?: number;
}
const EVICT: PullOptions = { evict: true };
const NO_OPTIONS: PullOptions = {};

export class Items {
  readonly memory: Memory;
  readonly words: Uint32Array;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly index: HashIndex;
  readonly lruLists: LruLists;
  readonly slabs: Slabs;
  readonly counters: Counters;
  /** Where evictions are reported; undefined while nobody watches. */
  log: StoreLog | undefined;
  /** undefined: memcached's segmented LRU. */
  readonly #s3fifo: S3Fifo | undefined;
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
    this.#s3fifo = memory.settings.eviction === "s3fifo" ? new S3Fifo(memory) : undefined;
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
    const item = this.allocateChunk(headClass);
    if (item === 0) {
      this.count(slabClass, LRU_STAT.outOfMemory);
      this.starve(headClass);
      return 0;
    }
    const words = this.words;
    Item.setNext(words, item, 0);
    Item.setPrev(words, item, 0);
    Item.setChain(words, item, 0);
    Item.setExpiry(words, item, expiry);
    Item.setLength(words, item, length);
    const lruList = slabClass | this.#firstSegment(expiry);
    Item.setMeta(words, item, chunked ? flags | Item.CHUNKED : flags, lruList, keyBytes);
    Item.setCas(words, item, 0, 0);
    Item.setClientFlags(words, item, clientFlags);
    const bytes = this.bytes;
    const to = Item.keyStart(item);
    for (let index = 0; index < keyBytes; index += 1) bytes[to + index] = key[keyStart + index]!;
    if (chunked) {
      Item.setFirstChunk(words, item, 0);
      Item.setHeadClass(words, item, headClass);
    }
    return item;
  }

  /** A chunk of the class, evicting when there is none free. */
  allocateChunk(slabClass: number): number {
    let tries = 0;
    let item = 0;
    const flat = !this.#s3fifo && this.#tune[TUNE.segmented] === 0;
    for (; tries < ALLOCATE_TRIES; tries += 1) {
      if (flat) this.pullTail(slabClass, Item.COLD);
      item = this.slabs.allocate(slabClass);
      if (item !== 0 || !this.makeRoom(slabClass)) break;
    }
    if (tries > 0) this.count(slabClass, LRU_STAT.directReclaims, tries);
    return item;
  }

  /** Evicts one item of a class, or frees what has expired. @returns false when trying again is of no use */
  makeRoom(slabClass: number): boolean {
    if (this.#s3fifo) return this.#evictByS3Fifo(slabClass, this.#s3fifo);
    if (this.pullTail(slabClass, Item.COLD, EVICT) > 0) return true;
    if (this.#tune[TUNE.segmented] === 0) return false;
    this.pullTail(slabClass, Item.HOT);
    return true;
  }

  /** The oldest of a queue goes, unless it was read: then it goes on, or once more, in the main queue. */
  #evictByS3Fifo(slabClass: number, s3fifo: S3Fifo): boolean {
    const { words } = this;
    if (!this.memory.settings.evictToFree) return this.pullTail(slabClass, Item.HOT) + this.pullTail(slabClass, Item.WARM) > 0;
    for (let putBack = 0; ; putBack += 1) {
      const segment = s3fifo.victimSegment(slabClass);
      const item = this.#oldestFree(slabClass | segment) || this.#oldestFree(slabClass | (segment ^ Item.WARM));
      if (item === 0) return false;
      if (this.isExpiredOrFlushed(item)) {
        this.#reclaim(item, Item.lruList(words, item));
        return true;
      }
      if (!Item.has(words, item, Item.HITS) || putBack === PUT_BACK_MAX) {
        s3fifo.remember(item);
        this.#evict(item, slabClass | Item.COLD);
        return true;
      }
      if (Item.segment(words, item) === Item.HOT) Item.clearFlags(words, item, Item.HITS);
      else Item.uncountHit(words, item);
      this.count(Item.lruList(words, item), LRU_STAT.movesToWarm);
      this.#moveTo(item, Item.WARM);
    }
  }

  /** The oldest item of an LRU list that nobody holds, among the last few; 0: there is none. */
  #oldestFree(lruList: number): number {
    const { words, locked } = this;
    let item = this.lruLists.oldest(lruList);
    for (let tries = TAIL_TRIES; item !== 0 && tries > 0; tries -= 1) {
      if (Item.references(words, item) === 1 && !(locked.size > 0 && locked.has(Item.hash(words, item)))) return item;
      item = Item.prev(words, item);
    }
    return 0;
  }

  /**
   * Nothing can be stored in this class, which has nothing to evict: its chunks are parts of larger items, which other LRU lists
   * hold. Only a page more helps, and the automover fetches it within a second. memcached refuses such a size for good (#1248).
   */
  starve(slabClass: number): void {
    if (this.memory.settings.evictToFree) this.#globals[GLOBAL.starvedClass] = slabClass;
  }

  /** Puts a filled item under its key, as the newest. @param old the item that it takes the place of; 0: none */
  link(item: number, hash: number, old = 0): void {
    const words = this.words;
    if (this.#s3fifo) this.#enqueue(item, hash, old, this.#s3fifo);
    if (old !== 0) this.unlink(old);
    Item.clearFlags(words, item, Item.EPOCH);
    Item.setFlags(words, item, Item.LINKED | this.#globals[GLOBAL.flushEpoch]!);
    Item.setLastAccess(words, item, this.now);
    this.hold(item);
    this.#globals[GLOBAL.currBytes]! += Item.countedBytes(this.words, item);
    this.#globals[GLOBAL.currItems]! += 1;
    this.#globals[GLOBAL.totalItems]! += 1;
    this.index.insert(item, hash);
    this.lruLists.link(item);
    if (this.memory.sizesHistogram) this.#trackSize(item, 1);
  }

  /** Chooses the queue: what takes another's place keeps its queue and its hits. */
  #enqueue(item: number, hash: number, old: number, s3fifo: S3Fifo): void {
    const { words } = this;
    const slabClass = Item.slabClass(words, item);
    const asked = Item.segment(words, item);
    if (asked === Item.TEMP) return;
    let segment = asked === Item.WARM ? Item.WARM : Item.HOT;
    if (old === 0) {
      if (segment === Item.HOT) segment = s3fifo.segmentFor(slabClass, hash);
    } else {
      if (Item.segment(words, old) === Item.WARM) segment = Item.WARM;
      Item.clearFlags(words, item, Item.HITS);
      Item.setFlags(words, item, Item.flags(words, old) & Item.HITS);
    }
    Item.setLruList(words, item, slabClass | segment);
  }

  unlink(item: number): void {
    const words = this.words;
    if (!Item.has(words, item, Item.LINKED)) return;
    Item.clearFlags(words, item, Item.LINKED);
    this.#globals[GLOBAL.currBytes]! -= Item.countedBytes(this.words, item);
    this.#globals[GLOBAL.currItems]! -= 1;
    this.index.remove(item);
    this.lruLists.unlink(item);
    if (this.memory.sizesHistogram) this.#trackSize(item, -1);
    this.release(item);
  }

  /** Keeps an item's memory from being used again until it is released. */
  hold(item: number): void {
    Item.setReferences(this.words, item, Item.references(this.words, item) + 1);
  }

  /** Gives up one hold on an item; the last one frees it. */
  release(item: number): void {
    const left = Item.references(this.words, item) - 1;
    assert(left >= 0, "an item is released at most as often as it was held");
    Item.setReferences(this.words, item, left);
    if (left === 0) this.#free(item);
  }

  /** Marks an access for the LRU lists: once makes FETCHED, twice ACTIVE, and an active COLD item goes to WARM at once. */
  bump(item: number): void {
    const words = this.words;
    if (this.#s3fifo) {
      Item.setFlags(words, item, Item.FETCHED);
      Item.countHit(words, item);
      Item.setLastAccess(words, item, this.now);
    } else if (this.#tune[TUNE.segmented] === 0) {
      Item.setFlags(words, item, Item.FETCHED);
      this.update(item);
    } else if (!Item.has(words, item, Item.ACTIVE)) {
      if (!Item.has(words, item, Item.FETCHED)) {
        Item.setFlags(words, item, Item.FETCHED);
      } else {
        Item.setFlags(words, item, Item.ACTIVE);
        this.update(item);
      }
    }
  }

  /** Renews an item's last access, and its place where its LRU list says so. */
  update(item: number): void {
    const words = this.words;
    if (!Item.has(words, item, Item.LINKED)) return;
    const now = this.now;
    if (this.#s3fifo) {
      Item.setLastAccess(words, item, now);
    } else if (this.#tune[TUNE.segmented] !== 0) {
      Item.setLastAccess(words, item, now);
      if (Item.segment(words, item) !== Item.COLD || !Item.has(words, item, Item.ACTIVE)) return;
      this.#moveTo(item, Item.WARM);
      this.count(Item.lruList(words, item), LRU_STAT.movesToWarm);
    } else if (Item.lastAccess(words, item) < now - BUMP_INTERVAL_SECONDS) {
      Item.setLastAccess(words, item, now);
      this.lruLists.unlink(item);
      this.lruLists.link(item);
    }
  }

  /** True for what a `flush_all` before it was linked, or one that has come due since, has made invisible. */
  isFlushed(item: number): boolean {
    const globals = this.#globals;
    if (Item.epoch(this.words, item) !== globals[GLOBAL.flushEpoch]) return true;
    const time = Item.lastAccess(this.words, item);
    const oldestLive = globals[GLOBAL.oldestLive]!;
    return time <= globals[GLOBAL.flushedUpTo]! || (time <= oldestLive && oldestLive <= globals[GLOBAL.now]!);
  }

  isExpiredOrFlushed(item: number): boolean {
    const expiry = Item.expiry(this.words, item);
    return (expiry !== 0 && expiry < this.now) || this.isFlushed(item);
  }

  /** Seconds since the oldest item of an LRU list was read or stored; 0 when the list is empty. */
  oldestAge(lruList: number): number {
    const oldest = this.lruLists.oldest(lruList);
    return oldest === 0 ? 0 : this.now - Item.lastAccess(this.words, oldest);
  }

  /** Of the items that a class evicts next. */
  evictionAge(slabClass: number): number {
    if (!this.#s3fifo) return this.oldestAge(slabClass | Item.COLD);
    return Math.max(this.oldestAge(slabClass | Item.HOT), this.oldestAge(slabClass | Item.WARM));
  }

  count(lruList: number, stat: number, by = 1): void {
    this.memory.lruStats[lruList * LRU_STATS + stat]! += by;
  }

  /** A view of the item's key. */
  keyOf(item: number): Uint8Array {
    const start = Item.keyStart(item);
    return this.bytes.subarray(start, start + Item.keyBytes(this.words, item));
  }

  /** Reports to `watch evictions` that a live item is about to be lost. */
  logEviction(item: number): void {
    if (!this.log?.evicted) return;
    const words = this.words;
    const expiry = Item.expiry(words, item);
    this.log.evicted({
      key: this.keyOf(item),
      fetched: Item.has(words, item, Item.FETCHED),
      ttlSeconds: expiry === 0 ? -1 : expiry - this.now,
      idleSeconds: this.now - Item.lastAccess(words, item),
      slabClass: Item.slabClass(words, item),
      valueBytes: Item.length(words, item),
    });
  }

  /**
   * Looks at the tail of an LRU list: frees items that are expired or flushed, moves the first one that is alive to the segment
   * where it belongs by now, or evicts it when that is asked for.
   *
   * @returns how many items were freed or moved
   */
  pullTail(slabClass: number, segment: number, options: PullOptions = NO_OPTIONS): number {
    const lruList = slabClass | segment;
    const { words, locked } = this;
    let removed = 0;
    let tries = TAIL_TRIES;
    let before = 0;
    for (let item = this.lruLists.tails[lruList]!; item !== 0 && tries > 0; item = before) {
      before = Item.prev(words, item);
      if (isMark(item)) {
        if (options.crawlBlocks) break;
        continue;
      }
      tries -= 1;
      if (locked.size > 0 && locked.has(Item.hash(words, item))) continue;
      if (Item.references(words, item) !== 1) this.#repairTail(item, lruList);
      else if (this.isExpiredOrFlushed(item)) {
        this.#reclaim(item, lruList);
        removed += 1;
      } else return removed + this.#moveOn(item, segment, options);
    }
    return removed;
  }

  /** Unlinks an expired or flushed item and counts it. */
  #reclaim(item: number, lruList: number): void {
    this.count(lruList, LRU_STAT.reclaimed);
    if (!Item.has(this.words, item, Item.FETCHED)) this.count(lruList, LRU_STAT.expiredUnfetched);
    this.unlink(item);
  }

  /** Moves or evicts a live item at the tail; 1 when it did, 0 when the item stays. */
  #moveOn(item: number, segment: number, options: PullOptions): number {
    const { words } = this;
    const lruList = Item.lruList(words, item);
    if (segment === Item.TEMP || this.#s3fifo) return 0;
    if (segment === Item.COLD) {
      if (options.evict) {
        if (!this.memory.settings.evictToFree) return 0;
        this.#evict(item, lruList);
        return 1;
      }
      if (!Item.has(words, item, Item.ACTIVE) || this.#tune[TUNE.segmented] === 0) return 0;
      this.count(lruList, LRU_STAT.movesToWarm);
      this.#moveTo(item, Item.WARM);
      return 1;
    }
    if (Item.has(words, item, Item.ACTIVE)) {
      this.count(lruList, segment === Item.WARM ? LRU_STAT.movesWithinLru : LRU_STAT.movesToWarm);
      this.#moveTo(item, Item.WARM);
      return 1;
    }
    const percent = this.#tune[segment === Item.HOT ? TUNE.hotPercent : TUNE.warmPercent]!;
    const limit = ((options.totalBytes ?? 0) * percent) / 100;
    if (this.lruLists.sizesBytes[lruList]! > limit || this.now - Item.lastAccess(words, item) > (options.maxAge ?? 0)) {
      this.count(lruList, LRU_STAT.movesToCold);
      this.#moveTo(item, Item.COLD);
      return 1;
    }
    return 0;
  }

  #moveTo(item: number, segment: number): void {
    const { words, lruLists } = this;
    lruLists.unlink(item);
    if (segment === Item.WARM) Item.clearFlags(words, item, Item.ACTIVE);
    Item.setLruList(words, item, Item.slabClass(words, item) | segment);
    lruLists.link(item);
  }

  #evict(item: number, lruList: number): void {
    const { words } = this;
    const idleSeconds = this.now - Item.lastAccess(words, item);
    this.count(lruList, LRU_STAT.evicted);
    this.memory.lruStats[lruList * LRU_STATS + LRU_STAT.evictedTime] = idleSeconds;
    if (Item.expiry(words, item) !== 0) this.count(lruList, LRU_STAT.evictedNonzero);
    if (!Item.has(words, item, Item.FETCHED)) this.count(lruList, LRU_STAT.evictedUnfetched);
    if (Item.has(words, item, Item.ACTIVE)) this.count(lruList, LRU_STAT.evictedActive);
    this.logEviction(item);
    this.unlink(item);
    if (this.#tune[TUNE.automove] === 2) this.memory.globals[GLOBAL.starvedClass] = lruList & 0x3f;
  }

  /** Counts a held item at the tail, and frees it by force where `tail_repair_time` says that its holder has forgotten it. */
  #repairTail(item: number, lruList: number): void {
    this.count(lruList, LRU_STAT.lruTailReflocked);
    const after = this.#tune[TUNE.tailRepairSeconds]!;
    if (after === 0 || Item.lastAccess(this.words, item) + after >= this.now) return;
    this.count(lruList, LRU_STAT.tailRepairs);
    Item.setReferences(this.words, item, 1);
    this.unlink(item);
  }

  #trackSize(item: number, by: 1 | -1): void {
    this.memory.sizesHistogram![Math.ceil(Item.countedBytes(this.words, item) / SIZE_STEP_BYTES)]! += by;
  }

  #flagsFor(clientFlags: number): number {
    return clientFlags === 0 ? this.#baseFlags : this.#baseFlags | Item.HAS_CLIENT_FLAGS;
  }

  #firstSegment(expiry: number): number {
    const tune = this.#tune;
    if (tune[TUNE.tempLru] !== 0 && (expiry - this.now) >>> 0 <= tune[TUNE.tempTtl]!) return Item.TEMP;
    return tune[TUNE.segmented] === 0 ? Item.COLD : Item.HOT;
  }

  #free(item: number): void {
    const words = this.words;
    if (!Item.has(words, item, Item.CHUNKED)) {
      this.slabs.free(item, Item.slabClass(words, item));
      return;
    }
    let chunk = Item.firstChunk(words, item);
    this.slabs.free(item, Item.headClass(words, item));
    while (chunk !== 0) {
      const next = Item.next(words, chunk);
      this.slabs.free(chunk, Item.slabClass(words, chunk));
      chunk = next;
    }
  }
}
