/** ○ Numbers of the server's sockets, each with its reason. */

/** memcached's port. */
export const PORT_DEFAULT = 11_211;

/** 64 KiB: what one read takes from a socket; larger buys no fewer system calls at the usual request sizes. */
export const READ_BYTES = 64 * 1024;
