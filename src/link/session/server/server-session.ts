/**
 * ○ A client's session as the server's application sees it: who it is, whether it is there, and how to send to it. The server core
 * decides what happens to it; this holds its state. Invariant: presence is "gone" exactly when the server core has forgotten it.
 */
import type { Account } from "../../../core/budget.ts";
import { utf8 } from "../../../core/bytes.ts";
import type { LinkConnection } from "../link-connection.ts";
import type { StreamSource } from "../outgoing-stream.ts";
import { readSend } from "../send-options.ts";
import type { SendSettings, SendOptions } from "../send-options.ts";
import type { SessionState } from "../session-state.ts";
import type { SessionBody, SessionHead } from "./session-record.ts";
import type { SessionRecords } from "./persistent-sessions.ts";

/** What a session asks of the server core. */
export interface ServerSessionOwner {
  wallMs(): number;
  send(session: ServerSession, bytes: Uint8Array, how: SendSettings): Promise<void>;
  sendStream(session: ServerSession, source: StreamSource): Promise<void>;
  budgetChanged(session: ServerSession): void;
  stalled(session: ServerSession): void;
  endSession(session: ServerSession): void;
  sessionDue(session: ServerSession, nowMs: number): void;
}

/** A session's state for people: connected, away for less than its time to live, gone for ever. */
export type Presence = "online" | "away" | "gone";

/** A client's session as the server has it. */
export class ServerSession {
  /** @internal */
  position = -1;
  /** @internal */
  lookAtMs = 0;
  /** Who the client says it is; may be empty. */
  readonly name: string;
  /** Counts the sessions of one server, from 1; safe to show. */
  readonly number: number;
  /** When the session began, in ms since 1970-01-01 UTC. */
  readonly sinceMs: number;
  /** @internal The session's id in hex: that of the client that has it now. */
  key: string;
  /** @internal Those of clients that had it before, the last one first. */
  idsBefore: readonly string[] | undefined;
  /** @internal It is the session of its name, whoever has that. */
  readonly named: boolean;
  /** @internal What the client proved to be: another one cannot resume a session without a name. */
  readonly identity: string;
  /** @internal Of that, what its transport proves: a client with another certificate does not have its name. */
  readonly certificate: string;
  /** @internal Messages of clients before this one. */
  receivedBefore = 0;
  /** @internal */
  readonly state: SessionState;
  /** @internal Where it is kept beyond this process. */
  records: SessionRecords | undefined;
  /** @internal */
  connection: LinkConnection | undefined;
  /** @internal What is held for it; opened when something first is. */
  account: Account | undefined;
  /** @internal */
  heldBytes = 0;
  /** @internal Of those, what had not arrived whole when it was last counted. */
  countedBytes = 0;
  /** @internal */
  address = "";
  /** @internal */
  will: Uint8Array | undefined;
  /** @internal */
  willAtMs = Infinity;
  /** @internal */
  expiresAtMs = Infinity;
  /** @internal What it subscribed to. */
  filters: Set<string> | undefined;
  /** @internal Its unconfirmed messages in handlers. */
  openNotes = 0;
  /** @internal One side is done with the session: it goes with the connection. */
  closing = false;
  #lastSeenMs: number;
  #presence: Presence = "online";
  readonly #owner: ServerSessionOwner;

  /** @internal */
  constructor(
    owner: ServerSessionOwner,
    fields: {
      name: string;
      number: number;
      wallMs: number;
      key: string;
      named: boolean;
      identity: string;
      certificate: string;
      state: SessionState;
    },
  ) {
    this.#owner = owner;
    this.name = fields.name;
    this.number = fields.number;
    this.sinceMs = fields.wallMs;
    this.#lastSeenMs = fields.wallMs;
    this.key = fields.key;
    this.named = fields.named;
    this.identity = fields.identity;
    this.certificate = fields.certificate;
    this.state = fields.state;
  }

  /** Connected, away, or gone for ever. */
  get presence(): Presence {
    return this.#presence;
  }

  /** "host:port" of the client's connection; undefined while it is away. */
  get peer(): string | undefined {
    return this.connection?.transport.peer;
  }

  /** When a connection of the client was last there, in ms since 1970-01-01 UTC; now, while it is online. */
  get lastSeenMs(): number {
    return this.#presence === "online" ? this.#owner.wallMs() : this.#lastSeenMs;
  }

  /** Round trip of the last heartbeat that was answered on this connection, in ms. */
  get rttMs(): number | undefined {
    return this.connection?.protocol.rttMs;
  }

  /**
   * Sends a message to the client; it is kept while the client is away.
   *
   * @param how.urgent it passes messages that are not, large ones under way among them
   * @param how.expires it is given up when it was not delivered by then
   * @param how.confirm false: nobody confirms it, and it is dropped when the client is away or slow; at most 16 KiB
   * @returns resolves when the client's application has it
   * @throws OperationError LINK_FULL, LINK_MESSAGE_TOO_LARGE, LINK_REJECTED, LINK_GAP, LINK_ENDED when the session is gone
   */
  send(bytes: Uint8Array | string, how?: SendOptions): Promise<void> {
    return this.#owner.send(this, typeof bytes === "string" ? utf8(bytes) : bytes, readSend(how));
  }

  /**
   * Sends a message of any length as it is read; other messages go on beside it.
   *
   * @returns resolves when the client's `onStream` is done with it
   * @throws OperationError as `send`; what the source throws
   */
  sendStream(source: StreamSource): Promise<void> {
    return this.#owner.sendStream(this, source);
  }

  /** Ends the session for good; the client is told. */
  close(): void {
    this.#owner.endSession(this);
  }

  /** @internal Who it belongs to, as it is kept. */
  record(): SessionHead {
    const { name, named, identity, certificate, sinceMs } = this;
    return { name, named, identity, certificate, sinceMs };
  }

  /** @internal What is kept of it beside its numbers. */
  body(): SessionBody {
    const { state, idsBefore = [], will, filters = [] } = this;
    return { id: state.id, idsBefore, will, filters: [...filters] };
  }

  /** @internal */
  seen(presence: Presence): void {
    this.#presence = presence;
    this.#lastSeenMs = this.#owner.wallMs();
  }

  /** @internal */
  get deadlineMs(): number {
    const { outbox, inbox } = this.state;
    return Math.min(this.willAtMs, this.expiresAtMs, outbox.oldestDeadlineMs, inbox.handlerDeadlineMs);
  }

  /** @internal */
  get incompleteBytes(): number {
    return this.state.inbox.partialBytes + (this.connection?.protocol.waitingBytes ?? 0);
  }

  /** @internal */
  budgetChanged(): void {
    this.#owner.budgetChanged(this);
  }

  /** @internal */
  stalled(): void {
    this.#owner.stalled(this);
  }

  /** @internal */
  due(nowMs: number): void {
    this.#owner.sessionDue(this, nowMs);
  }
}
