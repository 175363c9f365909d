/**
 * ○ Bounds of ZMTP, each with the reason for its number.
 */

/**
 * 64 MiB: far above what work queues carry (a 4K photo is 10 MB), low enough that a hostile peer cannot exhaust a server by one
 * message. libzmq has no limit (-1). Counts all parts of a message together, which also ends an endless MORE.
 */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * 65,536 parts: an endless MORE of empty frames would otherwise grow without ever reaching the limit in bytes. The budget of a context ends
 * it as well, but the garbage of so many parts at once is not collected in time: resident memory grew by 1.34 times the bound.
 */
export const MESSAGE_PARTS_MAX = 65_536;

/** 16 KiB: a command of a handshake is a few hundred octets (CURVE's INITIATE 257 and the metadata); no sensible one comes near. */
export const HANDSHAKE_COMMAND_BYTES_MAX = 16 * 1024;

/** 8: no honest handshake has more than two commands from one side; a peer that sends more is stalling. */
export const HANDSHAKE_COMMANDS_MAX = 8;

/** 255 octets: the `Identity` property's limit (RFC 37). */
export const ROUTING_ID_BYTES_MAX = 255;

/** 16 octets: the longest context that a PING may ask to have returned (RFC 37). */
export const PING_CONTEXT_BYTES_MAX = 16;

/** 16: PONGs waiting to be written. A peer that pings faster than it reads gets the latest ones. */
export const PONGS_WAITING_MAX = 16;

/**
 * 65.5 s: libzmq keeps a received TTL in a uint16 of milliseconds, so that a longer one wraps there (4.3.4 to
 * master); this is the longest that it reads as meant.
 */
export const PING_TTL_DECISECONDS_MAX = 655;

/** 1 MiB: a body up to this size is allocated whole when its header has arrived; a longer one grows with what really arrives. */
export const BODY_RESERVED_BYTES_MAX = 1024 * 1024;
