/** ○ Why a connection ended: one word from a closed list, and a sentence. */
import { codeOf, messageOf } from "../core/errors.ts";

/** Every way a link's connection can end. */
export const END_REASONS = {
  fin: "the peer closed the connection",
  rst: "the peer reset the connection: its process or machine broke off, or something between did",
  "keepalive-timeout": "the peer answered none of the keep-alive probes",
  "user-timeout": "the peer did not acknowledge sent data in time",
  unreachable: "no connection could be made, or the network says the peer cannot be reached",
  heartbeat: "the peer's process did not answer although its kernel may: it hangs or is stopped",
  "stalled-reader": "the peer does not read what is sent to it",
  closed: "this side closed the connection",
  drained: "the server is going down and asked its clients to come back later",
  "too-many": "the server has as many connections as it may",
  "max-age": "the connection had reached its greatest age and is to be made anew",
  "taken-over": "the session came back on another connection",
  protocol: "one side broke the protocol",
  refused: "the server refused the session",
  "hello-timeout": "the peer did not finish the handshake in time",
  "leave-timeout": "messages were still unconfirmed some time after BYE",
  "no-room": "the server holds as many bytes as it may",
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
