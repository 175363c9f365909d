/** ○ Bounds of the cache server, each with the reason for its number. Numbers said to be memcached's are those of 1.6.45. */

/** memcached's port. */
export const PORT_DEFAULT = 11_211;

/** memcached's KEY_MAX_LENGTH: the key's length is one byte of the item's header. */
export const KEY_BYTES_MAX = 250;

/** 1 MiB: memcached's page; classes, eviction counts and the slab rebalancer are all counted in it. */
export const PAGE_BYTES = 1024 * 1024;

/** 64: memcached's MAX_NUMBER_OF_SLAB_CLASSES; a class and its LRU queue share one byte (6 + 2 bits). */
export const SLAB_CLASSES_MAX = 64;

/** 256: 64 classes with four LRU lists (HOT, WARM, COLD, TEMP) each. */
export const LRU_LISTS = 256;

/** 2 KiB: memcached closes a connection that sends so much without a line end, unless the line is a `get`. */
export const LINE_BYTES_MAX = 2048;

/** 8 MiB: some 32,000 keys of the greatest length in one `get`; memcached has no bound here, which lets one client take all memory. */
export const GET_LINE_BYTES_MAX = 8 * 1024 * 1024;

/** 1 MiB: the largest value of the default configuration; replies beyond this wait until the client has read what was sent. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;

/** 1 KiB: what memcached holds for each answer that waits to be written, hit or miss; `read_buf_mem_limit` is counted in it. */
export const ANSWER_BYTES = 1024;

/** 64 KiB: what one read takes from a socket; larger buys no fewer system calls at the usual request sizes. */
export const READ_BYTES = 64 * 1024;

/** 32 GiB: items are named by 32-bit numbers in units of 8 bytes. */
export const MEMORY_BYTES_MAX = 32 * 1024 ** 3;

/** 1 GiB of address space (not memory) is kept beyond `-m` so that `cache_memlimit` can raise the limit while running. */
export const MEMORY_RESERVE_BYTES_MIN = 1024 ** 3;

/** 30 days in seconds: memcached's REALTIME_MAXDELTA; a larger expiry is a date. */
export const RELATIVE_EXPIRY_SECONDS_MAX = 60 * 60 * 24 * 30;

/** 60 s: memcached's ITEM_UPDATE_INTERVAL; in a flat LRU an item moves to the front at most once in this time. */
export const BUMP_INTERVAL_SECONDS = 60;

/** 100: under 0.1 ms even where each item must come from memory; whoever calls goes on while its time lasts. */
export const MAINTAINER_ITEMS_PER_STEP = 100;

/** 500: about 0.2 ms; `flush_all` frees so many of this second's items at once, as memcached frees all, and the rest when met. */
export const FLUSH_ITEMS_MAX = 500;

/**
 * 1000 units: under 1 ms even where each key must come from memory. A connection's commands beyond that wait until others had their
 * turn. A key looked up is a unit.
 */
export const TURN_WORK_MAX = 1000;

/** 200 units: `stats` and the like build text, some 0.2 ms. */
export const RARE_COMMAND_WORK = 200;

/** 1 GiB: memcached's ITEM_SIZE_MAX_UPPER_LIMIT; a binary request with a longer body ends the connection. */
export const BODY_BYTES_MAX = 1024 ** 3;

/** 32: memcached's MAX_SASL_MECH_LEN. */
export const SASL_MECHANISM_BYTES_MAX = 32;

/** 1 KiB: RFC 4616 wants user and password up to 255 bytes each, and an authorization identity as long, to be accepted. */
export const SASL_MESSAGE_BYTES_MAX = 1024;

/** 16 KiB: memcached's MAX_AUTH_REQ_LEN; a longer user and password is refused unread. */
export const LOGIN_BYTES_MAX = 16 * 1024;
