/**
 * ○ The client's side of session mode: dials, introduces itself, resumes, waits and dials again, until closed. How to dial, the
 * clock and chance are given. Invariant: every message that `send` took is settled exactly once: done, refused, or given up with
 * LINK_GAP when it is in doubt; at most one line at a time.
 */
import { OperationError, ProtocolError } from "../../core/errors.ts";
import { showSize } from "../../core/units.ts";
import type { Backoff } from "../backoff.ts";
import { NONCE_BYTES, SESSION_ID_BYTES } from "./body.ts";
import type { Challenge, Hello, Parting, Refusal, Welcome } from "./body.ts";
import { Conversation } from "./session-protocol.ts";
import type { ConversationEvent } from "./session-protocol.ts";
import type { Due } from "./deadlines.ts";
import { endOf } from "../end.ts";
import type { LinkEnd } from "../end.ts";
import { handled } from "./acknowledgement.ts";
import { BACKOFF_BASE_MS } from "../limits.ts";
import { Line } from "./link-connection.ts";
import type { LineOwner, Wire, World } from "./link-connection.ts";
import { proofOf, sameBytes } from "./proof.ts";
import { Session } from "./session-state.ts";
import type { SessionLimits } from "./session-state.ts";

export interface DialerSettings {
  readonly limits: SessionLimits;
  readonly outboxMessagesMax: number;
  readonly outboxBytesMax: number;
  readonly name: string;
  readonly token: string | undefined;
  readonly will: Uint8Array | undefined;
  /** 0 leaves it to the server. */
  readonly heartbeatMs: number;
  readonly stallMs: number;
  /** How long a message is kept; then it is given up. */
  readonly keepMs: number;
  /** When the outbox is full: refuse the new message, or give up the oldest. */
  readonly whenFull: "reject" | "drop-oldest";
  /** Messages in doubt when the server has forgotten the session: give them up, or send them again, which may double them. */
  readonly inDoubt: "reject" | "resend";
  readonly reconnect: boolean;
}

/** A hole in what is delivered once and in order. */
export interface Gap {
  /** "peer": messages of the server will never come. "own": messages of this client were given up, or are in doubt. */
  readonly side: "peer" | "own";
  readonly count: number;
  /** Those in doubt are sent again in the new session, and may arrive twice. */
  readonly resent: boolean;
}

export interface DialerOwner {
  /** Makes a connection; calls back once, with a wire joined to the line that `join` makes, or not. */
  dial(join: (wire: Wire) => Line, failed: (end: LinkEnd) => void): void;
  opened(how: { readonly resumed: boolean; readonly welcome: Welcome }): void;
  message(bytes: Uint8Array): void | Promise<unknown>;
  /** Messages were lost, or may be: the peer's (numbers that will never come), or ours (in doubt, given up). */
  gap(gap: Gap): void;
  /** A connection ended or could not be made. */
  ended(end: LinkEnd): void;
  waiting(inMs: number): void;
  /** Nothing more will come. */
  closed(end: LinkEnd): void;
}

type State = "idle" | "dialing" | "talking" | "open" | "waiting" | "closed";

export class Dialer implements LineOwner, Due {
  position = -1;
  lookAtMs = 0;
  readonly stallMs: number;
  readonly #settings: DialerSettings;
  readonly #owner: DialerOwner;
  readonly #world: World;
  readonly #backoff: Backoff;
  readonly #session: Session;
  /** The server knows this session's id. */
  #welcomeBefore = false;
  #state: State = "idle";
  #line: Line | undefined;
  #said: { challenge: Challenge; hello: Hello } | undefined;
  #retryAtMs = Infinity;
  #last: LinkEnd = endOf("closed");
  #closing = false;
  #closeAtMs = Infinity;
  /** The server said what trying again will not change. */
  #fatal = false;

  constructor(settings: DialerSettings, { owner, world, backoff }: { owner: DialerOwner; world: World; backoff: Backoff }) {
    this.#settings = settings;
    this.stallMs = settings.stallMs;
    this.#owner = owner;
    this.#world = world;
    this.#backoff = backoff;
    this.#session = new Session({ id: world.secretBytes(SESSION_ID_BYTES), limits: settings.limits });
  }

  get state(): State {
    return this.#state;
  }

  get line(): Line | undefined {
    return this.#line;
  }

