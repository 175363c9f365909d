/**
 * ○ The eviction policy S3-FIFO (Yang et al., SOSP 2023) with a small queue that adapts, as `-o eviction=s3fifo` sets it: of each class
 * HOT is the small queue and WARM the main one, both first in, first out. A hit raises a count of two bits in the item and moves nothing.
 * Of a key that was evicted a ghost stays for a while: one that comes back soon is put into the main queue, and the ghosts that come back
 * very soon say which of the queues is too short. A ghost is 4 bytes: 16 bits of the key's hash, the queue that gave it up, and when, in
 * 4096ths of the class's capacity.
 */
import * as Item from "./item.ts";
import { PAGE_BYTES } from "./limits.ts";
import { GHOSTS_MIN, GLOBAL, type Memory } from "./memory.ts";

/** The bounds of the small queue's share of each class; one share for the store. */
const SMALL_SHARE_MIN = 0.1;
const SMALL_SHARE_MAX = 0.9;
/** In capacities of the class: until then an evicted key that comes back belongs into the main queue. */
const RETURN_AGE_MAX = 0.9;
/** A ghost that comes back this soon says that its queue should have been longer, by so many items. */
const NEAR_AGE = 0.05;
const STEP_ITEMS = 8;

const BUCKET_GHOSTS = 8;
const GHOST_BYTES = 4;
/** The table grows when it is shorter by this share than there are items. */
const GROWTH = 1 / 8;

const FROM_MAIN = 1 << 15;
const TIME_MASK = FROM_MAIN - 1;
/** A ghost of the main queue is of use for a shorter time. */
const MAIN_AGES_BY = RETURN_AGE_MAX / NEAR_AGE;

