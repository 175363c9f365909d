/**
 * ○ Pages of 1 MiB, cut into equal chunks per class, as memcached does it: a class grows page by page until the limit is reached,
 * and a freed chunk stays in its class. Invariant: every chunk is either on its class's free list (flag SLABBED) or owned by one
 * item; pages taken plus pages in the pool equal `memoryTaken`. A free list that is linked wrongly ends the process with a message.
 */
import { assert } from "../../core/assert.ts";
import * as Item from "./item.ts";
import { PAGE_BYTES, SLAB_CLASSES_MAX } from "./limits.ts";
import { GLOBAL, type Memory } from "./memory.ts";
import type { StoreSettings } from "./settings.ts";

/** The invariants in words. */
const FREE = "a free list has free chunks of its class alone";
const USED = "a chunk is freed once, and by its owner";
const NEIGHBOURS = "neighbours in a free list name each other";

/** Chunks start at multiples of 8 bytes, the unit in which items are numbered. */
const ALIGN_BYTES = 8;
const STEPS_PER_PAGE = PAGE_BYTES / ALIGN_BYTES;

/** The chunk size of each class from 1 on. */
export function slabSizes(settings: StoreSettings): number[] {
  const { growthFactor, chunkBytesMin, chunkBytesMax } = settings;
  const sizes: number[] = [];
  let size = Item.HEADER_BYTES + chunkBytesMin;
  for (let index = 0; index < SLAB_CLASSES_MAX - 2; index += 1) {
    if (settings.slabSizes) {
      if (index >= settings.slabSizes.length) break;
      size = settings.slabSizes[index]!;
    } else if (size >= chunkBytesMax / growthFactor) {
      break;
    }
    size = Math.ceil(size / ALIGN_BYTES) * ALIGN_BYTES;
    sizes.push(size);
    if (!settings.slabSizes) size = Math.floor(size * growthFactor);
  }
  sizes.push(chunkBytesMax);
  return sizes;
}

