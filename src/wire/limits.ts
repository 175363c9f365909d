/** ○ Bounds of packet analysis, each with the reason for its number. Everything that a stranger's packets could make grow is here. */

/** 16 MiB: dumpcap writes no block beyond it; a longer one is a broken file, not a packet. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;

/** 1 MiB held per direction while a hole is open: more than a default receive window, after which the sender must stop. */
export const REASSEMBLY_BYTES_MAX = 1024 * 1024;

/** 16 KiB of one message are looked at; the rest is counted and passed over, so that a 16 MB frame costs no memory. */
export const LOOKED_AT_BYTES_MAX = 16 * 1024;

/** 8 KiB of a line without an end: memcached itself gives up at 2048 (a multi-get may be longer, and is named by its first keys). */
export const LINE_BYTES_MAX = 8 * 1024;

/** 4096 conversations at once; the one silent for longest is forgotten first. About 2 KiB each when idle, so 8 MiB in all. */
export const CONVERSATIONS_MAX = 4096;

/** 64 messages named per packet: a 64 KiB segment can hold 9,000 `get a` lines; the rest is summed up in one. */
export const MESSAGES_PER_PACKET_MAX = 64;

/** 80 characters of a key or a body: one line of a terminal holds it with its verb. */
export const SHOWN_CHARS_MAX = 80;
