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

/** 64 KiB: what Node itself reads at most; 128 and 256 KiB were no faster, and a kept message would keep more alive. */
export const READ_BYTES = 64 * 1024;

/** 4 KiB of a read may be kept alive by messages beside it; with more they get memory of their own, as hostile peers' do. */
export const WASTED_BYTES_MAX = 4 * 1024;

/** 64 KiB: how much is written at once; a frame larger than this goes alone. */
export const WRITE_BYTES = 64 * 1024;

/** 128 bytes: a message, beyond its parts, is an array, 56 bytes, its place in a queue, and what the collector has not yet taken. */
export const MESSAGE_COST_BYTES = 128;

/** 16 KiB: a connection with nothing to carry is 7 KiB of objects and handles; its queues keep up to 8 KiB of places after a burst. */
export const CONNECTION_COST_BYTES = 16 * 1024;

/** 256 MiB for all peers of a context: four pipes that are full. A process whose heap may grow to 400 MiB lives. */
export const CONTEXT_HIGH_WATER_BYTES = 256 * 1024 * 1024;

/** 30 s: as long as a handshake may take, a peer may take to complete its message while memory is used up. */
export const STALLED_MS = 30_000;

/** 256 bytes: a topic, beyond its octets, is a node of the tree and a place in its subscriber's set, 140 bytes in V8. */
export const TOPIC_COST_BYTES = 256;

/** 64 MiB of topics from one subscriber: 240,000 of 20 octets. libzmq has no bound. */
export const SUBSCRIPTION_HIGH_WATER_BYTES = 64 * 1024 * 1024;

/** 1000 events that nobody reads yet: libzmq's monitor socket has the same bound, from its high-water mark; older ones go first. */
export const EVENTS_WAITING_MAX = 1000;
