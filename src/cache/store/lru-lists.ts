/**
 * ○ The LRU queues: 64 classes with HOT, WARM, COLD and TEMP each, doubly linked through the items. The head is the newest.
 * Invariant: `sizes` and `sizesBytes` count exactly the items linked, crawler marks excepted.
 */
import * as I from "./item.ts";
import type { Memory } from "./memory.ts";

/** Handles of the marks that a crawler leaves in a queue to find its place again: in the arena's first, unused page. */
const MARKS_AT = 512;
const MARK_HANDLES = I.HEADER_BYTES / 8;

export class Queues {
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

  /** Puts an item at the head of the queue that its META names. */
  link(handle: number): void {
    const words = this.#words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    const queue = (meta >>> I.CLASS_SHIFT) & 0xff;
    const head = this.heads[queue]!;
    words[at + I.PREV] = 0;
    words[at + I.NEXT] = head;
    if (head !== 0) words[head * 2 + I.PREV] = handle;
    this.heads[queue] = handle;
    if (this.tails[queue] === 0) this.tails[queue] = handle;
    this.sizes[queue]! += 1;
    this.sizesBytes[queue]! += I.itemBytes(meta >>> I.KEY_SHIFT, words[at + I.LENGTH]!, meta);
  }

  unlink(handle: number): void {
    const words = this.#words;
    const at = handle * 2;
    const meta = words[at + I.META]!;
    const queue = (meta >>> I.CLASS_SHIFT) & 0xff;
    this.#cut(handle, queue);
    this.sizes[queue]! -= 1;
    this.sizesBytes[queue]! -= I.itemBytes(meta >>> I.KEY_SHIFT, words[at + I.LENGTH]!, meta);
  }

  /** Tells an item's neighbours that it has moved to `to`, where its header has been copied. */
  replace(to: number): void {
    const words = this.#words;
    const queue = (words[to * 2 + I.META]! >>> I.CLASS_SHIFT) & 0xff;
    const next = words[to * 2 + I.NEXT]!;
    const prev = words[to * 2 + I.PREV]!;
    if (next !== 0) words[next * 2 + I.PREV] = to;
    else this.tails[queue] = to;
    if (prev !== 0) words[prev * 2 + I.NEXT] = to;
    else this.heads[queue] = to;
  }

  /** Puts a crawler's mark at the tail of a queue. */
  linkMark(queue: number): void {
    const words = this.#words;
    const mark = markOf(queue);
    const at = mark * 2;
    const tail = this.tails[queue]!;
    words[at + I.META] = (queue << I.CLASS_SHIFT) | I.LINKED;
    words[at + I.NEXT] = 0;
    words[at + I.PREV] = tail;
    if (tail !== 0) words[tail * 2 + I.NEXT] = mark;
    else this.heads[queue] = mark;
    this.tails[queue] = mark;
  }

  unlinkMark(queue: number): void {
    this.#cut(markOf(queue), queue);
  }

  /** Moves a crawler's mark one item towards the head and returns that item; 0 at the head. */
  passMark(queue: number): number {
    const words = this.#words;
    const mark = markOf(queue);
    const item = words[mark * 2 + I.PREV]!;
    if (item === 0) return 0;
    this.#cut(mark, queue);
    const before = words[item * 2 + I.PREV]!;
    words[mark * 2 + I.PREV] = before;
    words[mark * 2 + I.NEXT] = item;
    words[item * 2 + I.PREV] = mark;
    if (before !== 0) words[before * 2 + I.NEXT] = mark;
    else this.heads[queue] = mark;
    return item;
  }

  /** The oldest item of a queue, crawler marks passed over; 0 when empty. */
  oldest(queue: number): number {
    const tail = this.tails[queue]!;
    return isMark(tail) ? this.#words[tail * 2 + I.PREV]! : tail;
  }

  #cut(handle: number, queue: number): void {
    const words = this.#words;
    const next = words[handle * 2 + I.NEXT]!;
    const prev = words[handle * 2 + I.PREV]!;
    if (next !== 0) words[next * 2 + I.PREV] = prev;
    else this.tails[queue] = prev;
    if (prev !== 0) words[prev * 2 + I.NEXT] = next;
    else this.heads[queue] = next;
  }
}

function markOf(queue: number): number {
  return MARKS_AT + queue * MARK_HANDLES;
}

/** True for a crawler's mark, which is no item. */
export function isMark(handle: number): boolean {
  return handle !== 0 && handle < MARKS_AT + 256 * MARK_HANDLES;
}
