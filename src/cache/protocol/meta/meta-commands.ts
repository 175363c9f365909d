/**
 * ○ The meta protocol: mg, ms, md, ma, me. Flags are answered in the order in which they were given, as memcached does; Z, X and W
 * come last. `ms` has two halves, before and after its value; what the second needs of the first is kept here.
 */
import { SPACE } from "../../../core/ascii.ts";
import { Buffer } from "node:buffer";
import { decodeKey, encodeKey } from "../../../memcached/key-encoding.ts";
import { MetaFlags } from "../../../memcached/meta-flags.ts";
import type { U64 } from "../../../memcached/numbers.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import type { Tokens } from "../../../memcached/tokens.ts";
import { type ValueWriter, copyValue } from "../../store/chunks.ts";
import { BY_CLASS, COUNT } from "../../store/counters.ts";
import * as Item from "../../store/item.ts";
import { KEY_BYTES_MAX } from "../../store/limits.ts";
import { R } from "../text-replies.ts";
import type { SessionContext } from "../cache-session.ts";
import { CR_LF, DELTA, MODE, RESULT, type ItemStore } from "../../store/item-store.ts";

const code = (word: string): Buffer => Buffer.from(word, "latin1");
const NEVER = code("-1");
const BINARY_MARK = code(" b");

/** The status codes that begin a reply. */
const STATUS = {
  hd: code("HD"),
  va: code("VA "),
  en: code("EN"),
  ex: code("EX"),
  nf: code("NF"),
  ns: code("NS"),
} as const;

/** Shared by all connections of a thread: read and used within one command. */
const flags = new MetaFlags();

/** What `ms` keeps while its value arrives. */
interface PendingSet {
  readonly mode: number;
  readonly quiet: boolean;
  readonly allowStale: boolean;
  readonly cas: U64 | undefined;
  /** Reply flags in the order asked for: O with its token, k, c, s. */
  readonly asked: readonly string[];
}

export class MetaCommands {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  #pending: PendingSet | undefined;

  constructor({ store, out }: SessionContext) {
    this.#store = store;
    this.#out = out;
  }

  /** True while the value of an `ms` is arriving. */
  get pending(): boolean {
    return this.#pending !== undefined;
  }

  /** Gives up a half-received `ms`; true when there was one. */
  forget(): boolean {
    const had = this.#pending !== undefined;
    this.#pending = undefined;
    return had;
  }

  /** `mg` */
  get(tokens: Tokens): void {
    if (!this.#read(tokens, 2)) return;
    const store = this.#store;
    const { items, counters } = store;
    const hash = store.hash(flags.key, flags.keyStart, flags.keyBytes);
    let item = store.find(flags.key, flags.keyStart, flags.keyBytes, hash);
    let created = false;
    if (item === 0 && flags.vivify !== undefined) {
      item = this.#create(hash);
      created = item !== 0;
    } else if (item !== 0 && !flags.inspects && !flags.noUpdate) {
      items.bump(item);
    }
    if (item === 0) {
      counters.add(COUNT.getCommands);
      counters.add(COUNT.getMisses);
      if (!flags.quiet) this.#shortReply(STATUS.en, tokens);
      return;
    }
    const touched = this.#hitReply(tokens, item, created);
    if (flags.inspects && !flags.noUpdate) items.bump(item);
    if (touched) {
      counters.add(COUNT.touchCommands);
      counters.addOfClass(BY_CLASS.touchHits, store.classOf(item));
    } else {
      counters.hit(Item.lruList(items.words, item));
      counters.add(COUNT.getCommands);
    }
  }

  /** An empty item for `N`; 0 without memory. */
  #create(hash: number): number {
    const store = this.#store;
    const item = store.items.allocate(flags.key, flags.keyStart, flags.keyBytes, { clientFlags: 0, expiry: 0, length: 2 });
    if (item === 0) return 0;
    store.items.bytes.set(CR_LF, Item.valueStart(store.items.words, item));
    if (flags.binary) Item.setFlags(store.items.words, item, Item.BINARY_KEY);
    if (flags.hasCasIn) store.setCas(item, flags.casIn.high, flags.casIn.low);
    else store.renewCas(item);
    store.items.link(item, hash);
    store.items.release(item);
    return item;
  }

