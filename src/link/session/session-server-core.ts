/**
 * ○ The server's side of session mode: who may come in, which session goes on, who is present, what is held. Wires, clock and
 * chance are given (World). Invariant: a session has at most one line; a session without one ends after its time to live; the
 * bytes held for all sessions together are counted in `heldBytes` and stop the reading at `totalBytesMax`.
 */
import { OperationError } from "../../core/errors.ts";
import { showSize } from "../../core/units.ts";
import { NONCE_BYTES } from "./body.ts";
import type { Challenge, Hello, Refusal } from "./body.ts";
import { Conversation } from "./session-protocol.ts";
import type { ConversationEvent } from "./session-protocol.ts";
import { endOf } from "../end.ts";
import type { LinkEnd } from "../end.ts";
import { handled } from "./acknowledgement.ts";
import { AGE_JITTER } from "../limits.ts";
import { Line } from "./link-connection.ts";
import type { LineOwner, Wire, World } from "./link-connection.ts";
import { proofOf, sameBytes } from "./proof.ts";
import { ServerSession } from "./server-session.ts";
import type { Presence } from "./server-session.ts";
import { Session } from "./session-state.ts";
import type { SessionLimits } from "./session-state.ts";

export interface HubSettings {
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

export interface HubOwner {
  /** The token of a client by its name; undefined refuses it. Called only where tokens are required. */
  token(name: string, line: Line): string | undefined | Promise<string | undefined>;
  opened(session: ServerSession, how: { readonly resumed: boolean }): void;
  /** A message; the session confirms it when what this returns settles. */
  message(session: ServerSession, bytes: Uint8Array, number: number): void | Promise<unknown>;
  gap(session: ServerSession, lost: { readonly from: number; readonly to: number }): void;
  presence(session: ServerSession, presence: Presence, end: LinkEnd | undefined): void;
  will(session: ServerSession, will: Uint8Array): void;
  /** A connection ended before it had a session. */
  strangerEnded(line: Line, end: LinkEnd): void;
}

export class Hub implements LineOwner {
  readonly stallMs: number;
  readonly #settings: HubSettings;
  readonly #owner: HubOwner;
  readonly #world: World;
  readonly #sessions = new Map<string, ServerSession>();
  /** Lines before and after their welcome. */
  readonly #lines = new Map<
    Line,
    { readonly identity: string; readonly challenge: Challenge; session?: ServerSession; waitingBytes: number }
  >();
  readonly #paused = new Set<Line>();
  #count = 0;
  #heldBytes = 0;
  #drainUntilMs: number | undefined;

  constructor(settings: HubSettings, { owner, world }: { owner: HubOwner; world: World }) {
    this.#settings = settings;
    this.stallMs = settings.stallMs;
    this.#owner = owner;
    this.#world = world;
  }

