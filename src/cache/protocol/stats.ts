/**
 * ○ `stats` and its kinds, as names and values in memcached's order: both protocols answer with them, each in its own form. What
 * only the server knows (connections, settings) it adds itself.
 */
import { BUSY_STATUS } from "../background/slab-rebalancer.ts";
import { BY_CLASS, COUNT, CounterTotals, resetCounters } from "../store/counters.ts";
import * as Item from "../store/item.ts";
import { SLAB_CLASSES_MAX } from "../store/limits.ts";
import { GLOBAL, type Memory, LRU_STAT, SIZE_STEP_BYTES } from "../store/memory.ts";
import type { SessionContext, StatLine } from "./cache-session.ts";
import { TUNE } from "../store/settings.ts";
import type { ItemStore } from "../store/item-store.ts";

const SEGMENTS = [Item.HOT, Item.WARM, Item.COLD, Item.TEMP] as const;

/**
 * @param name what follows `stats`: "", "items", "detail on" …
 * @returns the lines, or undefined when there is no such kind
 */
export function statLines(
  { store, server }: Pick<SessionContext, "store" | "server">,
  name: string,
): readonly StatLine[] | undefined {
  if (name === "") return [...server.serverStats(), ...itemTotals(store)];
  if (name.startsWith("settings")) return server.settingsStats();
  if (name.startsWith("conns")) return server.connectionStats();
  if (name.startsWith("reset")) {
    resetCounters(store.memory);
    store.prefixes.clear();
    server.resetStats();
    return [];
  }
  if (name.startsWith("detail")) return detail(store, server.features.dump, name.slice("detail".length));
  switch (name) {
    case "items":
      return itemStats(store);
    case "slabs":
      return slabStats(store);
    case "sizes":
      return sizeStats(store);
    default:
      return undefined;
  }
}

function detail(store: SessionContext["store"], allowed: boolean, what: string): readonly StatLine[] | undefined {
  if (!allowed) return undefined;
  if (what.startsWith(" dump")) return [["detailed", store.prefixes.dump()]];
  if (!what.startsWith(" on") && !what.startsWith(" off")) return undefined;
  store.memory.tune[TUNE.detail] = what.startsWith(" on") ? 1 : 0;
  return [];
}

function lruStat(memory: Memory, slabClass: number, stat: number): number {
  let sum = 0;
  for (const segment of SEGMENTS) sum += memory.lruStat(slabClass | segment, stat);
  return sum;
}

function lruStatOfAll(memory: Memory, stat: number): number {
  let sum = 0;
  for (let slabClass = 0; slabClass < SLAB_CLASSES_MAX; slabClass += 1) sum += lruStat(memory, slabClass, stat);
  return sum;
}

/** The part of `stats` between the connections and `limit_maxbytes`: commands, hits, misses. */
export function commandStats(memory: Memory): StatLine[] {
  const totals = new CounterTotals(memory);
  return [
    ["cmd_get", totals.of(COUNT.getCommands)],
    ["cmd_set", totals.ofAllClasses(BY_CLASS.setCommands)],
    ["cmd_flush", totals.of(COUNT.flushCommands)],
    ["cmd_touch", totals.of(COUNT.touchCommands)],
    ["cmd_meta", totals.of(COUNT.metaCommands)],
    ["get_hits", totals.hits()],
    ["get_misses", totals.of(COUNT.getMisses)],
    ["get_expired", totals.of(COUNT.getExpired)],
    ["get_flushed", totals.of(COUNT.getFlushed)],
    ["delete_misses", totals.of(COUNT.deleteMisses)],
    ["delete_hits", totals.ofAllClasses(BY_CLASS.deleteHits)],
    ["incr_misses", totals.of(COUNT.incrMisses)],
    ["incr_hits", totals.ofAllClasses(BY_CLASS.incrHits)],
    ["decr_misses", totals.of(COUNT.decrMisses)],
    ["decr_hits", totals.ofAllClasses(BY_CLASS.decrHits)],
    ["cas_misses", totals.of(COUNT.casMisses)],
    ["cas_hits", totals.ofAllClasses(BY_CLASS.casHits)],
    ["cas_badval", totals.ofAllClasses(BY_CLASS.casBadValue)],
    ["touch_hits", totals.ofAllClasses(BY_CLASS.touchHits)],
    ["touch_misses", totals.of(COUNT.touchMisses)],
    ["store_too_large", totals.of(COUNT.storeTooLarge)],
    ["store_no_memory", totals.of(COUNT.storeNoMemory)],
    ["auth_cmds", totals.of(COUNT.authCommands)],
    ["auth_errors", totals.of(COUNT.authErrors)],
  ];
}

