/**
 * ○ A growing buffer for bytes to send. Invariant: 0 <= length <= capacity. `take()` hands the bytes out and starts anew;
 * the writer never touches handed-out bytes again, so they may be given to a socket without a copy.
 */
import { utf8 } from "./bytes.ts";

/** 1 KiB: a few small replies; doubling from here reaches a 64 KiB socket write in six steps. */
const CAPACITY_BYTES_MIN = 1024;

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes = CAPACITY_BYTES_MIN) {
    this.#bytes = new Uint8Array(Math.max(capacityBytes, CAPACITY_BYTES_MIN));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#length;
  }

  /** Makes room for `count` more bytes and returns where they start. */
  reserve(count: number): number {
    const start = this.#length;
    const needed = start + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return start;
  }

  u8(value: number): this {
    const at = this.reserve(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }

  f64(value: number): this {
    const at = this.reserve(8);
    this.#view.setFloat64(at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.reserve(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** ASCII text, one byte a character. */
  ascii(text: string): this {
    const start = this.reserve(text.length);
    for (let index = 0; index < text.length; index += 1) this.#bytes[start + index] = text.charCodeAt(index);
    return this;
  }

  utf8(text: string): this {
    return this.bytes(utf8(text));
  }

  /** The bytes written, in network order; the writer is empty afterwards and owns them no more. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = new Uint8Array(CAPACITY_BYTES_MIN);
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = 0;
    return taken;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
