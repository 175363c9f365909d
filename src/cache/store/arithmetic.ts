/** ○ `incr` and `decr`: numbers of 64 bits, kept as decimal digits in an item's value. */
import { exactU64, readU64, type U64 } from "../../memcached/numbers.ts";
import { ValueWriter } from "./chunks.ts";
import { BY_CLASS } from "./counters.ts";
import * as Item from "./item.ts";
import type { ItemStore } from "./item-store.ts";

/** What became of a `delta`. */
export const DELTA = { done: 0, notFound: 1, nonNumeric: 2, noMemory: 3, casMismatch: 4 } as const;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const PLUS = 0x2b;
const TWO_64 = 1n << 64n;
const NUMBER_BYTES_MAX = 20;

export class Arithmetic {
  readonly #store: ItemStore;
  /** The value that `delta` left behind. */
  readonly number: U64 = { high: 0, low: 0 };
  readonly #writer: ValueWriter;
  readonly #digits = new Uint8Array(NUMBER_BYTES_MAX + 2);

  constructor(store: ItemStore) {
    this.#store = store;
    this.#writer = new ValueWriter(store.items);
  }

  /**
   * `incr` and `decr`. The result is in `number`, the item that now holds it in `stored`.
   *
   * @param cas do it only when the item's CAS number is this; undefined or 0 for any
   */
  delta(
    key: Uint8Array,
    start: number,
    length: number,
    { increment, by, cas, hash }: { increment: boolean; by: U64; cas?: U64; hash: number },
  ): number {
    const store = this.#store;
    const { items, counters } = store;
    const { words } = items;
    const item = store.find(key, start, length, hash);
    store.stored = 0;
    if (item === 0) return DELTA.notFound;
    const valueBytes = Item.length(words, item) - 2;
    if (valueBytes <= 0 || Item.has(words, item, Item.CHUNKED)) return DELTA.nonNumeric;
    if (cas && (cas.low !== 0 || cas.high !== 0) && !Item.hasCas(words, item, cas)) return DELTA.casMismatch;
    if (!this.#readNumber(item, valueBytes)) return DELTA.nonNumeric;
    addTo(this.number, by, increment);
    counters.addOfClass(increment ? BY_CLASS.incrHits : BY_CLASS.decrHits, store.classOf(item));
    const digits = this.#writeDigits();
    if (digits <= valueBytes && Item.references(words, item) === 1) {
      store.renewCas(item);
      const to = Item.valueStart(items.words, item);
      for (let index = 0; index < valueBytes; index += 1)
        items.bytes[to + index] = index < digits ? this.#digits[index]! : SPACE;
      items.update(item);
      store.stored = item;
      return DELTA.done;
    }
    return this.#replaceNumber(item, digits, hash);
  }

  #replaceNumber(item: number, digits: number, hash: number): number {
    const store = this.#store;
    const { items } = store;
    const { words } = items;
    const keyBytes = Item.keyBytes(words, item);
    items.hold(item);
    const larger = items.allocate(items.bytes, Item.keyStart(item), keyBytes, {
      clientFlags: Item.clientFlags(words, item),
      expiry: Item.expiry(words, item),
      length: digits + 2,
    });
    if (larger === 0) {
      items.release(item);
      return DELTA.noMemory;
    }
    Item.setFlags(words, larger, Item.flags(words, item) & Item.BINARY_KEY);
    this.#digits[digits] = CR;
    this.#digits[digits + 1] = LF;
    this.#writer.start(larger);
    this.#writer.write(this.#digits, 0, digits + 2);
    items.unlink(item);
    items.release(item);
    store.renewCas(larger);
    items.link(larger, hash);
    items.release(larger);
    store.stored = larger;
    return DELTA.done;
  }

  /** A number as C's strtoull finds it: behind blanks and a plus, up to the next blank, NUL or the value's end. */
  #readNumber(item: number, valueBytes: number): boolean {
    const { items } = this.#store;
    const { bytes } = items;
    let start = Item.valueStart(items.words, item);
    const valueEnd = start + valueBytes;
    while (start < valueEnd && isBlank(bytes[start]!)) start += 1;
    if (bytes[start] === PLUS && start < valueEnd) start += 1;
    let end = start;
    while (end < valueEnd && bytes[end] !== 0 && !isBlank(bytes[end]!)) end += 1;
    return readU64(bytes, start, end, this.number);
  }

  /** `number` in decimal digits. */
  digits(): string {
    return exactU64(this.number.high, this.number.low).toString();
  }

  #writeDigits(): number {
    const text = this.digits();
    for (let index = 0; index < text.length; index += 1) this.#digits[index] = text.charCodeAt(index);
    return text.length;
  }
}

/** C's isspace: space, and tab to carriage return. */
function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

/** Adds wrapping at 64 bits, or subtracts stopping at 0. */
function addTo(value: U64, by: U64, increment: boolean): void {
  if (value.high < 2 ** 20 && by.high < 2 ** 20) {
    const left = value.high * 2 ** 32 + value.low;
    const right = by.high * 2 ** 32 + by.low;
    const sum = increment ? left + right : Math.max(0, left - right);
    value.low = sum >>> 0;
    value.high = Math.floor(sum / 2 ** 32);
    return;
  }
  const left = (BigInt(value.high) << 32n) | BigInt(value.low);
  const right = (BigInt(by.high) << 32n) | BigInt(by.low);
  const sum = increment ? (left + right) % TWO_64 : left > right ? left - right : 0n;
  value.low = Number(sum & 0xffffffffn);
  value.high = Number(sum >> 32n);
}