export class Slabs {
  readonly #memory: Memory;
  readonly #words: Uint32Array;
  readonly #itemBytesMax: number;
  readonly largest: number;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#itemBytesMax = memory.settings.itemBytesMax;
    const sizes = slabSizes(memory.settings);
    this.largest = sizes.length;
    for (const [index, size] of sizes.entries()) {
      memory.classBytes[index + 1] = size;
      memory.classPerPage[index + 1] = Math.floor(PAGE_BYTES / size);
    }
  }

  /** For a new store only: takes one page of every class where `-L` asks for it. */
  preallocate(): void {
    if (!this.#memory.settings.preallocate) return;
    for (let slabClass = 1; slabClass <= this.largest; slabClass += 1) this.#grow(slabClass);
  }

  /** The smallest class whose chunks hold `bytes`; the largest class for what is chunked; 0 when too large for the cache. */
  classOf(bytes: number): number {
    if (bytes > this.#itemBytesMax) return 0;
    const sizes = this.#memory.classBytes;
    let low = 1;
    let high = this.largest;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sizes[middle]! >= bytes) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** A chunk of the class with its flags cleared and one reference, or 0 when there is none and no page for one. */
  allocate(slabClass: number, mayGrow = true): number {
    const memory = this.#memory;
    let chunk = memory.classFree[slabClass]!;
    if (chunk === 0) {
      if (!mayGrow || !this.#grow(slabClass)) return 0;
      chunk = memory.classFree[slabClass]!;
    }
    const words = this.#words;
    assert(Item.has(words, chunk, Item.SLABBED) && Item.slabClass(words, chunk) === slabClass, FREE);
    const next = Item.next(words, chunk);
    memory.classFree[slabClass] = next;
    if (next !== 0) Item.setPrev(words, next, 0);
    memory.classFreeCount[slabClass]! -= 1;
    Item.setMeta(words, chunk, 0, slabClass, 0);
    Item.setReferences(words, chunk, 1);
    return chunk;
  }

  /** Gives a single chunk back to its class. */
  free(chunk: number, slabClass: number): void {
    assert((Item.flags(this.#words, chunk) & (Item.SLABBED | Item.LINKED)) === 0, USED);
    this.#linkFree(chunk, slabClass);
  }

  #linkFree(chunk: number, slabClass: number): void {
    const memory = this.#memory;
    const words = this.#words;
    const next = memory.classFree[slabClass]!;
    assert(next === 0 || Item.prev(words, next) === 0, NEIGHBOURS);
    Item.setMeta(words, chunk, Item.SLABBED, slabClass, 0);
    Item.setNext(words, chunk, next);
    Item.setPrev(words, chunk, 0);
    Item.setReferences(words, chunk, 0);
    if (next !== 0) Item.setPrev(words, next, chunk);
    memory.classFree[slabClass] = chunk;
    memory.classFreeCount[slabClass]! += 1;
  }

  /** Takes one free chunk out of the middle of its class's list. */
  unlinkFree(chunk: number, slabClass: number): void {
    const memory = this.#memory;
    const words = this.#words;
    const next = Item.next(words, chunk);
    const prev = Item.prev(words, chunk);
    assert(next === 0 || Item.prev(words, next) === chunk, NEIGHBOURS);
    assert((prev === 0 ? memory.classFree[slabClass]! : Item.next(words, prev)) === chunk, NEIGHBOURS);
    if (next !== 0) Item.setPrev(words, next, prev);
    if (prev !== 0) Item.setNext(words, prev, next);
    else memory.classFree[slabClass] = next;
    memory.classFreeCount[slabClass]! -= 1;
  }

  /** The first chunk of a page. */
  pageStart(page: number): number {
    return page * STEPS_PER_PAGE;
  }

  /** Moves the oldest page of a class, already emptied, to another class or (class 0) to the pool; over the limit it is given up. */
  finishMove(source: number, target: number): void {
    const memory = this.#memory;
    const page = source === 0 ? this.#takeFromPool() : this.#unlinkFirstPage(source);
    assert(page !== 0, "a moved page comes from a class or from the pool");
    if (target !== 0) this.#give(page, target);
    else this.#putIntoPool(page);
    if (target === 0) this.#shrinkToLimit();
    memory.globals[GLOBAL.slabsMoved]! += 1;
  }

  /** `cache_memlimit`: false when the arena has no room for it. */
  setLimit(bytes: number): boolean {
    const memory = this.#memory;
    if (bytes > (memory.pages - 1) * PAGE_BYTES) return false;
    memory.globals[GLOBAL.memoryLimit] = bytes;
    memory.globals[GLOBAL.limitReached] = 0;
    this.#shrinkToLimit();
    return true;
  }

  #grow(slabClass: number): boolean {
    const { globals, classPages, pages } = this.#memory;
    const pool = globals[GLOBAL.poolPages]!;
    const over = globals[GLOBAL.memoryTaken]! + PAGE_BYTES > globals[GLOBAL.memoryLimit]!;
    if (over && classPages[slabClass]! > 0 && pool === 0) {
      globals[GLOBAL.limitReached] = 1;
      return false;
    }
    let page = this.#takeFromPool();
    if (page === 0) {
      page = this.#takeGivenUp();
      if (page === 0) {
        if (globals[GLOBAL.freshPage]! >= pages) return false;
        page = globals[GLOBAL.freshPage]!;
        globals[GLOBAL.freshPage] = page + 1;
      }
      globals[GLOBAL.memoryTaken]! += PAGE_BYTES;
    }
    this.#give(page, slabClass);
    return true;
  }

  #give(page: number, slabClass: number): void {
    const memory = this.#memory;
    memory.pageNext[page] = 0;
    const last = memory.classLastPage[slabClass]!;
    if (last === 0) memory.classFirstPage[slabClass] = page;
    else memory.pageNext[last] = page;
    memory.classLastPage[slabClass] = page;
    memory.classPages[slabClass]! += 1;
    const step = memory.classBytes[slabClass]! / ALIGN_BYTES;
    let chunk = this.pageStart(page);
    for (let count = memory.classPerPage[slabClass]!; count > 0; count -= 1) {
      this.#linkFree(chunk, slabClass);
      chunk += step;
    }
  }

  #unlinkFirstPage(slabClass: number): number {
    const memory = this.#memory;
    const page = memory.classFirstPage[slabClass]!;
    memory.classFirstPage[slabClass] = memory.pageNext[page]!;
    if (memory.pageNext[page] === 0) memory.classLastPage[slabClass] = 0;
    memory.classPages[slabClass]! -= 1;
    return page;
  }

  /** Class 0 is the pool of free pages; its list is a stack. */
  #putIntoPool(page: number): void {
    const memory = this.#memory;
    memory.pageNext[page] = memory.classFirstPage[0]!;
    memory.classFirstPage[0] = page;
    memory.globals[GLOBAL.poolPages]! += 1;
  }

  #takeFromPool(): number {
    const memory = this.#memory;
    const page = memory.classFirstPage[0]!;
    if (page === 0) return 0;
    memory.classFirstPage[0] = memory.pageNext[page]!;
    memory.globals[GLOBAL.poolPages]! -= 1;
    return page;
  }

  /** Pages given up because the limit was lowered wait in a list of their own, at `classLastPage[0]`. */
  #takeGivenUp(): number {
    const memory = this.#memory;
    const page = memory.classLastPage[0]!;
    if (page !== 0) memory.classLastPage[0] = memory.pageNext[page]!;
    return page;
  }

  #shrinkToLimit(): void {
    const memory = this.#memory;
    const { globals } = memory;
    while (globals[GLOBAL.memoryTaken]! > globals[GLOBAL.memoryLimit]! && globals[GLOBAL.poolPages]! > 0) {
      const page = this.#takeFromPool();
      memory.pageNext[page] = memory.classLastPage[0]!;
      memory.classLastPage[0] = page;
      globals[GLOBAL.memoryTaken]! -= PAGE_BYTES;
    }
  }
}
