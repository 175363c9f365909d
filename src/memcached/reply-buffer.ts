/**
 * ○ Replies being written: one growing buffer, filled byte by byte without a string or a view per reply. Invariant:
 * 0 <= length <= bytes.length. The sender either resets it (all bytes are out) or takes it (the rest is still on its way).
 */
import { Buffer } from "node:buffer";
import { ZERO } from "../core/ascii.ts";
import { copyBytes } from "./copy.ts";
import { exactU64 } from "./numbers.ts";

/** 64 KiB: holds the replies to one full read of `get`s of small values; grows by doubling. */
const CAPACITY_BYTES = 64 * 1024;

/** 4 MiB: replies end at 1 MiB and a value, which is seldom larger; a value of a gigabyte must not hold a gigabyte for ever. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

const MINUS = 0x2d;

export class ReplyBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(CAPACITY_BYTES);
  /** The same bytes, for copying eight at a time. */
  view: DataView = viewOf(this.bytes);
  length = 0;

  /** Makes room for `count` more bytes. */
  ensure(count: number): void {
    if (this.length + count > this.bytes.length) this.#grow(this.length + count);
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  /** All of a constant reply. */
  put(constant: Uint8Array): void {
    this.copy(constant, 0, constant.length);
  }

  copy(from: Uint8Array, start: number, count: number): void {
    this.ensure(count);
    copyBytes(from, start, count, this.bytes, this.length);
    this.length += count;
  }

  /** Text for replies that are rare enough to be built as strings. */
  text(text: string): void {
    this.ensure(text.length * 3);
    this.length += this.bytes.write(text, this.length, "utf8");
  }

  /** A whole number in decimal digits. */
  number(value: number): void {
    this.ensure(20);
    let rest = value;
    if (rest < 0) {
      this.bytes[this.length] = MINUS;
      this.length += 1;
      rest = -rest;
    }
    if (rest >= 2 ** 31) {
      this.text(rest.toString());
      return;
    }
    this.length = writeDigits(this.bytes, this.length, rest | 0);
  }

  u64(high: number, low: number): void {
    if (high === 0 && low < 2 ** 31) {
      this.ensure(20);
      this.length = writeDigits(this.bytes, this.length, low | 0);
    } else {
      this.text(exactU64(high, low).toString());
    }
  }

  /** Forgets what was written; the buffer is used again, unless one very large reply has made it grow beyond all need. */
  reset(): void {
    this.length = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.#use(Buffer.allocUnsafeSlow(CAPACITY_BYTES));
  }

  /** Hands the written bytes over for good and starts a new buffer. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.#use(Buffer.allocUnsafeSlow(CAPACITY_BYTES));
    this.length = 0;
    return taken;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.#use(grown);
  }

  #use(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Writes a whole number from 0 to 2^31-1 at `at`, where there is room, and returns where it ends. */
export function writeDigits(bytes: Uint8Array, at: number, value: number): number {
  let count = 1;
  for (let limit = 10; count < 10 && value >= limit; limit *= 10) count += 1;
  const end = at + count;
  let place = end;
  let rest = value;
  do {
    place -= 1;
    const tenth = (rest / 10) | 0;
    bytes[place] = ZERO + rest - tenth * 10;
    rest = tenth;
  } while (rest !== 0);
  return end;
}
