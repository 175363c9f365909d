/**
 * ○ Walks LRU lists from the tail, or the whole hash table, item by item in bounded steps: to free expired items that nobody
 * asks for, or to list keys. A mark in each LRU list keeps the place between steps, whatever happens to the items around it.
 * Invariant: a mark is linked exactly while its LRU list is being crawled.
 */
import { encodeKey, percentEncode } from "../../memcached/key-encoding.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import * as Item from "../store/item.ts";
import type { Items } from "../store/items.ts";
import { LRU_LISTS } from "../store/limits.ts";
import { GLOBAL, LRU_STAT } from "../store/memory.ts";
import { TUNE } from "../store/settings.ts";

/** Minutes ahead in which expiries are counted. */
const HISTOGRAM_MINUTES = 61;

/** What a crawl for expired items learned of an LRU list. */
export interface CrawlerStats {
  seen: number;
  neverExpiring: number;
  reclaimed: number;
  /** Items that expire in the minute of the index from now. */
  readonly perMinute: Float64Array;
  startSecond: number;
  endSecond: number;
  /** The crawl has ended and `CrawlPlan` has not used its result yet. */
  complete: boolean;
}

/** What a crawl is for: to free expired items, or to list keys in one of two forms. */
export type CrawlKind = "expired" | "metadump" | "mgdump";

/** Where a dump goes, and what it lists. */
export interface Dump {
  readonly kind: Exclude<CrawlKind, "expired">;
  readonly out: ReplyBuffer;
}

export class LruCrawler {
  readonly #items: Items;
  readonly crawlerStats: CrawlerStats[] = Array.from({ length: LRU_LISTS }, emptyCrawlerStats);
  readonly #active = new Uint8Array(LRU_LISTS);
  /** Items left to look at in each LRU list; 0 is all. */
  readonly #remaining = new Float64Array(LRU_LISTS);
  #activeCount = 0;
  /** The LRU list whose turn it is. */
  #next = 1;
  #dump: Dump | undefined;
  /** The next bucket of a walk over the hash table, or -1. */
  #bucket = -1;

  constructor(items: Items) {
    this.#items = items;
  }

