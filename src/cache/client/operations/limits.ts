/** ○ The cache client's defaults and bounds, each with the reason for its number. Times in ms, sizes in bytes. */

/** 1 s: far above any healthy answer (under 1 ms), short enough that a request handler can still answer its own caller. */
export const TIMEOUT_MS_DEFAULT = 1000;

/** 16,384 calls: at 100,000 calls a second a sixth of a second of backlog, well within a deadline of 1 s. */
export const QUEUE_CALLS_MAX = 16_384;

/** 64 MiB of values waiting for one server: 64 values of memcached's largest default size. */
export const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

/** 1 MiB handed to the socket and not yet taken by the kernel; past it, encoding waits for the peer to read. */
export const SOCKET_BYTES_HIGH = 1024 * 1024;

/**
 * 256 KiB read at once: with values of 10 KB half the CPU time of libuv's 64 KiB, because fewer values are cut by the end of a
 * read and copied.
 */
export const READ_BYTES = 256 * 1024;

/** 64 MiB: 64 times memcached's default item size; a server that announces more is broken or misconfigured. */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;

/** 250 bytes: memcached's limit. */
export const KEY_BYTES_MAX = 250;

/** 100 keys in one `get` line: longer lines save the server nothing more, and its reply stays a bounded burst. */
export const KEYS_PER_LINE_MAX = 100;

/** 16 KiB of keys in one `get` line: memcached buffers the whole line, and keys may have 250 bytes. */
export const LINE_BYTES_MAX = 16 * 1024;

/** 30 days in seconds: memcached reads anything larger as a date. */
export const TTL_RELATIVE_S_MAX = 30 * 24 * 60 * 60;

/** 3 failures in a row: one may be a restart, two a coincidence. */
export const EJECT_AFTER_FAILURES = 3;

/** 50 ms: the shortest wait before the second attempt to connect; grows twofold. */
export const BACKOFF_MS_MIN = 50;

/** 10 s: a server that came back is found within this time, at the cost of six attempts a minute. */
export const BACKOFF_MS_MAX = 10_000;

/**
 * 2^31 - 1: memcached's times are signed 32-bit seconds, so that the last date is 2038-01-19. It keeps the lower 32 bits of more, and
 * takes most of those for a time that is over.
 */
export const EXPTIME_MAX = 2 ** 31 - 1;

/** 30 s: what a slow query may take; a loader that takes longer needs its own timeout. */
export const FETCH_TIMEOUT_MS_DEFAULT = 30_000;

/** 10 s: longer than nearly every loader takes, so that it runs once; short enough to wait for when a winner has died. */
export const LEASE_MS_DEFAULT = 10_000;

/** 10 ms and 250 ms: the first and the longest wait before a reader reads again what another computes. */
export const POLL_MS_MIN = 10;
export const POLL_MS_MAX = 250;

/** 30 s: as long as DNS records of such names live; a server that joined takes part half a minute later. */
export const DISCOVERY_MS_DEFAULT = 30_000;

/** 8 MiB: some tens of thousands of small items, enough for the hot ones; little beside a Node process's own 50 MB. */
export const NEAR_BYTES_DEFAULT = 8 * 1024 * 1024;

/** 1 s: takes nearly all reads of a hot key off the network, and nobody sees anything older. */
export const NEAR_TTL_MS_DEFAULT = 1000;

/** 1 min: changes are told by the stream; this bounds what a fault of it would cost. */
export const NEAR_WATCHED_TTL_MS_DEFAULT = 60_000;
