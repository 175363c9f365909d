/**
 * ○ The server's side of session mode: who may come in, which session goes on, who is present, what is held. Transports, clock and
 * chance are given (Environment). Invariant: a session has at most one connection; one without a connection ends after its time to
 * live; the bytes held for a session are in its account, and from half of `totalBytesMax` on who has more than its share is held up.
 */
import { PartBudget, PROCESS_BUDGET } from "../../core/budget.ts";
import type { Account, Holder } from "../../core/budget.ts";
import { networkOf } from "../../core/address.ts";
import type { NetworkPrefix } from "../../core/address.ts";
import { EMPTY, hex, sameBytes, utf8 } from "../../core/bytes.ts";
import { OperationError, ProtocolError, UsageError } from "../../core/errors.ts";
import { showSize } from "../../core/units.ts";
import { NONCE_BYTES, topicBody, VERSION } from "./body.ts";
import type { Challenge, Hello, RefuseReason, TopicBody } from "./body.ts";
import { SessionProtocol } from "./session-protocol.ts";
import type { SessionProtocolEvent } from "./session-protocol.ts";
import { endOf } from "../end.ts";
import type { EndReason, LinkEnd } from "../end.ts";
import { acknowledge, overdueReason } from "./acknowledgement.ts";
import type { Inbox } from "./inbox.ts";
import type { IncomingStream } from "./incoming-stream.ts";
import { messageSettings, noteOf, OutgoingMessage } from "./outgoing-message.ts";
import type { MessageSettings } from "./outgoing-message.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import type { StreamSource } from "./outgoing-stream.ts";
import { AGE_JITTER, STRANGERS_SLOWED_MAX, STREAM_AHEAD_BYTES, UNCONFIRMED_OPEN_MAX } from "../limits.ts";
import { checkTopic } from "../topics/topic.ts";
import { LinkConnection } from "./link-connection.ts";
import type { LinkConnectionOwner } from "./link-connection.ts";
import type { LinkTransport, Environment } from "./environment.ts";
import { proofOf } from "./proof.ts";
import { ServerSession } from "./server-session.ts";
import type { Presence } from "./server-session.ts";
import { isNamed, SessionRegistry } from "./session-registry.ts";
import type { SendSettings } from "./send-options.ts";
import { SessionTopics } from "./session-topics.ts";
import type { PublishSettings } from "./session-topics.ts";
import { SessionState } from "./session-state.ts";
import type { PersistentSessions, StoredSession } from "./persistent-sessions.ts";
import { StrangerGuard } from "./stranger-guard.ts";
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
  /** How long a handler may take. */
  readonly handlerMs: number;
  /** Infinity for connections of any age. */
  readonly maxAgeMs: number;
  /** A message in doubt after its client was started anew is sent again. */
  readonly inDoubt: "reject" | "resend";
  readonly sessionsMax: number;
  readonly totalBytesMax: number;
  readonly tokenRequired: boolean;
  /** How much of an address tells clients apart. */
  readonly prefix: NetworkPrefix;
}

/** What happened since the server began. */
export interface SessionCounts {
  /** Sessions begun, resumed after a reconnect, and taken over by a client that was started anew. */
  begun: number;
  resumed: number;
  restarted: number;
  /** Messages that arrived, those that their handlers refused, and those that clients gave up. */
  received: number;
  refused: number;
  lost: number;
  /** Messages to clients that were given up, or are in doubt; and those dropped: unconfirmed ones, and a topic's for a full subscriber. */
  unconfirmed: number;
  dropped: number;
  /** Wills announced. */
  wills: number;
}

/** What a server's application has to say of topics. */
export interface TopicHooks {
  /** Asked before a client's message is taken; what throws or rejects refuses it. */
  onPublish(session: ServerSession, topic: string, message: Uint8Array): void | Promise<unknown>;
  onSubscribe(session: ServerSession, filter: string): void | Promise<unknown>;
  readonly keptBytesMax: number;
}

/** How a client came to its session. */
export interface SessionOpening {
  /** The session was there before. */
  readonly resumed: boolean;
  /** Its client was started anew, or is another one of that name: what the one before was sent and did not confirm is in doubt. */
  readonly restarted: boolean;
}