  /** Starts crawling LRU lists, each for at most `limit` items (0: all; -1: as many as it has now). */
  start(lruLists: readonly number[], limit: number, dump?: Dump): void {
    this.#begin(dump);
    for (const lruList of lruLists) {
      if (this.#active[lruList] !== 0) continue;
      this.#active[lruList] = 1;
      this.#activeCount += 1;
      const most = limit < 0 ? this.#items.lruLists.sizes[lruList]! : limit;
      this.#remaining[lruList] = most === 0 ? 0 : most + 1;
      this.#items.lruLists.linkMark(lruList);
      const crawlerStats = emptyCrawlerStats();
      crawlerStats.startSecond = this.#items.now;
      this.crawlerStats[lruList] = crawlerStats;
    }
  }

  /** Starts a dump in the order of the hash table, which does not grow until it is done. */
  startHash(dump: Dump): void {
    this.#begin(dump);
    this.#bucket = 0;
    this.#items.memory.globals[GLOBAL.hashHeld] = 1;
  }

  get dumping(): Dump | undefined {
    return this.#dump;
  }

  /** Looks at up to `count` items; true once all is done. */
  step(count: number): boolean {
    let left = count;
    if (this.#bucket >= 0) left = this.#walkHash(left);
    while (left > 0 && this.#activeCount > 0) {
      const lruList = this.#next;
      this.#next = lruList >= LRU_LISTS - 1 ? 1 : lruList + 1;
      if (this.#active[lruList] === 0) continue;
      left -= 1;
      this.#advance(lruList);
    }
    if (this.#activeCount > 0 || this.#bucket >= 0) return false;
    this.#finish();
    return true;
  }

  /** Stops everything: the client that asked for the dump has disconnected. */
  abort(): void {
    for (let lruList = 1; lruList < LRU_LISTS; lruList += 1) if (this.#active[lruList] !== 0) this.#leave(lruList);
    this.#bucket = -1;
    this.#dump = undefined;
    this.#finish();
  }

  #begin(dump: Dump | undefined): void {
    const { globals } = this.#items.memory;
    globals[GLOBAL.crawlerRunning] = 1;
    globals[GLOBAL.crawlerStarts]! += 1;
    this.#dump = dump;
    dump?.out.text("OK\r\n");
  }

  #finish(): void {
    const { globals } = this.#items.memory;
    this.#dump?.out.text(this.#dump.kind === "metadump" ? "END\r\n" : "EN\r\n");
    this.#dump = undefined;
    globals[GLOBAL.hashHeld] = 0;
    globals[GLOBAL.crawlerRunning] = 0;
  }

  #walkHash(count: number): number {
    const { index, words } = this.#items;
    let left = count;
    while (left > 0) {
      if (this.#bucket >= index.bucketCount) {
        this.#bucket = -1;
        return left;
      }
      for (let item = index.first(this.#bucket); item !== 0; item = Item.chain(words, item)) {
        this.#list(item);
        left -= 1;
      }
      this.#bucket += 1;
      left -= 0.1; // an empty bucket costs something too
    }
    return left;
  }

  #advance(lruList: number): void {
    const items = this.#items;
    const item = items.lruLists.passMark(lruList);
    if (item !== 0 && this.#remaining[lruList]! > 0) {
      this.#remaining[lruList]! -= 1;
      if (this.#remaining[lruList]! < 1) {
        this.#leave(lruList);
        return;
      }
    }
    if (item === 0) {
      this.#leave(lruList);
      return;
    }
    items.count(lruList, LRU_STAT.crawlerItemsChecked);
    if (Item.references(items.words, item) !== 1) return;
    if (this.#dump) this.#list(item);
    else this.#judge(item, lruList);
  }

  #leave(lruList: number): void {
    this.#items.lruLists.unlinkMark(lruList);
    this.#active[lruList] = 0;
    this.#activeCount -= 1;
    const crawlerStats = this.crawlerStats[lruList]!;
    crawlerStats.endSecond = this.#items.now;
    crawlerStats.complete = true;
  }

  /** Frees an expired item, or counts when it will expire. */
  #judge(item: number, lruList: number): void {
    const items = this.#items;
    const { words } = items;
    const crawlerStats = this.crawlerStats[lruList]!;
    const expiry = Item.expiry(words, item);
    const flushed = items.isFlushed(item);
    if (flushed || (expiry !== 0 && expiry < items.now)) {
      items.count(lruList, LRU_STAT.crawlerReclaimed);
      crawlerStats.reclaimed += 1;
      if (!flushed && !Item.has(words, item, Item.FETCHED)) items.count(lruList, LRU_STAT.expiredUnfetched);
      items.unlink(item);
      return;
    }
    crawlerStats.seen += 1;
    if (expiry === 0) {
      crawlerStats.neverExpiring += 1;
      return;
    }
    const minute = Math.floor((expiry - items.now) / 60);
    if (minute < HISTOGRAM_MINUTES - 1) crawlerStats.perMinute[minute]! += 1;
  }

  #list(item: number): void {
    const items = this.#items;
    const { words, bytes } = items;
    const expiry = Item.expiry(words, item);
    if (items.isExpiredOrFlushed(item)) return;
    const start = Item.keyStart(item);
    const end = start + Item.keyBytes(words, item);
    const { out, kind } = this.#dump!;
    if (kind === "mgdump") {
      out.text("mg ");
      if (!Item.has(words, item, Item.BINARY_KEY)) out.copy(bytes, start, end - start);
      else out.text(`${encodeKey(bytes, start, end)} b`);
      out.text("\r\n");
      return;
    }
    const { startedSeconds } = items.memory.settings;
    out.text("key=");
    out.text(percentEncode(bytes.subarray(start, end)));
    out.text(` exp=${expiry === 0 ? -1 : expiry + startedSeconds} la=${Item.lastAccess(words, item) + startedSeconds} cas=`);
    out.u64(Item.casHigh(words, item), Item.casLow(words, item));
    const fetched = Item.has(words, item, Item.FETCHED) ? "yes" : "no";
    const slabClass = Item.slabClass(words, item);
    out.text(
      ` fetch=${fetched} cls=${slabClass} size=${Item.countedBytes(items.words, item)} flags=${Item.clientFlags(words, item)} \n`,
    );
  }
}

