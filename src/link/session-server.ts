/**
 * ● The server of session mode: the hub on real sockets. Messages are handed to `onMessage` once each; what it returns decides when
 * and whether the sender is told that its message is done.
 */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import { UsageError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { durationMs, sizeBytes } from "../core/units.ts";
import type { Duration, Size } from "../core/units.ts";
import { Acceptor } from "./acceptor.ts";
import type { AcceptOptions, LinkServerStats } from "./acceptor.ts";
import { ByteLink } from "./byte-link.ts";
import type { LinkEnd } from "./end.ts";
import { gateway } from "./gateway.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import { Hub } from "./hub.ts";
import type { HubOwner, HubSettings, Presence, ServerSession } from "./hub.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "./keep-alive.ts";
import {
  HEARTBEAT_MS,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  HEARTBEAT_TIMEOUT_SHARE,
  LEAVE_MS_MAX,
  MESSAGE_BYTES_LIMIT,
  MESSAGE_BYTES_MAX,
  OUTBOX_BYTES_MAX,
  OUTBOX_MESSAGES_MAX,
  SESSION_TTL_MS,
  SESSIONS_MAX,
  STALL_MS,
  TOTAL_BYTES_MAX,
  WILL_DELAY_MS,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
} from "./limits.ts";
import type { Line, World } from "./line.ts";
import { nodeWorld } from "./node-world.ts";
import { SocketWire } from "./socket-wire.ts";
import type { WireHost } from "./socket-wire.ts";

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
  /** What clients must know: one token for all, or by the client's name (undefined refuses it). Default: none asked for. */
  readonly token?: string | ((name: string) => string | undefined | Promise<string | undefined>);
  /** Silence before a heartbeat, for clients that do not ask for another. Default 30 s. */
  readonly heartbeat?: Duration;
  /** The shortest and longest heartbeat that a client may ask for. Defaults 1 s and 1 h. */
  readonly heartbeatMin?: Duration;
  readonly heartbeatMax?: Duration;
  /** How long a session is kept without a connection. Default 10 min. */
  readonly ttl?: Duration;
  /** How long a session must be away before its will is announced. Default 10 s. */
  readonly willDelay?: Duration;
  /** Connections older than this (±10 %) are asked to come back on a new one; the session goes on. Default: any age. */
  readonly maxAge?: Duration;
  /** Sessions at a time, connected or not. Default 100,000. */
  readonly sessionsMax?: number;
  /** Bytes held for all sessions together; above it, reading stops and `send` says LINK_FULL. Default 256 MiB. */
  readonly totalMax?: Size;
}

/** Options of `listen` in session mode. */
export interface SessionListenOptions extends KeepAliveOptions, AcceptOptions, GatewayOptions {
  readonly session: SessionServerOptions;
  /** For tests: the clock. */
  readonly clock?: Clock;
  /** For tests: chance. */
  readonly random?: Random;
}

/** What a session server emits. */
export interface SessionServerEvents {
  /** A client is there, for the first time or again. */
  session: [session: ServerSession, how: { readonly resumed: boolean }];
  /** Messages of this client will never come: it gave them up. */
  gap: [session: ServerSession, lost: { readonly from: number; readonly to: number }];
  /** A client came, went, or is gone for ever; `end` says why. */
  presence: [session: ServerSession, presence: Presence, end: LinkEnd | undefined];
  /** A client has been away for `willDelay`: what it asked to be announced then. */
  will: [session: ServerSession, will: Uint8Array];
  /** The gateway's cache did not take a value. */
  cacheFailed: [error: unknown];
  /** A connection ended before it became a session: garbage, a wrong token, silence … */
  stranger: [peer: string, end: LinkEnd];
}

/** A session's numbers. */
export interface SessionStats {
  readonly number: number;
  readonly name: string;
  readonly presence: Presence;
  readonly peer: string | undefined;
  readonly sinceMs: number;
  readonly lastSeenMs: number;
  readonly rttMs: number | undefined;
  /** Messages that arrived from the client, and of those the ones that `onMessage` has not settled. */
  readonly received: number;
  readonly open: number;
  /** Messages to the client that it has not confirmed. */
  readonly unconfirmed: number;
}

/** Numbers of a session server. */
export interface SessionServerStats extends LinkServerStats {
  readonly sessions: readonly SessionStats[];
  /** Bytes of messages held for all sessions. */
  readonly heldBytes: number;
}

/** Accepts clients in session mode. */
export class SessionServer extends EventEmitter<SessionServerEvents> implements WireHost {
  /** @internal */
  readonly clock: Clock;
  /** The keep-alive values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  readonly #acceptor: Acceptor;
  readonly #hub: Hub;
  readonly #world: World;
  #closing: Promise<void> | undefined;

  /** @internal Use `listen`. */
  constructor(options: SessionListenOptions) {
    super();
    this.keepAlive = readKeepAlive(options).values;
    this.#world = nodeWorld(options);
    this.clock = this.#world.clock;
    this.#hub = new Hub(readSettings(options.session), { owner: this.#owner(options), world: this.#world });
    this.#acceptor = new Acceptor(options, { adopt: (socket, id) => this.#adopt(socket, id), opened: () => {} });
  }

  /** @internal */
  start(options: AcceptOptions): Promise<void> {
    return this.#acceptor.start(options);
  }

