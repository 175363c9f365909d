/**
 * ○ Bytes of one direction waiting for a decoder, which can pass over more of them than have come. Invariant: bytes passed over are
 * never kept, so a 16 MB value costs nothing.
 */
import { CR } from "../../core/ascii.ts";
import { ByteQueue } from "../../core/byte-queue.ts";
import { LINE_BYTES_MAX } from "../limits.ts";

export class DecoderBuffer {
  readonly #bytes = new ByteQueue();
  #toSkip = 0;

  /** Bytes that can be read now. */
  get length(): number {
    return this.#bytes.length;
  }

  /** True while bytes asked to be passed over are still to come. */
  get skipping(): boolean {
    return this.#toSkip > 0;
  }

  push(bytes: Uint8Array): void {
    const skipped = Math.min(this.#toSkip, bytes.length);
    this.#toSkip -= skipped;
    this.#bytes.push(bytes.subarray(skipped));
  }

  /** Bytes that were never seen: they count towards those to be passed over. True when that covers them, so nothing is lost. */
  missing(count: number): boolean {
    if (this.#bytes.length === 0 && count <= this.#toSkip) {
      this.#toSkip -= count;
      return true;
    }
    this.clear();
    return false;
  }

  /** Passes over the next `count` bytes, whether they have come or not. */
  skip(count: number): void {
    const now = Math.min(count, this.#bytes.length);
    this.#bytes.skip(now);
    this.#toSkip += count - now;
  }

  at(index: number): number {
    return this.#bytes.at(index);
  }

  /** The next `count` bytes, left in place; undefined until they have come. */
  peek(count: number): Uint8Array | undefined {
    return this.#bytes.length < count ? undefined : this.#bytes.peek(count);
  }

  take(count: number): Uint8Array | undefined {
    return this.#bytes.length < count ? undefined : this.#bytes.take(count);
  }

  /** A line without its CR LF or LF; "endless" (and all dropped) when too much has come without one; undefined until it has. */
  line(): Uint8Array | "endless" | undefined {
    const end = this.#bytes.indexOfLf();
    if (end < 0) {
      if (this.#bytes.length <= LINE_BYTES_MAX) return undefined;
      this.clear();
      return "endless";
    }
    const line = this.#bytes.take(end + 1);
    return line.subarray(0, end > 0 && line[end - 1] === CR ? end - 1 : end);
  }

  clear(): void {
    this.#bytes.clear();
    this.#toSkip = 0;
  }
}
