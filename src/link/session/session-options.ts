/** ○ Options of session mode as people write them, their defaults, and what the cores take. */
import type { NetworkPrefix } from "../../core/address.ts";
import { utf8 } from "../../core/bytes.ts";
import { UsageError } from "../../core/errors.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import type { Duration, Size } from "../../core/units.ts";
import type { Store } from "../../store/store.ts";
import type { BackoffOptions } from "../backoff.ts";
import type { LinkEnd } from "../end.ts";
import type { Gap, SessionClientSettings } from "./session-client-core.ts";
import type { SessionServerSettings, TopicHooks } from "./session-server-settings.ts";
import {
  HANDLER_MS_MAX,
  HEARTBEAT_MS,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  HEARTBEAT_TIMEOUT_SHARE,
  KEPT_BYTES_MAX,
  MESSAGE_BYTES_LIMIT,
  MESSAGE_BYTES_MAX,
  NAME_BYTES_MAX,
  NETWORK_PREFIX_IPV4,
  NETWORK_PREFIX_IPV6,
  OUTBOX_BYTES_MAX,
  OUTBOX_MESSAGES_MAX,
  PART_BYTES,
  PART_BYTES_MAX,
  SESSION_TTL_MS,
  SESSIONS_MAX,
  STALL_MS,
  TOTAL_BYTES_MAX,
  WILL_BYTES_MAX,
  WILL_DELAY_MS,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
  WINDOW_MESSAGES_STORED,
} from "../limits.ts";
import type { IncomingStream } from "./incoming-stream.ts";
import type { ServerSession } from "./server-session.ts";

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

/** Topics at the server. */
export interface TopicOptions {
  /** Asked before a client's message is taken: what throws or rejects refuses it, and its sender is told (LINK_REJECTED). */
  readonly onPublish?: (session: ServerSession, topic: string, message: Uint8Array) => void | Promise<unknown>;
  /** Asked before a client has a subscription. */
  readonly onSubscribe?: (session: ServerSession, filter: string) => void | Promise<unknown>;
  /** Bytes of last values that are kept, at most. Default 16 MiB; they count for `totalMax` too. */
  readonly keptMax?: Size;
}

/** Options of session mode at the server. */
export interface SessionServerOptions extends SessionBounds {
  /**
   * Takes a message. Its sender is told that it is done when this returns, or when the promise that it returns resolves; when it
   * throws or the promise rejects, the sender is told so (LINK_REJECTED). Messages of one session come in order; with promises,
   * the next may come before the last is settled. `number` counts the session's messages from 1. With `toQueue` or `toCache` it is
   * called first.
   */
  readonly onMessage?: (session: ServerSession, message: Uint8Array, number: number) => void | Promise<unknown>;
  /** Takes a message that the client sends as a stream; as `onMessage`. Without it streams are refused. */
  readonly onStream?: (session: ServerSession, stream: IncomingStream) => void | Promise<unknown>;
  /**
   * Keeps sessions beyond this process: a folder, or a store (`makeStore` of holdfast/queue). A server that is killed is followed by the
   * next one with the same store, which goes on with every session: who has it, what came, what waits for the client. What a message's
   * sender hears is in the store before. A handler may be given a message twice, under the same number, when the process dies before its
   * receipt is kept; with `toQueue` there is one task all the same. Streams, unconfirmed messages and topics' last values are not kept.
   * `window` is 255 at most then. Default: in memory, for as long as the process lives.
   */
  readonly store?: string | Store;
  /** Clients may publish and subscribe by topic; `{}` for every topic. Default: they may not. */
  readonly topics?: TopicOptions;
  /** What clients must know: one token for all, or by the client's name (undefined refuses it). Default: none asked for. */
  readonly token?: string | ((name: string) => string | undefined | Promise<string | undefined>);
  /** Silence before a heartbeat, for clients that do not ask for another. Default 30 s. */
  readonly heartbeat?: Duration;
  /** The shortest heartbeat that a client may ask for. Default 1 s. */
  readonly heartbeatMin?: Duration;
  /** The longest. Default 1 h. */
  readonly heartbeatMax?: Duration;
  /** How long a session is kept without a connection. Default 10 min. */
  readonly ttl?: Duration;
  /** How long a session must be away before its will is announced. Default 10 s. */
  readonly willDelay?: Duration;
  /** Connections older than this (±10 %) are asked to come back on a new one; the session goes on. Default: any age. */
  readonly maxAge?: Duration;
  /** Sessions at a time, connected or not. Default 100,000. */
  readonly sessionsMax?: number;
  /**
   * How many bits of a client's address tell it from others (CIDR), for fair shares and for slowing down networks from which wrong tokens
   * come. Default 32 for IPv4, 64 for IPv6.
   */
  readonly addressPrefix?: Partial<NetworkPrefix>;
  /**
   * Bytes held for all sessions together. From half of it on, those that hold more than an even share (of their address's share) are
   * read no further, and `send` to them says LINK_FULL; the others notice nothing. Default 256 MiB.
   */
  readonly totalMax?: Size;
}

