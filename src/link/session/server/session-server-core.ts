/**
 * ○ The server's side of session mode: which session a client has, who is present, when a session ends. Transports, clock and chance are
 * given (Environment). Invariant: a session has at most one connection; one without a connection ends after its time to live. Who may
 * come in is authentication.ts and session-registry.ts; messages are session-receiver.ts and session-sender.ts; room is session-budget.ts.
 */
import type { Account } from "../../../core/budget.ts";
import { networkOf } from "../../../core/address.ts";
import { EMPTY, hex, sameBytes } from "../../../core/bytes.ts";
import { OperationError, UsageError } from "../../../core/errors.ts";
import { authenticate } from "./authentication.ts";
import type { ClientIdentity } from "./authentication.ts";
import { NONCE_BYTES, topicBody, VERSION } from "../body.ts";
import type { Challenge, Hello, RefuseReason } from "../body.ts";
import { SessionProtocol } from "../session-protocol.ts";
import type { SessionProtocolEvent } from "../session-protocol.ts";
import { endOf } from "../../end.ts";
import type { EndReason, LinkEnd } from "../../end.ts";
import { OutgoingMessage } from "../outgoing-message.ts";
import type { StreamSource } from "../outgoing-stream.ts";
import { AGE_JITTER, STRANGERS_SLOWED_MAX } from "../../limits.ts";
import { checkTopic } from "../../topics/topic.ts";
import { LinkConnection } from "../link-connection.ts";
import type { LinkConnectionOwner } from "../link-connection.ts";
import type { LinkTransport, Environment } from "../environment.ts";
import { proofOf } from "../proof.ts";
import { ServerSession } from "./server-session.ts";
import type { ServerSessionOwner } from "./server-session.ts";
import { SessionBudget } from "./session-budget.ts";
import { SessionReceiver } from "./session-receiver.ts";
import { isNamed, SessionRegistry } from "./session-registry.ts";
import type { SendSettings } from "../send-options.ts";
import { SessionSender } from "./session-sender.ts";
import type {
  SessionCounts,
  SessionOpening,
  SessionServerCoreOwner,
  SessionServerSettings,
} from "./session-server-settings.ts";
import { SessionTopics } from "./session-topics.ts";
import type { PublishSettings } from "./session-topics.ts";
import { SessionState } from "../session-state.ts";
import type { PersistentSessions, StoredSession } from "./persistent-sessions.ts";
import { StrangerGuard } from "./stranger-guard.ts";