  /** Writes HD or VA with what was asked for; true when the item's TTL was set. */
  #hitReply(tokens: Tokens, item: number, created: boolean): boolean {
    const out = this.#out;
    const store = this.#store;
    const { words } = store.items;
    const same = flags.hasCas && Item.hasCas(words, item, flags.cas);
    const withValue = flags.value && !same;
    const length = Item.length(words, item);
    if (withValue) {
      out.put(STATUS.va);
      out.number(length - 2);
    } else {
      out.put(STATUS.hd);
    }
    let won = false;
    let touched = false;
    for (let token = 2; token < tokens.count; token += 1) {
      switch (tokens.bytes[tokens.starts[token]!]!) {
        case 0x54: // T
          touched = true;
          store.setExpiry(item, store.expiry(flags.ttl!), "mg");
          break;
        case 0x4e: // N
          if (!created) break;
          Item.setExpiry(words, item, store.expiry(flags.vivify!));
          won = true;
          break;
        case 0x52: // R
          won ||= this.#recacheWon(item, created);
          break;
        case 0x73: // s
          this.#flag(0x73);
          out.number(length - 2);
          break;
        case 0x74: // t
          this.#ttl(item);
          break;
        case 0x63: // c
          this.#flag(0x63);
          out.u64(Item.casHigh(words, item), Item.casLow(words, item));
          break;
        case 0x66: // f
          this.#flag(0x66);
          out.number(Item.clientFlags(words, item));
          break;
        case 0x6c: // l
          this.#flag(0x6c);
          out.number(store.now - Item.lastAccess(words, item));
          break;
        case 0x68: // h
          this.#flag(0x68);
          out.number(!Item.has(words, item, Item.FETCHED) ? 0 : 1);
          break;
        case 0x4f: // O
          this.#opaque(tokens, token);
          break;
        case 0x6b: // k
          this.#keyOf(item);
          break;
      }
    }
    this.#leaseFlags(item, won);
    out.put(CR_LF);
    if (withValue) copyValue(store.items, item, length, out);
    return touched;
  }

  #recacheWon(item: number, created: boolean): boolean {
    const { words } = this.#store.items;
    const expiry = Item.expiry(words, item);
    if (created || expiry === 0 || Item.has(words, item, Item.TOKEN_SENT)) return false;
    return expiry < this.#store.expiry(flags.recache!);
  }

  /**
   * `ms` up to its value: starts the writer on a new item.
   *
   * @returns bytes to swallow when refused
   */
  set(tokens: Tokens, writer: ValueWriter): number {
    const valueBytes = tokens.count < 3 ? Number.NaN : tokens.i32(2);
    if (!(valueBytes >= 0 && valueBytes <= 2 ** 31 - 3)) {
      this.#out.put(R.badFormat);
      return 0;
    }
    const length = valueBytes + 2;
    if (!this.#read(tokens, 3)) return length;
    const mode = setMode();
    if (mode < 0) {
      this.#error("CLIENT_ERROR invalid mode for ms M token");
      return length;
    }
    const store = this.#store;
    const vivifies = mode === MODE.appendOrAdd || mode === MODE.prependOrAdd;
    const expiry = store.expiry((vivifies ? flags.vivify : flags.ttl) ?? 0);
    const { clientFlags } = flags;
    const item = store.items.allocate(flags.key, flags.keyStart, flags.keyBytes, { clientFlags, expiry, length });
    if (item === 0) {
      this.#refuseSet(mode, length);
      return length;
    }
    store.setCas(item, flags.cas.high, flags.cas.low);
    if (flags.binary) Item.setFlags(store.items.words, item, Item.BINARY_KEY);
    store.counters.addOfClass(BY_CLASS.setCommands, store.classOf(item));
    const cas = flags.hasCasIn ? { ...flags.casIn } : undefined;
    this.#pending = { mode, quiet: flags.quiet, allowStale: flags.stale && mode === MODE.cas, cas, asked: askedOf(tokens) };
    writer.start(item);
    return 0;
  }

  #refuseSet(mode: number, length: number): void {
    const store = this.#store;
    const fits = store.items.fits(flags.keyBytes, flags.clientFlags, length);
    store.counters.add(fits ? COUNT.storeNoMemory : COUNT.storeTooLarge);
    store.logRefusal(flags.key, flags.keyStart, flags.keyBytes, mode, fits ? "no_memory" : "too_large");
    this.#out.put(fits ? R.noMemoryStoring : R.tooLarge);
    store.drop(flags.key, flags.keyStart, flags.keyBytes);
  }

  /** `ms` once its value is whole. */
  finishSet(item: number): void {
    const pending = this.#pending!;
    this.#pending = undefined;
    const store = this.#store;
    const { items } = store;
    const { words } = items;
    const hash = store.hash(items.bytes, Item.keyStart(item), Item.keyBytes(words, item));
    const result = store.store(item, pending.mode, hash, pending.cas, pending.allowStale);
    if (result === RESULT.stored && pending.quiet) return;
    const out = this.#out;
    out.put(statusOf(result));
    const { stored } = store;
    const now = result === RESULT.stored ? stored : 0;
    for (const flag of pending.asked) {
      if (flag === "k") this.#keyOf(item);
      else if (flag === "c") {
        this.#flag(0x63);
        if (now === 0) out.number(0);
        else out.u64(Item.casHigh(words, now), Item.casLow(words, now));
      } else if (flag === "s") {
        this.#flag(0x73);
        out.number(Item.length(words, now === 0 ? item : now) - 2);
      } else {
        out.text(` ${flag}`);
      }
    }
    out.put(CR_LF);
  }

  /** `md` */
  delete(tokens: Tokens): void {
    if (!this.#read(tokens, 2)) return;
    const store = this.#store;
    const { items, counters } = store;
    const { words } = items;
    const hash = store.hash(flags.key, flags.keyStart, flags.keyBytes);
    let item = store.find(flags.key, flags.keyStart, flags.keyBytes, hash);
    if (item === 0) {
      counters.add(COUNT.deleteMisses);
      this.#shortReply(STATUS.nf, tokens);
      return;
    }
    if (flags.hasCas && !Item.hasCas(words, item, flags.cas)) {
      counters.add(COUNT.deleteMisses);
      this.#shortReply(STATUS.ex, tokens);
      return;
    }
    if (flags.removeValue) {
      item = this.#emptied(item, hash);
      if (item === 0) {
        this.#out.put(R.noMemory);
        return;
      }
    }
    if (flags.stale) {
      store.invalidate(item, {
        expiry: flags.ttl === undefined ? undefined : store.expiry(flags.ttl),
        cas: flags.hasCasIn ? flags.casIn : undefined,
      });
    } else {
      counters.addOfClass(BY_CLASS.deleteHits, store.classOf(item));
      store.logDelete(item, "md");
      if (!flags.removeValue) items.unlink(item);
    }
    if (!flags.quiet) this.#shortReply(STATUS.hd, tokens);
  }

  /** Puts an empty item in an item's place, for `x`; 0 without memory. */
  #emptied(old: number, hash: number): number {
    const store = this.#store;
    const { items } = store;
    const { words } = items;
    const cas: U64 = flags.hasCasIn ? flags.casIn : { high: Item.casHigh(words, old), low: Item.casLow(words, old) };
    const item = items.allocate(flags.key, flags.keyStart, flags.keyBytes, {
      clientFlags: flags.clientFlags,
      expiry: store.expiry(flags.ttl ?? 0),
      length: 2,
    });
    if (item === 0) return 0;
    items.bytes.set(CR_LF, Item.valueStart(items.words, item));
    if (flags.binary) Item.setFlags(words, item, Item.BINARY_KEY);
    store.store(item, MODE.set, hash, cas);
    items.release(item);
    return item;
  }

  /** `me` */
  debug(tokens: Tokens): void {
    if (tokens.count < 2 || tokens.lengthOf(1) > KEY_BYTES_MAX) {
      this.#out.put(R.badFormat);
      return;
    }
    const store = this.#store;
    let key: Uint8Array = tokens.bytes;
    let start = tokens.starts[1]!;
    let length = tokens.lengthOf(1);
    if (tokens.is(2, "b")) {
      const decoded = decodeKey(key, start, start + length);
      if (!decoded) {
        this.#out.put(R.badFormat);
        return;
      }
      key = decoded;
      start = 0;
      length = decoded.length;
    }
    store.counters.add(COUNT.metaCommands);
    const item = store.find(key, start, length, store.hash(key, start, length));
    const out = this.#out;
    if (item === 0) {
      out.put(STATUS.en);
      out.put(CR_LF);
      return;
    }
    const { words } = store.items;
    const expiry = Item.expiry(words, item);
    out.text("ME ");
    this.#itemKey(item);
    out.text(` exp=${expiry === 0 ? -1 : expiry - store.now} la=${store.now - Item.lastAccess(words, item)} cas=`);
    out.u64(Item.casHigh(words, item), Item.casLow(words, item));
    const fetched = Item.has(words, item, Item.FETCHED) ? "yes" : "no";
    out.text(` fetch=${fetched} cls=${store.classOf(item)} size=${Item.countedBytes(store.items.words, item)}\r\n`);
  }

  /** `ma` */
  arithmetic(tokens: Tokens): void {
    if (tokens.count < 2) {
      this.#out.put(R.badFormat);
      return;
    }
    if (flags.read(tokens, 2) !== undefined) {
      this.#error("CLIENT_ERROR invalid or duplicate flag");
      return;
    }
    const increment = deltaMode();
    if (increment === undefined) {
      this.#error("CLIENT_ERROR invalid mode for ma M token");
      return;
    }
    const store = this.#store;
    const hash = store.hash(flags.key, flags.keyStart, flags.keyBytes);
    const wanted = { increment, by: flags.delta, cas: flags.cas, hash };
    switch (store.delta(flags.key, flags.keyStart, flags.keyBytes, wanted)) {
      case DELTA.done:
        if (flags.hasCasIn) store.setCas(store.stored, flags.casIn.high, flags.casIn.low);
        this.#numberReply(tokens, false);
        return;
      case DELTA.nonNumeric:
        this.#out.put(R.nonNumeric);
        return;
      case DELTA.noMemory:
        this.#out.put(R.noMemory);
        return;
      case DELTA.casMismatch:
        this.#shortReply(STATUS.ex, tokens);
        return;
      default:
        this.#numberMissing(tokens, increment, hash);
    }
  }

  #numberMissing(tokens: Tokens, increment: boolean, hash: number): void {
    const store = this.#store;
    if (flags.vivify === undefined) {
      store.counters.add(increment ? COUNT.incrMisses : COUNT.decrMisses);
      this.#shortReply(STATUS.nf, tokens);
      return;
    }
    const { items } = store;
    store.number.high = flags.initial.high;
    store.number.low = flags.initial.low;
    const digits = store.digits();
    const wanted = { clientFlags: 0, expiry: 0, length: digits.length + 2 };
    const item = items.allocate(flags.key, flags.keyStart, flags.keyBytes, wanted);
    if (item === 0) {
      this.#error("SERVER_ERROR Out of memory allocating new item");
      return;
    }
    const start = Item.valueStart(items.words, item);
    items.bytes.write(digits, start, "latin1");
    items.bytes.set(CR_LF, start + digits.length);
    if (flags.binary) Item.setFlags(items.words, item, Item.BINARY_KEY);
    store.store(item, MODE.add, hash, flags.hasCasIn ? flags.casIn : undefined);
    items.release(item);
    this.#numberReply(tokens, true);
  }

  /** The reply of an `ma` that worked, after applying T or N. */
  #numberReply(tokens: Tokens, created: boolean): void {
    const out = this.#out;
    const store = this.#store;
    const { words } = store.items;
    const item = store.stored;
    const digits = store.digits();
    const start = out.length;
    if (flags.value) {
      out.put(STATUS.va);
      out.number(digits.length);
    } else {
      out.put(STATUS.hd);
    }
    for (let token = 2; token < tokens.count; token += 1) {
      switch (tokens.bytes[tokens.starts[token]!]!) {
        case 0x63: // c
          this.#flag(0x63);
          out.u64(Item.casHigh(words, item), Item.casLow(words, item));
          break;
        case 0x74: // t
          this.#ttl(item);
          break;
        case 0x54: // T
          Item.setExpiry(words, item, store.expiry(flags.ttl!));
          break;
        case 0x4e: // N
          if (created) Item.setExpiry(words, item, store.expiry(flags.vivify!));
          break;
        case 0x4f: // O
          this.#opaque(tokens, token);
          break;
        case 0x6b: // k
          this.#askedKey();
          break;
      }
    }
    if (flags.value) {
      out.put(CR_LF);
      out.text(digits);
    }
    out.put(CR_LF);
    if (flags.quiet) out.length = start;
  }

  /** Reads the flags; false, with the error as the reply, when they are wrong. */
  #read(tokens: Tokens, first: number): boolean {
    const error = tokens.count < 2 ? "CLIENT_ERROR bad command line format" : flags.read(tokens, first);
    if (error === undefined) return true;
    this.#error(error);
    return false;
  }

  #error(line: string): void {
    this.#out.text(`${line}\r\n`);
  }

  /** A status with only the opaque and the key to echo. */
  #shortReply(status: Buffer, tokens: Tokens): void {
    const out = this.#out;
    out.put(status);
    for (let token = 2; token < tokens.count; token += 1) {
      const letter = tokens.bytes[tokens.starts[token]!];
      if (letter === 0x4f) this.#opaque(tokens, token);
      else if (letter === 0x6b) this.#askedKey();
    }
    out.put(CR_LF);
  }

  #flag(letter: number): void {
    this.#out.byte(SPACE);
    this.#out.byte(letter);
  }

  #ttl(item: number): void {
    this.#flag(0x74);
    const expiry = Item.expiry(this.#store.items.words, item);
    if (expiry === 0) this.#out.put(NEVER);
    else this.#out.number((expiry - this.#store.now) >>> 0);
  }

  #opaque(tokens: Tokens, token: number): void {
    this.#out.byte(SPACE);
    this.#out.copy(tokens.bytes, tokens.starts[token]!, tokens.lengthOf(token));
  }

  /** `k` with the item's key, in base64 when it came so. */
  #keyOf(item: number): void {
    this.#flag(0x6b);
    this.#itemKey(item);
    if (Item.has(this.#store.items.words, item, Item.BINARY_KEY)) this.#out.put(BINARY_MARK);
  }

  #itemKey(item: number): void {
    const { words, bytes } = this.#store.items;
    const start = Item.keyStart(item);
    const length = Item.keyBytes(words, item);
    if (!Item.has(words, item, Item.BINARY_KEY)) this.#out.copy(bytes, start, length);
    else this.#out.text(encodeKey(bytes, start, start + length));
  }

  /** `k` with the key of the request. */
  #askedKey(): void {
    this.#flag(0x6b);
    if (!flags.binary) {
      this.#out.copy(flags.key, flags.keyStart, flags.keyBytes);
      return;
    }
    this.#out.text(encodeKey(flags.key as Buffer, 0, flags.keyBytes));
    this.#out.put(BINARY_MARK);
  }

  /** Z: someone else recomputes; X: stale; W: you recompute. */
  #leaseFlags(item: number, wonBefore: boolean): void {
    const { words } = this.#store.items;
    const sent = Item.has(words, item, Item.TOKEN_SENT);
    let won = wonBefore;
    if (sent) this.#flag(0x5a);
    if (Item.has(words, item, Item.STALE)) {
      this.#flag(0x58);
      if (!sent) won = true;
    }
    if (!won) return;
    this.#flag(0x57);
    Item.setFlags(words, item, Item.TOKEN_SENT);
  }
}

