/**
 * ○ Keeps the queues of every class in proportion, as memcached's maintainer thread does: items flow from HOT and WARM to COLD,
 * active ones back to WARM, and what is expired at a tail is freed. Works in bounded steps and says when it wants to be called.
 */
import * as I from "./item.ts";
import type { Items, PullOptions } from "./items.ts";
import { MAINTAINER_STEPS_MAX, SLAB_CLASSES_MAX } from "./limits.ts";
import { GLOBAL } from "./memory.ts";
import { TUNE } from "./settings.ts";

/** memcached's own bounds on the sleep of its maintainer. */
const SLEEP_MS_MIN = 1;
const SLEEP_MS_MAX = 999;
/** memcached's number of moves per class and call. */
const MOVES_MAX = 500;

export class Maintainer {
  readonly #items: Items;
  readonly #dueMs = new Float64Array(SLAB_CLASSES_MAX);
  readonly #waitMs = new Float64Array(SLAB_CLASSES_MAX);
  #next = 1;

  constructor(items: Items) {
    this.#items = items;
  }

  /**
   * One bounded step.
   *
   * @returns when to call again, in the clock's milliseconds
   */
  step(nowMs: number): number {
    const { memory, slabs } = this.#items;
    memory.globals[GLOBAL.lruMaintainerJuggles]! += 1;
    let budget = MAINTAINER_STEPS_MAX;
    let earliestMs = nowMs + SLEEP_MS_MAX;
    for (let count = 0; count < slabs.largest; count += 1) {
      const slabClass = this.#next;
      this.#next = slabClass >= slabs.largest ? 1 : slabClass + 1;
      if (this.#dueMs[slabClass]! <= nowMs) {
        if (budget <= 0) return nowMs + SLEEP_MS_MIN;
        const moves = this.#juggle(slabClass, Math.min(budget, MOVES_MAX));
        budget -= moves;
        this.#reschedule(slabClass, moves > 0, nowMs);
      }
      earliestMs = Math.min(earliestMs, this.#dueMs[slabClass]!);
    }
    return Math.max(earliestMs, nowMs + SLEEP_MS_MIN);
  }

  #reschedule(slabClass: number, moved: boolean, nowMs: number): void {
    const wait = this.#waitMs[slabClass]!;
    if (moved) this.#waitMs[slabClass] = wait / 2 < SLEEP_MS_MIN ? 0 : wait / 2;
    else this.#waitMs[slabClass] = wait === 0 ? SLEEP_MS_MIN : Math.min(wait * 1.125, SLEEP_MS_MAX);
    this.#dueMs[slabClass] = nowMs + this.#waitMs[slabClass]!;
  }

  #juggle(slabClass: number, movesMax: number): number {
    const items = this.#items;
    const { tune, sizesBytes } = items.memory;
    let moves = 0;
    if (tune[TUNE.tempLru] !== 0) {
      while (moves < movesMax && items.pullTail(slabClass, I.TEMP) > 0) moves += 1;
    }
    const segmented = tune[TUNE.segmented] !== 0;
    let hot: PullOptions = { crawlBlocks: true, totalBytes: 0, maxAge: 0 };
    let warm = hot;
    let cold = hot;
    if (segmented) {
      const oldest = items.queues.oldest(slabClass | I.COLD);
      const coldAge = oldest === 0 ? 0 : items.now - items.words[oldest * 2 + I.TIME]!;
      const totalBytes = sizesBytes[slabClass | I.COLD]! + sizesBytes[slabClass | I.HOT]! + sizesBytes[slabClass | I.WARM]!;
      hot = { crawlBlocks: true, totalBytes, maxAge: Math.floor(coldAge * tune[TUNE.hotMaxFactor]!) };
      warm = { crawlBlocks: true, totalBytes, maxAge: Math.floor(coldAge * tune[TUNE.warmMaxFactor]!) };
      cold = { crawlBlocks: true, totalBytes };
    }
    while (moves < movesMax) {
      let moved = items.pullTail(slabClass, I.HOT, hot) > 0 || items.pullTail(slabClass, I.WARM, warm) > 0 ? 1 : 0;
      if (segmented) moved += items.pullTail(slabClass, I.COLD, cold);
      if (moved === 0) break;
      moves += 1;
    }
    return moves;
  }
}
