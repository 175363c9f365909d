/**
 * ○ Decides once a second whether a page should move: from a class with pages to spare to the pool, or from the class whose items
 * grow oldest to one that evicts young ones. memcached's window and ratio.
 */
import * as Item from "../store/item.ts";
import type { Items } from "../store/items.ts";
import { SLAB_CLASSES_MAX } from "../store/limits.ts";
import { GLOBAL, LRU_STAT } from "../store/memory.ts";
import { TUNE } from "../store/settings.ts";

/** A class with more free chunks than this many pages hold can give a page away. memcached's number. */
const FREE_PAGES_MIN = 2.5;
/** A class with fewer pages gives none. memcached's number. */
const SOURCE_PAGES_MIN = 2;

interface Sample {
  age: number;
  evictedShare: number;
  evicting: boolean;
  dirty: boolean;
}

interface ClassState {
  evicted: number;
  outOfMemory: number;
  pages: number;
  window: Sample[];
}

export class SlabAutomover {
  readonly #items: Items;
  #classes: ClassState[];
  #version: number;
  #samples = 0;

  constructor(items: Items) {
    this.#items = items;
    this.#version = items.memory.tune[TUNE.automoveVersion]!;
    this.#classes = this.#fresh();
  }

  /** The move to make now, or undefined. */
  decide(): { source: number; target: number } | undefined {
    const { tune, globals, classFreeCount, classPerPage } = this.#items.memory;
    if (tune[TUNE.automoveVersion] !== this.#version) {
      this.#version = tune[TUNE.automoveVersion]!;
      this.#classes = this.#fresh();
      this.#samples = 0;
    }
    const full = globals[GLOBAL.memoryTaken]! >= globals[GLOBAL.memoryLimit]!;
    const windowLength = tune[TUNE.automoveWindow]!;
    const evictedNow = this.#classes.reduce((sum, state, n) => sum + this.#evicted(n) - state.evicted, 0);
    this.#samples += 1;
    let reclaim: number | undefined;
    let oldest = { slabClass: -1, age: 0 };
    let youngest = { slabClass: -1, age: Number.POSITIVE_INFINITY, evicting: false };
    for (let n = 1; n < SLAB_CLASSES_MAX; n += 1) {
      const state = this.#classes[n]!;
      const sample = this.#sample(n, state, evictedNow);
      state.window.push(sample);
      if (state.window.length > windowLength) state.window.shift();
      if (reclaim !== undefined) continue;
      const age = Math.floor(state.window.reduce((sum, one) => sum + one.age, 0) / windowLength);
      const dirty = state.window.some((one) => one.dirty);
      if (full && !dirty && classFreeCount[n]! > classPerPage[n]! * FREE_PAGES_MIN) {
        reclaim = n;
        continue;
      }
      if (age > oldest.age && state.pages > SOURCE_PAGES_MIN) oldest = { slabClass: n, age };
      const evictions = state.window.filter((one) => one.evicting).length;
      const share = state.window.reduce((sum, one) => sum + one.evictedShare, 0) / windowLength;
      if (age < youngest.age && (evictions > windowLength / 2 || share > 0.25)) {
        youngest = { slabClass: n, age, evicting: sample.evicting };
      }
    }
    if (reclaim !== undefined) return { source: reclaim, target: 0 };
    if (youngest.slabClass < 0 || oldest.slabClass < 0 || this.#samples <= windowLength) return undefined;
    if (youngest.age >= oldest.age * tune[TUNE.automoveRatio]! || !youngest.evicting) return undefined;
    return { source: oldest.slabClass, target: youngest.slabClass };
  }

  #sample(slabClass: number, state: ClassState, evictedNow: number): Sample {
    const { memory } = this.#items;
    const evicted = this.#evicted(slabClass);
    const outOfMemory = memory.lruStat(slabClass, LRU_STAT.outOfMemory);
    const pages = memory.classPages[slabClass]!;
    const evictedDelta = evicted - state.evicted;
    const sample = {
      age: this.#items.evictionAge(slabClass),
      evictedShare: evictedDelta > 0 ? evictedDelta / evictedNow : 0,
      evicting: evictedDelta > 0,
      dirty: evictedDelta > 0 || outOfMemory > state.outOfMemory || pages > state.pages,
    };
    state.evicted = evicted;
    state.outOfMemory = outOfMemory;
    state.pages = pages;
    return sample;
  }

  #evicted(slabClass: number): number {
    return this.#items.memory.lruStat(slabClass | Item.COLD, LRU_STAT.evicted);
  }

  #fresh(): ClassState[] {
    return Array.from({ length: SLAB_CLASSES_MAX }, (_, slabClass) => ({
      evicted: this.#evicted(slabClass),
      outOfMemory: 0,
      pages: this.#items.memory.classPages[slabClass]!,
      window: [],
    }));
  }
}
