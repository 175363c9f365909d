/**
 * ○ Collects the requests of one tick, so that they leave in one socket write. Invariant: 0 <= length <= capacity. After `take()`
 * the memory belongs to the socket; `reuse()` takes it back once the kernel has copied it, which saves an allocation a tick.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../../core/buffers.ts";

/** 64 KiB: about 256 small requests; larger ones grow it for their tick only. */
const CAPACITY_BYTES = 64 * 1024;

export class WriteBuffer {
  #spare: Buffer | undefined = undefined;
  #bytes: Buffer = Buffer.allocUnsafeSlow(CAPACITY_BYTES);
  length = 0;

  /** Text of one byte a character. */
  latin1(text: string): void {
    const at = this.#reserve(text.length);
    this.#bytes.write(text, at, "latin1");
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  utf8(text: string, byteLength: number): void {
    const at = this.#reserve(byteLength);
    this.#bytes.write(text, at, "utf8");
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  u64(value: bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigUInt64BE(value, at);
  }

  /** The bytes written; the buffer is empty afterwards. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.length);
    this.length = 0;
    if (this.#bytes.length === CAPACITY_BYTES) this.#spare = this.#bytes;
    this.#bytes = EMPTY_BUFFER;
    return taken;
  }

  /** The kernel has the bytes last taken: their memory may be written again. */
  reuse(): void {
    if (this.#spare && this.length === 0) this.#bytes = this.#spare;
    this.#spare = undefined;
  }

  #reserve(count: number): number {
    const at = this.length;
    const needed = at + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.length = needed;
    return at;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2, CAPACITY_BYTES));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}
