/**
 * ○ The client's side of session mode: connects, sends HELLO, resumes, waits and connects again, until closed. How to dial, the
 * clock and chance are given. Invariant: every message that `send` took is settled exactly once: done, refused, or given up with
 * LINK_GAP when it is in doubt; at most one connection at a time.
 */
import { EMPTY, sameBytes, utf8 } from "../../../core/bytes.ts";
import { codeOf, OperationError, ProtocolError, UsageError } from "../../../core/errors.ts";
import { showSize } from "../../../core/units.ts";
import { NONCE_BYTES, SESSION_ID_BYTES, topicBody } from "../body.ts";
import type { Challenge, Hello, CloseNotice, RefuseReason, TopicBody, Welcome } from "../body.ts";
import { SessionProtocol } from "../session-protocol.ts";
import type { SessionProtocolEvent } from "../session-protocol.ts";
import type { Due } from "../deadlines.ts";
import { endOf } from "../../end.ts";
import type { LinkEnd } from "../../end.ts";
import { acknowledge, overdueReason } from "../acknowledgement.ts";
import type { IncomingStream } from "../incoming-stream.ts";
import type { Inbox } from "../inbox.ts";
import { messageSettings, noteOf, OutgoingMessage } from "../outgoing-message.ts";
import type { MessageSettings } from "../outgoing-message.ts";
import type { SendSettings } from "../send-options.ts";
import { OutgoingStream } from "../outgoing-stream.ts";
import type { StreamSource } from "../outgoing-stream.ts";
import { BACKOFF_BASE_MS, UNCONFIRMED_OPEN_MAX } from "../../limits.ts";
import { checkFilter, checkTopic } from "../../topics/topic.ts";
import { LinkConnection } from "../link-connection.ts";
import type { LinkConnectionOwner } from "../link-connection.ts";
import type { LinkTransport, Environment } from "../environment.ts";
import { proofOf } from "../proof.ts";
import type { ServerList } from "./server-list.ts";
import type { Spool } from "./spool.ts";
import type { BoundSettings } from "../session-bounds.ts";
import { SessionState } from "../session-state.ts";

export interface SessionClientSettings extends BoundSettings {
  readonly name: string;
  readonly token: string | undefined;
  readonly will: Uint8Array | undefined;
  /** 0 leaves it to the server. */
  readonly heartbeatMs: number;
  /** When the outbox is full: refuse the new message, or give up the oldest. */
  readonly whenFull: "reject" | "drop-oldest";
  readonly reconnect: boolean;
  /** Keeps what is not done beyond this process. */
  readonly spool?: Spool | undefined;
}

/** A hole in what is delivered once and in order. */
export interface Gap {
  /** "peer": messages of the server will never come. "own": messages of this client were given up, or are in doubt. */
  readonly side: "peer" | "own";
  readonly count: number;
  /** Those in doubt are sent again in the new session, and may arrive twice. */
  readonly resent: boolean;
}

export interface SessionClientCoreOwner {
  /** Makes a connection to the list's current server; calls back once, with a transport joined to the connection that `join` makes, or not. */
  dial(join: (transport: LinkTransport) => LinkConnection, failed: (end: LinkEnd) => void): void;
  opened(how: { readonly resumed: boolean; readonly welcome: Welcome }): void;
  message(bytes: Uint8Array): void | Promise<unknown>;
  /** What came under a topic this client, or one of its name before, subscribed to. */
  topic(topic: string, bytes: Uint8Array, how: { readonly kept: boolean }): void | Promise<unknown>;
  stream(stream: IncomingStream): void | Promise<unknown>;
  /** Messages were lost, or may be: the peer's (numbers that will never come), or ours (in doubt, given up). */
  gap(gap: Gap): void;
  /** A connection ended or could not be made. */
  ended(end: LinkEnd): void;
  waiting(inMs: number): void;
  /** Nothing more will come. */
  closed(end: LinkEnd): void;
}

type State = "idle" | "dialing" | "handshaking" | "open" | "waiting" | "closed";