  /** The session's id: a secret between client and server. */
  get sessionId(): Uint8Array {
    return this.#session.id;
  }

  /** Messages, and their bytes, that are not done. */
  get unsettled(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#session.outbox.length, bytes: this.#session.outbox.bytes };
  }

  start(): void {
    this.#dial();
  }

  /** Takes a message; resolves when the peer's application has it. */
  send(bytes: Uint8Array): Promise<void> {
    const { outbox } = this.#session;
    const { outboxMessagesMax, outboxBytesMax, whenFull } = this.#settings;
    if (this.#closing || this.#state === "closed") return refusal("CLOSED", "the client is closed");
    const most = this.#line?.conversation.peerMessageBytesMax ?? this.#settings.limits.messageBytesMax;
    if (bytes.length > most) return refusal("LINK_MESSAGE_TOO_LARGE", `${bytes.length} bytes, at most ${most} allowed`);
    const full = (): boolean => outbox.length >= outboxMessagesMax || outbox.bytes + bytes.length > outboxBytesMax;
    if (full() && (whenFull === "reject" || bytes.length > outboxBytesMax)) {
      return refusal("LINK_FULL", `${outbox.length} messages and ${showSize(outbox.bytes)} are not confirmed yet`);
    }
    let dropped = 0;
    for (; full(); dropped += 1) outbox.dropOldest("newer ones took its place");
    if (dropped > 0) this.#owner.gap({ side: "own", count: dropped, resent: false });
    return new Promise((resolve, reject) => {
      outbox.push({
        bytes,
        deadlineMs: this.#world.clock.now() + this.#settings.keepMs,
        settle: (error) => {
          if (error) reject(error);
          else resolve();
          if (this.#closing) this.#closeIfDone();
        },
      });
      if (outbox.length === 1) this.#world.deadlines.moved(this);
      if (this.#state === "open") this.#line!.flushSoon();
    });
  }

  /** Sends what is kept, says good-bye and ends; after `withinMs` without. */
  close(withinMs: number): void {
    if (this.#closing || this.#state === "closed") return;
    this.#closing = true;
    this.#closeAtMs = this.#world.clock.now() + withinMs;
    this.#world.deadlines.moved(this);
    this.#closeIfDone();
  }

  event(line: Line, event: ConversationEvent): void {
    switch (event.kind) {
      case "challenge":
        return this.#introduce(line, event.challenge);
      case "welcome":
        return this.#welcomed(line, event.welcome);
      case "refused":
        return this.#refused(line, event.parting);
      case "message":
        return this.#message(event.number, event.bytes);
      case "gap":
        return this.#owner.gap({ side: "peer", count: event.to - event.from + 1, resent: false });
      case "bye": {
        const { word, retryAfterMs } = event.parting;
        line.parted(word);
        if (word === "drained" || word === "max-age")
          this.#backoff.dictate(retryAfterMs || this.#world.random() * BACKOFF_BASE_MS);
        if (word === "closed") this.#forgetSession();
        return;
      }
      case "hello":
        return; // MAY_COME lets none through to a client
    }
  }

  ended(line: Line, end: LinkEnd): void {
    if (line !== this.#line) return;
    this.#line = undefined;
    this.#said = undefined;
    this.#after(end);
  }

  get deadlineMs(): number {
    return Math.min(this.#retryAtMs, this.#closeAtMs, this.#session.outbox.oldestDeadlineMs);
  }

  due(nowMs: number): void {
    const dropped = this.#session.outbox.expire(nowMs);
    if (dropped > 0) this.#owner.gap({ side: "own", count: dropped, resent: false });
    if (nowMs >= this.#closeAtMs) return this.#shut();
    if (nowMs >= this.#retryAtMs) this.#dial();
  }

  #dial(): void {
    this.#retryAtMs = Infinity;
    this.#state = "dialing";
    this.#owner.dial(
      (wire) => {
        const conversation = new Conversation({ role: "client", nowMs: this.#world.clock.now() });
        const line = new Line(wire, { conversation, owner: this, world: this.#world });
        this.#line = line;
        this.#state = "talking";
        return line;
      },
      (end) => this.#after(end),
    );
  }

  #introduce(line: Line, challenge: Challenge): void {
    const { name, token, will, heartbeatMs } = this.#settings;
    if (challenge.tokenRequired && token === undefined) {
      this.#fatal = true;
      return line.fail(endOf("refused", new Error("the server wants a token and this client has none")));
    }
    const hello: Hello = {
      nonce: this.#world.secretBytes(NONCE_BYTES),
      sessionId: this.#session.id,
      resume: this.#welcomeBefore,
      terms: this.#session.terms(),
      heartbeatMs,
      name,
      will,
      proof: NO_BYTES,
    };
    this.#said = { challenge, hello };
    line.conversation.hello(hello, (proven) =>
      token === undefined ? NO_BYTES : this.#world.hmac(token, [new TextEncoder().encode("client"), challenge.nonce, proven]),
    );
  }

  #welcomed(line: Line, welcome: Welcome): void {
    const { token } = this.#settings;
    const { challenge, hello } = this.#said!;
    if (token !== undefined) {
      const expected = proofOf(this.#world, { side: "server", token, challenge, hello, body: hello.sessionId });
      if (!sameBytes(expected, welcome.proof)) {
        throw new ProtocolError("LINK_PROOF_INVALID", "Cannot trust the server: it did not prove that it knows the token");
      }
    }
    line.conversation.accept(this.#session, welcome);
    this.#welcomeBefore = true;
    this.#state = "open";
    this.#backoff.connected(this.#world.clock.now());
    this.#owner.opened({ resumed: welcome.resumed, welcome });
    line.flushSoon();
  }

  #refused(line: Line, { word, retryAfterMs, text }: Parting<Refusal>): void {
    if (word === "session-unknown") {
      this.#forgetSession();
      if (line.conversation.phase === "greeting") return this.#introduce(line, this.#said!.challenge);
    } else if (word === "draining" || word === "full") {
      if (retryAfterMs > 0) this.#backoff.dictate(retryAfterMs);
    } else {
      this.#fatal = true; // a wrong token or version does not get better by trying again
    }
    line.fail(endOf(word === "draining" ? "drained" : "refused", new Error(`${word}: ${text}`)));
  }

  #message(number: number, bytes: Uint8Array): void {
    const { inbox } = this.#session;
    const settle = (reject?: string): void => {
      inbox.settle(number, { bytes: bytes.length, reject });
      if (inbox === this.#session.inbox) this.#line?.flushSoon();
    };
    handled(() => this.#owner.message(bytes), settle);
  }

  /** A connection ended or could not be made. */
  #after(end: LinkEnd): void {
    this.#last = end;
    this.#state = "waiting";
    this.#owner.ended(end);
    const done = this.#closing && this.#session.outbox.length === 0;
    if (done || this.#fatal || !this.#settings.reconnect) return this.#shut();
    const nowMs = this.#world.clock.now();
    const inMs = this.#backoff.next(nowMs);
    this.#retryAtMs = nowMs + inMs;
    this.#owner.waiting(inMs);
    this.#world.deadlines.moved(this);
  }

  /** The server knows the session no more: what was sent and not confirmed is in doubt, what was never sent moves on. */
  #forgetSession(): void {
    const resend = this.#settings.inDoubt === "resend";
    const doubtful = this.#session.restart(this.#world.secretBytes(SESSION_ID_BYTES), { keepDoubtful: resend });
    this.#welcomeBefore = false;
    const error = new OperationError(
      "LINK_GAP",
      "Cannot confirm a message: the server has forgotten the session; it may or may not have arrived",
    );
    if (doubtful.count > 0) this.#owner.gap({ side: "own", count: doubtful.count, resent: resend });
    for (const message of doubtful.givenUp) message.settle(error);
  }

  #closeIfDone(): void {
    if (this.#session.outbox.length > 0 || this.#state === "closed") return;
    if (this.#state === "open") this.#line!.leave("closed");
    else this.#shut();
  }

  #shut(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#retryAtMs = Infinity;
    this.#closeAtMs = Infinity;
    const line = this.#line;
    this.#line = undefined;
    line?.fail(endOf("closed"), "closed");
    const why = `Cannot confirm a message: the client was closed (${this.#last.message}); it may or may not have arrived`;
    this.#session.outbox.clear(new OperationError("LINK_ENDED", why));
    this.#world.deadlines.remove(this);
    this.#owner.closed(this.#last);
  }
}

const NO_BYTES = new Uint8Array(0);

function refusal(code: "CLOSED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): Promise<never> {
  return Promise.reject(new OperationError(code, `Cannot send a message: ${why}`));
}