/** `ms`'s mode from M, N and C; -1 when M names no mode. */
function setMode(): number {
  const vivifies = flags.vivify !== undefined;
  let mode: number;
  switch (flags.mode) {
    case 0:
    case 0x53: // S
      mode = MODE.set;
      break;
    case 0x45: // E
      return MODE.add;
    case 0x41: // A
      return vivifies ? MODE.appendOrAdd : MODE.append;
    case 0x50: // P
      return vivifies ? MODE.prependOrAdd : MODE.prepend;
    case 0x52: // R
      mode = MODE.replace;
      break;
    default:
      return -1;
  }
  return flags.hasCas ? MODE.cas : mode;
}

function statusOf(result: number): Buffer {
  if (result === RESULT.stored) return STATUS.hd;
  if (result === RESULT.exists) return STATUS.ex;
  return result === RESULT.notFound ? STATUS.nf : STATUS.ns;
}

function askedOf(tokens: Tokens): string[] {
  const asked: string[] = [];
  for (let token = 3; token < tokens.count; token += 1) {
    const letter = tokens.bytes[tokens.starts[token]!];
    if (letter === 0x4f) asked.push(tokens.text(token));
    else if (letter === 0x6b) asked.push("k");
    else if (letter === 0x63) asked.push("c");
    else if (letter === 0x73) asked.push("s");
  }
  return asked;
}

/** `ma`'s direction from M: true up, false down, undefined when M is neither. */
function deltaMode(): boolean | undefined {
  switch (flags.mode) {
    case 0:
    case 0x49: // I
    case 0x2b: // +
      return true;
    case 0x44: // D
    case 0x2d: // -
      return false;
    default:
      return undefined;
  }
}
