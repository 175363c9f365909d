/** ○ Limits of packet analysis, each with the reason for its number: everything that untrusted packets could make grow. */

/** 16 MiB: dumpcap writes no longer block; a longer one means a damaged file. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;

/** 1 MiB buffered per direction while bytes are missing: more than a default receive window, after which the sender must stop. */
export const REASSEMBLY_BYTES_MAX = 1024 * 1024;

/** 16 KiB of one message are decoded; the rest is counted and skipped, so that a 16 MB frame costs no memory. */
export const DECODED_BYTES_MAX = 16 * 1024;

/** 8 KiB of a line without an end: memcached itself refuses at 2048 (a multi-get may be longer, and shows its first keys). */
export const LINE_BYTES_MAX = 8 * 1024;

/** 4096 conversations at once; the one idle for longest is dropped first. About 2 KiB each when idle, so 8 MiB in all. */
export const CONVERSATIONS_MAX = 4096;

/** 64 messages shown per packet: a 64 KiB segment can hold 9,000 `get a` lines; the others are counted. */
export const MESSAGES_PER_PACKET_MAX = 64;

/** 80 characters of a key or a body: fits on one terminal line with its command. */
export const SHOWN_CHARS_MAX = 80;
