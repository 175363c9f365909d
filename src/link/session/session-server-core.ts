/**
 * ○ The server's side of session mode: who may come in, which session goes on, who is present, what is held. Transports, clock and
 * chance are given (Environment). Invariant: a session has at most one connection; one without a connection ends after its time to
 * live; the bytes held for all sessions together are counted in `heldBytes`, and reading stops at `totalBytesMax`.
 */
import { EMPTY, hex, sameBytes, utf8 } from "../../core/bytes.ts";
import { OperationError } from "../../core/errors.ts";
import { showSize } from "../../core/units.ts";
import { NONCE_BYTES } from "./body.ts";
import type { Challenge, Hello, RefuseReason } from "./body.ts";
import { SessionProtocol } from "./session-protocol.ts";
import type { SessionProtocolEvent } from "./session-protocol.ts";
import { endOf } from "../end.ts";
import type { LinkEnd } from "../end.ts";
import { acknowledge } from "./acknowledgement.ts";
import { AGE_JITTER } from "../limits.ts";
import { LinkConnection } from "./link-connection.ts";
import type { LinkConnectionOwner } from "./link-connection.ts";
import type { LinkTransport, Environment } from "./environment.ts";
import { proofOf } from "./proof.ts";
import { ServerSession } from "./server-session.ts";
import type { Presence } from "./server-session.ts";
import { SessionState } from "./session-state.ts";
import type { SessionLimits } from "./session-state.ts";

export interface SessionServerSettings {
  readonly limits: SessionLimits;
  readonly outboxMessagesMax: number;
  readonly outboxBytesMax: number;
  readonly heartbeatMs: number;
  readonly heartbeatMsMin: number;
  readonly heartbeatMsMax: number;
  /** Share of the heartbeat interval that an answer may take. */
  readonly heartbeatTimeoutShare: number;
  readonly ttlMs: number;
  /** How long a message to a client is kept; then it is given up. */
  readonly keepMs: number;
  readonly willDelayMs: number;
  readonly stallMs: number;
  /** Infinity for connections of any age. */
  readonly maxAgeMs: number;
  readonly sessionsMax: number;
  readonly totalBytesMax: number;
  readonly tokenRequired: boolean;
}

export interface SessionServerCoreOwner {
  /** The token of a client by its name; undefined refuses it. Called only where tokens are required. */
  token(name: string, connection: LinkConnection): string | undefined | Promise<string | undefined>;
  opened(session: ServerSession, how: { readonly resumed: boolean }): void;
  /** A message; the session confirms it when what this returns settles. */
  message(session: ServerSession, bytes: Uint8Array, number: number): void | Promise<unknown>;
  gap(session: ServerSession, lost: { readonly from: number; readonly to: number }): void;
  presence(session: ServerSession, presence: Presence, end: LinkEnd | undefined): void;
  will(session: ServerSession, will: Uint8Array): void;
  /** A connection ended before it had a session. */
  endedBeforeSession(connection: LinkConnection, end: LinkEnd): void;
}

export class SessionServerCore implements LinkConnectionOwner {
  readonly stallMs: number;
  readonly #settings: SessionServerSettings;
  readonly #owner: SessionServerCoreOwner;
  readonly #environment: Environment;
  readonly #sessions = new Map<string, ServerSession>();
  /** Connections before and after their WELCOME. */
  readonly #connections = new Map<
    LinkConnection,
    { readonly identity: string; readonly challenge: Challenge; session?: ServerSession; waitingBytes: number }
  >();
  readonly #paused = new Set<LinkConnection>();
  #count = 0;
  #heldBytes = 0;
  #drainUntilMs: number | undefined;

  constructor(
    settings: SessionServerSettings,
    { owner, environment }: { owner: SessionServerCoreOwner; environment: Environment },
  ) {
    this.#settings = settings;
    this.stallMs = settings.stallMs;
    this.#owner = owner;
    this.#environment = environment;
  }