export class S3Fifo {
  readonly #memory: Memory;
  readonly #globals: Float64Array;
  readonly #ghosts: Uint32Array;
  /** Items that each queue of each class has given up: the clock of its ghosts. */
  readonly #givenUp: Float64Array;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#globals = memory.globals;
    this.#ghosts = memory.ghosts!;
    this.#givenUp = memory.givenUp;
  }

  /** The queue, as an LRU segment, that loses the next item of a class. */
  victimSegment(slabClass: number): number {
    const { sizes } = this.#memory;
    const small = sizes[slabClass | Item.HOT]!;
    const main = sizes[slabClass | Item.WARM]!;
    const mainShare = 1 - this.#globals[GLOBAL.smallShare]!;
    return main > 0 && (small === 0 || main > mainShare * (small + main)) ? Item.WARM : Item.HOT;
  }

  /** The queue for a key that is stored while it is not there. */
  segmentFor(slabClass: number, hash: number): number {
    const globals = this.#globals;
    if (globals[GLOBAL.currItems]! > globals[GLOBAL.ghosts]! * (1 + GROWTH)) this.#grow();
    const bucket = this.#bucketOf(hash);
    if (bucket < 0) return Item.HOT;
    const ghosts = this.#ghosts;
    const tag = tagOf(hash);
    for (let place = bucket; place < bucket + BUCKET_GHOSTS; place += 1) {
      const ghost = ghosts[place]!;
      if (ghost === 0 || ghost >>> 16 !== tag) continue;
      ghosts[place] = 0;
      const fromMain = (ghost & FROM_MAIN) !== 0;
      const capacity = this.#capacity(slabClass);
      const step = stepOf(capacity);
      const age = (((this.#time(slabClass, fromMain, step) - ghost) & TIME_MASK) * 2 ** step) / capacity;
      globals[fromMain ? GLOBAL.ghostsBackMain : GLOBAL.ghostsBackSmall]! += 1;
      if (age < NEAR_AGE) this.#shift(fromMain ? -2 * STEP_ITEMS : STEP_ITEMS);
      return !fromMain && age < RETURN_AGE_MAX ? Item.WARM : Item.HOT;
    }
    return Item.HOT;
  }

  /** Remembers an item that is about to be evicted, in the place of the ghost that is of the least use. */
  remember(item: number): void {
    const { words } = this.#memory;
    const slabClass = Item.slabClass(words, item);
    const fromMain = Item.segment(words, item) === Item.WARM;
    this.#givenUp[slabClass * 2 + (fromMain ? 1 : 0)]! += 1;
    const hash = Item.hash(words, item);
    const bucket = this.#bucketOf(hash);
    if (bucket < 0) return;
    const ghosts = this.#ghosts;
    const step = stepOf(this.#capacity(slabClass));
    const smallTime = this.#time(slabClass, false, step);
    const mainTime = this.#time(slabClass, true, step);
    let oldest = -1;
    let place = bucket;
    for (let at = bucket; at < bucket + BUCKET_GHOSTS; at += 1) {
      const ghost = ghosts[at]!;
      if (ghost === 0) {
        place = at;
        break;
      }
      const isMain = (ghost & FROM_MAIN) !== 0;
      const age = isMain ? ((mainTime - ghost) & TIME_MASK) * MAIN_AGES_BY : (smallTime - ghost) & TIME_MASK;
      if (age <= oldest) continue;
      oldest = age;
      place = at;
    }
    ghosts[place] = ((tagOf(hash) << 16) | (fromMain ? FROM_MAIN | mainTime : smallTime)) >>> 0;
  }

  #shift(items: number): void {
    const globals = this.#globals;
    const share = globals[GLOBAL.smallShare]! + items / Math.max(1, globals[GLOBAL.currItems]!);
    globals[GLOBAL.smallShare] = Math.min(SMALL_SHARE_MAX, Math.max(SMALL_SHARE_MIN, share));
  }

  /** The clock of a queue's ghosts: it ticks every `2 ** step` items that the queue gives up. */
  #time(slabClass: number, ofMain: boolean, step: number): number {
    return Math.floor(this.#givenUp[slabClass * 2 + (ofMain ? 1 : 0)]! / 2 ** step) & TIME_MASK;
  }

  /** In items. */
  #capacity(slabClass: number): number {
    return Math.max(1, this.#memory.classPages[slabClass]! * this.#memory.classPerPage[slabClass]!);
  }

  /** Where a key's ghosts lie; below 0: there is no room for any yet. */
  #bucketOf(hash: number): number {
    const buckets = this.#globals[GLOBAL.ghosts]! / BUCKET_GHOSTS;
    return buckets === 0 ? -1 : Math.floor(((hash >>> 0) / 2 ** 32) * buckets) * BUCKET_GHOSTS;
  }

  /**
   * A table for as many ghosts as there are items, within `-m`. A longer one would remember too well: keys that come back by and by would push
   * what is read out of the main queue. It forgets what was in it, which while a store fills is nothing.
   */
  #grow(): void {
    const globals = this.#globals;
    const before = globals[GLOBAL.ghosts]!;
    const wanted = globals[GLOBAL.currItems]! * (1 + GROWTH / 2);
    const after = Math.ceil(Math.min(this.#ghosts.length, Math.max(GHOSTS_MIN, wanted)) / BUCKET_GHOSTS) * BUCKET_GHOSTS;
    const more = countedBytes(after) - countedBytes(before);
    const fits = more === 0 || globals[GLOBAL.memoryTaken]! + more <= globals[GLOBAL.memoryLimit]!;
    if (after <= before || !fits) return;
    globals[GLOBAL.ghosts] = after;
    globals[GLOBAL.memoryTaken]! += more;
  }
}

/** Of `-m`, for so many ghosts: whole pages, as all that is counted. */
function countedBytes(ghosts: number): number {
  return Math.floor((ghosts * GHOST_BYTES) / PAGE_BYTES) * PAGE_BYTES;
}

/** The ghosts' clock ticks about 4096 times while a class fills once; in powers of two, so that pages which come and go seldom change it. */
function stepOf(capacity: number): number {
  return Math.max(0, 31 - Math.clz32(capacity) - 12);
}

/** Of the bits that choose no bucket. */
function tagOf(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 16;
}
