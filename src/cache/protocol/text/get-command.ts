/**
 * ○ The answer to `get`, `gets`, `gat` and `gats`: keys of one line, looked up a batch at a time until the line ends or the turn is
 * over. Invariant: while `pending`, what comes next in the connection's bytes is the rest of the line, `#left` bytes up to its LF.
 */
import type { Buffer } from "node:buffer";
import { CR, SPACE } from "../../../core/ascii.ts";
import { readI32 } from "../../../memcached/numbers.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { COUNT } from "../../store/counters.ts";
import { KeyBatch } from "./key-batch.ts";
import { OUTPUT_BYTES_MAX } from "../../store/limits.ts";
import { R } from "../text-replies.ts";
import type { SessionContext } from "../cache-session.ts";
import type { ItemStore } from "../../store/item-store.ts";
import type { TurnBudget } from "../turn-budget.ts";
import { writeHit } from "./value-reply.ts";

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
