/**
 * ○ The cache: what the protocols' verbs do to items, apart from any protocol. A key is a place in a buffer, an item is a
 * number (item.ts), time is the store's own second (`now`), so nothing is allocated per request. Each method is one verb's effect on one key, with
 * memcached's counters kept; replies are the caller's business.
 */
import { CR, LF, SPACE } from "../../core/ascii.ts";
import { addU64, exactU64, readU64, type U64 } from "../../memcached/numbers.ts";
import { ValueWriter, appendValue } from "./chunks.ts";
import { COUNT, BY_CLASS, Counters } from "./counters.ts";
import { flush } from "./flush.ts";
import * as Item from "./item.ts";
import { Items } from "./items.ts";
import { RELATIVE_EXPIRY_SECONDS_MAX } from "./limits.ts";
import { GLOBAL, type Memory } from "./memory.ts";
import { PrefixStats } from "./prefix-stats.ts";
import { TUNE } from "./settings.ts";
import type { ChangeCommand, StoreLog } from "./store-log.ts";

/** How `store` treats what is there already. */
export const MODE = {
  add: 0,
  set: 1,
  replace: 2,
  append: 3,
  prepend: 4,
  cas: 5,
  appendOrAdd: 6,
  prependOrAdd: 7,
} as const;
const MODE_WORDS = ["add", "set", "replace", "append", "prepend", "cas", "append", "prepend"] as const;

/** What became of a `store`. */
export const RESULT = { notStored: 0, stored: 1, exists: 2, notFound: 3 } as const;
const RESULT_WORDS = ["not_stored", "stored", "exists", "not_found"] as const;

/** What became of a `delta`. */
export const DELTA = { done: 0, notFound: 1, nonNumeric: 2, noMemory: 3, casMismatch: 4 } as const;

const PLUS = 0x2b;

/** 20: the digits of 2^64 - 1. */
const NUMBER_BYTES_MAX = 20;

/** 1 KiB: copied in well under the time that a key takes to be looked up. */
const BYTES_PER_UNIT = 1024;

const NO_CAS: U64 = { high: 0, low: 0 };

export const CR_LF = Uint8Array.of(CR, LF);

export class ItemStore {
  readonly memory: Memory;
  readonly items: Items;
  readonly counters: Counters;
  readonly prefixes: PrefixStats;
  /** The item that `store` or `delta` stored last: for append and prepend another than was given. */
  stored = 0;
  /** The value that `delta` left behind. */
  readonly number: U64 = { high: 0, low: 0 };
  readonly #digits = new Uint8Array(NUMBER_BYTES_MAX + 2);
  readonly #writer: ValueWriter;
  /** Bytes of values joined since `joinedUnits` was asked last. */
  #joinedBytes = 0;
  readonly #tune: Float64Array;
  #log: StoreLog | undefined;

  /** @param thread which thread's block of counters to add to */
  constructor(memory: Memory, thread = 0) {
    this.memory = memory;
    this.counters = new Counters(memory, thread);
    this.items = new Items(memory, this.counters);
    this.prefixes = new PrefixStats(memory.settings.prefixDelimiter);
    this.#writer = new ValueWriter(this.items);
    this.#tune = memory.tune;
  }

  get log(): StoreLog | undefined {
    return this.#log;
  }

  /** Where every fetch, store, deletion and eviction of this thread is reported; undefined while nobody watches. */
  set log(log: StoreLog | undefined) {
    this.#log = log;
    this.items.log = log;
  }

  get now(): number {
    return this.memory.globals[GLOBAL.now]!;
  }

  set now(seconds: number) {
    const { globals } = this.memory;
    const before = globals[GLOBAL.now]!;
    globals[GLOBAL.now] = seconds;
    const flushSecond = globals[GLOBAL.oldestLive]!;
    if (before < flushSecond && flushSecond <= seconds) this.#log?.flushed?.();
  }

  /** The store's second of an expiry as a client writes it: 0 never, negative already, up to 30 days from now, else a date. */
  expiry(exptime: number): number {
    if (exptime === 0) return 0;
    const positive = exptime < 0 ? RELATIVE_EXPIRY_SECONDS_MAX + 1 : exptime;
    if (positive <= RELATIVE_EXPIRY_SECONDS_MAX) return positive + this.now;
    const { startedSeconds } = this.memory.settings;
    return positive <= startedSeconds ? 1 : positive - startedSeconds;
  }

