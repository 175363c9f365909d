/**
 * ○ How a handshake that failed is told: the type, and an error with the `message` that the `zeromq` package has for it, the `code`, the
 * ZAP `status`, and in `detail` what really happened.
 */
import { codeOf, OperationError, ProtocolError } from "../../core/errors.ts";
import type { Event } from "../socket-core/observer.ts";

type Failure = Extract<Event, { readonly type: `handshake:error:${string}` }>;

/** A handshake that ended with this error. */
export function handshakeFailure(error: Error, peer: { readonly address: string; readonly remoteAddress: string }): Failure {
  const more = { cause: error };
  if (codeOf(error) === "ERR_ZMTP_REFUSED") {
    const { status } = error as Error & { status?: 300 | 400 | 500 };
    const told = new OperationError("ERR_ZMTP_REFUSED", "Authentication failure", more);
    return {
      type: "handshake:error:auth",
      ...peer,
      error: Object.assign(told, { detail: error.message, ...(status && { status }) }),
    };
  }
  if (error instanceof ProtocolError) {
    const text = error.code.startsWith("ERR_ZAP") ? "ZAP protocol error" : "ZMTP protocol error";
    const told = new ProtocolError(error.code, text, more);
    return { type: "handshake:error:protocol", ...peer, error: Object.assign(told, { detail: error.message }) };
  }
  return { type: "handshake:error:other", ...peer, error };
}
