/**
 * ○ Keeps the LRU lists of every class in proportion, as memcached's maintainer thread does: items flow from HOT and WARM to COLD,
 * active ones back to WARM, and what is expired at a tail is freed. Works in bounded steps and says when it wants to be called.
 */
import * as Item from "../store/item.ts";
import type { Items } from "../store/items.ts";
import { SLAB_CLASSES_MAX } from "../store/limits.ts";
import { GLOBAL } from "../store/memory.ts";
import { TUNE } from "../store/settings.ts";
import type { PullOptions } from "../store/items.ts";

/** memcached's own bounds on the sleep of its maintainer. */
const SLEEP_MS_MIN = 1;
const SLEEP_MS_MAX = 999;

/** 100: under 0.1 ms even where each item must come from memory; the caller repeats the step while its time lasts. */
const ITEMS_PER_STEP = 100;

export class LruMaintainer {
  readonly #items: Items;
  readonly #dueMs = new Float64Array(SLAB_CLASSES_MAX);
  readonly #waitMs = new Float64Array(SLAB_CLASSES_MAX);
  #next = 1;

  constructor(items: Items) {
    this.#items = items;
  }

  /**
   * One step of at most `ITEMS_PER_STEP` items.
   *
   * @returns when to call again, in the clock's milliseconds; `nowMs` when there is more to do already
   */
  step(nowMs: number): number {
    const { memory, slabs } = this.#items;
    memory.globals[GLOBAL.lruMaintainerJuggles]! += 1;
    let left = ITEMS_PER_STEP;
    let earliestMs = nowMs + SLEEP_MS_MAX;
    for (let count = 0; count < slabs.largest; count += 1) {
      const slabClass = this.#next;
      this.#next = slabClass >= slabs.largest ? 1 : slabClass + 1;
      if (this.#dueMs[slabClass]! <= nowMs) {
        const moved = this.#juggle(slabClass, left);
        left -= moved;
        if (left <= 0) return nowMs; // the class stays due
        this.#reschedule(slabClass, moved > 0, nowMs);
      }
      earliestMs = Math.min(earliestMs, this.#dueMs[slabClass]!);
    }
    return earliestMs;
  }

  #reschedule(slabClass: number, moved: boolean, nowMs: number): void {
    const waitMs = Math.min(Math.max(this.#waitMs[slabClass]! * (moved ? 0.5 : 1.125), SLEEP_MS_MIN), SLEEP_MS_MAX);
    this.#waitMs[slabClass] = waitMs;
    this.#dueMs[slabClass] = nowMs + waitMs;
  }

  /** @returns how many items were moved or freed: `most`, or a few more, when there are more */
  #juggle(slabClass: number, most: number): number {
    const items = this.#items;
    const { tune, sizesBytes } = items.memory;
    let moved = 0;
    if (tune[TUNE.tempLru] !== 0) {
      for (let pulled = -1; pulled !== 0 && moved < most; moved += pulled) pulled = items.pullTail(slabClass, Item.TEMP);
    }
    const segmented = tune[TUNE.segmented] !== 0;
    let hot: PullOptions = { crawlBlocks: true, totalBytes: 0, maxAge: 0 };
    let warm = hot;
    let cold = hot;
    if (segmented) {
      const coldAge = items.oldestAge(slabClass | Item.COLD);
      const totalBytes =
        sizesBytes[slabClass | Item.COLD]! + sizesBytes[slabClass | Item.HOT]! + sizesBytes[slabClass | Item.WARM]!;
      hot = { crawlBlocks: true, totalBytes, maxAge: Math.floor(coldAge * tune[TUNE.hotMaxFactor]!) };
      warm = { crawlBlocks: true, totalBytes, maxAge: Math.floor(coldAge * tune[TUNE.warmMaxFactor]!) };
      cold = { crawlBlocks: true, totalBytes };
    }
    for (let pulled = -1; pulled !== 0 && moved < most; moved += pulled) {
      pulled = items.pullTail(slabClass, Item.HOT, hot) || items.pullTail(slabClass, Item.WARM, warm);
      if (segmented) pulled += items.pullTail(slabClass, Item.COLD, cold);
    }
    return moved;
  }
}
