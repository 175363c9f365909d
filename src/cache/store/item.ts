/**
 * ○ The layout of an item in the arena, and the only file that knows it: all others read and write items through the functions here.
 * An item is a number: its byte offset in the arena divided by 8, so that 32 bits reach 32 GiB; 0 is "none". A chunk of a large
 * value is named in the same way. First comes the header of 32-bit words, the first of which is `words[item * 2]`:
 *
 *     item    0 next  1 prev  2 chain  3 hash      4 last access  5 expiry  6 length  7 meta  8, 9 CAS  10 client flags  11 references
 *     chunk   0 next  1 prev  2 owner  3 capacity  4 used                             7 meta
 *     meta    bits 0 to 15 flags, 16 to 21 slab class, 22 and 23 LRU segment, 24 to 31 bytes of the key
 *
 * then the key, then the value with its CR LF; in a chunk a part of the value. The numbers stand in the functions as they are: so
 * most of them are at most 27 bytes of bytecode, which V8 inlines wherever they are called, whatever the size of the caller.
 */
import type { U64 } from "../../memcached/numbers.ts";

type Words = Uint32Array;

export const HEADER_BYTES = 48;

export const CHUNK_HEADER_BYTES = 40;

/** Flags; the numbers are memcached's. */
export const LINKED = 1;
export const HAS_CAS = 2;
/** The chunk is free. */
export const SLABBED = 4;
/** Read at least once since it was stored. */
export const FETCHED = 8;
/** Read at least twice: worth keeping. */
export const ACTIVE = 16;
/** The value lies in a chain of chunks. */
export const CHUNKED = 32;
/** With ACTIVE as its lower bit: the hits since it was stored or put back, 3 at most. Of S3-FIFO alone. */
const HITS_HIGH = 128;
export const HITS = ACTIVE | HITS_HIGH;
/** The memory is a chunk of another item. */
export const CHUNK = 64;
export const HAS_CLIENT_FLAGS = 256;
/** A reader was told to recompute the value. */
export const TOKEN_SENT = 512;
export const STALE = 1024;
/** The key came base64-encoded and goes out so. */
export const BINARY_KEY = 2048;
/** Four bits: which of the last sixteen times between two `flush_all` the item was linked in. */
export const EPOCH = 0xf000;
export const EPOCH_STEP = 0x1000;

/** The LRU segments: the two bits beside the slab class; both together number the LRU list. */
export const HOT = 0;
export const WARM = 64;
export const COLD = 128;
export const TEMP = 192;

/** The neighbours in an LRU list, a free list or a chain of chunks. In an LRU list `next` is the older one. */
export const next = (words: Words, item: number): number => words[item * 2]!;
export const setNext = (words: Words, item: number, to: number): number => (words[item * 2] = to);
export const prev = (words: Words, item: number): number => words[item * 2 + 1]!;
export const setPrev = (words: Words, item: number, to: number): number => (words[item * 2 + 1] = to);

/** The next item in the hash bucket. */
export const chain = (words: Words, item: number): number => words[item * 2 + 2]!;
export const setChain = (words: Words, item: number, to: number): number => (words[item * 2 + 2] = to);
export const hash = (words: Words, item: number): number => words[item * 2 + 3]!;
export const setHash = (words: Words, item: number, to: number): number => (words[item * 2 + 3] = to);

/** The store's second of the last access. */
export const lastAccess = (words: Words, item: number): number => words[item * 2 + 4]!;
export const setLastAccess = (words: Words, item: number, second: number): number => (words[item * 2 + 4] = second);
/** The store's second in which the item expires; 0 never. */
export const expiry = (words: Words, item: number): number => words[item * 2 + 5]!;
export const setExpiry = (words: Words, item: number, second: number): number => (words[item * 2 + 5] = second);

/** Bytes of the value with its CR LF. */
export const length = (words: Words, item: number): number => words[item * 2 + 6]!;
export const setLength = (words: Words, item: number, bytes: number): number => (words[item * 2 + 6] = bytes);
export const keyBytes = (words: Words, item: number): number => words[item * 2 + 7]! >>> 24;
/** Where the key starts, in the arena's bytes. */
export const keyStart = (item: number): number => item * 8 + HEADER_BYTES;
/** Where the value starts, of an item that is not chunked. */
export const valueStart = (words: Words, item: number): number => keyStart(item) + keyBytes(words, item);

export const slabClass = (words: Words, item: number): number => (words[item * 2 + 7]! >>> 16) & 0x3f;
export const segment = (words: Words, item: number): number => (words[item * 2 + 7]! >>> 16) & 0xc0;
/** Slab class and LRU segment together. */
export const lruList = (words: Words, item: number): number => (words[item * 2 + 7]! >>> 16) & 0xff;
export function setLruList(words: Words, item: number, to: number): void {
  words[item * 2 + 7] = (words[item * 2 + 7]! & ~(0xff << 16)) | (to << 16);
}

/** All flags, the count of `flush_all` included. */
export const flags = (words: Words, item: number): number => words[item * 2 + 7]! & 0xffff;
/** The count of `flush_all` that was current when the item was linked. */
export const epoch = (words: Words, item: number): number => words[item * 2 + 7]! & EPOCH;
export const has = (words: Words, item: number, flag: number): boolean => (words[item * 2 + 7]! & flag) !== 0;
export const setFlags = (words: Words, item: number, set: number): number => (words[item * 2 + 7]! |= set);
export const clearFlags = (words: Words, item: number, clear: number): number => (words[item * 2 + 7]! &= ~clear);

