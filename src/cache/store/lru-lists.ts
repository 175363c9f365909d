/**
 * ○ The LRU lists: 64 classes with HOT, WARM, COLD and TEMP each, doubly linked through the items. The head is the newest.
 * Invariant: `sizes` and `sizesBytes` count exactly the items linked, without crawler marks. Each link asserts that its neighbours
 * agree: a list that is linked wrongly ends the process with a message instead of a loop without end.
 */
import { assert } from "../../core/assert.ts";
import * as Item from "./item.ts";
import type { Memory } from "./memory.ts";

/** The marks with which a crawler finds its place in an LRU list again: headers in the arena's first page, which holds no items. */
const FIRST_MARK = 512;
const MARK_STEP = Item.HEADER_BYTES / 8;

/** The invariants in words. */
const HEAD = "the head of an LRU list is its newest item, with none before it";
const TAIL = "the tail of an LRU list is its oldest item, with none behind it";
const NEIGHBOURS = "neighbours in an LRU list name each other";

export class LruLists {
  readonly #words: Uint32Array;
  readonly heads: Uint32Array;
  readonly tails: Uint32Array;
  readonly sizes: Uint32Array;
  readonly sizesBytes: Float64Array;

  constructor(memory: Memory) {
    this.#words = memory.words;
    this.heads = memory.heads;
    this.tails = memory.tails;
    this.sizes = memory.sizes;
    this.sizesBytes = memory.sizesBytes;
  }

  /** Puts an item at the head of the LRU list that its header names. */
  link(item: number): void {
    const words = this.#words;
    const lruList = Item.lruList(words, item);
    const head = this.heads[lruList]!;
    assert(head === 0 || Item.prev(words, head) === 0, HEAD);
    Item.setPrev(words, item, 0);
    Item.setNext(words, item, head);
    if (head !== 0) Item.setPrev(words, head, item);
    this.heads[lruList] = item;
    if (this.tails[lruList] === 0) this.tails[lruList] = item;
    this.sizes[lruList]! += 1;
    this.sizesBytes[lruList]! += Item.countedBytes(words, item);
  }

  unlink(item: number): void {
    const words = this.#words;
    const lruList = Item.lruList(words, item);
    this.#cut(item, lruList);
    this.sizes[lruList]! -= 1;
    this.sizesBytes[lruList]! -= Item.countedBytes(words, item);
  }

  /** Links an item's neighbours to `to`, where the item has been copied. */
  replace(to: number): void {
    const words = this.#words;
    const lruList = Item.lruList(words, to);
    const next = Item.next(words, to);
    const prev = Item.prev(words, to);
    assert(next !== 0 || this.tails[lruList] !== 0, TAIL);
    assert(prev !== 0 || this.heads[lruList] !== 0, HEAD);
    if (next !== 0) Item.setPrev(words, next, to);
    else this.tails[lruList] = to;
    if (prev !== 0) Item.setNext(words, prev, to);
    else this.heads[lruList] = to;
  }

  /** Puts a crawler's mark at the tail of an LRU list. */
  linkMark(lruList: number): void {
    const words = this.#words;
    const mark = markOf(lruList);
    const tail = this.tails[lruList]!;
    assert(tail === 0 || Item.next(words, tail) === 0, TAIL);
    Item.setMeta(words, mark, Item.LINKED, lruList, 0);
    Item.setNext(words, mark, 0);
    Item.setPrev(words, mark, tail);
    if (tail !== 0) Item.setNext(words, tail, mark);
    else this.heads[lruList] = mark;
    this.tails[lruList] = mark;
  }

  unlinkMark(lruList: number): void {
    this.#cut(markOf(lruList), lruList);
  }

  /** Moves a crawler's mark one item towards the head and returns that item; 0 at the head. */
  passMark(lruList: number): number {
    const words = this.#words;
    const mark = markOf(lruList);
    const item = Item.prev(words, mark);
    if (item === 0) return 0;
    this.#cut(mark, lruList);
    const before = Item.prev(words, item);
    Item.setPrev(words, mark, before);
    Item.setNext(words, mark, item);
    Item.setPrev(words, item, mark);
    if (before !== 0) Item.setNext(words, before, mark);
    else this.heads[lruList] = mark;
    return item;
  }

  /** The oldest item of an LRU list, not counting a crawler's mark; 0 when empty. */
  oldest(lruList: number): number {
    const tail = this.tails[lruList]!;
    return isMark(tail) ? Item.prev(this.#words, tail) : tail;
  }

  #cut(item: number, lruList: number): void {
    const words = this.#words;
    const next = Item.next(words, item);
    const prev = Item.prev(words, item);
    assert((next === 0 ? this.tails[lruList]! : Item.prev(words, next)) === item, next === 0 ? TAIL : NEIGHBOURS);
    assert((prev === 0 ? this.heads[lruList]! : Item.next(words, prev)) === item, prev === 0 ? HEAD : NEIGHBOURS);
    if (next !== 0) Item.setPrev(words, next, prev);
    else this.tails[lruList] = prev;
    if (prev !== 0) Item.setNext(words, prev, next);
    else this.heads[lruList] = next;
  }
}

function markOf(lruList: number): number {
  return FIRST_MARK + lruList * MARK_STEP;
}

/** True for a crawler's mark, which is no item. */
export function isMark(item: number): boolean {
  return item !== 0 && item < FIRST_MARK + 256 * MARK_STEP;
}
