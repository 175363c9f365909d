/** ○ Bounds of the protocols, each with the reason for its number. Numbers said to be memcached's are those of 1.6.45. */

/** 2 KiB: memcached closes a connection that sends so much without a line end, unless the line is a `get`. */
export const LINE_BYTES_MAX = 2048;

/** 8 MiB: some 32,000 keys of the greatest length in one `get`; memcached has no bound here, which lets one client take all memory. */
export const GET_LINE_BYTES_MAX = 8 * 1024 * 1024;

/** 1 MiB: the largest value of the default configuration; replies beyond this wait until the client has read what was sent. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;

/** 1 KiB: what memcached holds for each answer that waits to be written, hit or miss; `read_buf_mem_limit` is counted in it. */
export const ANSWER_BYTES = 1024;

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