  get sessions(): Iterable<ServerSession> {
    return this.#sessions.values();
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get lineCount(): number {
    return this.#lines.size;
  }

  /** Bytes of messages and of frames begun, of all sessions. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  wallMs(): number {
    return this.#world.clock.wallMs();
  }

  /**
   * A new connection.
   *
   * @param identity what the wire proves about the client (its certificate's fingerprint), or ""
   */
  accept(wire: Wire, identity = ""): Line {
    const challenge = { nonce: this.#world.secretBytes(NONCE_BYTES), tokenRequired: this.#settings.tokenRequired };
    const conversation = new Conversation({ role: "server", nowMs: this.#world.clock.now(), challenge });
    const line = new Line(wire, { conversation, owner: this, world: this.#world });
    this.#lines.set(line, { identity, challenge, waitingBytes: 0 });
    if (this.#drainUntilMs !== undefined) this.#refuse(line, "draining", "the server is going down");
    return line;
  }

  /** The wire of a line brought bytes. */
  received(line: Line, chunk: Uint8Array): void {
    line.received(chunk);
    const entry = this.#lines.get(line);
    if (!entry) return;
    const { waitingBytes } = line.conversation;
    this.#heldBytes += waitingBytes - entry.waitingBytes;
    entry.waitingBytes = waitingBytes;
    if (this.#heldBytes <= this.#settings.totalBytesMax) return;
    if (waitingBytes > 0) return line.fail(endOf("no-room"));
    line.wire.pause();
    this.#paused.add(line);
  }

  /** The session of a line, once it is welcome. */
  sessionOf(line: Line): ServerSession | undefined {
    return this.#lines.get(line)?.session;
  }

  event(line: Line, event: ConversationEvent): void {
    const entry = this.#lines.get(line)!;
    const { session } = entry;
    switch (event.kind) {
      case "hello":
        return this.#hello(line, event);
      case "message":
        return this.#message(session!, event.number, event.bytes);
      case "gap":
        return this.#owner.gap(session!, { from: event.from, to: event.to });
      case "bye":
        line.parted(event.parting.word);
        if (event.parting.word === "closed") session!.closing = true;
        return;
      case "challenge":
      case "welcome":
      case "refused":
        return; // MAY_COME lets none of them through to a server
    }
  }

  ended(line: Line, end: LinkEnd): void {
    const entry = this.#lines.get(line);
    if (!entry) return;
    this.#lines.delete(line);
    this.#paused.delete(line);
    this.#release(entry.waitingBytes);
    const { session } = entry;
    if (!session) return this.#owner.strangerEnded(line, end);
    if (session.line !== line) return; // the session went on over another connection
    session.line = undefined;
    session.seen("away");
    this.#owner.presence(session, "away", end);
    if (session.closing) return this.#forget(session, end);
    const nowMs = this.#world.clock.now();
    session.expiresAtMs = nowMs + this.#settings.ttlMs;
    if (session.will && end.reason !== "drained")
      session.willAtMs = Math.min(nowMs + this.#settings.willDelayMs, session.expiresAtMs);
    this.#world.deadlines.moved(session);
  }

  send(session: ServerSession, bytes: Uint8Array): Promise<void> {
    const { outbox } = session.core;
    const { outboxMessagesMax, outboxBytesMax, totalBytesMax } = this.#settings;
    const most = session.line?.conversation.peerMessageBytesMax ?? this.#settings.limits.messageBytesMax;
    if (session.presence === "gone") return refused("LINK_ENDED", "the session is gone");
    if (bytes.length > most) return refused("LINK_MESSAGE_TOO_LARGE", `${bytes.length} bytes, at most ${most} allowed`);
    if (outbox.length >= outboxMessagesMax || outbox.bytes + bytes.length > outboxBytesMax) {
      return refused("LINK_FULL", `${outbox.length} messages and ${showSize(outbox.bytes)} wait for the client already`);
    }
    if (this.#heldBytes + bytes.length > totalBytesMax) {
      return refused("LINK_FULL", `${showSize(this.#heldBytes)} wait for all clients together`);
    }
    this.#heldBytes += bytes.length;
    return new Promise((resolve, reject) => {
      outbox.push({
        bytes,
        deadlineMs: this.#world.clock.now() + this.#settings.keepMs,
        settle: (error) => {
          this.#release(bytes.length);
          if (error) reject(error);
          else resolve();
        },
      });
      if (outbox.length === 1) this.#world.deadlines.moved(session);
      session.line?.flushSoon();
    });
  }

  /** Ends a session for good. */
  endSession(session: ServerSession): void {
    session.closing = true;
    if (session.line) session.line.leave("closed");
    else this.#forget(session, endOf("closed"));
  }

  sessionDue(session: ServerSession, nowMs: number): void {
    session.core.outbox.expire(nowMs);
    if (nowMs >= session.willAtMs) {
      session.willAtMs = Infinity;
      const { will } = session;
      session.will = undefined;
      if (will) this.#owner.will(session, will);
    }
    if (nowMs >= session.expiresAtMs) this.#forget(session, endOf("closed"));
  }

  /**
   * Says good-bye to all lines, evenly over this time and in random order, so that their clients come back evenly somewhere else.
   * Newcomers are refused and told when to come back.
   */
  drain(overMs: number): void {
    const nowMs = this.#world.clock.now();
    this.#drainUntilMs = nowMs + overMs;
    const lines = shuffled([...this.#lines.keys()], this.#world.random);
    for (const [index, line] of lines.entries()) {
      const share = (index + this.#world.random()) / lines.length;
      if (!this.#lines.get(line)!.session) this.#refuse(line, "draining", "the server is going down");
      else if (overMs === 0) line.leave("drained");
      else line.leaveAt(nowMs + share * overMs, "drained");
    }
  }

  /** Ends every line at once. */
  destroy(): void {
    for (const line of this.#lines.keys()) line.fail(endOf("closed"), "closed");
  }

  /** Ends every session: the server is no more. */
  forgetAll(): void {
    for (const session of this.#sessions.values()) this.#forget(session, endOf("drained"));
  }

  #hello(line: Line, { hello, body }: { hello: Hello; body: Uint8Array }): void {
    const { identity, challenge } = this.#lines.get(line)!;
    if (!this.#settings.tokenRequired) return this.#decide(line, hello, { identity, token: undefined });
    const verify = (token: string | undefined): void => {
      if (line.ended) return;
      const proven =
        token !== undefined && sameBytes(hello.proof, proofOf(this.#world, { side: "client", token, challenge, hello, body }));
      if (!proven) return this.#refuse(line, "unauthorised", "the token is missing or wrong");
      const proof = this.#world.hmac(token, [new TextEncoder().encode("identity")]);
      this.#decide(line, hello, { identity: `${identity} ${hex(proof)}`, token });
    };
    let token: string | undefined | Promise<string | undefined>;
    try {
      token = this.#owner.token(hello.name, line);
    } catch {
      return this.#refuse(line, "unauthorised", "the token could not be looked up");
    }
    if (!(token instanceof Promise)) return verify(token);
    token
      .then(verify, () => this.#refuse(line, "unauthorised", "the token could not be looked up"))
      .catch((error: unknown) => line.fail(endOf("protocol", error), "protocol"));
  }

  #decide(line: Line, hello: Hello, { identity, token }: { identity: string; token: string | undefined }): void {
    if (this.#drainUntilMs !== undefined) return this.#refuse(line, "draining", "the server is going down");
    const wanted = this.#sessions.get(hex(hello.sessionId));
    // One answer for unknown, expired and somebody else's: a stranger learns nothing from it.
    if (wanted ? wanted.identity !== identity || wanted.name !== hello.name : hello.resume) {
      return this.#refuse(line, "session-unknown", "no such session for this client");
    }
    if (!wanted && this.#sessions.size >= this.#settings.sessionsMax)
      return this.#refuse(line, "full", "the server has no room for a session");
    const session = wanted ?? this.#begin(hello, identity);
    // Throws when the client claims what cannot be; nothing has changed by then.
    session.core.outbox.resume(hello.terms.arrived, hello.terms.receipt);
    this.#sessions.set(session.key, session);
    this.#takeOver(session);
    this.#welcome(line, { session, hello, token, resumed: wanted !== undefined });
  }

  #begin(hello: Hello, identity: string): ServerSession {
    const id = hello.sessionId;
    this.#count += 1;
    const core = new Session({ id, limits: this.#settings.limits });
    return new ServerSession(this, {
      name: hello.name,
      number: this.#count,
      wallMs: this.wallMs(),
      key: hex(id),
      identity,
      core,
    });
  }

  /** The old connection of a session that comes back is dead or will be: the client would not have made a new one. */
  #takeOver(session: ServerSession): void {
    const old = session.line;
    session.line = undefined;
    old?.fail(endOf("taken-over"), "taken-over");
  }

  #welcome(
    line: Line,
    { session, hello, token, resumed }: { session: ServerSession; hello: Hello; token: string | undefined; resumed: boolean },
  ): void {
    const { heartbeatMsMin, heartbeatMsMax, heartbeatTimeoutShare, ttlMs, maxAgeMs } = this.#settings;
    const heartbeatMs = Math.min(Math.max(hello.heartbeatMs || this.#settings.heartbeatMs, heartbeatMsMin), heartbeatMsMax);
    const entry = this.#lines.get(line)!;
    const proof =
      token === undefined
        ? NO_BYTES
        : proofOf(this.#world, { side: "server", token, challenge: entry.challenge, hello, body: hello.sessionId });
    line.conversation.welcome(session.core, {
      hello,
      welcome: {
        resumed,
        terms: session.core.terms(),
        heartbeatMs,
        heartbeatTimeoutMs: Math.ceil(heartbeatMs * heartbeatTimeoutShare),
        ttlMs,
        proof,
      },
    });
    entry.session = session;
    session.line = line;
    session.will = hello.will;
    session.willAtMs = Infinity;
    session.expiresAtMs = Infinity;
    const age = maxAgeMs * (1 + AGE_JITTER * (2 * this.#world.random() - 1));
    if (Number.isFinite(age)) line.leaveAt(this.#world.clock.now() + age, "max-age");
    session.seen("online");
    this.#owner.opened(session, { resumed });
    this.#owner.presence(session, "online", undefined);
    line.flushSoon();
  }

  #refuse(line: Line, word: Refusal, text: string): void {
    const left = Math.max(0, (this.#drainUntilMs ?? 0) - this.#world.clock.now());
    const retryAfterMs = word === "draining" ? Math.ceil(left * (1 + this.#world.random())) : 0;
    if (line.conversation.refuse({ word, retryAfterMs, text })) line.refused();
    else line.flushSoon();
  }

  #message(session: ServerSession, number: number, bytes: Uint8Array): void {
    const { inbox } = session.core;
    this.#heldBytes += bytes.length;
    const settle = (reject?: string): void => {
      inbox.settle(number, { bytes: bytes.length, reject });
      this.#release(bytes.length);
      session.line?.flushSoon();
    };
    handled(() => this.#owner.message(session, bytes, number), settle);
  }

  #forget(session: ServerSession, end: LinkEnd): void {
    if (!this.#sessions.delete(session.key)) return;
    this.#world.deadlines.remove(session);
    session.expiresAtMs = Infinity;
    session.willAtMs = Infinity;
    session.seen("gone");
    session.core.outbox.clear(
      new OperationError("LINK_ENDED", "Cannot deliver a message: the session is gone; it may or may not have arrived"),
    );
    this.#owner.presence(session, "gone", end);
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#paused.size === 0 || this.#heldBytes > this.#settings.totalBytesMax * RESUME_SHARE) return;
    const paused = [...this.#paused];
    this.#paused.clear();
    for (const line of paused) line.wire.resume();
  }
}

/** 7/8: reading starts again with some room, not for one chunk. */
const RESUME_SHARE = 7 / 8;
const NO_BYTES = new Uint8Array(0);

function refused(code: "LINK_ENDED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): Promise<never> {
  return Promise.reject(new OperationError(code, `Cannot send a message: ${why}`));
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}