/** Hash table, slab rebalancer and crawler. */
export function tableStats(store: ItemStore): StatLine[] {
  const { memory, items } = store;
  const global = (place: number): number => memory.globals[place]!;
  const lines: StatLine[] = [
    ["hash_power_level", Math.floor(Math.log2(items.index.bucketCount))],
    ["hash_bytes", items.index.bucketCount * 4],
    ["hash_is_expanding", 0],
  ];
  if (memory.settings.slabReassign) {
    lines.push(
      ["slab_reassign_rescues", global(GLOBAL.reassignRescues)],
      ["slab_reassign_chunk_rescues", global(GLOBAL.reassignChunkRescues)],
      ["slab_reassign_inline_reclaim", global(GLOBAL.reassignInlineReclaim)],
      ["slab_reassign_busy_items", global(GLOBAL.reassignBusyItems)],
      ["slab_reassign_busy_deletes", global(GLOBAL.reassignBusyDeletes)],
      ["slab_reassign_busy_nomem", global(GLOBAL.reassignBusyNoMemory)],
      ["slab_reassign_last_busy_status", BUSY_STATUS[global(GLOBAL.reassignLastBusy)]!],
      ["slab_reassign_running", global(GLOBAL.reassignRunning)],
      ["slabs_moved", global(GLOBAL.slabsMoved)],
    );
  }
  if (memory.tune[TUNE.crawlerEnabled] !== 0) {
    lines.push(["lru_crawler_running", global(GLOBAL.crawlerRunning)], ["lru_crawler_starts", global(GLOBAL.crawlerStarts)]);
  }
  if (memory.tune[TUNE.maintainer] !== 0) lines.push(["lru_maintainer_juggles", global(GLOBAL.lruMaintainerJuggles)]);
  lines.push(["malloc_fails", global(GLOBAL.mallocFails)]);
  if (memory.ghosts) {
    lines.push(
      ["s3fifo_small_share", global(GLOBAL.smallShare).toFixed(3)],
      ["s3fifo_ghosts", global(GLOBAL.ghosts)],
      ["s3fifo_ghosts_back_small", global(GLOBAL.ghostsBackSmall)],
      ["s3fifo_ghosts_back_main", global(GLOBAL.ghostsBackMain)],
    );
  }
  return lines;
}

/** Items and what became of them, the end of `stats`. */
function itemTotals({ memory }: ItemStore): StatLine[] {
  const sum = (stat: number): number => lruStatOfAll(memory, stat);
  const maintained = memory.tune[TUNE.maintainer] !== 0;
  const lines: StatLine[] = [
    ["bytes", memory.globals[GLOBAL.currBytes]!],
    ["curr_items", memory.globals[GLOBAL.currItems]!],
    ["total_items", memory.globals[GLOBAL.totalItems]!],
    ["slab_global_page_pool", memory.globals[GLOBAL.poolPages]!],
    ["expired_unfetched", sum(LRU_STAT.expiredUnfetched)],
    ["evicted_unfetched", sum(LRU_STAT.evictedUnfetched)],
  ];
  if (maintained) lines.push(["evicted_active", sum(LRU_STAT.evictedActive)]);
  lines.push(
    ["evictions", sum(LRU_STAT.evicted)],
    ["reclaimed", sum(LRU_STAT.reclaimed)],
    ["crawler_reclaimed", sum(LRU_STAT.crawlerReclaimed)],
    ["crawler_items_checked", sum(LRU_STAT.crawlerItemsChecked)],
    ["lrutail_reflocked", sum(LRU_STAT.lruTailReflocked)],
  );
  if (maintained) {
    lines.push(
      ["moves_to_cold", sum(LRU_STAT.movesToCold)],
      ["moves_to_warm", sum(LRU_STAT.movesToWarm)],
      ["moves_within_lru", sum(LRU_STAT.movesWithinLru)],
      ["direct_reclaims", sum(LRU_STAT.directReclaims)],
      ["lru_bumps_dropped", 0],
    );
  }
  return lines;
}

