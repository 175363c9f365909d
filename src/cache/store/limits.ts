/** ○ Bounds of the store, each with the reason for its number. Numbers said to be memcached's are those of 1.6.45. */

/** memcached's KEY_MAX_LENGTH: the key's length is one byte of the item's header. */
export const KEY_BYTES_MAX = 250;

/** 1 MiB: memcached's page; classes, eviction counts and the slab rebalancer are all counted in it. */
export const PAGE_BYTES = 1024 * 1024;

/** 64: memcached's MAX_NUMBER_OF_SLAB_CLASSES; a class and its LRU segment share one byte (6 + 2 bits). */
export const SLAB_CLASSES_MAX = 64;

/** 256: 64 classes with four LRU lists (HOT, WARM, COLD, TEMP) each. */
export const LRU_LISTS = 256;

/** 32 GiB: items are named by 32-bit numbers in units of 8 bytes. */
export const MEMORY_BYTES_MAX = 32 * 1024 ** 3;

/** 1 GiB of address space (not memory) is kept beyond `-m` so that `cache_memlimit` can raise the limit while running. */
export const MEMORY_RESERVE_BYTES_MIN = 1024 ** 3;

/** 30 days in seconds: memcached's REALTIME_MAXDELTA; a larger expiry is a date. */
export const RELATIVE_EXPIRY_SECONDS_MAX = 60 * 60 * 24 * 30;

/** 60 s: memcached's ITEM_UPDATE_INTERVAL; in a flat LRU an item moves to the front at most once in this time. */
export const BUMP_INTERVAL_SECONDS = 60;

/** 500: about 0.2 ms; `flush_all` frees so many of this second's items at once, as memcached frees all, and the rest when met. */
export const FLUSH_ITEMS_MAX = 500;
