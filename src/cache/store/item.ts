/**
 * ○ The layout of an item in the arena. An item is named by its handle: its byte offset divided by 8, so that 32 bits reach
 * 32 GiB. Handle 0 is "none". Header words (32 bits each) come first, then the key, then the value with its CR LF. What an item
 * counts for (`itemBytes`) follows memcached's own header, which is larger than ours: so classes, evictions and `bytes` agree.
 */

/** Words of the header, counted from `handle * 2` in the arena's 32-bit view. */
export const NEXT = 0;
export const PREV = 1;
/** Next in the hash bucket. */
export const CHAIN = 2;
export const HASH = 3;
/** Last access, in the store's seconds. */
export const TIME = 4;
/** When it expires in the store's seconds; 0 never. */
export const EXPIRY = 5;
/** Bytes of the value with its CR LF. */
export const LENGTH = 6;
/** Flags (16 bits), class and LRU list (8 bits), key bytes (8 bits). */
export const META = 7;
export const CAS_LOW = 8;
export const CAS_HIGH = 9;
export const CLIENT_FLAGS = 10;
/** Who holds the item: 1 for being linked, 1 for an upload into it. */
export const REFERENCES = 11;

export const HEADER_BYTES = 48;

/** A chunk of a large value: NEXT, PREV and META as above, and these. */
export const CHUNK_HEAD = 2;
export const CHUNK_CAPACITY = 3;
export const CHUNK_USED = 4;
export const CHUNK_HEADER_BYTES = 40;

/** Flags in META; the numbers are memcached's. */
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

export const CLASS_SHIFT = 16;
export const KEY_SHIFT = 24;

/** The LRU list's two bits in the class byte. */
export const HOT = 0;
export const WARM = 64;
export const COLD = 128;
export const TEMP = 192;

/** Bytes of memcached's own header: what ours must not exceed, and what is counted. */
const COUNTED_HEADER_BYTES = 48;

/** What an item counts for: memcached's header, key, NUL, optional client flags and CAS, value and CR LF. */
export function itemBytes(keyBytes: number, valueBytes: number, flags: number): number {
  return (
    COUNTED_HEADER_BYTES +
    keyBytes +
    1 +
    valueBytes +
    ((flags & HAS_CLIENT_FLAGS) === 0 ? 0 : 4) +
    ((flags & HAS_CAS) === 0 ? 0 : 8)
  );
}

/** What the first part of a chunked item counts for; the value is in the chunks. */
export function chunkedHeadBytes(keyBytes: number, flags: number): number {
  return itemBytes(keyBytes, CHUNK_HEADER_BYTES, flags);
}
