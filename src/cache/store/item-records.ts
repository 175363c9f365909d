/**
 * ○ Items as records in a file, and back: what a warm restart keeps. Records are in the order of each LRU list, oldest first, so that
 * linking them one after the other rebuilds the LRU lists. Numbers are little-endian.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { ValueWriter, copyValue } from "./chunks.ts";
import * as Item from "./item.ts";
import type { Items } from "./items.ts";
import { LRU_LISTS } from "./limits.ts";

/** Length, time, expiry, client flags, CAS (two words), flags and LRU list, key bytes, nothing. */
const RECORD_BYTES = 28;
/** Flags that are kept over a restart. */
const KEPT = Item.FETCHED | Item.HITS | Item.TOKEN_SENT | Item.STALE | Item.BINARY_KEY;
/** 4 MiB: large enough that writing it costs no more per byte than writing all at once. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** All live items as records, in batches of whole records. The batch is reused: write it before asking for the next. */
export function* itemRecords(items: Items): Generator<Buffer> {
  const out = new ReplyBuffer();
  for (let lruList = 0; lruList < LRU_LISTS; lruList += 1) {
    for (let item = items.lruLists.oldest(lruList); item !== 0; item = Item.prev(items.words, item)) {
      if (!isLive(items, item)) continue;
      writeRecord(items, item, out);
      if (out.length < BATCH_BYTES) continue;
      yield out.bytes.subarray(0, out.length);
      out.reset();
    }
  }
  if (out.length > 0) yield out.bytes.subarray(0, out.length);
}

function isLive(items: Items, item: number): boolean {
  const expiry = Item.expiry(items.words, item);
  return (expiry === 0 || expiry > items.now) && !items.isFlushed(item);
}

function writeRecord(items: Items, item: number, out: ReplyBuffer): void {
  const { words, bytes } = items;
  const keyBytes = Item.keyBytes(words, item);
  const length = Item.length(words, item);
  out.ensure(RECORD_BYTES + keyBytes + length);
  const { view } = out;
  const to = out.length;
  view.setUint32(to, length, true);
  view.setUint32(to + 4, Item.lastAccess(words, item), true);
  view.setUint32(to + 8, Item.expiry(words, item), true);
  view.setUint32(to + 12, Item.clientFlags(words, item), true);
  view.setUint32(to + 16, Item.casLow(words, item), true);
  view.setUint32(to + 20, Item.casHigh(words, item), true);
  view.setUint16(to + 24, Item.flags(words, item) & KEPT, true);
  view.setUint8(to + 26, Item.segment(words, item));
  view.setUint8(to + 27, keyBytes);
  out.length = to + RECORD_BYTES;
  out.copy(bytes, Item.keyStart(item), keyBytes);
  copyValue(items, item, length, out);
}

/** Puts records back into a store, from bytes that may end anywhere. */
export class RecordReader {
  readonly #items: Items;
  readonly #writer: ValueWriter;
  #waiting = EMPTY_BUFFER;
  /** Items put back. */
  count = 0;

  constructor(items: Items) {
    this.#items = items;
    this.#writer = new ValueWriter(items);
  }

  push(bytes: Buffer): void {
    const all = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    let at = 0;
    while (all.length - at >= RECORD_BYTES) {
      const end = at + RECORD_BYTES + all.readUInt8(at + 27) + all.readUInt32LE(at);
      if (end > all.length) break;
      this.#restore(all, at);
      at = end;
    }
    this.#waiting = Buffer.from(all.subarray(at));
  }

  #restore(bytes: Buffer, at: number): void {
    const items = this.#items;
    const { words } = items;
    const length = bytes.readUInt32LE(at);
    const keyBytes = bytes.readUInt8(at + 27);
    const key = at + RECORD_BYTES;
    const wanted = { clientFlags: bytes.readUInt32LE(at + 12), expiry: bytes.readUInt32LE(at + 8), length };
    if (wanted.expiry !== 0 && wanted.expiry <= items.now) return;
    const item = items.allocate(bytes, key, keyBytes, wanted);
    if (item === 0) return; // a smaller memory or item size than before: what fits is kept
    this.#writer.start(item);
    if (this.#writer.write(bytes, key + keyBytes, length)) {
      Item.setLruList(words, item, Item.slabClass(words, item) | bytes.readUInt8(at + 26));
      Item.setFlags(words, item, bytes.readUInt16LE(at + 24));
      Item.setCas(words, item, bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 16));
      items.link(item, items.index.hash(bytes, key, keyBytes));
      Item.setLastAccess(words, item, bytes.readUInt32LE(at + 4));
      this.count += 1;
    }
    items.release(item);
  }
}
