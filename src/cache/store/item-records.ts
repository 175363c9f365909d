/**
 * ○ Items as records in a file, and back: what a warm restart keeps. Records are in the order of each LRU list, oldest first, so that
 * linking them one after the other rebuilds the LRU lists. Numbers are little-endian.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { ValueWriter, copyValue } from "./chunks.ts";
import * as I from "./item.ts";
import type { Items } from "./items.ts";
import { LRU_LISTS } from "./limits.ts";

/** Length, time, expiry, client flags, CAS (two words), flags and LRU list, key bytes, nothing. */
const RECORD_BYTES = 28;
/** Flags that outlive a restart. */
const KEPT = I.FETCHED | I.ACTIVE | I.TOKEN_SENT | I.STALE | I.BINARY_KEY;
/** 4 MiB: large enough that writing it costs no more per byte than writing all at once. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** All live items as records, in batches of whole records. The batch is reused: write it before asking for the next. */
export function* itemRecords(items: Items): Generator<Buffer> {
  const out = new ReplyBuffer();
  for (let lruList = 0; lruList < LRU_LISTS; lruList += 1) {
    for (let item = items.lruLists.oldest(lruList); item !== 0; item = items.words[item * 2 + I.PREV]!) {
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
  const expiry = items.words[item * 2 + I.EXPIRY]!;
  return (expiry === 0 || expiry > items.now) && !items.isFlushed(item);
}

function writeRecord(items: Items, item: number, out: ReplyBuffer): void {
  const { words, bytes } = items;
  const at = item * 2;
  const meta = words[at + I.META]!;
  const keyBytes = meta >>> I.KEY_SHIFT;
  const length = words[at + I.LENGTH]!;
  out.ensure(RECORD_BYTES + keyBytes + length);
  const { view } = out;
  const to = out.length;
  view.setUint32(to, length, true);
  view.setUint32(to + 4, words[at + I.TIME]!, true);
  view.setUint32(to + 8, words[at + I.EXPIRY]!, true);
  view.setUint32(to + 12, words[at + I.CLIENT_FLAGS]!, true);
  view.setUint32(to + 16, words[at + I.CAS_LOW]!, true);
  view.setUint32(to + 20, words[at + I.CAS_HIGH]!, true);
  view.setUint16(to + 24, meta & KEPT, true);
  view.setUint8(to + 26, (meta >>> I.CLASS_SHIFT) & I.TEMP);
  view.setUint8(to + 27, keyBytes);
  out.length = to + RECORD_BYTES;
  out.copy(bytes, item * 8 + I.HEADER_BYTES, keyBytes);
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
      const place = item * 2;
      const lruList = ((words[place + I.META]! >>> I.CLASS_SHIFT) & 0x3f) | bytes.readUInt8(at + 26);
      const meta = (words[place + I.META]! & ~(0xff << I.CLASS_SHIFT)) | (lruList << I.CLASS_SHIFT);
      words[place + I.META] = meta | bytes.readUInt16LE(at + 24);
      words[place + I.CAS_LOW] = bytes.readUInt32LE(at + 16);
      words[place + I.CAS_HIGH] = bytes.readUInt32LE(at + 20);
      items.link(item, items.index.hash(bytes, key, keyBytes));
      words[place + I.TIME] = bytes.readUInt32LE(at + 4);
      this.count += 1;
    }
    items.release(item);
  }
}
