/**
 * ○ `flush_all` without a walk over what it flushes. Times are whole seconds, so a time cannot tell what was stored before a flush
 * from what comes after it within the second: a count of flushes, four bits of which each item carries, does. Invariant: an item
 * whose bits are not the store's was linked before the last flush, and one that carries the store's bits from sixteen flushes ago
 * was last used at `flushedUpTo` or before.
 */
import * as Item from "./item.ts";
import type { Items } from "./items.ts";
import { FLUSH_ITEMS_MAX } from "./limits.ts";
import { GLOBAL } from "./memory.ts";
import { isMark } from "./lru-lists.ts";

/** One less than there are counts: the first flush of a second may follow one of the second before. */
const FLUSHES_PER_SECOND_MAX = Item.EPOCH / Item.EPOCH_STEP - 1;

/**
 * Makes everything that is stored invisible, now or from a later second on.
 *
 * @param fromSecond the store's second from which nothing stored before it is seen; `items.now` for at once
 */
export function flush(items: Items, fromSecond: number): void {
  const { globals } = items.memory;
  globals[GLOBAL.oldestLive] = fromSecond - 1;
  if (fromSecond > items.now) return;
  globals[GLOBAL.flushedUpTo] = fromSecond - 1;
  if (beginEpoch(items)) unlinkNewest(items);
  else unlinkAll(items);
}

/** Items linked from now on carry the next count; false when all counts were used in this second. */
function beginEpoch(items: Items): boolean {
  const { globals } = items.memory;
  if (globals[GLOBAL.totalItemsAtFlush] === globals[GLOBAL.totalItems]) return true; // nothing was linked since the last flush
  if (globals[GLOBAL.flushSecond] !== items.now) globals[GLOBAL.flushesOfSecond] = 0;
  if (globals[GLOBAL.flushesOfSecond]! >= FLUSHES_PER_SECOND_MAX) return false;
  globals[GLOBAL.flushSecond] = items.now;
  globals[GLOBAL.flushesOfSecond]! += 1;
  globals[GLOBAL.totalItemsAtFlush] = globals[GLOBAL.totalItems]!;
  globals[GLOBAL.flushEpoch] = (globals[GLOBAL.flushEpoch]! + Item.EPOCH_STEP) & Item.EPOCH;
  return true;
}

/** Frees items of this second, as memcached frees all of them, but at most `FLUSH_ITEMS_MAX`; the others are freed when they are met. */
function unlinkNewest(items: Items): void {
  const { words, lruLists } = items;
  const oldestLive = items.memory.globals[GLOBAL.oldestLive]!;
  let left = FLUSH_ITEMS_MAX;
  for (const head of lruLists.heads) {
    let item = head;
    while (item !== 0 && left > 0) {
      const next = Item.next(words, item);
      if (!isMark(item)) {
        if (Item.lastAccess(words, item) < oldestLive) break;
        items.unlink(item);
        left -= 1;
      }
      item = next;
    }
  }
}

/** Walks over all items: only when a client flushes and stores sixteen times in one second. */
function unlinkAll(items: Items): void {
  for (const head of items.lruLists.heads) {
    for (let item = head; item !== 0;) {
      const next = Item.next(items.words, item);
      if (!isMark(item)) items.unlink(item);
      item = next;
    }
  }
}
