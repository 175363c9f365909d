/**
 * ○ The one list of error codes: code → what it means and what to do. The reference page of the docs is checked against it.
 * Codes are never renamed or given a second meaning.
 */
export const ERROR_CODES = {
  // core
  ASSERTION_FAILED: "A bug in Holdfast: an invariant does not hold. Please report it with the message",
  UNIT_INVALID: "A duration or size cannot be read; write '5s', '10m', '64mb' or a number in the option's unit",
  ADDRESS_INVALID: "An address cannot be read; write HOST:PORT, [IPV6]:PORT or PORT",
  ABORTED: "The caller's AbortSignal fired before the operation settled",
  CLOSED: "The object was closed before or during the operation",
  // command line
  CLI_USAGE: "The command's words or flags are wrong; --help lists the right ones",
  CLI_ADDRESS_IN_USE: "A port is taken by another program; give the named flag another address",
  CLI_ADDRESS_UNUSABLE: "An address cannot be listened on here; give the named flag another address",
  CLI_DATA_UNWRITABLE: "The data folder cannot be written; give --data another folder",
  // cache
  // zmq
  // queue
  // link
  // wire
  // dashboard
} as const satisfies Record<string, string>;

/** A stable code of `HoldfastError.code`. */
export type ErrorCode = keyof typeof ERROR_CODES;