export class SessionServerCore implements LinkConnectionOwner, ServerSessionOwner {
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
  readonly #budget: SessionBudget;
  readonly #sender: SessionSender;
  readonly #receiver: SessionReceiver;
  /** Keeps them beyond this process. */
  readonly #store: PersistentSessions | undefined;
  readonly #guard = new StrangerGuard<LinkConnection>();
  #count = 0;
  #drainUntilMs: number | undefined;
  /** Its sessions are another's. */
  #isOver = false;

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
    const { stallMs, totalBytesMax } = settings;
    this.#budget = new SessionBudget({ clock: environment.clock, stallMs, totalBytesMax });
    this.#owner = owner;
    this.#environment = environment;
    const parts = { settings, environment, budget: this.#budget, counts: this.counts, store };
    this.#sender = new SessionSender(parts);
    const { topics } = owner;
    if (topics)
      this.#topics = new SessionTopics(
        {
          onPublish: (session, topic, message) => topics.onPublish(session, topic, message),
          onSubscribe: (session, filter) => topics.onSubscribe(session, filter),
          subscribed: ({ records }) => this.#store?.changed(records),
          deliver: (session, body, how) => this.#sender.deliver(session, body, how),
        },
        { budget: this.#budget.part, now: () => environment.clock.now(), keptBytesMax: topics.keptBytesMax },
      );
    this.#receiver = new SessionReceiver(parts, { owner, topics: this.#topics });
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
    return this.#budget.part.bytes;
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
    if (entry.session) return this.#budget.countIncomplete(entry.session);
    this.#budget.countStranger(connection, entry);
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
        return this.#hello(connection, event.hello, event.body);
      case "message":
        return this.#receiver.message(session!, event.number, event.bytes);
      case "topic":
        return this.#receiver.message(session!, event.number, event.bytes, topicBody.decode(event.bytes));
      case "note":
        return this.#receiver.note(session!, event.note);
      case "stream":
        return this.#receiver.stream(session!, event.stream);
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
    this.#budget.ended(connection);
    entry.stranger?.set(0);
    entry.stranger?.leave();
    const { session } = entry;
    this.#guard.left(connection, entry.network);
    if (this.#isOver) return;
    if (!session) {
      if (entry.unauthorised || FAILURES.includes(end.reason)) this.#guard.failed(entry.network, this.#environment.clock.now());
      return this.#owner.endedBeforeSession(connection, end);
    }
    if (session.connection !== connection) return; // the session went on over another connection
    session.connection = undefined;
    this.#budget.countIncomplete(session);
    session.seen("away");
    this.#owner.presence(session, "away", end);
    if (session.closing) return this.#forget(session, end);
    const nowMs = this.#environment.clock.now();
    session.expiresAtMs = nowMs + this.#settings.ttlMs;
    if (session.will && end.reason !== "drained")
      session.willAtMs = Math.min(nowMs + this.#settings.willDelayMs, session.expiresAtMs);
    this.#environment.deadlines.moved(session);
  }

  /** Nothing is said on its connection that is not in the store. */
  writing(connection: LinkConnection, go: () => void): boolean {
    return this.#store?.after(this.sessionOf(connection)?.records, go) ?? false;
  }

  send(session: ServerSession, bytes: Uint8Array, how: SendSettings): Promise<void> {
    return this.#sender.send(session, bytes, how);
  }

  sendStream(session: ServerSession, source: StreamSource): Promise<void> {
    return this.#sender.sendStream(session, source);
  }

  budgetChanged(session: ServerSession): void {
    this.#budget.budgetChanged(session);
  }

  stalled(session: ServerSession): void {
    this.#budget.stalled(session);
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
    this.#receiver.overdue(session, nowMs);
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

  /** Ends every connection at once. Clients whose sessions a store keeps go on with the next server. */
  destroy(): void {
    const word = this.#store ? "drained" : "closed";
    for (const connection of this.#connections.keys()) connection.fail(endOf(word), word);
  }

  /** Ends every session: the server is no more. Those that a store keeps are the next one's. */
  forgetAll(): void {
    this.#isOver = true;
    this.#store?.leave();
    for (const session of this.#sessions.values()) {
      if (!this.#store) this.#forget(session, endOf("drained"));
      else
        this.#release(
          session,
          "Cannot wait for a message: the server has closed, or another leads; if its store has the message, the next one sends it",
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
      const settle = (error?: OperationError): void => this.#sender.settled(session, message, bytes.length, error);
      const message = new OutgoingMessage(bytes, nowMs + keepUntilMs - this.wallMs(), settle, settings);
      this.#budget.hold(session, bytes.length);
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

  #hello(connection: LinkConnection, hello: Hello, body: Uint8Array): void {
    const { certificate, challenge } = this.#connections.get(connection)!;
    authenticate(
      { hello, body, challenge: challenge!, certificate },
      {
        environment: this.#environment,
        token: () => this.#owner.token(hello.name, connection),
        proven: (who) => {
          if (!connection.ended) this.#decide(connection, hello, who);
        },
        refused: (why) => {
          if (!connection.ended) this.#refuse(connection, "unauthorised", why);
        },
        failed: (error) => connection.fail(endOf("protocol", error), "protocol"),
      },
    );
  }

  #decide(connection: LinkConnection, hello: Hello, { identity, token }: ClientIdentity): void {
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
    this.#budget.hold(session, -inHandlers);
    this.#budget.countIncomplete(session);
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
    this.#budget.move(session, entry.network);
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
    this.#budget.hold(session, -inHandlers);
    this.#budget.countIncomplete(session);
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

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}
