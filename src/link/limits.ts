/** ○ Defaults and bounds of links, each with the reason for its number. */

/** 12345: the port of the lecture's keep-alive server. */
export const PORT_DEFAULT = 12345;

/** 32767 s and 127: what Linux takes at most (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT in its include/net/tcp.h). */
export const KEEP_ALIVE_SECONDS_MAX = 32_767;
export const KEEP_ALIVE_COUNT_MAX = 127;

/** 1 s: automatic user timeouts end this much (or half an interval) before the last keep-alive tick, so that this tick is fatal. */
export const USER_TIMEOUT_MARGIN_MS = 1000;

/** 924.6 s: how long Linux retransmits unacknowledged data with tcp_retries2 = 15 before it gives up (kernel, ip-sysctl). */
export const RETRANSMISSION_MS = 924_600;

/** 4096: the accept queue asked for, so that thousands of clients may reconnect at once; the system's somaxconn may lower it. */
export const BACKLOG = 4096;

/** 20,000: the usual limit of descriptors of a process; more connections than that cannot be accepted anyway. */
export const CONNECTIONS_MAX = 20_000;

/** 1 MiB: what one connection may have unsent before `send` says LINK_FULL. A reader this far behind reads no more. */
export const UNSENT_BYTES_MAX = 1024 * 1024;

/** 256 MiB: what all connections of a server together may have waiting. */
export const TOTAL_BYTES_MAX = 256 * 1024 * 1024;

/** 10 s: time for a TCP connection to be made. A SYN is sent at 0, 1, 3 and 7 s: the fourth still has time to be answered. */
export const CONNECT_MS_MAX = 10_000;

/** 250 ms and 30 s: first retry soon enough to be unnoticed, later ones rare enough that 10,000 clients knock 670 times a second. */
export const BACKOFF_BASE_MS = 250;
export const BACKOFF_CAP_MS = 30_000;

/** 10 s: a connection that lasted this long was no failure. Shorter ones count, or a server that accepts and dies is hammered. */
export const BACKOFF_FORGET_MS = 10_000;
