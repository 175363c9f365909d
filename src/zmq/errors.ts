/**
 * ○ The sockets' errors: `code` and `errno` as the `zeromq` package has them, kinds as the rest of Holdfast has them (core/errors.ts).
 */
import { OperationError, UsageError, codeOf, messageOf, type HoldfastError } from "../core/errors.ts";

/** Code → Linux's number, or libzmq's own (ZMQ_HAUSNUMERO + n); true: the caller's fault. */
const ERRNO = {
  ENOENT: [2, false],
  EAGAIN: [11, false],
  EBADF: [9, true],
  EACCES: [13, false],
  EINVAL: [22, true],
  EMFILE: [24, false],
  ENOTSUP: [95, true],
  EPROTONOSUPPORT: [93, true],
  EADDRINUSE: [98, false],
  EADDRNOTAVAIL: [99, false],
  ECONNREFUSED: [111, false],
  EHOSTUNREACH: [113, false],
  EFSM: [156_384_763, true],
} as const satisfies Record<string, readonly [number, boolean]>;

export type ZmqErrorCode = keyof typeof ERRNO;

/** An error of a socket: a HoldfastError with the number that `zeromq` gives beside the code. */
export type ZmqError = HoldfastError & { readonly errno: number };

export function zmqError(code: ZmqErrorCode, message: string, options?: ErrorOptions): ZmqError {
  const [errno, usage] = ERRNO[code];
  const error = usage ? new UsageError(code, message, options) : new OperationError(code, message, options);
  return Object.assign(error, { errno });
}

/** What the system said, as a socket's error; a code that is not listed becomes EINVAL with the cause kept. */
export function fromSystem(error: unknown, action: string): ZmqError {
  const code = codeOf(error);
  const known = code !== undefined && code in ERRNO ? (code as ZmqErrorCode) : "EINVAL";
  return zmqError(known, `${action}: ${messageOf(error)}`, { cause: error });
}
