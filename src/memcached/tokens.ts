/** ○ A command line cut at its spaces, as places in the read buffer: nothing is copied and no string is made. */
import { SPACE } from "../core/ascii.ts";
import { EMPTY } from "../core/bytes.ts";
import { readI32, readU32, readU64, readWrappedI32, readWrappedU32, type U64 } from "./numbers.ts";

/** 254: memcached's tokenizer stops there too; what follows is left out. */
const TOKENS_MAX = 254;

export class Tokens {
  readonly starts = new Int32Array(TOKENS_MAX);
  readonly ends = new Int32Array(TOKENS_MAX);
  count = 0;
  bytes: Uint8Array = EMPTY;

  /** Cuts `bytes[start, end)`, a line without its line end. */
  split(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    const { starts, ends } = this;
    let count = 0;
    let at = start;
    for (;;) {
      while (at < end && bytes[at] === SPACE) at += 1;
      if (at >= end || count === TOKENS_MAX) break;
      starts[count] = at;
      while (at < end && bytes[at] !== SPACE) at += 1;
      ends[count] = at;
      count += 1;
    }
    this.count = count;
  }

  lengthOf(token: number): number {
    return this.ends[token]! - this.starts[token]!;
  }

  /** True when the token is exactly the word. */
  is(token: number, word: string): boolean {
    const start = this.starts[token]!;
    if (token >= this.count || this.ends[token]! - start !== word.length) return false;
    for (let index = 0; index < word.length; index += 1) {
      if (this.bytes[start + index] !== word.charCodeAt(index)) return false;
    }
    return true;
  }

  /** True when the token is a beginning of the word: memcached compares subcommands so. */
  begins(token: number, word: string): boolean {
    if (token >= this.count) return false;
    const start = this.starts[token]!;
    const length = this.ends[token]! - start;
    if (length > word.length) return false;
    for (let index = 0; index < length; index += 1) {
      if (this.bytes[start + index] !== word.charCodeAt(index)) return false;
    }
    return true;
  }

  /** -1 when missing or no unsigned 32-bit number. */
  u32(token: number): number {
    return token < this.count ? readU32(this.bytes, this.starts[token]!, this.ends[token]!) : -1;
  }

  /** NaN when missing or no signed 32-bit number. */
  i32(token: number): number {
    return token < this.count ? readI32(this.bytes, this.starts[token]!, this.ends[token]!) : Number.NaN;
  }

  /** The lower 32 bits of an unsigned 64-bit number; -1 when missing or none. */
  wrappedU32(token: number): number {
    return token < this.count ? readWrappedU32(this.bytes, this.starts[token]!, this.ends[token]!) : -1;
  }

  /** The lower 32 bits of a signed 64-bit number; NaN when missing or none. */
  wrappedI32(token: number): number {
    return token < this.count ? readWrappedI32(this.bytes, this.starts[token]!, this.ends[token]!) : Number.NaN;
  }

  u64(token: number, into: U64): boolean {
    return token < this.count && readU64(this.bytes, this.starts[token]!, this.ends[token]!, into);
  }

  /** The token as text, for commands that are rare enough for strings. */
  text(token: number): string {
    if (token >= this.count) return "";
    let text = "";
    for (let at = this.starts[token]!; at < this.ends[token]!; at += 1) text += String.fromCharCode(this.bytes[at]!);
    return text;
  }
}
