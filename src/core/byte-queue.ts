/**
 * ○ Bytes received and not yet consumed. Invariant: 0 <= searched <= length; no byte before `searched` is an LF.
 * Never copies when what is taken lies in one chunk, which is the usual case; never searches the same byte twice.
 * It does not bound itself: whoever pushes checks `length` against its own limit first.
 */
import { EMPTY } from "./bytes.ts";
import { LF } from "./ascii.ts";
import { assert } from "./assert.ts";

export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk already consumed. */
  #offset = 0;
  #length = 0;
  #searched = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  /** Appends a chunk. The queue keeps a view of it: the caller must not write to it afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The byte at an index from the front. */
  at(index: number): number {
    assert(index >= 0 && index < this.#length, "a peeked byte lies inside the queue");
    let rest = index + this.#offset;
    for (const chunk of this.#chunks) {
      if (rest < chunk.length) return chunk[rest]!;
      rest -= chunk.length;
    }
    throw new RangeError("unreachable: index was checked");
  }

  /** Index of the first LF, or -1 when there is none yet. Continues where the last call stopped. */
  indexOfLf(): number {
    let base = -this.#offset;
    for (const chunk of this.#chunks) {
      if (base + chunk.length > this.#searched) {
        const found = chunk.indexOf(LF, Math.max(0, this.#searched - base));
        if (found >= 0) {
          this.#searched = base + found;
          return this.#searched;
        }
        this.#searched = base + chunk.length;
      }
      base += chunk.length;
    }
    return -1;
  }

  /** The first `count` bytes, left in place. A view when they lie in one chunk, else a joined copy kept for the next call. */
  peek(count: number): Uint8Array {
    assert(count <= this.#length, "peeked bytes have arrived");
    if (count === 0) return EMPTY;
    let first = this.#chunks[0]!;
    if (first.length - this.#offset < count) first = this.#join(count);
    return first.subarray(this.#offset, this.#offset + count);
  }

  /** Removes and returns the first `count` bytes; the same sharing as `peek`. */
  take(count: number): Uint8Array {
    const taken = this.peek(count);
    this.skip(count);
    return taken;
  }

  /** Removes the first `count` bytes. */
  skip(count: number): void {
    assert(count <= this.#length, "skipped bytes have arrived");
    this.#length -= count;
    this.#searched = Math.max(0, this.#searched - count);
    let drop = 0;
    let end = this.#offset + count;
    while (drop < this.#chunks.length && end >= this.#chunks[drop]!.length) {
      end -= this.#chunks[drop]!.length;
      drop += 1;
    }
    if (drop > 0) this.#chunks.splice(0, drop);
    this.#offset = end;
  }

  clear(): void {
    this.skip(this.#length);
  }

  /** Joins as few leading chunks as cover `count` bytes, so that a long value is copied once and not once per chunk. */
  #join(count: number): Uint8Array {
    let covered = -this.#offset;
    let used = 0;
    while (covered < count) {
      covered += this.#chunks[used]!.length;
      used += 1;
    }
    const joined = new Uint8Array(covered);
    let at = 0;
    for (let index = 0; index < used; index += 1) {
      const part = index === 0 ? this.#chunks[0]!.subarray(this.#offset) : this.#chunks[index]!;
      joined.set(part, at);
      at += part.length;
    }
    this.#chunks.splice(0, used, joined);
    this.#offset = 0;
    return joined;
  }
}
