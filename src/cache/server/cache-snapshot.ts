/** ○ The few numbers of a store that a dashboard shows, cheap enough to read many times a second. */
import { BY_CLASS, COUNT, CounterTotals } from "../store/counters.ts";
import { GLOBAL, type Memory, LRU_STAT } from "../store/memory.ts";

/** Numbers of a running server, read in some ten microseconds. */
export interface CacheStats {
  readonly items: number;
  /** What the items count for, as `stats` says it. */
  readonly bytes: number;
  readonly limitBytes: number;
  readonly gets: number;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly evictions: number;
  /** Evicted keys that were soon stored again, which a larger memory would have kept; undefined: the eviction policy keeps no ghosts. */
  readonly ghostsReturned: number | undefined;
  readonly expired: number;
  readonly connections: number;
  readonly connectionsTotal: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly uptimeSeconds: number;
}

export function snapshot(memory: Memory, uptimeSeconds: number): CacheStats {
  const totals = new CounterTotals(memory);
  let evictions = 0;
  let expired = totals.of(COUNT.getExpired);
  for (let lruList = 0; lruList < memory.heads.length; lruList += 1) {
    evictions += memory.lruStat(lruList, LRU_STAT.evicted);
    expired += memory.lruStat(lruList, LRU_STAT.reclaimed);
    expired += memory.lruStat(lruList, LRU_STAT.crawlerReclaimed);
  }
  return {
    items: memory.globals[GLOBAL.currItems]!,
    bytes: memory.globals[GLOBAL.currBytes]!,
    limitBytes: memory.globals[GLOBAL.memoryLimit]!,
    gets: totals.of(COUNT.getCommands),
    hits: totals.hits(),
    misses: totals.of(COUNT.getMisses),
    sets: totals.ofAllClasses(BY_CLASS.setCommands),
    deletes: totals.ofAllClasses(BY_CLASS.deleteHits),
    evictions,
    ghostsReturned: memory.ghosts && memory.globals[GLOBAL.ghostsBackSmall]! + memory.globals[GLOBAL.ghostsBackMain]!,
    expired,
    connections: memory.globals[GLOBAL.connections]!,
    connectionsTotal: memory.globals[GLOBAL.totalConnections]!,
    bytesRead: totals.of(COUNT.bytesRead),
    bytesWritten: totals.of(COUNT.bytesWritten),
    uptimeSeconds,
  };
}
