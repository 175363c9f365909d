/**
 * ○ Decimal numbers as memcached reads them from a command: digits only, a minus sign where the type has one, and nothing that
 * overflows the type. 64-bit numbers travel as two 32-bit halves, since they exceed what a number holds exactly.
 */
import { ZERO } from "../core/ascii.ts";

const MINUS = 0x2d;
const PLUS = 0x2b;
const TWO_32 = 2 ** 32;
/** 10 digits: none longer fits 32 bits; one more for the sign. memcached's own bound is 11 and 20. */
const DIGITS_32_MAX = 11;
const DIGITS_64_MAX = 20;
/** Up to 15 digits are exact in a number. */
const DIGITS_EXACT_MAX = 15;
/** Numbers of more than 32 bits are cut down in here. */
const wide: U64 = { high: 0, low: 0 };

/** An unsigned 32-bit number, or -1 when the token is none. */
export function readU32(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= 0 || length > DIGITS_32_MAX) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value < TWO_32 ? value : -1;
}

/** A signed 32-bit number, or NaN when the token is none. */
export function readI32(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS && end > start;
  const value = readU32(bytes, negative ? start + 1 : start, end);
  if (value < 0 || value > (negative ? 2 ** 31 : 2 ** 31 - 1)) return Number.NaN;
  return negative ? 0 - value : value;
}

/** The lower 32 bits of an unsigned 64-bit number, as memcached keeps them of flags; -1 when the token is none. */
export function readWrappedU32(bytes: Uint8Array, start: number, end: number): number {
  const value = readU32(bytes, start, end);
  if (value >= 0) return value;
  return readU64(bytes, bytes[start] === PLUS ? start + 1 : start, end, wide) ? wide.low : -1;
}

/**
 * The lower 32 bits of a signed 64-bit number, as memcached keeps them of times; NaN when the token is none.
 */
export function readWrappedI32(bytes: Uint8Array, start: number, end: number): number {
  const value = readI32(bytes, start, end);
  if (!Number.isNaN(value)) return value;
  const negative = bytes[start] === MINUS && end > start;
  const signed = negative || (bytes[start] === PLUS && end > start);
  if (!readU64(bytes, signed ? start + 1 : start, end, wide)) return Number.NaN;
  const isLeast = negative && wide.high === 2 ** 31 && wide.low === 0;
  if (wide.high >= 2 ** 31 && !isLeast) return Number.NaN;
  return (negative ? -wide.low : wide.low) | 0;
}

/** A 64-bit number in two halves. */
export interface U64 {
  high: number;
  low: number;
}

/** Reads an unsigned 64-bit number into `into`; false when the token is none. */
export function readU64(bytes: Uint8Array, start: number, end: number, into: U64): boolean {
  const length = end - start;
  if (length <= 0 || length > DIGITS_64_MAX) return false;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  if (length <= DIGITS_EXACT_MAX) {
    into.low = value >>> 0;
    into.high = Math.floor(value / TWO_32);
    return true;
  }
  let exact = 0n;
  for (let at = start; at < end; at += 1) exact = exact * 10n + BigInt(bytes[at]! - ZERO);
  if (exact >> 64n !== 0n) return false;
  into.low = Number(exact & 0xffffffffn);
  into.high = Number(exact >> 32n);
  return true;
}

/** The number of two halves when a number holds it exactly, else a bigint. */
export function exactU64(high: number, low: number): number | bigint {
  return high < 2 ** 21 ? high * TWO_32 + low : (BigInt(high) << 32n) | BigInt(low);
}

/** Changes `value` as `incr` and `decr` do: addition wraps at 64 bits, subtraction stops at 0. */
export function addU64(value: U64, by: U64, increment: boolean): void {
  if (value.high < 2 ** 20 && by.high < 2 ** 20) {
    const left = value.high * TWO_32 + value.low;
    const right = by.high * TWO_32 + by.low;
    const sum = increment ? left + right : Math.max(0, left - right);
    value.low = sum >>> 0;
    value.high = Math.floor(sum / TWO_32);
    return;
  }
  const left = (BigInt(value.high) << 32n) | BigInt(value.low);
  const right = (BigInt(by.high) << 32n) | BigInt(by.low);
  const sum = increment ? (left + right) % (1n << 64n) : left > right ? left - right : 0n;
  value.low = Number(sum & 0xffffffffn);
  value.high = Number(sum >> 32n);
}