  /** The live item with this key, or 0. Expired and flushed ones are freed on the way. Does not count as an access. */
  find(key: Uint8Array, start: number, length: number, hash: number): number {
    const { items } = this;
    const item = items.index.find(key, start, length, hash);
    if (item === 0) {
      if (this.#log?.fetched) this.#logFetch(key, start, length, 0, "not_found");
      return 0;
    }
    const expiry = Item.expiry(items.words, item);
    if (items.isFlushed(item)) {
      this.counters.add(COUNT.getFlushed);
      items.unlink(item);
      if (this.#log?.fetched) this.#logFetch(key, start, length, 0, "flushed");
      return 0;
    }
    if (expiry !== 0 && expiry <= this.now) {
      this.counters.add(COUNT.getExpired);
      items.unlink(item);
      if (this.#log?.fetched) this.#logFetch(key, start, length, 0, "expired");
      return 0;
    }
    if (this.#log?.fetched) this.#logFetch(key, start, length, item, "found");
    return item;
  }

  hash(key: Uint8Array, start: number, length: number): number {
    return this.items.index.hash(key, start, length);
  }

  /** `get`: the item or 0, counted and bumped. */
  get(key: Uint8Array, start: number, length: number, hash: number): number {
    const item = this.find(key, start, length, hash);
    const { counters } = this;
    if (this.#tune[TUNE.detail] !== 0) this.prefixes.get(key, start, length, item !== 0);
    counters.add(COUNT.getCommands);
    if (item === 0) {
      counters.add(COUNT.getMisses);
      return 0;
    }
    this.items.bump(item);
    counters.hit(Item.lruList(this.items.words, item));
    return item;
  }

  /** `touch` and `gat`: the item or 0, with a new expiry. */
  touch(key: Uint8Array, start: number, length: number, { hash, expiry }: { hash: number; expiry: number }): number {
    const item = this.find(key, start, length, hash);
    const { counters } = this;
    counters.add(COUNT.touchCommands);
    if (item === 0) {
      counters.add(COUNT.touchMisses);
      return 0;
    }
    this.items.bump(item);
    this.setExpiry(item, expiry, "touch");
    counters.addOfClass(BY_CLASS.touchHits, this.classOf(item));
    return item;
  }

  /** Gives an item another end. */
  setExpiry(item: number, expiry: number, command: ChangeCommand): void {
    Item.setExpiry(this.items.words, item, expiry);
    this.#logChange(item, command);
  }

  /** `md I`: the next reader computes it anew, and until then it is given as out of date. */
  invalidate(item: number, { expiry, cas }: { expiry: number | undefined; cas: U64 | undefined }): void {
    const { words } = this.items;
    if (expiry !== undefined) Item.setExpiry(words, item, expiry);
    Item.setFlags(words, item, Item.STALE);
    Item.clearFlags(words, item, Item.TOKEN_SENT);
    if (cas) this.setCas(item, cas.high, cas.low);
    else this.renewCas(item);
    this.#logChange(item, "md");
  }

  delete(key: Uint8Array, start: number, length: number): boolean {
    if (this.#tune[TUNE.detail] !== 0) this.prefixes.delete(key, start, length);
    const item = this.find(key, start, length, this.hash(key, start, length));
    if (item === 0) {
      this.counters.add(COUNT.deleteMisses);
      return false;
    }
    this.counters.addOfClass(BY_CLASS.deleteHits, this.classOf(item));
    if (this.#log?.deleted) this.logDelete(item, "delete");
    this.items.unlink(item);
    return true;
  }

  /** Frees what lies under a key without counting: when a `set` fails, its old value must not live on. */
  drop(key: Uint8Array, start: number, length: number): void {
    const item = this.find(key, start, length, this.hash(key, start, length));
    if (item !== 0) this.items.unlink(item);
  }

  /** A CAS number as the two words of an item. */
  setCas(item: number, high: number, low: number): void {
    Item.setCas(this.items.words, item, high, low);
  }

  /** Gives the item the next CAS number; 0 where CAS is off. */
  renewCas(item: number): void {
    if (!this.memory.settings.useCas) {
      this.setCas(item, 0, 0);
      return;
    }
    const next = this.items.nextCas();
    this.setCas(item, Math.floor(next / 2 ** 32), next >>> 0);
  }

  /**
   * Puts a filled item under its key as the mode says. The item's CAS words carry the CAS number that was asked for (0: none).
   *
   * @param cas the number that the stored item gets; undefined for the next one
   * @param allowStale store, marked stale, even when the CAS asked for is older than the item's
   * @returns RESULT; `stored` is the item now linked
   */
  store(item: number, mode: number, hash: number, cas?: U64, allowStale = false): number {
    const { items } = this;
    const { words } = items;
    const key = items.bytes;
    const keyStart = Item.keyStart(item);
    const old = this.find(key, keyStart, Item.keyBytes(words, item), hash);
    this.stored = item;
    const result = old === 0 ? this.#storeNew(mode) : this.#storeOver(item, old, mode, allowStale);
    const stored = this.stored;
    if (result === RESULT.stored) {
      if (cas) this.setCas(stored, cas.high, cas.low);
      else this.renewCas(stored);
      items.link(stored, hash, old);
    }
    if (this.#log?.stored) this.#logStore(stored, mode, result);
    if (stored !== item) items.release(stored);
    return result;
  }

  #storeNew(mode: number): number {
    switch (mode) {
      case MODE.add:
      case MODE.set:
      case MODE.appendOrAdd:
      case MODE.prependOrAdd:
        return RESULT.stored;
      case MODE.cas:
        this.counters.add(COUNT.casMisses);
        return RESULT.notFound;
      default:
        return RESULT.notStored;
    }
  }

  #storeOver(item: number, old: number, mode: number, allowStale: boolean): number {
    const { items } = this;
    const { words } = items;
    const none = Item.hasCas(words, item, NO_CAS);
    const older = Item.compareCas(words, item, old); // below 0 where the CAS asked for is older than the item's
    switch (mode) {
      case MODE.add:
        items.update(old);
        return RESULT.notStored;
      case MODE.cas:
        if (!none && older === 0) {
          this.counters.addOfClass(BY_CLASS.casHits, this.classOf(old));
          return RESULT.stored;
        }
        if (!none && allowStale && older < 0) {
          Item.setExpiry(words, item, Item.expiry(words, old));
          Item.setFlags(words, item, Item.STALE | (Item.flags(words, old) & Item.TOKEN_SENT));
          this.counters.addOfClass(BY_CLASS.casHits, this.classOf(old));
          return RESULT.stored;
        }
        this.counters.addOfClass(BY_CLASS.casBadValue, this.classOf(old));
        return RESULT.exists;
      case MODE.append:
      case MODE.prepend:
      case MODE.appendOrAdd:
      case MODE.prependOrAdd:
        if (!none && older !== 0) return RESULT.exists;
        return this.#join(item, old, mode === MODE.append || mode === MODE.appendOrAdd) ? RESULT.stored : RESULT.notStored;
      default:
        return RESULT.stored;
    }
  }

  /** Work done since the last call to join values, which costs as much as they are long: units of a turn. */
  joinedUnits(): number {
    const units = this.#joinedBytes / BYTES_PER_UNIT;
    this.#joinedBytes = 0;
    return units;
  }

  /** Makes a new item, in `stored`, of two values joined; false without memory. */
  #join(item: number, old: number, append: boolean): boolean {
    const { items } = this;
    const { words } = items;
    const length = Item.length(words, item) + Item.length(words, old) - 2;
    this.#joinedBytes += length;
    const keyBytes = Item.keyBytes(words, item);
    items.hold(old); // the allocation may evict; the item that is copied from must not be freed by it
    const joined = items.allocate(items.bytes, Item.keyStart(item), keyBytes, {
      clientFlags: Item.clientFlags(words, old),
      expiry: Item.expiry(words, old),
      length,
    });
    let whole = false;
    if (joined !== 0) {
      Item.setFlags(words, joined, Item.flags(words, item) & Item.BINARY_KEY);
      this.#writer.start(joined);
      const first = append ? old : item;
      const second = append ? item : old;
      whole =
        appendValue(items, first, Item.length(words, first) - 2, this.#writer) &&
        appendValue(items, second, Item.length(words, second), this.#writer);
      if (whole) this.stored = joined;
      else items.release(joined);
    }
    items.release(old);
    return whole;
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
    const { items, counters } = this;
    const { words } = items;
    const item = this.find(key, start, length, hash);
    this.stored = 0;
    if (item === 0) return DELTA.notFound;
    const valueBytes = Item.length(words, item) - 2;
    if (valueBytes <= 0 || Item.has(words, item, Item.CHUNKED)) return DELTA.nonNumeric;
    if (cas && (cas.low !== 0 || cas.high !== 0) && !Item.hasCas(words, item, cas)) return DELTA.casMismatch;
    if (!this.#readNumber(item, valueBytes)) return DELTA.nonNumeric;
    addU64(this.number, by, increment);
    counters.addOfClass(increment ? BY_CLASS.incrHits : BY_CLASS.decrHits, this.classOf(item));
    const digits = this.#writeDigits();
    if (digits <= valueBytes && Item.references(words, item) === 1) {
      this.renewCas(item);
      const to = Item.valueStart(items.words, item);
      for (let index = 0; index < valueBytes; index += 1)
        items.bytes[to + index] = index < digits ? this.#digits[index]! : SPACE;
      items.update(item);
      this.stored = item;
      this.#logChange(item, increment ? "incr" : "decr");
      return DELTA.done;
    }
    const outcome = this.#replaceNumber(item, digits, hash);
    if (outcome === DELTA.done) this.#logChange(this.stored, increment ? "incr" : "decr");
    return outcome;
  }

  #replaceNumber(item: number, digits: number, hash: number): number {
    const { items } = this;
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
    this.renewCas(larger);
    items.link(larger, hash, item);
    items.release(item);
    items.release(larger);
    this.stored = larger;
    return DELTA.done;
  }

  /** A number as C's strtoull finds it: behind blanks and a plus, up to the next blank, NUL or the value's end. */
  #readNumber(item: number, valueBytes: number): boolean {
    const { bytes } = this.items;
    let start = Item.valueStart(this.items.words, item);
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

  /**
   * `flush_all`: nothing stored until `delaySeconds` from now is seen after that.
   *
   * @param exptime the delay as written: 0 and negative mean now
   */
  flushAll(exptime: number): void {
    flush(this.items, exptime > 0 ? this.expiry(exptime) : this.now);
    if (this.memory.globals[GLOBAL.oldestLive]! <= this.now) this.#log?.flushed?.();
  }

  classOf(item: number): number {
    return Item.slabClass(this.items.words, item);
  }

  logDelete(item: number, command: "delete" | "md"): void {
    this.#log?.deleted?.({
      key: this.items.keyOf(item),
      command,
      slabClass: this.classOf(item),
      valueBytes: Item.length(this.items.words, item),
    });
  }

  /** Reports a store for which no item could be made. */
  logRefusal(key: Uint8Array, start: number, length: number, mode: number, status: "too_large" | "no_memory"): void {
    const command = MODE_WORDS[mode]!;
    this.#log?.stored?.({
      key: key.subarray(start, start + length),
      status,
      command,
      ttlSeconds: 0,
      slabClass: 0,
      valueBytes: 0,
    });
  }

  #logChange(item: number, command: ChangeCommand): void {
    if (this.#log?.changed) this.#log.changed({ key: this.items.keyOf(item), command });
  }

  #logFetch(
    key: Uint8Array,
    start: number,
    length: number,
    item: number,
    status: "found" | "not_found" | "expired" | "flushed",
  ): void {
    this.#log?.fetched?.({
      key: key.subarray(start, start + length),
      status,
      slabClass: item === 0 ? 0 : this.classOf(item),
      valueBytes: item === 0 ? 0 : Item.length(this.items.words, item),
    });
  }

  #logStore(item: number, mode: number, result: number): void {
    const { words } = this.items;
    this.#log?.stored?.({
      key: this.items.keyOf(item),
      status: RESULT_WORDS[result]!,
      command: MODE_WORDS[mode]!,
      ttlSeconds: Item.expiry(words, item),
      slabClass: this.classOf(item),
      valueBytes: Item.length(words, item),
    });
  }
}

/** C's isspace: space, and tab to carriage return. */
function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}