  /** Where the server listens: "127.0.0.1:12345". */
  get address(): string {
    return this.#acceptor.address;
  }

  get port(): number {
    return this.#acceptor.port;
  }

  /** All sessions, connected or away. */
  get sessions(): Iterable<ServerSession> {
    return this.#hub.sessions;
  }

  /** A snapshot: totals, connections with their keep-alive, sessions. */
  stats(): SessionServerStats {
    const sessions = Array.from(this.sessions, (session) => ({
      number: session.number,
      name: session.name,
      presence: session.presence,
      peer: session.peer,
      sinceMs: session.sinceMs,
      lastSeenMs: session.lastSeenMs,
      rttMs: session.rttMs,
      received: session.core.inbox.arrived,
      open: session.core.inbox.open,
      unconfirmed: session.core.outbox.length,
    }));
    return { ...this.#acceptor.stats(), sessions, heldBytes: this.#hub.heldBytes };
  }

  /**
   * Goes down gently: asks the clients to leave, evenly spread over this time, and takes in no new ones. Each client's last
   * messages are confirmed before its connection ends, so nothing is in doubt. Resolves when all are gone.
   */
  async drain({ over = 0 }: { over?: Duration } = {}): Promise<void> {
    const overMs = durationMs(over, "over");
    this.#closing ??= this.#shut(overMs);
    await this.#closing;
  }

  /** `drain` without spreading. May be called twice. */
  close(): Promise<void> {
    return this.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  received(line: Line, bytes: Buffer): void {
    this.#hub.received(line, bytes);
  }

  /** @internal */
  gone(link: ByteLink, end: LinkEnd): void {
    this.#acceptor.gone(link, end);
  }

  #adopt(socket: Socket, id: number): ByteLink {
    const wire = new SocketWire(this);
    wire.link = new ByteLink(socket, { id, owner: wire });
    wire.line = this.#hub.accept(wire, wire.link.certificate);
    return wire.link;
  }

  #owner(options: SessionListenOptions): HubOwner {
    const { token, onMessage = () => {} } = options.session;
    const through = options.toQueue || options.toCache ? this.#gateway(options) : undefined;
    return {
      token: (name) => (typeof token === "function" ? token(name) : token),
      opened: (session, how) => void this.emit("session", session, how),
      message: through
        ? async (session, message, number) => {
            await onMessage(session, message, number);
            await through.message(session, message, number);
          }
        : onMessage,
      gap: (session, lost) => void this.emit("gap", session, lost),
      presence: (session, presence, end) => {
        through?.presence(session, presence, end);
        this.emit("presence", session, presence, end);
      },
      will: (session, will) => void this.emit("will", session, will),
      strangerEnded: (line, end) => void this.emit("stranger", line.wire.peer, end),
    };
  }

  #gateway(options: GatewayOptions): Gateway {
    const { clock, random } = this.#world;
    return gateway(options, { clock, random, cacheFailed: (error) => void this.emit("cacheFailed", error) });
  }

  async #shut(overMs: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    // While it lasts, newcomers are still accepted: to be told when to come back.
    const cancelStop = this.clock.at(this.clock.now() + overMs, () => drained.resolve());
    this.#hub.drain(overMs);
    if (this.#hub.lineCount > 0) await drained.promise;
    cancelStop();
    const stopped = this.#acceptor.stop();
    const cancel = this.clock.at(this.clock.now() + LEAVE_MS_MAX, () => this.#hub.destroy());
    await stopped;
    cancel();
    this.#hub.forgetAll();
  }
}

function readSettings(options: SessionServerOptions): HubSettings {
  const duration = (
    name: "keep" | "ttl" | "willDelay" | "stall" | "heartbeat" | "heartbeatMin" | "heartbeatMax",
    byDefault: number,
  ): number => durationMs(options[name] ?? byDefault, name);
  return {
    ...readBounds(options),
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
  };
}

/** Reads what both sides may set. */
export function readBounds(
  options: SessionBounds,
): Pick<HubSettings, "limits" | "outboxMessagesMax" | "outboxBytesMax" | "keepMs" | "stallMs"> {
  const messageBytesMax = sizeBytes(options.messageMax ?? MESSAGE_BYTES_MAX, "messageMax");
  const window = options.window ?? WINDOW_MESSAGES;
  if (messageBytesMax > MESSAGE_BYTES_LIMIT) {
    throw new UsageError(
      "LINK_OPTION_INVALID",
      `Cannot set messageMax: ${messageBytesMax} is more than ${MESSAGE_BYTES_LIMIT}`,
    );
  }
  if (!Number.isInteger(window) || window < 1 || window > WINDOW_MESSAGES) {
    throw new UsageError("LINK_OPTION_INVALID", `Cannot set window: ${window} is no whole number from 1 to ${WINDOW_MESSAGES}`);
  }
  return {
    limits: { messageBytesMax, window, windowBytes: sizeBytes(options.windowMax ?? WINDOW_BYTES, "windowMax") },
    outboxMessagesMax: options.outboxMessages ?? OUTBOX_MESSAGES_MAX,
    outboxBytesMax: sizeBytes(options.outboxMax ?? OUTBOX_BYTES_MAX, "outboxMax"),
    keepMs: durationMs(options.keep ?? SESSION_TTL_MS, "keep"),
    stallMs: durationMs(options.stall ?? STALL_MS, "stall"),
  };
}