/** `stats items` */
function itemStats(store: ItemStore): StatLine[] {
  const { memory } = store;
  const totals = new CounterTotals(memory);
  const lines: StatLine[] = [];
  for (let slabClass = 1; slabClass < SLAB_CLASSES_MAX; slabClass += 1) {
    if (SEGMENTS.some((segment) => memory.sizes[slabClass | segment] !== 0))
      lines.push(...classItemStats(store, slabClass, totals));
  }
  return lines;
}

function classItemStats(store: ItemStore, slabClass: number, totals: CounterTotals): StatLine[] {
  const { memory, items } = store;
  const maintained = memory.tune[TUNE.maintainer] !== 0;
  const size = (segment: number): number => memory.sizes[slabClass | segment]!;
  const stat = (place: number): number => lruStat(memory, slabClass, place);
  const age = (segment: number): number => items.oldestAge(slabClass | segment);
  const lines: StatLine[] = [["number", size(Item.HOT) + size(Item.WARM) + size(Item.COLD) + size(Item.TEMP)]];
  if (maintained) {
    lines.push(["number_hot", size(Item.HOT)], ["number_warm", size(Item.WARM)], ["number_cold", size(Item.COLD)]);
    if (memory.tune[TUNE.tempLru] !== 0) lines.push(["number_temp", size(Item.TEMP)]);
    lines.push(["age_hot", age(Item.HOT)], ["age_warm", age(Item.WARM)]);
  }
  const requested = SEGMENTS.reduce<number>((sum, segment) => sum + memory.sizesBytes[slabClass | segment]!, 0);
  lines.push(
    ["age", items.evictionAge(slabClass)],
    ["mem_requested", requested],
    ["evicted", stat(LRU_STAT.evicted)],
    ["evicted_nonzero", stat(LRU_STAT.evictedNonzero)],
    ["evicted_time", memory.lruStat(slabClass | Item.COLD, LRU_STAT.evictedTime)],
    ["outofmemory", stat(LRU_STAT.outOfMemory)],
    ["tailrepairs", stat(LRU_STAT.tailRepairs)],
    ["reclaimed", stat(LRU_STAT.reclaimed)],
    ["expired_unfetched", stat(LRU_STAT.expiredUnfetched)],
    ["evicted_unfetched", stat(LRU_STAT.evictedUnfetched)],
  );
  if (maintained) lines.push(["evicted_active", stat(LRU_STAT.evictedActive)]);
  lines.push(
    ["crawler_reclaimed", stat(LRU_STAT.crawlerReclaimed)],
    ["crawler_items_checked", stat(LRU_STAT.crawlerItemsChecked)],
    ["lrutail_reflocked", stat(LRU_STAT.lruTailReflocked)],
  );
  if (maintained) {
    lines.push(
      ["moves_to_cold", stat(LRU_STAT.movesToCold)],
      ["moves_to_warm", stat(LRU_STAT.movesToWarm)],
      ["moves_within_lru", stat(LRU_STAT.movesWithinLru)],
      ["direct_reclaims", stat(LRU_STAT.directReclaims)],
      ["hits_to_hot", totals.hitsOfLruList(slabClass | Item.HOT)],
      ["hits_to_warm", totals.hitsOfLruList(slabClass | Item.WARM)],
      ["hits_to_cold", totals.hitsOfLruList(slabClass | Item.COLD)],
      ["hits_to_temp", totals.hitsOfLruList(slabClass | Item.TEMP)],
    );
  }
  return lines.map(([name, value]) => [`items:${slabClass}:${name}`, value]);
}

