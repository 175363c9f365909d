/**
 * ○ Values in the arena: written as they arrive, read into replies. A value over half a page is a chain of chunks, taken one by
 * one while it arrives, so that a large item needs no contiguous memory.
 */
import { CR, LF } from "../../core/ascii.ts";
import { copyBytes } from "../../memcached/copy.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import * as I from "./item.ts";
import type { Items } from "./items.ts";

/** Fills one item. Reused from item to item. */
export class ValueWriter {
  readonly #items: Items;
  /** The item being filled, or 0. */
  item = 0;
  /** Bytes still to come, CR LF included. */
  remaining = 0;
  /** Where the next byte goes, when the item is not chunked. */
  #at = 0;
  /** The chunk being filled, when it is. */
  #chunk = 0;
  #chunked = false;

  constructor(items: Items) {
    this.#items = items;
  }

  start(item: number): void {
    const { words } = this.#items;
    this.item = item;
    this.remaining = words[item * 2 + I.LENGTH]!;
    this.#chunked = (words[item * 2 + I.META]! & I.CHUNKED) !== 0;
    this.#chunk = 0;
    this.#at = this.#chunked ? 0 : this.#items.valueStart(item);
  }

  /** Appends bytes; false when memory for the next chunk is lacking, and then the item is useless. */
  write(from: Uint8Array, start: number, count: number): boolean {
    if (!this.#chunked) {
      copyBytes(from, start, count, this.#items.bytes, this.#at);
      this.#at += count;
      this.remaining -= count;
      return true;
    }
    return this.#writeChunked(from, start, count);
  }

  #writeChunked(from: Uint8Array, start: number, count: number): boolean {
    const { words, bytes } = this.#items;
    let at = start;
    let rest = count;
    while (rest > 0) {
      if (this.#chunk === 0 || words[this.#chunk * 2 + I.CHUNK_USED] === words[this.#chunk * 2 + I.CHUNK_CAPACITY]) {
        const next = appendChunk(this.#items, this.item, this.#chunk, this.remaining);
        if (next === 0) return false;
        this.#chunk = next;
      }
      const chunk = this.#chunk * 2;
      const used = words[chunk + I.CHUNK_USED]!;
      const part = Math.min(rest, words[chunk + I.CHUNK_CAPACITY]! - used);
      copyBytes(from, at, part, bytes, this.#chunk * 8 + I.CHUNK_HEADER_BYTES + used);
      words[chunk + I.CHUNK_USED] = used + part;
      at += part;
      rest -= part;
      this.remaining -= part;
    }
    return true;
  }

  /** True when what was written ends in CR LF. */
  endsInCrLf(): boolean {
    const { words, bytes } = this.#items;
    if (!this.#chunked) return bytes[this.#at - 2] === CR && bytes[this.#at - 1] === LF;
    const used = words[this.#chunk * 2 + I.CHUNK_USED]!;
    const last = this.#chunk * 8 + I.CHUNK_HEADER_BYTES + used - 1;
    if (bytes[last] !== LF) return false;
    if (used > 1) return bytes[last - 1] === CR;
    const before = words[this.#chunk * 2 + I.PREV]!;
    const usedBefore = words[before * 2 + I.CHUNK_USED]!;
    return bytes[before * 8 + I.CHUNK_HEADER_BYTES + usedBefore - 1] === CR;
  }
}

/** Hangs one more chunk behind `last` (0: the first) for what remains of the value; 0 when there is no memory. */
function appendChunk(items: Items, item: number, last: number, remaining: number): number {
  const { words, slabs } = items;
  const { chunkBytesMax } = items.memory.settings;
  let size = Math.min(remaining + I.CHUNK_HEADER_BYTES, chunkBytesMax);
  let slabClass = slabs.classOf(size);
  let chunk = items.pull(slabClass);
  if (chunk === 0) {
    if (size === chunkBytesMax) return 0;
    size = chunkBytesMax; // a tail that fits no small class may still fit where large items can be evicted
    slabClass = slabs.classOf(size);
    chunk = items.pull(slabClass);
    if (chunk === 0) return 0;
  }
  const at = chunk * 2;
  words[at + I.META] = I.CHUNK | (slabClass << I.CLASS_SHIFT);
  words[at + I.NEXT] = 0;
  words[at + I.PREV] = last;
  words[at + I.CHUNK_HEAD] = item;
  words[at + I.CHUNK_CAPACITY] = size - I.CHUNK_HEADER_BYTES;
  words[at + I.CHUNK_USED] = 0;
  if (last === 0) words[items.chunkPlace(item)] = chunk;
  else words[last * 2 + I.NEXT] = chunk;
  return chunk;
}

/** Copies an item's value into a reply: `count` bytes, of which the last two may be its CR LF. */
export function copyValue(items: Items, item: number, count: number, into: ReplyBuffer): void {
  const { words, bytes } = items;
  if ((words[item * 2 + I.META]! & I.CHUNKED) === 0) {
    into.copy(bytes, items.valueStart(item), count);
    return;
  }
  let rest = count;
  for (let chunk = words[items.chunkPlace(item)]!; chunk !== 0 && rest > 0; chunk = words[chunk * 2 + I.NEXT]!) {
    const part = Math.min(rest, words[chunk * 2 + I.CHUNK_USED]!);
    into.copy(bytes, chunk * 8 + I.CHUNK_HEADER_BYTES, part);
    rest -= part;
  }
}

/** Appends `count` bytes of one item's value to another being written; false when memory is lacking. */
export function appendValue(items: Items, item: number, count: number, writer: ValueWriter): boolean {
  const { words, bytes } = items;
  if ((words[item * 2 + I.META]! & I.CHUNKED) === 0) return writer.write(bytes, items.valueStart(item), count);
  let rest = count;
  for (let chunk = words[items.chunkPlace(item)]!; chunk !== 0 && rest > 0; chunk = words[chunk * 2 + I.NEXT]!) {
    const part = Math.min(rest, words[chunk * 2 + I.CHUNK_USED]!);
    if (!writer.write(bytes, chunk * 8 + I.CHUNK_HEADER_BYTES, part)) return false;
    rest -= part;
  }
  return true;
}
