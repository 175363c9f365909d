/**
 * ○ The bytes of a message that is sent as a stream: read from its source ahead of what the peer's application has taken, by at most
 * STREAM_AHEAD_BYTES, and kept until it has, so that a new connection goes on where the last one stopped.
 */
import { STREAM_AHEAD_BYTES } from "../limits.ts";

/** Where a stream's bytes come from: an async generator, a readable of Node or of the web. */
export type StreamSource = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

const encoder = new TextEncoder();

export class OutgoingStream {
  readonly #chunks: Uint8Array[] = [];
  /** Offset of the first chunk kept, and of what comes after the last. */
  #startBytes = 0;
  #endBytes = 0;
  #ended = false;
  #closed = false;
  #room: (() => void) | undefined;

  /** True once some of it is no longer kept. */
  get trimmed(): boolean {
    return this.#startBytes > 0;
  }

  /** True once what lies at this offset is no longer kept. */
  trimmedTo(offset: number): boolean {
    return offset < this.#startBytes;
  }

  /** True when a part can be written from there on: bytes, or the end. */
  ready(offset: number): boolean {
    return offset < this.#endBytes || this.#ended;
  }

  /** True when what comes from there on is kept, or is still to come. */
  keeps(offset: number): boolean {
    return offset >= this.#startBytes && offset <= this.#endBytes;
  }

  read(offset: number, bytesMax: number): { bytes: Uint8Array; last: boolean } {
    let at = this.#startBytes;
    for (const chunk of this.#chunks) {
      if (offset < at + chunk.length) {
        const bytes = chunk.subarray(offset - at, offset - at + bytesMax);
        return { bytes, last: this.#ended && offset + bytes.length === this.#endBytes };
      }
      at += chunk.length;
    }
    return { bytes: new Uint8Array(0), last: this.#ended };
  }

  /** So much has been taken by the peer's application. */
  trim(offset: number): void {
    let count = 0;
    while (count < this.#chunks.length && this.#startBytes + this.#chunks[count]!.length <= offset) {
      this.#startBytes += this.#chunks[count]!.length;
      count += 1;
    }
    this.#chunks.splice(0, count);
    if (this.#endBytes - offset < STREAM_AHEAD_BYTES) this.#wake();
  }

  /** Its message is settled: nothing more is read from the source. */
  close(): void {
    this.#closed = true;
    this.#chunks.length = 0;
    this.#wake();
  }

  /**
   * Reads the source to its end, or until the message is settled.
   *
   * @param changed called when there is more to write
   * @throws what the source throws
   */
  async pump(source: StreamSource, changed: () => void): Promise<void> {
    for await (const piece of source) {
      if (this.#closed) return;
      const bytes = typeof piece === "string" ? encoder.encode(piece) : piece;
      if (bytes.length === 0) continue;
      this.#chunks.push(bytes);
      this.#endBytes += bytes.length;
      changed();
      if (this.#endBytes - this.#startBytes >= STREAM_AHEAD_BYTES) await new Promise<void>((resolve) => (this.#room = resolve));
      if (this.#closed) return;
    }
    this.#ended = true;
    changed();
  }

  #wake(): void {
    this.#room?.();
    this.#room = undefined;
  }
}