export interface SessionServerCoreOwner {
  /** The token of a client by its name; undefined refuses it. Called only where tokens are required. */
  token(name: string, connection: LinkConnection): string | undefined | Promise<string | undefined>;
  opened(session: ServerSession, how: SessionOpening): void;
  /** Undefined where topics are off. */
  readonly topics?: TopicHooks | undefined;
  /** A message; the session confirms it when what this returns settles. */
  message(session: ServerSession, bytes: Uint8Array, number: number): void | Promise<unknown>;
  stream(session: ServerSession, stream: IncomingStream): void | Promise<unknown>;
  gap(session: ServerSession, lost: { readonly from: number; readonly to: number }): void;
  presence(session: ServerSession, presence: Presence, end: LinkEnd | undefined): void;
  will(session: ServerSession, will: Uint8Array): void;
  /** A connection ended before it had a session. */
  endedBeforeSession(connection: LinkConnection, end: LinkEnd): void;
}

export class SessionServerCore implements LinkConnectionOwner {
  readonly stallMs: number;
  readonly #settings: SessionServerSettings;
  readonly counts: SessionCounts = {
    begun: 0,
    resumed: 0,
    restarted: 0,
    received: 0,
    refused: 0,
    lost: 0,
    unconfirmed: 0,
    dropped: 0,
    wills: 0,
  };
  readonly #topics: SessionTopics | undefined;
  readonly #owner: SessionServerCoreOwner;
  readonly #environment: Environment;
  readonly #sessions = new SessionRegistry();
  /** Connections before and after their WELCOME. */
  readonly #connections = new Map<LinkConnection, Entry>();
  /** Not read from: their sessions hold more than their share. */
  readonly #paused = new Set<LinkConnection>();
  readonly #budget: PartBudget;
  /** Keeps them beyond this process. */
  readonly #store: PersistentSessions | undefined;
  readonly #guard = new StrangerGuard<LinkConnection>();
  #count = 0;
  #drainUntilMs: number | undefined;

  constructor(
    settings: SessionServerSettings,
    {
      owner,
      environment,
      store,
    }: { owner: SessionServerCoreOwner; environment: Environment; store?: PersistentSessions | undefined },
  ) {
    this.#settings = settings;
    this.#store = store;
    this.stallMs = settings.stallMs;
    this.#budget = new PartBudget(PROCESS_BUDGET, { name: "link", onFull: () => this.#endStalled() });
    this.#budget.setBound(settings.totalBytesMax);
    this.#owner = owner;
    this.#environment = environment;
    const { topics } = owner;
    if (topics)
      this.#topics = new SessionTopics(
        {
          onPublish: (session, topic, message) => topics.onPublish(session, topic, message),
          onSubscribe: (session, filter) => topics.onSubscribe(session, filter),
          subscribed: ({ records }) => this.#store?.changed(records),
          deliver: (session, body, how) => this.#deliver(session, body, how),
        },
        { budget: this.#budget, now: () => environment.clock.now(), keptBytesMax: topics.keptBytesMax },
      );
  }