export class SessionClientCore implements LinkConnectionOwner, Due {
  position = -1;
  lookAtMs = 0;
  readonly stallMs: number;
  readonly #settings: SessionClientSettings;
  readonly #owner: SessionClientCoreOwner;
  readonly #environment: Environment;
  readonly #servers: ServerList;
  readonly #session: SessionState;
  /** The server knows this session's id. */
  #serverKnows = false;
  /** What the server has confirmed to know. */
  readonly #filters = new Set<string>();
  #openNotes = 0;
  #dropped = 0;
  /** What was confirmed when the protocol was last broken. */
  #ackedAtError: number | undefined;
  #state: State = "idle";
  #connection: LinkConnection | undefined;
  #handshake: { challenge: Challenge; hello: Hello } | undefined;
  #retryAtMs = Infinity;
  #lastEnd: LinkEnd = endOf("closed");
  #closing = false;
  #closeAtMs = Infinity;
  /** The server refused for a reason that trying again does not change. */
  #fatal = false;

  constructor(
    settings: SessionClientSettings,
    { owner, environment, servers }: { owner: SessionClientCoreOwner; environment: Environment; servers: ServerList },
  ) {
    this.#settings = settings;
    this.stallMs = settings.stallMs;
    this.#owner = owner;
    this.#environment = environment;
    this.#servers = servers;
    const { spool, limits } = settings;
    const id = spool?.left.sessionId ?? environment.secretBytes(SESSION_ID_BYTES);
    const done = spool?.left.handled ?? 0;
    this.#session = new SessionState({ id, limits, before: { arrived: done, done, ranges: [], rejects: new Map() } });
    if (spool) this.#restore(spool);
  }

  get state(): State {
    return this.#state;
  }

  get connection(): LinkConnection | undefined {
    return this.#connection;
  }

  /** The session's id: a secret between client and server. */
  get sessionId(): Uint8Array {
    return this.#session.id;
  }

  /** Messages, and their bytes, that are not done. */
  get unsettled(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#session.outbox.length, bytes: this.#session.outbox.bytes };
  }

  /** Unconfirmed messages that were dropped, of either side. */
  get dropped(): number {
    return this.#dropped;
  }

