/** ○ What both sides of session mode may set, with its defaults. */
import { UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import type { Duration, Size } from "../../core/units.ts";
import {
  HANDLER_MS_MAX,
  MESSAGE_BYTES_LIMIT,
  MESSAGE_BYTES_MAX,
  OUTBOX_BYTES_MAX,
  OUTBOX_MESSAGES_MAX,
  PART_BYTES,
  PART_BYTES_MAX,
  SESSION_TTL_MS,
  STALL_MS,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
} from "../limits.ts";
import type { SessionLimits } from "./session-state.ts";

/** What both sides of session mode may set. */
export interface SessionBounds {
  /** Longest message taken, at most 16 MiB - 1. Default 1 MiB. */
  readonly messageMax?: Size;
  /** Messages of the other side that may be under way or in the application's hands, 1 to 4096. Default 4096. */
  readonly window?: number;
  /** The same in bytes. Default 4 MiB. */
  readonly windowMax?: Size;
  /** Messages of this side that may wait to be confirmed. Default 65,536. */
  readonly outboxMessages?: number;
  /** The same in bytes. Default 16 MiB. */
  readonly outboxMax?: Size;
  /** How long a message is kept to be confirmed; then `send` rejects with LINK_GAP. Default 10 min. */
  readonly keep?: Duration;
  /** How long the peer may take nothing of what is sent to it before the connection is ended. Default 35 s. */
  readonly stall?: Duration;
  /**
   * How long a handler that returns a promise may take; then its message is refused (LINK_REJECTED), and what the handler says later
   * counts no more. The handler of a stream has as long between two pieces. Default 5 min.
   */
  readonly handlerTimeout?: Duration;
  /** Longer messages are sent in parts of this size, 1 KiB to 60 KiB. Default 16 KiB. */
  readonly partSize?: Size;
  /**
   * What to do with messages in doubt after the other side lost its state (a server that has forgotten the session, a client that was
   * started anew): give them up with LINK_GAP ("reject", default), or send them again, so that they may arrive twice ("resend").
   */
  readonly inDoubt?: "reject" | "resend";
}

/** The same with its defaults. */
export interface BoundSettings {
  readonly limits: SessionLimits;
  readonly outboxMessagesMax: number;
  readonly outboxBytesMax: number;
  /** How long a message is kept; then it is given up. */
  readonly keepMs: number;
  readonly stallMs: number;
  /** How long a handler may take. */
  readonly handlerMs: number;
  /** Messages in doubt when the other side has lost its state: give them up, or send them again, which may double them. */
  readonly inDoubt: "reject" | "resend";
}

/** Reads what both sides may set. */
export function readBounds(options: SessionBounds, windowMax = WINDOW_MESSAGES): BoundSettings {
  const messageBytesMax = sizeBytes(options.messageMax ?? MESSAGE_BYTES_MAX, "messageMax");
  const window = options.window ?? windowMax;
  if (messageBytesMax > MESSAGE_BYTES_LIMIT) {
    throw new UsageError(
      "LINK_OPTION_INVALID",
      `Cannot set messageMax: ${messageBytesMax} is more than ${MESSAGE_BYTES_LIMIT}`,
    );
  }
  if (!Number.isInteger(window) || window < 1 || window > windowMax) {
    throw new UsageError("LINK_OPTION_INVALID", `Cannot set window: ${window} is not a whole number from 1 to ${windowMax}`);
  }
  const partBytes = sizeBytes(options.partSize ?? PART_BYTES, "partSize");
  if (partBytes < 1024 || partBytes > PART_BYTES_MAX) {
    throw new UsageError("LINK_OPTION_INVALID", `Cannot set partSize: ${partBytes} is not from 1024 to ${PART_BYTES_MAX}`);
  }
  return {
    limits: {
      messageBytesMax,
      window,
      windowBytes: sizeBytes(options.windowMax ?? WINDOW_BYTES, "windowMax"),
      partBytes,
    },
    inDoubt: options.inDoubt ?? "reject",
    handlerMs: durationMs(options.handlerTimeout ?? HANDLER_MS_MAX, "handlerTimeout"),
    outboxMessagesMax: options.outboxMessages ?? OUTBOX_MESSAGES_MAX,
    outboxBytesMax: sizeBytes(options.outboxMax ?? OUTBOX_BYTES_MAX, "outboxMax"),
    keepMs: durationMs(options.keep ?? SESSION_TTL_MS, "keep"),
    stallMs: durationMs(options.stall ?? STALL_MS, "stall"),
  };
}