/** `stats slabs` */
function slabStats({ memory, items }: ItemStore): StatLine[] {
  const totals = new CounterTotals(memory);
  const lines: StatLine[] = [];
  let active = 0;
  for (let slabClass = 1; slabClass <= items.slabs.largest; slabClass += 1) {
    const pages = memory.classPages[slabClass]!;
    if (pages === 0) continue;
    active += 1;
    const perPage = memory.classPerPage[slabClass]!;
    const free = memory.classFreeCount[slabClass]!;
    const of = (kind: number): number => totals.ofClass(kind, slabClass);
    const ofClass: StatLine[] = [
      ["chunk_size", memory.classBytes[slabClass]!],
      ["chunks_per_page", perPage],
      ["total_pages", pages],
      ["total_chunks", pages * perPage],
      ["used_chunks", pages * perPage - free],
      ["free_chunks", free],
      ["free_chunks_end", 0],
      ["get_hits", totals.hits(slabClass)],
      ["cmd_set", of(BY_CLASS.setCommands)],
      ["delete_hits", of(BY_CLASS.deleteHits)],
      ["incr_hits", of(BY_CLASS.incrHits)],
      ["decr_hits", of(BY_CLASS.decrHits)],
      ["cas_hits", of(BY_CLASS.casHits)],
      ["cas_badval", of(BY_CLASS.casBadValue)],
      ["touch_hits", of(BY_CLASS.touchHits)],
    ];
    for (const [name, value] of ofClass) lines.push([`${slabClass}:${name}`, value]);
  }
  lines.push(["active_slabs", active], ["total_malloced", memory.globals[GLOBAL.memoryTaken]!]);
  return lines;
}

/** `stats sizes` */
function sizeStats({ memory }: ItemStore): StatLine[] {
  if (!memory.sizesHistogram) return [["sizes_status", "disabled"]];
  const lines: StatLine[] = [];
  const { sizesHistogram } = memory;
  for (let step = 0; step < sizesHistogram.length; step += 1) {
    const count = sizesHistogram[step]!; // no iterator: there are 32,768 steps for each megabyte of -I
    if (count !== 0) lines.push([String(step * SIZE_STEP_BYTES), count]);
  }
  return lines;
}

/** 2 MiB: memcached's bound on one dump. */
const DUMP_BYTES_MAX = 2 * 1024 * 1024;

/** `stats cachedump`: keys of a class's COLD LRU list, newest first; with S3-FIFO, whose COLD is empty, of WARM. */
export function cacheDump(store: ItemStore, slabClass: number, limit: number): string {
  const { items, memory } = store;
  const { words, bytes } = items;
  let text = "";
  let shown = 0;
  for (
    let item = memory.heads[slabClass | (memory.ghosts ? Item.WARM : Item.COLD)]!;
    item !== 0;
    item = Item.next(words, item)
  ) {
    if (limit !== 0 && shown >= limit) break;
    const keyBytes = Item.keyBytes(words, item);
    if (keyBytes === 0 || Item.has(words, item, Item.BINARY_KEY)) continue; // a crawler's mark, or a binary key
    const start = Item.keyStart(item);
    const expiry = Item.expiry(words, item);
    const until = expiry === 0 ? 0 : expiry + memory.settings.startedSeconds;
    const line = `ITEM ${bytes.toString("latin1", start, start + keyBytes)} [${Item.length(words, item) - 2} b; ${until} s]\r\n`;
    if (text.length + line.length + 6 > DUMP_BYTES_MAX) break;
    text += line;
    shown += 1;
  }
  return `${text}END\r\n`;
}
