/**
 * ○ The hash functions by which clients of memcached place keys, beside MD5 (md5.ts). Text has one byte a character; each gives
 * 32 unsigned bits unless it says otherwise.
 */

/** Jenkins's one-at-a-time, as libmemcached has it: bytes over 127 count as negative, as they do where C's char is signed (x86). */
export function oneAtATime(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = (hash + ((text.charCodeAt(index) << 24) >> 24)) | 0;
    hash = (hash + (hash << 10)) | 0;
    hash ^= hash >>> 6;
  }
  hash = (hash + (hash << 3)) | 0;
  hash ^= hash >>> 11;
  return (hash + (hash << 15)) >>> 0;
}

/** FNV-1a. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** The last step of MurmurHash3, which spreads what is alike. */
export function mix(value: number): number {
  let hash = value;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** MurmurHash3, 32 bits, seed 0. */
export function murmur3(text: string): number {
  const byte = (index: number): number => text.charCodeAt(index) & 0xff;
  const scrambled = (word: number): number => Math.imul(rotated(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  const whole = text.length & ~3;
  let hash = 0;
  for (let index = 0; index < whole; index += 4) {
    const word = byte(index) | (byte(index + 1) << 8) | (byte(index + 2) << 16) | (byte(index + 3) << 24);
    hash = (Math.imul(rotated(hash ^ scrambled(word), 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let index = text.length - 1; index >= whole; index -= 1) tail = (tail << 8) | byte(index);
  return mix(hash ^ scrambled(tail) ^ text.length);
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

const M = 0xc6a4a7935bd1e995n;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const folded = (value: bigint): bigint => value ^ (value >> 47n);

/** MurmurHash64A: 64 bits. */
export function murmur64(text: string, seed: bigint): bigint {
  const { length } = text;
  let hash = seed ^ u64(BigInt(length) * M);
  let index = 0;
  for (; index + 8 <= length; index += 8) hash = murmured(hash, littleEndian(text, index, index + 8));
  if (index < length) hash = u64((hash ^ littleEndian(text, index, length)) * M);
  return ended(hash);
}

/** MurmurHash64A of the eight bytes of a hash. */
export function murmur64Again(hash: bigint, seed: bigint): bigint {
  return ended(murmured(seed ^ u64(8n * M), hash));
}

function murmured(hash: bigint, word: bigint): bigint {
  return u64((hash ^ u64(folded(u64(word * M)) * M)) * M);
}

function ended(hash: bigint): bigint {
  return folded(u64(folded(hash) * M));
}

function littleEndian(text: string, start: number, end: number): bigint {
  let word = 0n;
  for (let index = end - 1; index >= start; index -= 1) word = (word << 8n) | BigInt(text.charCodeAt(index) & 0xff);
  return word;
}

/** Java's String.hashCode without its sign. */
export function javaHash(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) hash = (Math.imul(31, hash) + text.charCodeAt(index)) | 0;
  return Math.abs(hash);
}