  #restore(spool: Spool): void {
    const nowMs = this.#environment.clock.now();
    const { serverKnows, sessionId, messages } = spool.left;
    this.#serverKnows = serverKnows;
    const { outbox } = this.#session;
    const restored = messages.map(({ number, bytes, keepForMs, ...settings }) => {
      const settle = (error?: OperationError): void => {
        spool.settled(message);
        // Nobody waits for it in this process; what is given up or in doubt is told as a gap by whoever gives it up.
        if (error && error.code !== "LINK_GAP") this.#owner.gap({ side: "own", count: 1, resent: false });
        if (this.#closing) this.#closeIfDone();
      };
      const message = new OutgoingMessage(bytes, nowMs + keepForMs, settle, settings);
      message.number = number;
      return message;
    });
    const byNumber = restored.filter(({ number }) => number > 0).toSorted((one, other) => one.number - other.number);
    if (sessionId) outbox.restore([...byNumber, ...restored.filter(({ number }) => number === 0)]);
    outbox.onNumber = (message) => spool.numbered(message);
    spool.restored(restored);
    if (!sessionId) spool.began(this.#session.id);
  }

  /** What is about to be written is in the spool before. */
  writing(): boolean {
    const { spool } = this.#settings;
    spool?.handled(this.#session.inbox.done);
    spool?.flush();
    return false;
  }

  start(): void {
    this.#environment.deadlines.moved(this);
    this.#dial();
  }

  /** The way to the server may be another one now (a network came up, a page was asleep): waits no longer, and trusts no silence. */
  wake(): void {
    if (this.#state === "waiting") this.#dial();
    else if (this.#state === "open") this.#connection!.probe();
  }

  /** Takes a message; resolves when the peer's application has it. */
  send(bytes: Uint8Array, how: Partial<SendSettings> = PLAIN): Promise<void> {
    const { expiresMs = 0 } = how;
    if (how.confirm === false) return this.#sendNote(() => noteOf(bytes));
    return this.#sent(bytes, expiresMs, messageSettings(how.urgent === true, expiresMs));
  }

  /** Resolves when the server has it. */
  async publish(
    topic: string,
    bytes: Uint8Array,
    { keep = false, urgent = false, expiresMs = 0, confirm = true }: Partial<SendSettings> & { readonly keep?: boolean } = {},
  ): Promise<void> {
    checkTopic(topic);
    if (!confirm) {
      if (keep) throw new UsageError("LINK_OPTION_INVALID", "Cannot publish: what is to be kept is to be confirmed");
      return this.#sendNote(() => noteOf(bytes, topic));
    }
    const body = topicBody.encode({ verb: "publish", keep, expiresMs, topic, bytes });
    return this.#sent(body, expiresMs, { urgent, expires: expiresMs > 0, isTopic: true });
  }

  /** From when it resolves on, what is published under such topics comes; the session remembers it. */
  async subscribe(filter: string): Promise<void> {
    checkFilter(filter);
    await this.#say("subscribe", filter);
    this.#filters.add(filter);
  }

  async unsubscribe(filter: string): Promise<void> {
    checkFilter(filter);
    this.#filters.delete(filter);
    await this.#say("unsubscribe", filter);
  }

  #say(verb: "subscribe" | "unsubscribe", topic: string): Promise<void> {
    const body = topicBody.encode({ verb, keep: false, expiresMs: 0, topic, bytes: EMPTY });
    return this.#sent(body, 0, { isTopic: true });
  }

  /** The session is new to the server, which knows nothing of what this client subscribed to. */
  #subscribeAgain(): void {
    for (const filter of this.#filters)
      this.#say("subscribe", filter).catch((error: unknown) => {
        if (codeOf(error) === "LINK_REJECTED") this.#filters.delete(filter);
      });
  }

  async #sendNote(body: () => Uint8Array): Promise<void> {
    if (this.#closing || this.#state === "closed") throw refusal("CLOSED", "the client is closed");
    if (this.#connection?.note(body()) !== true) this.#dropped += 1;
  }

  #sent(bytes: Uint8Array, expiresMs: number, settings: MessageSettings): Promise<void> {
    const { outbox } = this.#session;
    const { outboxMessagesMax, outboxBytesMax, whenFull, keepMs } = this.#settings;
    if (this.#closing || this.#state === "closed") return Promise.reject(refusal("CLOSED", "the client is closed"));
    const most = this.#connection?.protocol.peerMessageBytesMax ?? this.#settings.limits.messageBytesMax;
    if (bytes.length > most)
      return Promise.reject(refusal("LINK_MESSAGE_TOO_LARGE", `${bytes.length} bytes, at most ${most} allowed`));
    const full = (): boolean => outbox.length >= outboxMessagesMax || outbox.bytes + bytes.length > outboxBytesMax;
    if (full() && (whenFull === "reject" || bytes.length > outboxBytesMax)) {
      const waiting = `${outbox.length} messages and ${showSize(outbox.bytes)}`;
      return Promise.reject(refusal("LINK_FULL", `${waiting} are not confirmed yet`));
    }
    let dropped = 0;
    for (; full(); dropped += 1) outbox.dropOldest("replaced by newer messages");
    if (dropped > 0) this.#owner.gap({ side: "own", count: dropped, resent: false });
    const { spool } = this.#settings;
    return new Promise((resolve, reject) => {
      const settle = (error?: OperationError): void => {
        spool?.settled(message);
        this.#settled(error, resolve, reject);
      };
      const deadlineMs = this.#environment.clock.now() + Math.min(keepMs, expiresMs || Infinity);
      const message = new OutgoingMessage(bytes, deadlineMs, settle, settings);
      spool?.pushed(message);
      this.#push(message);
    });
  }

  /** Takes a message that is sent as it is read. */
  sendStream(source: StreamSource): Promise<void> {
    const { outbox } = this.#session;
    if (this.#closing || this.#state === "closed") return Promise.reject(refusal("CLOSED", "the client is closed"));
    if (outbox.length >= this.#settings.outboxMessagesMax)
      return Promise.reject(refusal("LINK_FULL", `${outbox.length} messages are not confirmed yet`));
    return new Promise((resolve, reject) => {
      const stream = new OutgoingStream();
      const settle = (error?: OperationError): void => this.#settled(error, resolve, reject);
      const message = new OutgoingMessage(EMPTY, Infinity, settle, { stream });
      this.#push(message);
      stream
        .pump(source, () => this.#changed())
        .catch((error: unknown) => {
          reject(error);
          outbox.abandon(message, "its source failed");
          this.#changed();
        });
    });
  }

  #push(message: OutgoingMessage): void {
    const { outbox } = this.#session;
    outbox.push(message);
    if (outbox.length === 1 || message.expires || this.position < 0) this.#environment.deadlines.moved(this);
    this.#changed();
  }

  #changed(): void {
    if (this.#state === "open") this.#connection!.flushSoon();
  }

  #settled(error: OperationError | undefined, resolve: () => void, reject: (error: OperationError) => void): void {
    if (error) reject(error);
    else resolve();
    if (this.#closing) this.#closeIfDone();
  }

  /** Sends what is kept, says BYE and ends; after `withinMs` without. */
  close(withinMs: number): void {
    if (this.#closing || this.#state === "closed") return;
    this.#closing = true;
    this.#closeAtMs = this.#environment.clock.now() + withinMs;
    this.#environment.deadlines.moved(this);
    this.#closeIfDone();
  }

  event(connection: LinkConnection, event: SessionProtocolEvent): void {
    switch (event.kind) {
      case "challenge":
        return this.#sendHello(connection, event.challenge);
      case "welcome":
        return this.#welcomed(connection, event.welcome);
      case "refused":
        return this.#refused(connection, event.notice);
      case "message":
        return this.#message(event.number, event.bytes);
      case "topic":
        return this.#message(event.number, event.bytes, topicBody.decode(event.bytes));
      case "note":
        return this.#note(event.note);
      case "stream":
        return this.#stream(event.stream);
      case "gap":
        return this.#owner.gap({ side: "peer", count: event.to - event.from + 1, resent: false });
      case "bye": {
        const { word, retryAfterMs } = event.notice;
        connection.peerLeft(word);
        if (word === "drained" || word === "max-age")
          this.#servers.dictate(retryAfterMs || this.#environment.random() * BACKOFF_BASE_MS);
        if (word === "closed") this.#forgetSession();
        // Coming back would take the name away from the newer client, which would take it back.
        if (word === "taken-over" && this.#handshake!.hello.version > 1) this.#fatal = true;
        return;
      }
      case "hello":
        return; // MAY_COME lets none through to a client
    }
  }

  ended(connection: LinkConnection, end: LinkEnd): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    this.#handshake = undefined;
    this.#after(end);
  }

  get deadlineMs(): number {
    const { outbox, inbox } = this.#session;
    return Math.min(this.#retryAtMs, this.#closeAtMs, outbox.oldestDeadlineMs, inbox.handlerDeadlineMs);
  }

  due(nowMs: number): void {
    const dropped = this.#session.outbox.expire(nowMs);
    if (dropped > 0) this.#owner.gap({ side: "own", count: dropped, resent: false });
    const { inbox } = this.#session;
    for (const [number, bytes] of inbox.overdue(nowMs, nowMs + this.#settings.handlerMs))
      this.#settle(inbox, number, { bytes, reject: overdueReason(this.#settings.handlerMs) });
    if (nowMs >= this.#closeAtMs) return this.#shut();
    if (nowMs >= this.#retryAtMs) this.#dial();
  }

  #dial(): void {
    this.#retryAtMs = Infinity;
    this.#state = "dialing";
    this.#owner.dial(
      (transport) => {
        const protocol = new SessionProtocol({ role: "client", nowMs: this.#environment.clock.now() });
        const connection = new LinkConnection(transport, { protocol, owner: this, environment: this.#environment });
        this.#connection = connection;
        this.#state = "handshaking";
        return connection;
      },
      (end) => this.#after(end),
    );
  }

  #sendHello(connection: LinkConnection, challenge: Challenge): void {
    const { name, token, will, heartbeatMs } = this.#settings;
    if (challenge.tokenRequired && token === undefined) {
      this.#fatal = true;
      return connection.fail(endOf("refused", new Error("the server requires a token and this client has none")));
    }
    this.#session.inbox.selective = challenge.version > 1;
    const hello: Hello = {
      version: challenge.version,
      serverNonce: challenge.version > 1 ? challenge.nonce : undefined,
      nonce: this.#environment.secretBytes(NONCE_BYTES),
      sessionId: this.#session.id,
      resume: this.#serverKnows,
      terms: this.#session.terms(),
      heartbeatMs,
      name,
      will,
      proof: EMPTY,
    };
    this.#handshake = { challenge, hello };
    connection.protocol.hello(hello, (proven) =>
      token === undefined ? EMPTY : this.#environment.hmac(token, [utf8("client"), challenge.nonce, proven]),
    );
  }

  #welcomed(connection: LinkConnection, welcome: Welcome): void {
    const { token } = this.#settings;
    const { challenge, hello } = this.#handshake!;
    if (token !== undefined) {
      const expected = proofOf(this.#environment, { side: "server", token, challenge, hello, body: hello.sessionId });
      if (!sameBytes(expected, welcome.proof)) {
        throw new ProtocolError("LINK_PROOF_INVALID", "Server authentication failed: it did not prove that it knows the token");
      }
    }
    if (welcome.clientNonce && !sameBytes(welcome.clientNonce, hello.nonce))
      throw new ProtocolError("LINK_PROOF_INVALID", "Cannot open a session: the WELCOME was made for another connection");
    const { arrived, receipt, partial } = welcome.terms;
    if (!this.#session.outbox.mayResume(arrived, receipt, partial)) {
      this.#forgetSession();
      throw new ProtocolError("LINK_ACK_INVALID", "Cannot resume: the server's numbers disagree with this client's");
    }
    connection.protocol.accept(this.#session, welcome);
    this.#settings.spool?.opened();
    this.#serverKnows = true;
    this.#state = "open";
    this.#servers.opened(this.#environment.clock.now());
    if (!welcome.resumed && welcome.restarted !== true) this.#subscribeAgain();
    this.#owner.opened({ resumed: welcome.resumed, welcome });
    connection.flushSoon();
  }

  #refused(connection: LinkConnection, { word, retryAfterMs, text }: CloseNotice<RefuseReason>): void {
    if (word === "session-unknown") {
      this.#forgetSession();
      if (connection.protocol.phase === "greeting") return this.#sendHello(connection, this.#handshake!.challenge);
    } else if (word === "draining" || word === "full") {
      if (retryAfterMs > 0) this.#servers.dictate(retryAfterMs);
    } else {
      this.#fatal = true; // a wrong token or version does not get better by trying again
      if (word === "taken-over") return connection.fail(endOf("taken-over"));
    }
    connection.fail(endOf(word === "draining" ? "drained" : "refused", new Error(`${word}: ${text}`)));
  }

  #message(number: number, bytes: Uint8Array, topic?: TopicBody): void {
    const { inbox } = this.#session;
    const settle = (reject?: string): void => this.#settle(inbox, number, { bytes: bytes.length, reject });
    const handle = (): void | Promise<unknown> => (topic ? this.#published(topic) : this.#owner.message(bytes));
    if (acknowledge(handle, settle)) this.#handling(inbox, number, bytes.length);
  }

  #published({ topic, bytes, keep }: TopicBody): void | Promise<unknown> {
    return this.#owner.topic(topic, bytes, { kept: keep });
  }

  /** A message that nobody waits for. */
  #note(note: TopicBody): void {
    if (this.#openNotes >= UNCONFIRMED_OPEN_MAX) return void (this.#dropped += 1);
    this.#openNotes += 1;
    const handle = (): void | Promise<unknown> =>
      note.verb === "message" ? this.#owner.message(note.bytes) : this.#published(note);
    acknowledge(handle, () => void (this.#openNotes -= 1));
  }

  #stream(stream: IncomingStream): void {
    const { inbox } = this.#session;
    const { number } = stream;
    inbox.progressed = (taken) => {
      inbox.handlingOn(taken, this.#environment.clock.now() + this.#settings.handlerMs);
      this.#connection?.flushSoon();
    };
    const settle = (reject?: string): void => this.#settle(inbox, number, { bytes: 0, reject });
    if (acknowledge(() => this.#owner.stream(stream), settle)) this.#handling(inbox, number, 0);
  }

  #handling(inbox: Inbox, number: number, bytes: number): void {
    inbox.handling(number, { bytes, deadlineMs: this.#environment.clock.now() + this.#settings.handlerMs });
    this.#environment.deadlines.moved(this);
  }

  #settle(inbox: Inbox, number: number, how: { bytes: number; reject?: string | undefined }): void {
    if (inbox.settle(number, how) && inbox === this.#session.inbox) this.#connection?.flushSoon();
  }

  /** A connection ended or could not be made. */
  #after(end: LinkEnd): void {
    this.#lastEnd = end;
    if (end.reason === "protocol" && this.#serverKnows) this.#disagree();
    this.#state = "waiting";
    this.#owner.ended(end);
    const done = this.#closing && this.#session.outbox.length === 0;
    if (done || this.#fatal || !this.#settings.reconnect) return this.#shut();
    const nowMs = this.#environment.clock.now();
    const inMs = this.#servers.ended(nowMs, end);
    this.#retryAtMs = nowMs + inMs;
    this.#owner.waiting(inMs);
    this.#environment.deadlines.moved(this);
  }

  /** Ended for an error of the protocol, twice with nothing confirmed between: a third time would be no better. */
  #disagree(): void {
    const { acked } = this.#session.outbox;
    if (acked === this.#ackedAtError) this.#forgetSession();
    else this.#ackedAtError = acked;
  }

  /** The server knows the session no more: what was sent and not confirmed is in doubt, what was never sent moves on. */
  #forgetSession(): void {
    const resend = this.#settings.inDoubt === "resend";
    const doubtful = this.#session.restart(this.#environment.secretBytes(SESSION_ID_BYTES), { keepDoubtful: resend });
    this.#serverKnows = false;
    this.#settings.spool?.began(this.#session.id);
    this.#ackedAtError = undefined;
    const error = new OperationError(
      "LINK_GAP",
      "No acknowledgement: the session cannot go on with this server; it may or may not have arrived",
    );
    if (doubtful.count > 0) this.#owner.gap({ side: "own", count: doubtful.count, resent: resend });
    for (const message of doubtful.givenUp) message.settle(error);
  }

  #closeIfDone(): void {
    if (this.#session.outbox.length > 0 || this.#state === "closed") return;
    if (this.#state === "open") this.#connection!.leave("closed");
    else this.#shut();
  }

  #shut(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#retryAtMs = Infinity;
    this.#closeAtMs = Infinity;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.fail(endOf("closed"), "closed");
    const why = `No acknowledgement: the client was closed (${this.#lastEnd.message}); it may or may not have arrived`;
    this.#session.outbox.clear(new OperationError("LINK_ENDED", why));
    this.#environment.deadlines.remove(this);
    this.#settings.spool?.close();
    this.#owner.closed(this.#lastEnd);
  }
}

const PLAIN: Partial<SendSettings> = {};

function refusal(code: "CLOSED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): OperationError {
  return new OperationError(code, `Cannot send a message: ${why}`);
}
