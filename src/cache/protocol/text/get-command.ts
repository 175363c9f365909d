/**
 * ○ The answer to `get`, `gets`, `gat` and `gats`: keys of one line, looked up a batch at a time until the line ends or the turn is
 * over. Invariant: while `pending`, what comes next in the connection's bytes is the rest of the line, `#left` bytes up to its LF.
 */
import { CR, SPACE } from "../../../core/ascii.ts";
import type { Buffer } from "node:buffer";
import { readI32 } from "../../../memcached/numbers.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { COUNT } from "../../store/counters.ts";
import { KEY_BYTES_MAX } from "../../store/limits.ts";
import { OUTPUT_BYTES_MAX } from "../limits.ts";
import { R } from "../text-replies.ts";
import type { SessionContext } from "../cache-session.ts";
import type { ItemStore } from "../../store/item-store.ts";
import type { TurnBudget } from "../turn-budget.ts";
import { writeHit } from "./value-reply.ts";

/** 16: more than the machine fetches at a time; and a miss costs no more than a few words of bookkeeping. */
const KEYS_MAX = 16;
/** What 16 keys and the blanks between them take at most; a line of blanks alone ends a batch, too. */
const BATCH_BYTES_MAX = KEYS_MAX * (KEY_BYTES_MAX + 1);

/** Some keys of a line, cut out of it together so that what they need can be fetched from memory side by side. */
class KeyBatch {
  readonly starts = new Int32Array(KEYS_MAX);
  readonly lengths = new Int32Array(KEYS_MAX);
  readonly hashes = new Int32Array(KEYS_MAX);
  count = 0;
  /** One of them exceeds the longest key. */
  tooLong = false;

  /** Cuts keys from `at` on; returns where the next one starts, or the line's end. */
  cut(bytes: Uint8Array, start: number, lineEnd: number): number {
    const { starts, lengths } = this;
    let count = 0;
    let at = start;
    this.tooLong = false;
    const end = Math.min(lineEnd, start + BATCH_BYTES_MAX);
    while (at < end && count < KEYS_MAX) {
      let keyEnd = at;
      const farthest = Math.min(lineEnd, at + KEY_BYTES_MAX + 1);
      while (keyEnd < farthest && bytes[keyEnd] !== SPACE) keyEnd += 1;
      starts[count] = at;
      lengths[count] = keyEnd - at;
      if (keyEnd - at > KEY_BYTES_MAX) {
        this.tooLong = true;
        break;
      }
      if (keyEnd > at) count += 1;
      at = keyEnd + 1;
    }
    this.count = count;
    return Math.min(at, lineEnd);
  }
}

/** Shared by all connections of a thread: a batch is answered in one go. */
const keys = new KeyBatch();

export class GetCommand {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #turn: TurnBudget;
  readonly #answersMax: number;
  #withCas = false;
  #touching = false;
  #expiry = 0;
  #answers = 0;
  #left = 0;
  /** True in the middle of a line, between two turns. */
  pending = false;

  constructor({ store, out, answersMax }: SessionContext, turn: TurnBudget) {
    this.#store = store;
    this.#out = out;
    this.#turn = turn;
    this.#answersMax = answersMax;
  }

  /**
   * Answers a line whose keys start at `at`.
   *
   * @returns where the next bytes start: behind the line, or, when the turn is over, at the next key
   */
  get(input: Buffer, at: number, lf: number, withCas: boolean): number {
    this.#withCas = withCas;
    this.#touching = false;
    return this.#start(input, at, lf);
  }

  /** The same for a line that names an expiry first. */
  touch(input: Buffer, at: number, lf: number, withCas: boolean): number {
    const lineEnd = input[lf - 1] === CR ? lf - 1 : lf;
    let first = at;
    while (first < lineEnd && input[first] === SPACE) first += 1;
    let wordEnd = first;
    while (wordEnd < lineEnd && input[wordEnd] !== SPACE) wordEnd += 1;
    let key = wordEnd;
    while (key < lineEnd && input[key] === SPACE) key += 1;
    const exptime = key === lineEnd ? 0 : readI32(input, first, wordEnd);
    if (Number.isNaN(exptime)) {
      this.#out.put(R.badExptime);
      return lf + 1;
    }
    this.#withCas = withCas;
    this.#touching = true;
    this.#expiry = this.#store.expiry(exptime);
    return this.#start(input, key, lf);
  }

  /** Goes on in the next turn. */
  resume(input: Buffer, at: number): number {
    return this.#answer(input, at, at + this.#left);
  }

  /** A line without keys is an error. */
  #start(input: Buffer, at: number, lf: number): number {
    const lineEnd = input[lf - 1] === CR ? lf - 1 : lf;
    let first = at;
    while (first < lineEnd && input[first] === SPACE) first += 1;
    this.#answers = 0;
    if (first < lineEnd) return this.#answer(input, first, lf);
    this.#out.put(R.badFormat);
    return lf + 1;
  }

  #answer(input: Buffer, start: number, lf: number): number {
    const out = this.#out;
    const lineEnd = input[lf - 1] === CR ? lf - 1 : lf;
    const before = out.length;
    let at = start;
    while (at < lineEnd) {
      if (out.length > OUTPUT_BYTES_MAX || this.#turn.over) {
        this.pending = true;
        this.#left = lf - at;
        return at;
      }
      const next = keys.cut(input, at, lineEnd);
      this.#turn.spend(keys.count + 1);
      this.#answers += keys.count;
      if (keys.tooLong || this.#answers > this.#answersMax) {
        this.#refuse(before);
        return lf + 1;
      }
      this.#values(input);
      at = next;
    }
    out.put(R.end);
    this.pending = false;
    return lf + 1;
  }

  /** An error in place of everything that this turn has answered. */
  #refuse(before: number): void {
    this.#out.length = before;
    this.#out.put(keys.tooLong ? R.badFormat : R.noMemoryWriting);
    if (!keys.tooLong) this.#store.counters.add(COUNT.responseOom);
    this.pending = false;
  }

  /** Answers the keys that were cut. Their places in memory are asked for first, so that the machine fetches them side by side. */
  #values(input: Buffer): void {
    const store = this.#store;
    const { index } = store.items;
    const { count, starts, lengths, hashes } = keys;
    for (let key = 0; key < count; key += 1) hashes[key] = index.hash(input, starts[key]!, lengths[key]!);
    if (count > 1) index.fetchAhead(hashes, count);
    for (let key = 0; key < count; key += 1) {
      const start = starts[key]!;
      const length = lengths[key]!;
      const item = this.#touching
        ? store.touch(input, start, length, { hash: hashes[key]!, expiry: this.#expiry })
        : store.get(input, start, length, hashes[key]!);
      if (item !== 0) writeHit(this.#out, store.items, item, this.#withCas);
    }
  }
}
