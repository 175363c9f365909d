/**
 * ○ The LRU lists: 64 classes with HOT, WARM, COLD and TEMP each, doubly linked through the items. The head is the newest.
 * Invariant: `sizes` and `sizesBytes` count exactly the items linked, crawler marks excepted.
 */
import * as I from "./item.ts";
import type { Memory } from "./memory.ts";

/** Handles of the marks that a crawler leaves in an LRU list to find its place again: in the arena's first, unused page. */
const MARKS_AT = 512;
const MARK_HANDLES = I.HEADER_BYTES / 8;

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

  /** Puts an item at the head of the LRU list that its META names. */
  link(handle: number): void {
    const words = this.#words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    const lruList = (meta >>> I.CLASS_SHIFT) & 0xff;
    const head = this.heads[lruList]!;
    words[at + I.PREV] = 0;
    words[at + I.NEXT] = head;
    if (head !== 0) words[head * 2 + I.PREV] = handle;
    this.heads[lruList] = handle;
    if (this.tails[lruList] === 0) this.tails[lruList] = handle;
    this.sizes[lruList]! += 1;
    this.sizesBytes[lruList]! += I.itemBytes(meta >>> I.KEY_SHIFT, words[at + I.LENGTH]!, meta);
  }

  unlink(handle: number): void {
    const words = this.#words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    const lruList = (meta >>> I.CLASS_SHIFT) & 0xff;
    this.#cut(handle, lruList);
    this.sizes[lruList]! -= 1;
    this.sizesBytes[lruList]! -= I.itemBytes(meta >>> I.KEY_SHIFT, words[at + I.LENGTH]!, meta);
  }

  /** Tells an item's neighbours that it has moved to `to`, where its header has been copied. */
  replace(to: number): void {
    const words = this.#words;
    const lruList = (words[to * 2 + I.META]! >>> I.CLASS_SHIFT) & 0xff;
    const next = words[to * 2 + I.NEXT]!;
    const prev = words[to * 2 + I.PREV]!;
    if (next !== 0) words[next * 2 + I.PREV] = to;
    else this.tails[lruList] = to;
    if (prev !== 0) words[prev * 2 + I.NEXT] = to;
    else this.heads[lruList] = to;
  }

  /** Puts a crawler's mark at the tail of an LRU list. */
  linkMark(lruList: number): void {
    const words = this.#words;
    const mark = markOf(lruList);
    const at = mark * 2;
    const tail = this.tails[lruList]!;
    words[at + I.META] = (lruList << I.CLASS_SHIFT) | I.LINKED;
    words[at + I.NEXT] = 0;
    words[at + I.PREV] = tail;
    if (tail !== 0) words[tail * 2 + I.NEXT] = mark;
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
    const item = words[mark * 2 + I.PREV]!;
    if (item === 0) return 0;
    this.#cut(mark, lruList);
    const before = words[item * 2 + I.PREV]!;
    words[mark * 2 + I.PREV] = before;
    words[mark * 2 + I.NEXT] = item;
    words[item * 2 + I.PREV] = mark;
    if (before !== 0) words[before * 2 + I.NEXT] = mark;
    else this.heads[lruList] = mark;
    return item;
  }

  /** The oldest item of an LRU list, crawler marks passed over; 0 when empty. */
  oldest(lruList: number): number {
    const tail = this.tails[lruList]!;
    return isMark(tail) ? this.#words[tail * 2 + I.PREV]! : tail;
  }

  #cut(handle: number, lruList: number): void {
    const words = this.#words;
    const next = words[handle * 2 + I.NEXT]!;
    const prev = words[handle * 2 + I.PREV]!;
    if (next !== 0) words[next * 2 + I.PREV] = prev;
    else this.tails[lruList] = prev;
    if (prev !== 0) words[prev * 2 + I.NEXT] = next;
    else this.heads[lruList] = next;
  }
}

function markOf(lruList: number): number {
  return MARKS_AT + lruList * MARK_HANDLES;
}

/** True for a crawler's mark, which is no item. */
export function isMark(handle: number): boolean {
  return handle !== 0 && handle < MARKS_AT + 256 * MARK_HANDLES;
}
