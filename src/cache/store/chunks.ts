/**
 * ○ Values in the arena: written as they arrive, read into replies. A value over half a page is a chain of chunks, taken one by
 * one while it arrives, so that a large item needs no contiguous memory.
 */
import { copyBytes } from "../../memcached/copy.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import * as Item from "./item.ts";
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
    this.remaining = Item.length(words, item);
    this.#chunked = Item.has(words, item, Item.CHUNKED);
    this.#chunk = 0;
    this.#at = this.#chunked ? 0 : Item.valueStart(this.#items.words, item);
  }

  /** Appends bytes; false when there is no memory for the next chunk: then the item cannot be completed. */
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
      if (this.#chunk === 0 || Item.chunkUsed(words, this.#chunk) === Item.chunkCapacity(words, this.#chunk)) {
        const next = appendChunk(this.#items, this.item, this.#chunk, this.remaining);
        if (next === 0) return false;
        this.#chunk = next;
      }
      const used = Item.chunkUsed(words, this.#chunk);
      const part = Math.min(rest, Item.chunkCapacity(words, this.#chunk) - used);
      copyBytes(from, at, part, bytes, Item.chunkStart(this.#chunk) + used);
      Item.setChunkUsed(words, this.#chunk, used + part);
      at += part;
      rest -= part;
      this.remaining -= part;
    }
    return true;
  }

  /** True when what was written ends in CR LF. */
  endsInCrLf(): boolean {
    const { words, bytes } = this.#items;
    if (!this.#chunked) return bytes[this.#at - 2] === 0x0d && bytes[this.#at - 1] === 0x0a;
    const used = Item.chunkUsed(words, this.#chunk);
    const last = Item.chunkStart(this.#chunk) + used - 1;
    if (bytes[last] !== 0x0a) return false;
    if (used > 1) return bytes[last - 1] === 0x0d;
    const before = Item.prev(words, this.#chunk);
    const usedBefore = Item.chunkUsed(words, before);
    return bytes[Item.chunkStart(before) + usedBefore - 1] === 0x0d;
  }
}

/** Appends a chunk behind `last` (0: as the first one) for the rest of the value; returns it, or 0 when there is no memory. */
function appendChunk(items: Items, item: number, last: number, remaining: number): number {
  const { words, slabs } = items;
  const { chunkBytesMax } = items.memory.settings;
  let size = Math.min(remaining + Item.CHUNK_HEADER_BYTES, chunkBytesMax);
  let slabClass = slabs.classOf(size);
  let chunk = items.allocateChunk(slabClass);
  if (chunk === 0 && size < chunkBytesMax) {
    size = chunkBytesMax; // a tail that fits no small class may still fit where large items can be evicted
    slabClass = slabs.classOf(size);
    chunk = items.allocateChunk(slabClass);
  }
  if (chunk === 0) {
    items.starve(slabClass);
    return 0;
  }
  Item.setMeta(words, chunk, Item.CHUNK, slabClass, 0);
  Item.setNext(words, chunk, 0);
  Item.setPrev(words, chunk, last);
  Item.setChunkOwner(words, chunk, item);
  Item.setChunkCapacity(words, chunk, size - Item.CHUNK_HEADER_BYTES);
  Item.setChunkUsed(words, chunk, 0);
  if (last === 0) Item.setFirstChunk(words, item, chunk);
  else Item.setNext(words, last, chunk);
  return chunk;
}

/** Copies an item's value into a reply: `count` bytes, of which the last two may be its CR LF. */
export function copyValue(items: Items, item: number, count: number, into: ReplyBuffer): void {
  const { words, bytes } = items;
  if (!Item.has(words, item, Item.CHUNKED)) {
    into.copy(bytes, Item.valueStart(items.words, item), count);
    return;
  }
  let rest = count;
  for (let chunk = Item.firstChunk(words, item); chunk !== 0 && rest > 0; chunk = Item.next(words, chunk)) {
    const part = Math.min(rest, Item.chunkUsed(words, chunk));
    into.copy(bytes, Item.chunkStart(chunk), part);
    rest -= part;
  }
}

/** Appends `count` bytes of one item's value to another one; false when there is no memory. */
export function appendValue(items: Items, item: number, count: number, writer: ValueWriter): boolean {
  const { words, bytes } = items;
  if (!Item.has(words, item, Item.CHUNKED)) return writer.write(bytes, Item.valueStart(items.words, item), count);
  let rest = count;
  for (let chunk = Item.firstChunk(words, item); chunk !== 0 && rest > 0; chunk = Item.next(words, chunk)) {
    const part = Math.min(rest, Item.chunkUsed(words, chunk));
    if (!writer.write(bytes, Item.chunkStart(chunk), part)) return false;
    rest -= part;
  }
  return true;
}
