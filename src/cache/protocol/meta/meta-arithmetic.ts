/** ○ `ma`: counting up and down, with a start for what is missing. */
import { MetaFlags } from "../../../memcached/meta-flags.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import type { Tokens } from "../../../memcached/tokens.ts";
import { DELTA } from "../../store/arithmetic.ts";
import { COUNT } from "../../store/counters.ts";
import * as Item from "../../store/item.ts";
import { MetaReply, STATUS } from "./meta-reply.ts";
import { R } from "../text-replies.ts";
import type { SessionContext } from "../cache-session.ts";
import { CR_LF, MODE, type ItemStore } from "../../store/item-store.ts";

/** Shared by all connections of a thread: read and used within one command. */
const flags = new MetaFlags();

export class MetaArithmetic {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #reply: MetaReply;

  constructor({ store, out }: SessionContext) {
    this.#store = store;
    this.#out = out;
    this.#reply = new MetaReply(store, out, flags);
  }

  /** `ma` */
  execute(tokens: Tokens): void {
    if (tokens.count < 2) {
      this.#out.put(R.badFormat);
      return;
    }
    if (flags.read(tokens, 2) !== undefined) {
      this.#reply.error("CLIENT_ERROR invalid or duplicate flag");
      return;
    }
    const increment = deltaMode();
    if (increment === undefined) {
      this.#reply.error("CLIENT_ERROR invalid mode for ma M token");
      return;
    }
    const store = this.#store;
    const hash = store.hash(flags.key, flags.keyStart, flags.keyBytes);
    const wanted = { increment, by: flags.delta, cas: flags.cas, hash };
    switch (store.arithmetic.delta(flags.key, flags.keyStart, flags.keyBytes, wanted)) {
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
        this.#reply.shortReply(STATUS.ex, tokens);
        return;
      default:
        this.#numberMissing(tokens, increment, hash);
    }
  }

  #numberMissing(tokens: Tokens, increment: boolean, hash: number): void {
    const store = this.#store;
    if (flags.vivify === undefined) {
      store.counters.add(increment ? COUNT.incrMisses : COUNT.decrMisses);
      this.#reply.shortReply(STATUS.nf, tokens);
      return;
    }
    const { items } = store;
    store.arithmetic.number.high = flags.initial.high;
    store.arithmetic.number.low = flags.initial.low;
    const digits = store.arithmetic.digits();
    const wanted = { clientFlags: 0, expiry: 0, length: digits.length + 2 };
    const item = items.allocate(flags.key, flags.keyStart, flags.keyBytes, wanted);
    if (item === 0) {
      this.#reply.error("SERVER_ERROR Out of memory allocating new item");
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
    const digits = store.arithmetic.digits();
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
          this.#reply.flag(0x63);
          out.u64(Item.casHigh(words, item), Item.casLow(words, item));
          break;
        case 0x74: // t
          this.#reply.ttl(item);
          break;
        case 0x54: // T
          Item.setExpiry(words, item, store.expiry(flags.ttl!));
          break;
        case 0x4e: // N
          if (created) Item.setExpiry(words, item, store.expiry(flags.vivify!));
          break;
        case 0x4f: // O
          this.#reply.opaque(tokens, token);
          break;
        case 0x6b: // k
          this.#reply.askedKey();
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
