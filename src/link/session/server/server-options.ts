/** ○ Options of session mode at the server as people write them, their defaults, and what the core takes. */
import type { NetworkPrefix } from "../../../core/address.ts";
import { UsageError } from "../../../core/errors.ts";
import { durationMs, sizeBytes } from "../../../core/units.ts";
import type { Duration, Size } from "../../../core/units.ts";
import type { Store } from "../../../store/store.ts";
import {
  HEARTBEAT_MS,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  HEARTBEAT_TIMEOUT_SHARE,
  KEPT_BYTES_MAX,
  NETWORK_PREFIX_IPV4,
  NETWORK_PREFIX_IPV6,
  SESSION_TTL_MS,
  SESSIONS_MAX,
  TOTAL_BYTES_MAX,
  WILL_DELAY_MS,
  WINDOW_MESSAGES,
  WINDOW_MESSAGES_STORED,
} from "../../limits.ts";
import type { IncomingStream } from "../incoming-stream.ts";
import { readBounds } from "../session-bounds.ts";
import type { SessionBounds } from "../session-bounds.ts";
import type { ServerSession } from "./server-session.ts";
import type { SessionServerSettings, TopicHooks } from "./session-server-settings.ts";

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
   * Keeps sessions beyond this process: a folder, "nats://HOST:4222[,HOST…][?replicas=3&group=NAME]", or a store (`makeStore` of holdfast/queue). On
   * NATS the servers with one log are a group of which one takes clients; the others do not listen until they lead (`leading`). A server that is killed is followed by the
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
