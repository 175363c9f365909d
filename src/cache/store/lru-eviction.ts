/**
 * ○ The old ends of the LRU lists: what is expired or flushed there is freed, what has outstayed moves on, and the oldest of COLD is
 * evicted when memory is wanted. Eviction and the moves between LRU lists follow memcached's items.c, as its counters tell of them.
 */
import * as Item from "./item.ts";
import type { Items } from "./items.ts";
import { GLOBAL, LRU_STAT, LRU_STATS } from "./memory.ts";
import { isMark } from "./lru-lists.ts";
import { TUNE } from "./settings.ts";

/** Tail items looked at before giving up; held ones are passed over. memcached's number. */
const TAIL_TRIES = 5;

export interface PullOptions {
  /** Free the oldest COLD item even if it is alive. */
  readonly evict?: boolean;
  /** Stop at a crawler's mark. */
  readonly crawlBlocks?: boolean;
  /** Bytes of the whole class, of which an LRU list may have its share. */
  readonly totalBytes?: number;
  readonly maxAge?: number;
}
export const EVICT: PullOptions = { evict: true };
const NO_OPTIONS: PullOptions = {};

export class LruEviction {
  readonly #items: Items;

  constructor(items: Items) {
    this.#items = items;
  }

  /**
   * Looks at the tail of an LRU list: frees what is expired or flushed, moves on what has outstayed, evicts when told to.
   *
   * @returns how many items were freed or moved
   */
  pull(slabClass: number, lruSegment: number, options: PullOptions = NO_OPTIONS): number {
    const lruList = slabClass | lruSegment;
    const items = this.#items;
    const { words } = items;
    let removed = 0;
    let tries = TAIL_TRIES;
    let handle = items.lruLists.tails[lruList]!;
    while (tries > 0 && handle !== 0) {
      const before = Item.prev(words, handle);
      if (isMark(handle)) {
        if (options.crawlBlocks) return removed;
        handle = before;
        continue;
      }
      tries -= 1;
      if (items.locked.size > 0 && items.locked.has(Item.hash(words, handle))) {
        handle = before;
        continue;
      }
      if (Item.references(words, handle) !== 1) {
        this.#repairTail(handle, lruList);
        handle = before;
        continue;
      }
      const expiry = Item.expiry(words, handle);
      if ((expiry !== 0 && expiry < items.now) || items.isFlushed(handle)) {
        this.#reclaim(handle, lruList);
        removed += 1;
        handle = before;
        continue;
      }
      return removed + this.#moveOn(handle, lruSegment, options);
    }
    return removed;
  }

  /** Unlinks an expired or flushed item and counts it. */
  #reclaim(handle: number, lruList: number): void {
    const items = this.#items;
    items.count(lruList, LRU_STAT.reclaimed);
    if (!Item.has(items.words, handle, Item.FETCHED)) items.count(lruList, LRU_STAT.expiredUnfetched);
    items.unlink(handle);
  }

  /** What becomes of a live tail item; 1 when it was moved or freed. */
  #moveOn(handle: number, lruSegment: number, options: PullOptions): number {
    const items = this.#items;
    const { words } = items;
    const lruList = Item.lruList(words, handle);
    if (lruSegment === Item.TEMP) return 0;
    if (lruSegment === Item.COLD) {
      if (options.evict) {
        if (!items.memory.settings.evictToFree) return 0;
        this.#evict(handle, lruList);
        return 1;
      }
      if (!Item.has(words, handle, Item.ACTIVE) || items.memory.tune[TUNE.segmented] === 0) return 0;
      items.count(lruList, LRU_STAT.movesToWarm);
      this.#moveTo(handle, Item.WARM);
      return 1;
    }
    if (Item.has(words, handle, Item.ACTIVE)) {
      items.count(lruList, lruSegment === Item.WARM ? LRU_STAT.movesWithinLru : LRU_STAT.movesToWarm);
      this.#moveTo(handle, Item.WARM);
      return 1;
    }
    const percent = items.memory.tune[lruSegment === Item.HOT ? TUNE.hotPercent : TUNE.warmPercent]!;
    const limit = ((options.totalBytes ?? 0) * percent) / 100;
    if (items.lruLists.sizesBytes[lruList]! > limit || items.now - Item.lastAccess(words, handle) > (options.maxAge ?? 0)) {
      items.count(lruList, LRU_STAT.movesToCold);
      this.#moveTo(handle, Item.COLD);
      return 1;
    }
    return 0;
  }

  #moveTo(handle: number, lruSegment: number): void {
    const { words, lruLists } = this.#items;
    lruLists.unlink(handle);
    if (lruSegment === Item.WARM) Item.clearFlags(words, handle, Item.ACTIVE);
    Item.setLruList(words, handle, Item.slabClass(words, handle) | lruSegment);
    lruLists.link(handle);
  }

  #evict(handle: number, lruList: number): void {
    const items = this.#items;
    const { words } = items;
    const idleSeconds = items.now - Item.lastAccess(words, handle);
    items.count(lruList, LRU_STAT.evicted);
    items.memory.lruStats[lruList * LRU_STATS + LRU_STAT.evictedTime] = idleSeconds;
    if (Item.expiry(words, handle) !== 0) items.count(lruList, LRU_STAT.evictedNonzero);
    if (!Item.has(words, handle, Item.FETCHED)) items.count(lruList, LRU_STAT.evictedUnfetched);
    if (Item.has(words, handle, Item.ACTIVE)) items.count(lruList, LRU_STAT.evictedActive);
    items.logEviction(handle);
    items.unlink(handle);
    if (items.memory.tune[TUNE.automove] === 2) items.memory.globals[GLOBAL.starvedClass] = lruList & 0x3f;
  }

  /** A held tail item: counted, and freed by force when `tail_repair_time` says it was forgotten. */
  #repairTail(handle: number, lruList: number): void {
    const items = this.#items;
    items.count(lruList, LRU_STAT.lruTailReflocked);
    const after = items.memory.tune[TUNE.tailRepairSeconds]!;
    if (after === 0 || Item.lastAccess(items.words, handle) + after >= items.now) return;
    items.count(lruList, LRU_STAT.tailRepairs);
    Item.setReferences(items.words, handle, 1);
    items.unlink(handle);
  }
}