  /**
   * Hands a message to a topic's subscribers.
   *
   * @returns how many there are
   * @throws OperationError LINK_FULL; UsageError LINK_OPTION_INVALID
   */
  publish(topic: string, bytes: Uint8Array, how: PublishSettings): number {
    if (!this.#topics) throw new UsageError("LINK_OPTION_INVALID", "Cannot publish: the server was started without topics");
    checkTopic(topic);
    return this.#topics.publish(topic, bytes, how);
  }

  get sessions(): Iterable<ServerSession> {
    return this.#sessions.values();
  }

  /** The session of a name (of a client that speaks version 2). */
  session(name: string): ServerSession | undefined {
    return this.#sessions.named(name);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Bytes of messages and of frames begun, of all sessions. */
  get heldBytes(): number {
    return this.#budget.bytes;
  }

  wallMs(): number {
    return this.#environment.clock.wallMs();
  }

  /**
   * A new connection.
   *
   * @param certificate what the transport proves about the client: its certificate's subject, or ""
   */
  accept(transport: LinkTransport, certificate = ""): LinkConnection {
    const challenge = {
      nonce: this.#environment.secretBytes(NONCE_BYTES),
      tokenRequired: this.#settings.tokenRequired,
      version: VERSION,
    } as const;
    const nowMs = this.#environment.clock.now();
    const protocol = new SessionProtocol({ role: "server", nowMs, challenge });
    const network = networkOf(hostOf(transport.peer), this.#settings.prefix);
    const delayMs = this.#guard.delayMs(network, nowMs);
    const connection = new LinkConnection(transport, { protocol, owner: this, environment: this.#environment, delayMs });
    this.#connections.set(connection, { certificate, challenge, network });
    this.#guard.arrived(connection, network);
    if (delayMs > 0 && this.#guard.count(network) > STRANGERS_SLOWED_MAX) connection.fail(endOf("too-many"));
    if (this.#drainUntilMs !== undefined) this.#refuse(connection, "draining", "the server is going down");
    return connection;
  }

  /** The transport of a connection brought bytes. */
  received(connection: LinkConnection, chunk: Uint8Array): void {
    connection.received(chunk);
    const entry = this.#connections.get(connection);
    if (!entry) return;
    if (entry.session) return this.#countIncomplete(entry.session);
    const { waitingBytes } = connection.protocol;
    if (waitingBytes === 0 && !entry.stranger) return;
    entry.stranger ??= this.#budget.open("stranger", this.#connections.get(connection)!.network, strangerOf(connection));
    entry.stranger.set(waitingBytes);
    if (!entry.stranger.mayRead(waitingBytes)) connection.fail(endOf("no-room"));
  }

  /** Counts anew what has arrived for a session and is not whole, and reads on or not. */
  #countIncomplete(session: ServerSession): void {
    const { incompleteBytes, connection } = session;
    if (incompleteBytes === session.countedBytes && !session.account?.isPressed) return;
    const completed = incompleteBytes < session.countedBytes;
    const more = incompleteBytes - session.countedBytes;
    session.countedBytes = incompleteBytes;
    this.#hold(session, more);
    session.account?.incompleteChanged(completed);
    if (!connection || session.account === undefined || session.account.mayRead(session.heldBytes)) return;
    connection.transport.pause();
    this.#paused.add(connection);
  }

  /** More is held for a session, or less. */
  #hold(session: ServerSession, bytes: number): void {
    session.heldBytes += bytes;
    if (session.heldBytes > 0) session.account ??= this.#budget.open("known", session.address, session);
    session.account?.set(session.heldBytes);
  }

  budgetChanged(session: ServerSession): void {
    const { connection, account } = session;
    if (!connection || !this.#paused.has(connection) || account?.mayRead(session.heldBytes) === false) return;
    this.#paused.delete(connection);
    connection.transport.resume();
  }

  /** Its message has not become whole for long, while others wait for the room. */
  stalled(session: ServerSession): void {
    session.connection?.fail(endOf("no-room"));
  }

  #endStalled(chosen?: Account): void {
    if (!this.#budget.isFull) return;
    const next = this.#budget.endStalled(chosen);
    const { clock } = this.#environment;
    clock.at(clock.now() + this.stallMs, () => this.#endStalled(next));
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
      case "topic":
        return this.#message(session!, event.number, event.bytes, topicBody.decode(event.bytes));
      case "note":
        return this.#note(session!, event.note);
      case "stream":
        return this.#stream(session!, event.stream);
      case "gap":
        this.counts.lost += event.to - event.from + 1;
        this.#store?.counted(session!.records);
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
    entry.stranger?.set(0);
    entry.stranger?.leave();
    const { session } = entry;
    this.#guard.left(connection, entry.network);
    if (!session) {
      if (entry.unauthorised || FAILURES.includes(end.reason)) this.#guard.failed(entry.network, this.#environment.clock.now());
      return this.#owner.endedBeforeSession(connection, end);
    }
    if (session.connection !== connection) return; // the session went on over another connection
    session.connection = undefined;
    this.#countIncomplete(session);
    session.seen("away");
    this.#owner.presence(session, "away", end);
    if (session.closing) return this.#forget(session, end);
    const nowMs = this.#environment.clock.now();
    session.expiresAtMs = nowMs + this.#settings.ttlMs;
    if (session.will && end.reason !== "drained")
      session.willAtMs = Math.min(nowMs + this.#settings.willDelayMs, session.expiresAtMs);
    this.#environment.deadlines.moved(session);
  }

  send(session: ServerSession, bytes: Uint8Array, how: SendSettings): Promise<void> {
    if (!how.confirm) return this.#sendNote(session, bytes);
    const most = session.connection?.protocol.peerMessageBytesMax ?? this.#settings.limits.messageBytesMax;
    if (bytes.length > most)
      return Promise.reject(refusal("LINK_MESSAGE_TOO_LARGE", `${bytes.length} bytes, at most ${most} allowed`));
    return this.#sent(session, bytes, { settings: messageSettings(how.urgent, how.expiresMs), expiresMs: how.expiresMs });
  }

  async #sendNote(session: ServerSession, bytes: Uint8Array): Promise<void> {
    const note = noteOf(bytes);
    if (session.connection?.note(note) !== true) this.counts.dropped += 1;
  }

  /** Nothing is said on its connection that is not in the store. */
  writing(connection: LinkConnection, go: () => void): boolean {
    return this.#store?.after(this.sessionOf(connection)?.records, go) ?? false;
  }

  sendStream(session: ServerSession, source: StreamSource): Promise<void> {
    const stream = new OutgoingStream();
    const heldBytes = STREAM_AHEAD_BYTES;
    const pump = (message: OutgoingMessage, reject: (error: unknown) => void): void =>
      void stream
        .pump(source, () => session.connection?.flushSoon())
        .catch((error: unknown) => {
          reject(error);
          session.state.outbox.abandon(message, "its source failed");
          session.connection?.flushSoon();
        });
    return this.#sent(session, EMPTY, { settings: { stream }, heldBytes, pump });
  }

  #sent(
    session: ServerSession,
    bytes: Uint8Array,
    how: PushOptions & { readonly pump?: (message: OutgoingMessage, reject: (error: unknown) => void) => void },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const message = this.#push(session, bytes, how, (error) => (error ? reject(error) : resolve()));
      how.pump?.(message, reject);
    });
  }

  /** A topic's message for a subscriber. What it has no room for, it is told of as a gap. */
  #deliver(
    session: ServerSession,
    body: Uint8Array,
    { confirm, expiresAtMs }: { confirm: boolean; expiresAtMs: number },
  ): void {
    if (!confirm) {
      if (session.connection?.note(body) !== true) this.counts.dropped += 1;
      return;
    }
    const expires = expiresAtMs < Infinity;
    const expiresMs = expires ? Math.max(1, expiresAtMs - this.#environment.clock.now()) : 0;
    try {
      this.#push(session, body, { settings: { isTopic: true, expires }, expiresMs }, () => {});
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      this.counts.dropped += 1;
      session.state.outbox.skip();
      this.#store?.counted(session.records);
      session.connection?.flushSoon();
    }
  }

  /** @throws OperationError LINK_FULL, LINK_ENDED */
  #push(
    session: ServerSession,
    bytes: Uint8Array,
    { settings, expiresMs = 0, heldBytes = bytes.length }: PushOptions,
    settled: (error?: OperationError) => void,
  ): OutgoingMessage {
    const { outbox } = session.state;
    const { outboxMessagesMax, outboxBytesMax, keepMs } = this.#settings;
    const refused = this.#store?.refusal;
    if (refused) throw refused;
    if (session.presence === "gone") throw refusal("LINK_ENDED", "the session has ended");
    if (outbox.length >= outboxMessagesMax || outbox.bytes + bytes.length > outboxBytesMax) {
      const waiting = `${outbox.length} messages and ${showSize(outbox.bytes)}`;
      throw refusal("LINK_FULL", `${waiting} are already queued for the client`);
    }
    this.#hold(session, heldBytes);
    if (session.account?.mayHold(session.heldBytes) === false) {
      this.#hold(session, -heldBytes);
      throw refusal("LINK_FULL", `${showSize(session.heldBytes)} are held for this client, its share of totalMax`);
    }
    const nowMs = this.#environment.clock.now();
    const deadlineMs = settings.stream ? Infinity : nowMs + Math.min(keepMs, expiresMs || Infinity);
    const settle = (error?: OperationError): void => {
      this.#settled(session, message, heldBytes, error);
      settled(error);
    };
    const message = new OutgoingMessage(bytes, deadlineMs, settle, settings);
    this.#store?.pushed(session.records, message);
    outbox.push(message);
    if (outbox.length === 1 || message.expires || session.position < 0) this.#environment.deadlines.moved(session);
    session.connection?.flushSoon();
    return message;
  }

  /** The client has a message, or never will. */
  #settled(session: ServerSession, message: OutgoingMessage, heldBytes: number, error: OperationError | undefined): void {
    this.#hold(session, -heldBytes);
    if (error && error.code !== "LINK_REJECTED") this.counts.unconfirmed += 1;
    this.#store?.settled(session.records, message);
  }

  /** Ends a session for good. */
  endSession(session: ServerSession): void {
    session.closing = true;
    if (session.connection) session.connection.leave("closed");
    else this.#forget(session, endOf("closed"));
  }

  sessionDue(session: ServerSession, nowMs: number): void {
    const { missing } = session.state.outbox;
    session.state.outbox.expire(nowMs);
    if (session.state.outbox.missing > missing) this.#store?.counted(session.records);
    const { inbox } = session.state;
    for (const [number, bytes] of inbox.overdue(nowMs, nowMs + this.#settings.handlerMs))
      this.#settle(session, inbox, { number, bytes, reject: overdueReason(this.#settings.handlerMs) });
    if (nowMs >= session.willAtMs) {
      session.willAtMs = Infinity;
      const { will } = session;
      session.will = undefined;
      this.#store?.changed(session.records);
      if (will) {
        this.counts.wills += 1;
        this.#owner.will(session, will);
      }
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

  /** Ends the oldest stranger of the network that has most of them, so that another connection has room; false when there is none. */
  makeRoom(): boolean {
    const stranger = this.#guard.oldestOfMost();
    stranger?.fail(endOf("too-many"));
    return stranger !== undefined;
  }

  /** Ends every connection at once. */
  destroy(): void {
    for (const connection of this.#connections.keys()) connection.fail(endOf("closed"), "closed");
  }

  /** Ends every session: the server is no more. Those that a store keeps are the next one's. */
  forgetAll(): void {
    this.#store?.leave();
    for (const session of this.#sessions.values()) {
      if (!this.#store) this.#forget(session, endOf("drained"));
      else
        this.#release(
          session,
          "Cannot wait for a message: the server has closed; its store keeps the message for the next one",
        );
    }
  }

  /** Sessions of a process before this one, whose clients are away. */
  restore(stored: readonly StoredSession[]): void {
    for (const each of stored) this.#restore(each);
  }

  #restore({ record, head, numbers, body, messages, damaged }: StoredSession): void {
    const { id, idsBefore } = body;
    const nowMs = this.#environment.clock.now();
    const state = new SessionState({ id, limits: this.#settings.limits, before: numbers });
    this.#count += 1;
    const { sinceMs, ...who } = head;
    const session = new ServerSession(this, { ...who, number: this.#count, wallMs: sinceMs, key: hex(id), state });
    if (idsBefore.length > 0) session.idsBefore = idsBefore;
    session.will = body.will;
    session.willAtMs = body.will ? nowMs + this.#settings.willDelayMs : Infinity;
    session.expiresAtMs = nowMs + this.#settings.ttlMs;
    session.seen("away");
    this.#sessions.add(session);
    this.#keep(session, record);
    this.#topics?.restore(session, body.filters);
    const restored = messages.map(({ bytes, keepUntilMs, number, record: own, ...settings }) => {
      const settle = (error?: OperationError): void => this.#settled(session, message, bytes.length, error);
      const message = new OutgoingMessage(bytes, nowMs + keepUntilMs - this.wallMs(), settle, settings);
      this.#hold(session, bytes.length);
      return Object.assign(message, { number, record: own });
    });
    const written = restored.filter(({ number }) => number > 0).toSorted((one, other) => one.number - other.number);
    state.outbox.restore([...written, ...restored.filter(({ number }) => number === 0)]);
    state.outbox.skip(numbers.missing + damaged);
    if (damaged > 0) this.#store!.counted(session.records);
    this.#environment.deadlines.moved(session);
  }

  /** From now on its records say what it is. @param record its own, where it has one already */
  #keep(session: ServerSession, record?: number): void {
    const store = this.#store;
    if (!store) return;
    const { state } = session;
    const records = store.keep(
      {
        head: () => session.record(),
        numbers: () => ({ ...state.inbox.received(), missing: state.outbox.missing }),
        body: () => session.body(),
      },
      record,
    );
    session.records = records;
    state.outbox.onNumber = (message) => store.numbered(records, message);
  }

  #hello(connection: LinkConnection, { hello, body }: { hello: Hello; body: Uint8Array }): void {
    const { certificate, challenge } = this.#connections.get(connection)!;
    if (hello.serverNonce && !sameBytes(hello.serverNonce, challenge!.nonce))
      return this.#refuse(connection, "unauthorised", "the HELLO was made for another connection");
    if (!this.#settings.tokenRequired) return this.#decide(connection, hello, { identity: certificate, token: undefined });
    const verify = (token: string | undefined): void => {
      if (connection.ended) return;
      const proven =
        token !== undefined &&
        sameBytes(hello.proof, proofOf(this.#environment, { side: "client", token, challenge: challenge!, hello, body }));
      if (!proven) return this.#refuse(connection, "unauthorised", "the token is missing or wrong");
      const proof = this.#environment.hmac(token, [utf8("identity")]);
      this.#decide(connection, hello, { identity: `${certificate} ${hex(proof)}`, token });
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
    const { certificate } = this.#connections.get(connection)!;
    this.#endClosing(hello);
    const admission = this.#sessions.admit(hello, { certificate, identity });
    if (admission.kind === "refuse") return this.#refuse(connection, admission.word, admission.text);
    if (this.#store?.refusal) return this.#refuse(connection, "full", "the server's store cannot be written");
    if (admission.kind === "begin" && this.#sessions.size >= this.#settings.sessionsMax)
      return this.#refuse(connection, "full", "the server has no room for a session");
    const session = admission.session ?? this.#begin(hello, { certificate, identity });
    const restarted = admission.kind === "restart";
    const { arrived, receipt, partial } = hello.terms;
    // Numbers that cannot be: one side was set back. The session is left to its time to live, for it may be another's, whose
    // HELLO was recorded; the client begins a new one, and tells the gap.
    if (restarted ? arrived + receipt.done > 0 : !session.state.outbox.mayResume(arrived, receipt, partial))
      return this.#refuse(connection, "session-unknown", "the session's numbers disagree");
    this.#takeOver(session);
    if (restarted) this.#restart(session, hello);
    if (hello.version === 1) session.state.inbox.backToDone();
    session.state.outbox.resume(arrived, receipt, partial);
    if (admission.kind === "begin") {
      this.#sessions.add(session);
      this.#keep(session);
    }
    this.#welcome(connection, { session, hello, token, how: { resumed: admission.kind !== "begin", restarted } });
  }

  /** A session that one side has ended for good goes with its connection, which may still be there: its name is free. */
  #endClosing(hello: Hello): void {
    const session = isNamed(hello) ? this.#sessions.named(hello.name) : undefined;
    if (!session?.closing) return;
    const { connection } = session;
    session.connection = undefined;
    connection?.fail(endOf("closed"));
    this.#forget(session, endOf("closed"));
  }

  #begin(hello: Hello, { certificate, identity }: { certificate: string; identity: string }): ServerSession {
    const id = hello.sessionId;
    this.#count += 1;
    const state = new SessionState({ id, limits: this.#settings.limits });
    return new ServerSession(this, {
      name: hello.name,
      number: this.#count,
      wallMs: this.wallMs(),
      key: hex(id),
      named: isNamed(hello),
      identity,
      certificate,
      state,
    });
  }

  /**
   * The session's client is a new one, which has nothing of what was: what waits for it comes, numbered anew; what was written to the one
   * before and not confirmed is in doubt. Messages of the one before that are with their handlers are nobody's to confirm.
   */
  #restart(session: ServerSession, { sessionId }: Hello): void {
    const resend = this.#settings.inDoubt === "resend";
    const { inHandlers } = session.state.inbox;
    session.receivedBefore += session.state.inbox.arrived;
    const { givenUp } = session.state.restart(sessionId, { keepDoubtful: resend });
    this.#sessions.rekey(session, sessionId);
    this.#hold(session, -inHandlers);
    this.#countIncomplete(session);
    const why = "No acknowledgement: the client was started anew; it may or may not have arrived";
    for (const message of givenUp) message.settle(new OperationError("LINK_GAP", why));
  }

  /** The old connection of a session that comes back is dead or will be: the client would not have made a new one. */
  #takeOver(session: ServerSession): void {
    const old = session.connection;
    session.connection = undefined;
    old?.fail(endOf("taken-over"), "taken-over");
  }

  #welcome(
    connection: LinkConnection,
    { session, hello, token, how }: { session: ServerSession; hello: Hello; token: string | undefined; how: SessionOpening },
  ): void {
    const { heartbeatMsMin, heartbeatMsMax, heartbeatTimeoutShare, ttlMs, maxAgeMs } = this.#settings;
    const heartbeatMs = Math.min(Math.max(hello.heartbeatMs || this.#settings.heartbeatMs, heartbeatMsMin), heartbeatMsMax);
    const entry = this.#connections.get(connection)!;
    const proof =
      token === undefined
        ? EMPTY
        : proofOf(this.#environment, { side: "server", token, challenge: entry.challenge!, hello, body: hello.sessionId });
    connection.protocol.welcome(session.state, {
      hello,
      welcome: {
        clientNonce: hello.version > 1 ? hello.nonce : undefined,
        resumed: how.resumed && !how.restarted,
        restarted: how.restarted,
        terms: this.#terms(session, hello),
        heartbeatMs,
        heartbeatTimeoutMs: Math.ceil(heartbeatMs * heartbeatTimeoutShare),
        ttlMs,
        proof,
      },
    });
    entry.session = session;
    entry.challenge = undefined;
    this.#guard.left(connection, entry.network);
    this.#guard.succeeded(entry.network);
    entry.stranger?.set(0);
    entry.stranger?.leave();
    entry.stranger = undefined;
    this.#move(session, this.#connections.get(connection)!.network);
    session.connection = connection;
    const isOther = how.restarted || (session.will ? !hello.will || !sameBytes(session.will, hello.will) : hello.will);
    session.will = hello.will;
    if (isOther) this.#store?.changed(session.records);
    session.willAtMs = Infinity;
    session.expiresAtMs = Infinity;
    const age = maxAgeMs * (1 + AGE_JITTER * (2 * this.#environment.random() - 1));
    if (Number.isFinite(age)) connection.leaveAt(this.#environment.clock.now() + age, "max-age");
    session.seen("online");
    this.counts[how.restarted ? "restarted" : how.resumed ? "resumed" : "begun"] += 1;
    this.#owner.opened(session, how);
    this.#owner.presence(session, "online", undefined);
    connection.flushSoon();
  }

  #refuse(connection: LinkConnection, word: RefuseReason, text: string): void {
    if (word === "unauthorised") this.#connections.get(connection)!.unauthorised = true;
    const left = Math.max(0, (this.#drainUntilMs ?? 0) - this.#environment.clock.now());
    const retryAfterMs = word === "draining" ? Math.ceil(left * (1 + this.#environment.random())) : 0;
    if (connection.protocol.refuse({ word, retryAfterMs, text })) connection.refused();
    else connection.flushSoon();
  }

  #terms(session: ServerSession, hello: Hello): Hello["terms"] {
    session.state.inbox.selective = hello.version > 1;
    return session.state.terms();
  }

  /** A session counts where its client last was. */
  #move(session: ServerSession, address: string): void {
    if (session.address === address) return;
    session.address = address;
    const { account } = session;
    if (!account) return;
    account.set(0);
    account.leave();
    session.account = undefined;
    this.#hold(session, 0);
  }

  #message(session: ServerSession, number: number, bytes: Uint8Array, topic?: TopicBody): void {
    this.counts.received += 1;
    const { inbox } = session.state;
    this.#store?.counted(session.records);
    const handle = (isHeld: boolean): void => this.#handle(session, inbox, { number, bytes, topic, isHeld });
    // Its number is kept first: should it come again after a crash, it is the same one, whatever else came beside it.
    if (this.#store?.after(session.records, () => handle(true))) this.#hold(session, bytes.length);
    else handle(false);
  }

  #handle(
    session: ServerSession,
    inbox: Inbox,
    { number, bytes, topic, isHeld }: { number: number; bytes: Uint8Array; topic: TopicBody | undefined; isHeld: boolean },
  ): void {
    let held = isHeld;
    const settle = (reject?: string): void => this.#settle(session, inbox, { number, bytes: bytes.length, reject, held });
    const handle = (): void | Promise<unknown> =>
      topic ? this.#takeTopic(session, topic) : this.#owner.message(session, bytes, number);
    if (!acknowledge(handle, settle)) return;
    if (!held) this.#hold(session, bytes.length);
    held = true;
    this.#handling(session, inbox, { number, bytes: bytes.length });
  }

  #takeTopic(session: ServerSession, topic: TopicBody): void | Promise<unknown> {
    if (!this.#topics) throw new Error("this server has no topics");
    return this.#topics.take(session, topic);
  }

  /** A message that nobody waits for: it is dropped where there is no room, no topic or no permission. */
  #note(session: ServerSession, note: TopicBody): void {
    if (note.verb !== "message" && note.verb !== "publish")
      throw new ProtocolError("LINK_BODY_INVALID", `Cannot take a NOTE: ${note.verb} is to be confirmed`);
    if (session.openNotes >= UNCONFIRMED_OPEN_MAX) return void (this.counts.dropped += 1);
    this.counts.received += 1;
    let open = false;
    const { length } = note.bytes;
    const handle = (): void | Promise<unknown> =>
      note.verb === "message" ? this.#owner.message(session, note.bytes, 0) : this.#topics?.take(session, note, false);
    const settle = (): void => {
      if (!open) return;
      session.openNotes -= 1;
      this.#hold(session, -length);
    };
    if (!acknowledge(handle, settle)) return;
    open = true;
    session.openNotes += 1;
    this.#hold(session, length);
  }

  #stream(session: ServerSession, stream: IncomingStream): void {
    this.counts.received += 1;
    const { number } = stream;
    const { inbox } = session.state;
    this.#store?.counted(session.records);
    inbox.progressed = (taken) => {
      inbox.handlingOn(taken, this.#environment.clock.now() + this.#settings.handlerMs);
      this.#countIncomplete(session);
      session.connection?.flushSoon();
    };
    const settle = (reject?: string): void => this.#settle(session, inbox, { number, bytes: 0, reject });
    if (acknowledge(() => this.#owner.stream(session, stream), settle)) this.#handling(session, inbox, { number, bytes: 0 });
  }

  #handling(session: ServerSession, inbox: Inbox, { number, bytes }: { number: number; bytes: number }): void {
    inbox.handling(number, { bytes, deadlineMs: this.#environment.clock.now() + this.#settings.handlerMs });
    this.#environment.deadlines.moved(session);
  }

  /** A message is done with; `held`: its bytes are counted while its handler has it. */
  #settle(
    session: ServerSession,
    inbox: Inbox,
    { number, bytes, reject, held = true }: { number: number; bytes: number; reject?: string | undefined; held?: boolean },
  ): void {
    if (!inbox.settle(number, { bytes, reject })) return;
    this.#store?.counted(session.records);
    if (reject !== undefined) this.counts.refused += 1;
    if (held) this.#hold(session, -bytes);
    session.connection?.flushSoon();
  }

  #forget(session: ServerSession, end: LinkEnd): void {
    if (!this.#sessions.delete(session)) return;
    session.seen("gone");
    this.#release(session, "Cannot deliver a message: the session has ended; it may or may not have arrived");
    this.#store?.ended(session.records);
    this.#owner.presence(session, "gone", end);
  }

  /** @param why its messages are waited for no more */
  #release(session: ServerSession, why: string): void {
    this.#environment.deadlines.remove(session);
    this.#topics?.forget(session);
    session.expiresAtMs = Infinity;
    session.willAtMs = Infinity;
    session.state.outbox.clear(new OperationError("LINK_ENDED", why));
    const { inHandlers } = session.state.inbox;
    session.state.inbox.close();
    this.#hold(session, -inHandlers);
    this.#countIncomplete(session);
    session.account?.leave();
  }
}

/** Ends of strangers that slow their network down; who connects and leaves, as health checks do, harms nobody. */
const FAILURES: readonly EndReason[] = ["protocol", "hello-timeout", "no-room"];

/** What is known of a connection. */
interface Entry {
  /** What the transport proves about the client. */
  readonly certificate: string;
  /** Until it has a session. */
  challenge: Challenge | undefined;
  /** The network of its address. */
  readonly network: string;
  session?: ServerSession;
  /** It had no right token. */
  unauthorised?: boolean;
  /** What is held for it before it has a session. */
  stranger?: Account | undefined;
}

/** "host" of "host:port", and of a host alone. */
function hostOf(peer: string): string {
  return peer.replace(/^(\[.*\]|[^:]*)(?::\d+)?$/, "$1");
}

function strangerOf(connection: LinkConnection): Holder {
  return {
    get incompleteBytes() {
      return connection.protocol.waitingBytes;
    },
    budgetChanged: () => {},
    stalled: () => connection.fail(endOf("no-room")),
  };
}

/** What a message is pushed with. */
interface PushOptions {
  readonly settings: MessageSettings;
  /** 0 for as long as any message is kept. */
  readonly expiresMs?: number;
  /** Charged to the session, until it is settled. */
  readonly heldBytes?: number;
}

function refusal(code: "LINK_ENDED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): OperationError {
  return new OperationError(code, `Cannot send a message: ${why}`);
}

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}
