/**
 * ○ Defaults and bounds of the sockets, each with the reason for its number. Where libzmq has a default, it is taken.
 */

/** 1000 messages a pipe: libzmq's own. */
export const HIGH_WATER_MARK = 1000;

/** 64 MiB a pipe: as much as one message may have, so that any legal message fits an empty pipe. libzmq counts messages only. */
export const HIGH_WATER_BYTES = 64 * 1024 * 1024;

/** 100 ms: libzmq's own. */
export const RECONNECT_INTERVAL_MS = 100;

/** 30 s: libzmq's own (ZMQ_HANDSHAKE_IVL). */
export const HANDSHAKE_INTERVAL_MS = 30_000;

/** 100 connections waiting for accept: libzmq's own. */
export const BACKLOG = 100;

/** 30 s: how old a name's addresses may become before they are looked up again; what Kubernetes gives headless services as TTL. */
export const RESOLVE_INTERVAL_MS = 30_000;

/** 256 addresses of one name: a connection each; more is a mistake in the zone, not a farm. */
export const ADDRESSES_MAX = 256;

/** 1023 sockets: libzmq's own (ZMQ_MAX_SOCKETS). */
export const SOCKETS_MAX = 1023;

/** 1 s: how long a closed connection waits for its peer to read the last octets and close too. */
export const CLOSE_MS_MAX = 1000;

/** 64 KiB: how much is written at once; a frame larger than this goes alone. */
export const WRITE_BYTES = 64 * 1024;

/** 1 MiB of topics from one subscriber, 64 octets a topic added for its node: 16,000 topics; a peer that subscribes to more is at fault. */
export const SUBSCRIPTION_BYTES_MAX = 1024 * 1024;

/** 1000 events that nobody reads yet: libzmq's monitor socket has the same bound, from its high-water mark; older ones go first. */
export const EVENTS_WAITING_MAX = 1000;

/**
 * 4 pipes' worth: once peers that are gone have left so many bytes unread, no more peers are accepted until the application has read
 * them. Else one that connects, fills its pipe and leaves, again and again, would fill the memory. Nothing is lost: peers try again.
 */
export const ORPHANED_PIPES_MAX = 4;