/**
 * The LRU lists that the argument of `lru_crawler` names: "all", or class numbers with commas between.
 *
 * @returns undefined when a number is no class
 */
export function lruListsNamed(classes: string): number[] | undefined {
  if (classes === "all") return Array.from({ length: LRU_LISTS - 1 }, (_, index) => index + 1);
  const lruLists: number[] = [];
  for (const word of classes.split(",").filter((part) => part !== "")) {
    const slabClass = /^\d+$/.test(word) ? Number(word) : 0;
    if (slabClass < 1 || slabClass > 63) return undefined;
    lruLists.push(slabClass | Item.TEMP, slabClass | Item.HOT, slabClass | Item.WARM, slabClass | Item.COLD);
  }
  return lruLists;
}

function emptyCrawlerStats(): CrawlerStats {
  return {
    seen: 0,
    neverExpiring: 0,
    reclaimed: 0,
    perMinute: new Float64Array(HISTOGRAM_MINUTES),
    startSecond: 0,
    endSecond: 0,
    complete: false,
  };
}

/** A crawl planned by itself runs at least once an hour an LRU list, and a minute later each time it found nothing. */
const WAIT_SECONDS_MAX = 3600;
/** After a crawl asked for by hand or refused, none starts by itself for a minute. */
export const BLOCK_SECONDS = 60;

/** Decides, once a second, which LRU lists are worth crawling: those where a hundredth of the items that can expire has expired. */
export class CrawlPlan {
  readonly #crawler: LruCrawler;
  readonly #items: Items;
  readonly #nextSecond = new Float64Array(LRU_LISTS);
  readonly #waitSeconds = new Float64Array(LRU_LISTS);

  constructor(items: Items, crawler: LruCrawler) {
    this.#items = items;
    this.#crawler = crawler;
  }

  /** The LRU lists to crawl now, and the most items of one of them. */
  due(): { lruLists: number[]; limit: number } {
    const { now, lruLists: all } = this.#items;
    const lruLists: number[] = [];
    let limit = 0;
    for (let lruList = 1; lruList < LRU_LISTS; lruList += 1) {
      const crawlerStats = this.#crawler.crawlerStats[lruList]!;
      if (crawlerStats.complete) this.#learn(lruList, crawlerStats);
      if (now <= this.#nextSecond[lruList]!) continue;
      limit = Math.max(limit, all.sizes[lruList]!);
      this.#nextSecond[lruList] = now + 5;
      if (all.sizes[lruList]! > 0) lruLists.push(lruList);
    }
    const most = this.#items.memory.tune[TUNE.crawlerToCrawl]!;
    return { lruLists, limit: most !== 0 && most < limit ? most : limit };
  }

  #learn(lruList: number, crawlerStats: CrawlerStats): void {
    const watermark = Math.floor((crawlerStats.seen - crawlerStats.neverExpiring) / 100) + 1;
    let wait = this.#waitSeconds[lruList]!;
    let available = 0;
    for (let minute = 0; minute < 60; minute += 1) {
      available += crawlerStats.perMinute[minute]!;
      if (available <= watermark) continue;
      if (wait < minute * 60) wait += 60;
      else if (wait >= 60) wait -= 60;
      break;
    }
    if (available === 0) wait += 60;
    this.#waitSeconds[lruList] = Math.min(wait, WAIT_SECONDS_MAX);
    this.#nextSecond[lruList] = this.#items.now + this.#waitSeconds[lruList]! + 5;
    crawlerStats.complete = false;
  }
}