/** One hit more, or less; between 0 and 3. */
export function countHit(words: Words, item: number): void {
  const meta = words[item * 2 + 7]!;
  words[item * 2 + 7] = (meta & ACTIVE) === 0 ? meta | ACTIVE : (meta & HITS_HIGH) === 0 ? (meta ^ ACTIVE) | HITS_HIGH : meta;
}
export function uncountHit(words: Words, item: number): void {
  const meta = words[item * 2 + 7]!;
  words[item * 2 + 7] = (meta & ACTIVE) !== 0 ? meta ^ ACTIVE : (meta & HITS_HIGH) === 0 ? meta : (meta ^ HITS_HIGH) | ACTIVE;
}

/** Sets flags, LRU list (of a chunk: its slab class) and bytes of the key, in place of what was there. */
export const setMeta = (words: Words, item: number, set: number, list: number, ofKey: number): number =>
  (words[item * 2 + 7] = set | (list << 16) | (ofKey << 24));

/** The CAS number in two halves. */
export const casLow = (words: Words, item: number): number => words[item * 2 + 8]!;
export const casHigh = (words: Words, item: number): number => words[item * 2 + 9]!;
export const hasCas = (words: Words, item: number, cas: Readonly<U64>): boolean =>
  words[item * 2 + 8] === cas.low && words[item * 2 + 9] === cas.high;
/** Below 0 where the first item's CAS number is the smaller one, 0 where they are equal. */
export const compareCas = (words: Words, item: number, other: number): number =>
  casHigh(words, item) - casHigh(words, other) || casLow(words, item) - casLow(words, other);
export function setCas(words: Words, item: number, high: number, low: number): void {
  words[item * 2 + 8] = low;
  words[item * 2 + 9] = high;
}

export const clientFlags = (words: Words, item: number): number => words[item * 2 + 10]!;
export const setClientFlags = (words: Words, item: number, to: number): number => (words[item * 2 + 10] = to);

/** How many hold the item: 1 for being linked, 1 for each upload into it and for each reader that keeps it. */
export const references = (words: Words, item: number): number => words[item * 2 + 11]!;
export const setReferences = (words: Words, item: number, to: number): number => (words[item * 2 + 11] = to);

/** The item whose value a chunk holds a part of. */
export const chunkOwner = (words: Words, chunk: number): number => words[chunk * 2 + 2]!;
export const setChunkOwner = (words: Words, chunk: number, item: number): number => (words[chunk * 2 + 2] = item);
/** Bytes that a chunk has room for, and how many of them are written. */
export const chunkCapacity = (words: Words, chunk: number): number => words[chunk * 2 + 3]!;
export const setChunkCapacity = (words: Words, chunk: number, to: number): number => (words[chunk * 2 + 3] = to);
export const chunkUsed = (words: Words, chunk: number): number => words[chunk * 2 + 4]!;
export const setChunkUsed = (words: Words, chunk: number, to: number): number => (words[chunk * 2 + 4] = to);
/** Where a chunk's part of the value starts, in the arena's bytes. */
export const chunkStart = (chunk: number): number => chunk * 8 + CHUNK_HEADER_BYTES;

/** A chunked item keeps two numbers behind its key, in whole words: its first chunk, and the slab class of its own memory. */
const behindKey = (words: Words, item: number): number => item * 2 + ((HEADER_BYTES + keyBytes(words, item) + 3) >> 2);
export const firstChunk = (words: Words, item: number): number => words[behindKey(words, item)]!;
export const setFirstChunk = (words: Words, item: number, to: number): number => (words[behindKey(words, item)] = to);
export const headClass = (words: Words, item: number): number => words[behindKey(words, item) + 1]!;
export const setHeadClass = (words: Words, item: number, to: number): number => (words[behindKey(words, item) + 1] = to);

/** Bytes of memcached's own header: what ours must not exceed, and what is counted. */
const COUNTED_HEADER_BYTES = 48;

/**
 * What an item counts for: memcached's header, key, NUL, optional client flags and CAS, value and CR LF. memcached's header is
 * larger than ours, and counting with it makes slab classes, evictions and `bytes` the same as memcached's.
 */
export function itemBytes(ofKey: number, ofValue: number, itemFlags: number): number {
  return (
    COUNTED_HEADER_BYTES +
    ofKey +
    1 +
    ofValue +
    ((itemFlags & HAS_CLIENT_FLAGS) === 0 ? 0 : 4) +
    ((itemFlags & HAS_CAS) === 0 ? 0 : 8)
  );
}

/** The same, of an item in the arena. */
export const countedBytes = (words: Words, item: number): number =>
  itemBytes(keyBytes(words, item), length(words, item), flags(words, item));

/** What the first part of a chunked item counts for; the value is in the chunks. */
export function chunkedHeadBytes(ofKey: number, itemFlags: number): number {
  return itemBytes(ofKey, CHUNK_HEADER_BYTES, itemFlags);
}
