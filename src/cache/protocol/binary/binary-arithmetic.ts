/** ○ `incr` and `decr` of the binary protocol: numbers of 64 bits, with a start for what is missing. */
import type { Buffer } from "node:buffer";
import { type BinaryRequest, OPCODE, readU32BigEndian, STATUS } from "../../../memcached/binary.ts";
import type { U64 } from "../../../memcached/numbers.ts";
import { DELTA } from "../../store/arithmetic.ts";
import type { BinaryReplies } from "./binary-replies.ts";
import { ValueWriter } from "../../store/chunks.ts";
import { COUNT } from "../../store/counters.ts";
import { MODE, RESULT, type ItemStore } from "../../store/item-store.ts";

/** An expiry of all ones tells `incr` not to create what is missing. */
const DO_NOT_CREATE = 0xffffffff;

export class BinaryArithmetic {
  readonly #store: ItemStore;
  readonly #replies: BinaryReplies;
  readonly #request: BinaryRequest;
  readonly #writer: ValueWriter;
  readonly #delta: U64 = { high: 0, low: 0 };

  constructor(store: ItemStore, replies: BinaryReplies, request: BinaryRequest) {
    this.#store = store;
    this.#replies = replies;
    this.#request = request;
    this.#writer = new ValueWriter(store.items);
  }

  /** Answers a request whose extras and key lie in `input`. */
  execute(input: Buffer, extras: number, key: number): true {
    const store = this.#store;
    const { command, keyBytes, cas } = this.#request;
    const increment = command === OPCODE.increment;
    const by = this.#delta;
    by.high = readU32BigEndian(input, extras);
    by.low = readU32BigEndian(input, extras + 4);
    const hash = store.hash(input, key, keyBytes);
    switch (store.arithmetic.delta(input, key, keyBytes, { increment, by, cas, hash })) {
      case DELTA.done:
        this.#replies.number(store.arithmetic.number.high, store.arithmetic.number.low, store.stored);
        break;
      case DELTA.notFound:
        this.#create(input, extras + 8, key);
        break;
      case DELTA.nonNumeric:
        this.#replies.error(STATUS.nonNumeric);
        break;
      case DELTA.casMismatch:
        this.#replies.error(STATUS.exists);
        break;
      default:
        this.#replies.text(STATUS.outOfMemory, "Out of memory incrementing value");
    }
    return true;
  }

  /** `incr` and `decr` of what is missing: stores the initial value, unless the expiry forbids it. */
  #create(input: Buffer, initial: number, key: number): void {
    const store = this.#store;
    const { command, keyBytes } = this.#request;
    const exptime = readU32BigEndian(input, initial + 8);
    if (exptime === DO_NOT_CREATE) {
      store.counters.add(command === OPCODE.increment ? COUNT.incrMisses : COUNT.decrMisses);
      this.#replies.error(STATUS.notFound);
      return;
    }
    store.arithmetic.number.high = readU32BigEndian(input, initial);
    store.arithmetic.number.low = readU32BigEndian(input, initial + 4);
    const digits = asciiBytes(`${store.arithmetic.digits()}\r\n`);
    const item = store.items.allocate(input, key, keyBytes, {
      clientFlags: 0,
      expiry: store.expiry(exptime),
      length: digits.length,
    });
    if (item === 0) {
      this.#replies.text(STATUS.outOfMemory, "Out of memory allocating new item");
      return;
    }
    this.#writer.start(item);
    this.#writer.write(digits, 0, digits.length);
    if (store.store(item, MODE.add, store.hash(input, key, keyBytes)) === RESULT.stored) {
      this.#replies.number(store.arithmetic.number.high, store.arithmetic.number.low, store.stored);
    } else {
      this.#replies.error(STATUS.notStored);
    }
    store.items.release(item);
  }
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
