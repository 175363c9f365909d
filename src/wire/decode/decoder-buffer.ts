/**
 * ○ Received bytes of one direction that a decoder has not consumed. It can skip more bytes than have arrived. Invariant: skipped
 * bytes are never stored, so a 16 MB value costs no memory.
 */
import { CR } from "../../core/ascii.ts";
import { ByteQueue } from "../../core/byte-queue.ts";
import { LINE_BYTES_MAX } from "../limits.ts";

export class DecoderBuffer {
  readonly #bytes = new ByteQueue();
  #toSkip = 0;

  /** Bytes available. */
  get length(): number {
    return this.#bytes.length;
  }

  /** True while bytes to be skipped have not arrived. */
  get skipping(): boolean {
    return this.#toSkip > 0;
  }

  push(bytes: Uint8Array): void {
    const skipped = Math.min(this.#toSkip, bytes.length);
    this.#toSkip -= skipped;
    this.#bytes.push(bytes.subarray(skipped));
  }

  /** Bytes missing from the capture. True if all of them were to be skipped, so that nothing is lost. */
  missing(count: number): boolean {
    if (this.#bytes.length === 0 && count <= this.#toSkip) {
      this.#toSkip -= count;
      return true;
    }
    this.clear();
    return false;
  }

  /** Skips the next `count` bytes, whether they have arrived or not. */
  skip(count: number): void {
    const now = Math.min(count, this.#bytes.length);
    this.#bytes.skip(now);
    this.#toSkip += count - now;
  }

  at(index: number): number {
    return this.#bytes.at(index);
  }

  /** The next `count` bytes, not consumed; undefined until they have arrived. */
  peek(count: number): Uint8Array | undefined {
    return this.#bytes.length < count ? undefined : this.#bytes.peek(count);
  }

  take(count: number): Uint8Array | undefined {
    return this.#bytes.length < count ? undefined : this.#bytes.take(count);
  }

  /** A line without its CR LF or LF; undefined until it is complete; "endless", and all dropped, beyond LINE_BYTES_MAX. */
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
