/** ○ Why a connection ended: one word from a closed list, and a sentence. */
import { codeOf, messageOf } from "../core/errors.ts";

/** Every way a link's connection can end. */
export const END_REASONS = {
  fin: "the peer closed the connection",
  rst: "the connection was reset by the peer's process or machine, or by a middlebox",
  "keepalive-timeout": "the peer did not answer the keep-alive probes",
  "user-timeout": "the peer did not acknowledge sent data in time",
  unreachable: "the connection failed, or the network reports the peer as unreachable",
  "interface-down": "this machine's own network interface is down",
  heartbeat: "the peer did not answer heartbeats: its process hangs or is suspended, or the way to it is cut",
  "stalled-reader": "the peer does not read what is sent to it",
  closed: "this side closed the connection",
  drained: "the server is shutting down and asked its clients to reconnect later",
  "too-many": "the server has reached its limit of connections",
  "max-age": "the connection reached its maximum age; reconnect",
  "taken-over": "the session went on over a newer connection, of this client or of another one of its name",
  protocol: "one side violated the protocol",
  refused: "the server refused the session",
  "hello-timeout": "the peer did not complete the handshake in time",
  "leave-timeout": "messages stayed unacknowledged after BYE",
  "no-room": "the server has reached its memory limit",
  failed: "a system call failed",
} as const satisfies Record<string, string>;

/** A key of END_REASONS. */
export type EndReason = keyof typeof END_REASONS;

/** How a connection ended. */
export interface LinkEnd {
  readonly reason: EndReason;
  /** One sentence for people. */
  readonly message: string;
  /** The system's error, where there was one. */
  readonly cause?: unknown;
}

export function endOf(reason: EndReason, cause?: unknown): LinkEnd {
  const detail = cause === undefined ? "" : ` (${messageOf(cause)})`;
  const message = `${END_REASONS[reason]}${detail}`;
  return cause === undefined ? { reason, message } : { reason, message, cause };
}

/** Codes of errors that are a way to end; what is not listed here is "failed". */
const BY_CODE: Readonly<Record<string, EndReason>> = {
  ECONNRESET: "rst",
  EPIPE: "rst",
  ECONNABORTED: "rst",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ECONNREFUSED: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
};

/** What went unanswered when the kernel gave up with ETIMEDOUT. */
export type Unanswered = "probes" | "data" | "window";

const TIMED_OUT: Readonly<Record<Unanswered, EndReason>> = {
  probes: "keepalive-timeout",
  data: "user-timeout",
  window: "stalled-reader",
};

/** The end that a socket's error means. ETIMEDOUT alone does not say what went unanswered. */
export function endOfError(error: unknown, unanswered: Unanswered = "probes"): LinkEnd {
  const code = codeOf(error) ?? "";
  return endOf(code === "ETIMEDOUT" ? TIMED_OUT[unanswered] : (BY_CODE[code] ?? "failed"), error);
}
