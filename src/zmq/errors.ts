/**
 * ○ The sockets' errors: `code`, `errno`, `address` and `message` as the `zeromq` package has them, since programs compare them; what is
 * to be said beyond it stands in `detail`. Kinds as the rest of Holdfast has them (core/errors.ts).
 */
import { OperationError, UsageError, codeOf, messageOf, type HoldfastError } from "../core/errors.ts";

/** Code → Linux's number, or libzmq's own (ZMQ_HAUSNUMERO + n); whether it is the caller's fault; the text. */
const ERRNO = {
  ENOENT: [2, false, "No such endpoint"],
  EBADF: [9, true, "Socket is closed"],
  EAGAIN: [11, false, "Operation was not possible or timed out"],
  EACCES: [13, false, "Permission denied"],
  EBUSY: [16, true, "Socket is busy"],
  EINVAL: [22, true, "Invalid argument"],
  EMFILE: [24, false, "Too many open file descriptors"],
  ENAMETOOLONG: [36, true, "File name too long"],
  EPROTONOSUPPORT: [93, true, "Protocol not supported"],
  ENOTSUP: [95, true, "Operation not supported"],
  EADDRINUSE: [98, false, "Address already in use"],
  EADDRNOTAVAIL: [99, false, "Cannot assign requested address"],
  ECONNREFUSED: [111, false, "Connection refused"],
  EHOSTUNREACH: [113, false, "Host unreachable"],
  EFSM: [156_384_763, true, "Operation cannot be accomplished in current state"],
} as const satisfies Record<string, readonly [number, boolean, string]>;

export type ZmqErrorCode = keyof typeof ERRNO;

/** What can be told of an error beside its code. */
interface ErrorFacts {
  /** Action, reason and value. */
  readonly detail: string;
  /** Where `zeromq` has another text than the code's. */
  readonly message?: string;
  /** The address that a call was given. */
  readonly address?: string | undefined;
  readonly cause?: unknown;
}

/** An error of a socket: a HoldfastError with what `zeromq` gives beside the code, and more in `detail`. */
export type ZmqError = HoldfastError & {
  /** Linux's number of the error, or libzmq's own. */
  readonly errno: number;
  /** The address that the call was given, if it was given one. */
  readonly address?: string;
  /** What was to be done, and why it could not be: `message` is `zeromq`'s text for the code alone. */
  readonly detail: string;
};

export function zmqError(code: ZmqErrorCode, facts: string | ErrorFacts): ZmqError {
  const [errno, usage, text] = ERRNO[code];
  const { detail, message = text, address, cause } = typeof facts === "string" ? { detail: facts } : facts;
  const error = new (usage ? UsageError : OperationError)(code, message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { errno, ...(address !== undefined && { address }), detail });
}

/** What the system said, as a socket's error; a code that is not listed becomes EINVAL with the cause kept. */
export function fromSystem(cause: unknown, action: string, address: string): ZmqError {
  const code = codeOf(cause);
  const known = code !== undefined && code in ERRNO ? (code as ZmqErrorCode) : "EINVAL";
  return zmqError(known, { detail: `${action}: ${messageOf(cause)}`, address, cause });
}

/** An argument of the wrong type: a TypeError as in `zeromq`, and EINVAL as all invalid arguments are. */
export function wrongType(text: string): TypeError {
  const [errno] = ERRNO.EINVAL;
  return Object.assign(new TypeError(text), { code: "EINVAL", errno });
}