/** What the application has to say of topics; undefined where there are none. */
export function readTopics(topics: TopicOptions | undefined): TopicHooks | undefined {
  if (!topics) return undefined;
  const { onPublish = () => {}, onSubscribe = () => {}, keptMax = KEPT_BYTES_MAX } = topics;
  return { onPublish, onSubscribe, keptBytesMax: sizeBytes(keptMax, "keptMax") };
}

/** The server's options with their defaults. */
export function readSessionServer(options: SessionServerOptions): SessionServerSettings {
  const duration = (
    name: "keep" | "ttl" | "willDelay" | "stall" | "heartbeat" | "heartbeatMin" | "heartbeatMax",
    byDefault: number,
  ): number => durationMs(options[name] ?? byDefault, name);
  return {
    ...readBounds(options, options.store === undefined ? WINDOW_MESSAGES : WINDOW_MESSAGES_STORED),
    heartbeatMs: duration("heartbeat", HEARTBEAT_MS),
    heartbeatMsMin: duration("heartbeatMin", HEARTBEAT_MS_MIN),
    heartbeatMsMax: duration("heartbeatMax", HEARTBEAT_MS_MAX),
    heartbeatTimeoutShare: HEARTBEAT_TIMEOUT_SHARE,
    ttlMs: duration("ttl", SESSION_TTL_MS),
    willDelayMs: duration("willDelay", WILL_DELAY_MS),
    maxAgeMs: options.maxAge === undefined ? Infinity : durationMs(options.maxAge, "maxAge"),
    sessionsMax: options.sessionsMax ?? SESSIONS_MAX,
    totalBytesMax: sizeBytes(options.totalMax ?? TOTAL_BYTES_MAX, "totalMax"),
    tokenRequired: options.token !== undefined,
    prefix: {
      ipv4: prefixBits("ipv4", options.addressPrefix?.ipv4 ?? NETWORK_PREFIX_IPV4, 32),
      ipv6: prefixBits("ipv6", options.addressPrefix?.ipv6 ?? NETWORK_PREFIX_IPV6, 128),
    },
  };
}

function prefixBits(family: keyof NetworkPrefix, bits: number, most: number): number {
  if (Number.isInteger(bits) && bits >= 0 && bits <= most) return bits;
  throw new UsageError(
    "LINK_OPTION_INVALID",
    `Cannot set addressPrefix.${family}: ${bits} is not a whole number from 0 to ${most}`,
  );
}

/** Reads what both sides may set. */
export function readBounds(
  options: SessionBounds,
  windowMax = WINDOW_MESSAGES,
): Pick<
  SessionServerSettings,
  "limits" | "inDoubt" | "outboxMessagesMax" | "outboxBytesMax" | "keepMs" | "stallMs" | "handlerMs"
> {
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