  get sessions(): Iterable<ServerSession> {
    return this.#sessions.values();
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Bytes of messages and of frames begun, of all sessions. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  wallMs(): number {
    return this.#environment.clock.wallMs();
  }

  /**
   * A new connection.
   *
   * @param identity what the transport proves about the client (its certificate's fingerprint), or ""
   */
  accept(transport: LinkTransport, identity = ""): LinkConnection {
    const challenge = { nonce: this.#environment.secretBytes(NONCE_BYTES), tokenRequired: this.#settings.tokenRequired };
    const protocol = new SessionProtocol({ role: "server", nowMs: this.#environment.clock.now(), challenge });
    const connection = new LinkConnection(transport, { protocol, owner: this, environment: this.#environment });
    this.#connections.set(connection, { identity, challenge, waitingBytes: 0 });
    if (this.#drainUntilMs !== undefined) this.#refuse(connection, "draining", "the server is going down");
    return connection;
  }

  /** The transport of a connection brought bytes. */
  received(connection: LinkConnection, chunk: Uint8Array): void {
    connection.received(chunk);
    const entry = this.#connections.get(connection);
    if (!entry) return;
    const { waitingBytes } = connection.protocol;
    this.#heldBytes += waitingBytes - entry.waitingBytes;
    entry.waitingBytes = waitingBytes;
    if (this.#heldBytes <= this.#settings.totalBytesMax) return;
    if (waitingBytes > 0) return connection.fail(endOf("no-room"));
    connection.transport.pause();
    this.#paused.add(connection);
  }

  /** The session of a connection, once it has its WELCOME. */
  sessionOf(connection: LinkConnection): ServerSession | undefined {
    return this.#connections.get(connection)?.session;
  }

  event(connection: LinkConnection, event: SessionProtocolEvent): void {
    const entry = this.#connections.get(connection)!;
    const { session } = entry;
    switch (event.kind) {
      case "hello":
        return this.#hello(connection, event);
      case "message":
        return this.#message(session!, event.number, event.bytes);
      case "gap":
        return this.#owner.gap(session!, { from: event.from, to: event.to });
      case "bye":
        connection.peerLeft(event.notice.word);
        if (event.notice.word === "closed") session!.closing = true;
        return;
      case "challenge":
      case "welcome":
      case "refused":
        return; // MAY_COME lets none of them through to a server
    }
  }

  ended(connection: LinkConnection, end: LinkEnd): void {
    const entry = this.#connections.get(connection);
    if (!entry) return;
    this.#connections.delete(connection);
    this.#paused.delete(connection);
    this.#release(entry.waitingBytes);
    const { session } = entry;
    if (!session) return this.#owner.endedBeforeSession(connection, end);
    if (session.connection !== connection) return; // the session went on over another connection
    session.connection = undefined;
    session.seen("away");
    this.#owner.presence(session, "away", end);
    if (session.closing) return this.#forget(session, end);
    const nowMs = this.#environment.clock.now();
    session.expiresAtMs = nowMs + this.#settings.ttlMs;
    if (session.will && end.reason !== "drained")
      session.willAtMs = Math.min(nowMs + this.#settings.willDelayMs, session.expiresAtMs);
    this.#environment.deadlines.moved(session);
  }

  send(session: ServerSession, bytes: Uint8Array): Promise<void> {
    const { outbox } = session.state;
    const { outboxMessagesMax, outboxBytesMax, totalBytesMax } = this.#settings;
    const most = session.connection?.protocol.peerMessageBytesMax ?? this.#settings.limits.messageBytesMax;
    if (session.presence === "gone") return refused("LINK_ENDED", "the session has ended");
    if (bytes.length > most) return refused("LINK_MESSAGE_TOO_LARGE", `${bytes.length} bytes, at most ${most} allowed`);
    if (outbox.length >= outboxMessagesMax || outbox.bytes + bytes.length > outboxBytesMax) {
      return refused("LINK_FULL", `${outbox.length} messages and ${showSize(outbox.bytes)} are already queued for the client`);
    }
    if (this.#heldBytes + bytes.length > totalBytesMax) {
      return refused("LINK_FULL", `${showSize(this.#heldBytes)} are already queued for all clients`);
    }
    this.#heldBytes += bytes.length;
    return new Promise((resolve, reject) => {
      outbox.push({
        bytes,
        deadlineMs: this.#environment.clock.now() + this.#settings.keepMs,
        settle: (error) => {
          this.#release(bytes.length);
          if (error) reject(error);
          else resolve();
        },
      });
      if (outbox.length === 1) this.#environment.deadlines.moved(session);
      session.connection?.flushSoon();
    });
  }

  /** Ends a session for good. */
  endSession(session: ServerSession): void {
    session.closing = true;
    if (session.connection) session.connection.leave("closed");
    else this.#forget(session, endOf("closed"));
  }

  sessionDue(session: ServerSession, nowMs: number): void {
    session.state.outbox.expire(nowMs);
    if (nowMs >= session.willAtMs) {
      session.willAtMs = Infinity;
      const { will } = session;
      session.will = undefined;
      if (will) this.#owner.will(session, will);
    }
    if (nowMs >= session.expiresAtMs) this.#forget(session, endOf("closed"));
  }

  /**
   * Says BYE on all connections, evenly over this time and in random order, so that their clients come back evenly somewhere else.
   * Newcomers are refused and told when to come back.
   */
  drain(overMs: number): void {
    const nowMs = this.#environment.clock.now();
    this.#drainUntilMs = nowMs + overMs;
    const connections = shuffled([...this.#connections.keys()], this.#environment.random);
    for (const [index, connection] of connections.entries()) {
      const share = (index + this.#environment.random()) / connections.length;
      if (!this.#connections.get(connection)!.session) this.#refuse(connection, "draining", "the server is going down");
      else if (overMs === 0) connection.leave("drained");
      else connection.leaveAt(nowMs + share * overMs, "drained");
    }
  }

  /** Ends every connection at once. */
  destroy(): void {
    for (const connection of this.#connections.keys()) connection.fail(endOf("closed"), "closed");
  }

  /** Ends every session: the server is no more. */
  forgetAll(): void {
    for (const session of this.#sessions.values()) this.#forget(session, endOf("drained"));
  }

  #hello(connection: LinkConnection, { hello, body }: { hello: Hello; body: Uint8Array }): void {
    const { identity, challenge } = this.#connections.get(connection)!;
    if (!this.#settings.tokenRequired) return this.#decide(connection, hello, { identity, token: undefined });
    const verify = (token: string | undefined): void => {
      if (connection.ended) return;
      const proven =
        token !== undefined &&
        sameBytes(hello.proof, proofOf(this.#environment, { side: "client", token, challenge, hello, body }));
      if (!proven) return this.#refuse(connection, "unauthorised", "the token is missing or wrong");
      const proof = this.#environment.hmac(token, [utf8("identity")]);
      this.#decide(connection, hello, { identity: `${identity} ${hex(proof)}`, token });
    };
    let token: string | undefined | Promise<string | undefined>;
    try {
      token = this.#owner.token(hello.name, connection);
    } catch {
      return this.#refuse(connection, "unauthorised", "the token could not be looked up");
    }
    if (!(token instanceof Promise)) return verify(token);
    token
      .then(verify, () => this.#refuse(connection, "unauthorised", "the token could not be looked up"))
      .catch((error: unknown) => connection.fail(endOf("protocol", error), "protocol"));
  }

  #decide(
    connection: LinkConnection,
    hello: Hello,
    { identity, token }: { identity: string; token: string | undefined },
  ): void {
    if (this.#drainUntilMs !== undefined) return this.#refuse(connection, "draining", "the server is going down");
    const wanted = this.#sessions.get(hex(hello.sessionId));
    // One answer for unknown, expired and somebody else's: an unknown client learns nothing from it.
    if (wanted ? wanted.identity !== identity || wanted.name !== hello.name : hello.resume) {
      return this.#refuse(connection, "session-unknown", "no such session for this client");
    }
    if (!wanted && this.#sessions.size >= this.#settings.sessionsMax)
      return this.#refuse(connection, "full", "the server has no room for a session");
    const session = wanted ?? this.#begin(hello, identity);
    // Numbers that cannot be: one side was set back. The session is left to its time to live, for it may be another's, whose
    // HELLO was recorded; the client begins a new one, and tells the gap.
    if (!session.state.outbox.mayResume(hello.terms.arrived, hello.terms.receipt)) {
      return this.#refuse(connection, "session-unknown", "the session's numbers disagree");
    }
    session.state.outbox.resume(hello.terms.arrived, hello.terms.receipt);
    this.#sessions.set(session.key, session);
    this.#takeOver(session);
    this.#welcome(connection, { session, hello, token, resumed: wanted !== undefined });
  }

  #begin(hello: Hello, identity: string): ServerSession {
    const id = hello.sessionId;
    this.#count += 1;
    const state = new SessionState({ id, limits: this.#settings.limits });
    return new ServerSession(this, {
      name: hello.name,
      number: this.#count,
      wallMs: this.wallMs(),
      key: hex(id),
      identity,
      state,
    });
  }

  /** The old connection of a session that comes back is dead or will be: the client would not have made a new one. */
  #takeOver(session: ServerSession): void {
    const old = session.connection;
    session.connection = undefined;
    old?.fail(endOf("taken-over"), "taken-over");
  }

  #welcome(
    connection: LinkConnection,
    { session, hello, token, resumed }: { session: ServerSession; hello: Hello; token: string | undefined; resumed: boolean },
  ): void {
    const { heartbeatMsMin, heartbeatMsMax, heartbeatTimeoutShare, ttlMs, maxAgeMs } = this.#settings;
    const heartbeatMs = Math.min(Math.max(hello.heartbeatMs || this.#settings.heartbeatMs, heartbeatMsMin), heartbeatMsMax);
    const entry = this.#connections.get(connection)!;
    const proof =
      token === undefined
        ? EMPTY
        : proofOf(this.#environment, { side: "server", token, challenge: entry.challenge, hello, body: hello.sessionId });
    connection.protocol.welcome(session.state, {
      hello,
      welcome: {
        resumed,
        terms: session.state.terms(),
        heartbeatMs,
        heartbeatTimeoutMs: Math.ceil(heartbeatMs * heartbeatTimeoutShare),
        ttlMs,
        proof,
      },
    });
    entry.session = session;
    session.connection = connection;
    session.will = hello.will;
    session.willAtMs = Infinity;
    session.expiresAtMs = Infinity;
    const age = maxAgeMs * (1 + AGE_JITTER * (2 * this.#environment.random() - 1));
    if (Number.isFinite(age)) connection.leaveAt(this.#environment.clock.now() + age, "max-age");
    session.seen("online");
    this.#owner.opened(session, { resumed });
    this.#owner.presence(session, "online", undefined);
    connection.flushSoon();
  }

  #refuse(connection: LinkConnection, word: RefuseReason, text: string): void {
    const left = Math.max(0, (this.#drainUntilMs ?? 0) - this.#environment.clock.now());
    const retryAfterMs = word === "draining" ? Math.ceil(left * (1 + this.#environment.random())) : 0;
    if (connection.protocol.refuse({ word, retryAfterMs, text })) connection.refused();
    else connection.flushSoon();
  }

  #message(session: ServerSession, number: number, bytes: Uint8Array): void {
    const { inbox } = session.state;
    this.#heldBytes += bytes.length;
    const settle = (reject?: string): void => {
      inbox.settle(number, { bytes: bytes.length, reject });
      this.#release(bytes.length);
      session.connection?.flushSoon();
    };
    acknowledge(() => this.#owner.message(session, bytes, number), settle);
  }

  #forget(session: ServerSession, end: LinkEnd): void {
    if (!this.#sessions.delete(session.key)) return;
    this.#environment.deadlines.remove(session);
    session.expiresAtMs = Infinity;
    session.willAtMs = Infinity;
    session.seen("gone");
    session.state.outbox.clear(
      new OperationError("LINK_ENDED", "Cannot deliver a message: the session has ended; it may or may not have arrived"),
    );
    this.#owner.presence(session, "gone", end);
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#paused.size === 0 || this.#heldBytes > this.#settings.totalBytesMax * RESUME_SHARE) return;
    const paused = [...this.#paused];
    this.#paused.clear();
    for (const connection of paused) connection.transport.resume();
  }
}

/** 7/8: reading starts again with some room, not for one chunk. */
const RESUME_SHARE = 7 / 8;

function refused(code: "LINK_ENDED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): Promise<never> {
  return Promise.reject(new OperationError(code, `Cannot send a message: ${why}`));
}

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}
