/** ○ Options of session mode at the client as people write them, their defaults, and what the core takes. */
import { utf8 } from "../../../core/bytes.ts";
import { UsageError } from "../../../core/errors.ts";
import { durationMs } from "../../../core/units.ts";
import type { Duration } from "../../../core/units.ts";
import type { BackoffOptions } from "../../backoff.ts";
import type { LinkEnd } from "../../end.ts";
import { NAME_BYTES_MAX, WILL_BYTES_MAX } from "../../limits.ts";
import type { IncomingStream } from "../incoming-stream.ts";
import { readBounds } from "../session-bounds.ts";
import type { SessionBounds } from "../session-bounds.ts";
import type { Gap, SessionClientSettings } from "./session-client-core.ts";

/** Options of session mode at the client. */
export interface SessionClientOptions extends SessionBounds {
  /**
   * Who this is, for people, for presence, and for a token of its own; at most 255 bytes of UTF-8. The server has one session a name: a
   * client that is started again goes on with it, and one that another client of its name replaces ends with `taken-over`.
   * Default "": a session of its own.
   */
  readonly name?: string;
  /**
   * A file that keeps what is sent and not done: a process that is killed is followed by the next one of the same file, which goes on with
   * the session. Nothing waits for the disk: a power cut may lose the last messages. Streams and unconfirmed messages are not in it.
   */
  readonly spool?: string;
  /** The token, when the server asks for one. It never crosses the wire. */
  readonly token?: string;
  /** What the server shall announce when this client is lost; at most 8 KiB. */
  readonly will?: Uint8Array | string;
  /** The silence before a heartbeat to ask for. Default: the server's. */
  readonly heartbeat?: Duration;
  /** Takes a message of the server; as the server's `onMessage`. */
  readonly onMessage?: (message: Uint8Array) => void | Promise<unknown>;
  /**
   * Takes what is published under topics that `subscribe` named; as `onMessage`. `kept`: it was there before the subscription. A client
   * that is started again under its name gets what the one before it subscribed to. Without it such messages are refused.
   */
  readonly onTopic?: (topic: string, message: Uint8Array, how: { readonly kept: boolean }) => void | Promise<unknown>;
  /** Takes a message that the server sends as a stream; without it streams are refused. */
  readonly onStream?: (stream: IncomingStream) => void | Promise<unknown>;
  /** When the outbox is full: "reject" a new message with LINK_FULL (default), or give up the oldest ("drop-oldest"). */
  readonly whenFull?: "reject" | "drop-oldest";
}

/** What a session client emits. */
export interface SessionClientEvents {
  /** The session is there, for the first time or again. */
  open: [
    how: {
      /** This client goes on where it was. */
      readonly resumed: boolean;
      /** The name's session was there, of a client before this one: what waits for the name comes. */
      readonly restarted: boolean;
      readonly heartbeatMs: number;
      readonly ttlMs: number;
    },
  ];
  /** Something will not be delivered once and in order. */
  gap: [gap: Gap];
  /** A connection ended or could not be made. */
  end: [end: LinkEnd];
  /** The next attempt comes in `inMs`. */
  waiting: [inMs: number];
  /** The client is done. */
  close: [end: LinkEnd];
}

/** A client's options with their defaults, but for its spool. */
export function readClient(
  options: Omit<SessionClientOptions, "spool">,
  reconnect: false | BackoffOptions | undefined,
): SessionClientSettings {
  const { name = "", token, will, heartbeat, whenFull = "reject" } = options;
  bounded("name", utf8(name), NAME_BYTES_MAX);
  return {
    ...readBounds(options),
    name,
    token,
    will: will === undefined ? undefined : bounded("will", typeof will === "string" ? utf8(will) : will, WILL_BYTES_MAX),
    heartbeatMs: heartbeat === undefined ? 0 : durationMs(heartbeat, "heartbeat"),
    whenFull,
    reconnect: reconnect !== false,
  };
}

function bounded(option: string, bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (bytes.length > bytesMax)
    throw new UsageError("LINK_OPTION_INVALID", `Cannot set ${option}: ${bytes.length} bytes, at most ${bytesMax} allowed`);
  return bytes;
}
