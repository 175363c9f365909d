/**
 * ○ A client's session as the server's application sees it: who it is, whether it is there, and how to send to it. What happens to it is
 * the server core's business; this holds its state. Invariant: presence is "gone" exactly when the server core has forgotten it.
 */
import { utf8 } from "../../core/bytes.ts";
import type { LinkConnection } from "./link-connection.ts";
import type { SessionState } from "./session-state.ts";

/** What a session asks of the server core. */
export interface ServerSessionOwner {
  wallMs(): number;
  send(session: ServerSession, bytes: Uint8Array): Promise<void>;
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
  /** @internal */
  readonly key: string;
  /** @internal What the client proved to be: another one cannot resume the session. */
  readonly identity: string;
  /** @internal */
  readonly state: SessionState;
  /** @internal */
  connection: LinkConnection | undefined;
  /** @internal */
  will: Uint8Array | undefined;
  /** @internal */
  willAtMs = Infinity;
  /** @internal */
  expiresAtMs = Infinity;
  /** @internal One side is done with the session: it goes with the connection. */
  closing = false;
  #lastSeenMs: number;
  #presence: Presence = "online";
  readonly #owner: ServerSessionOwner;

  /** @internal */
  constructor(
    owner: ServerSessionOwner,
    fields: { name: string; number: number; wallMs: number; key: string; identity: string; state: SessionState },
  ) {
    this.#owner = owner;
    this.name = fields.name;
    this.number = fields.number;
    this.sinceMs = fields.wallMs;
    this.#lastSeenMs = fields.wallMs;
    this.key = fields.key;
    this.identity = fields.identity;
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
   * @returns resolves when the client's application has it
   * @throws OperationError LINK_FULL, LINK_MESSAGE_TOO_LARGE, LINK_REJECTED, LINK_GAP, LINK_ENDED when the session is gone
   */
  send(bytes: Uint8Array | string): Promise<void> {
    return this.#owner.send(this, typeof bytes === "string" ? utf8(bytes) : bytes);
  }

  /** Ends the session for good; the client is told. */
  close(): void {
    this.#owner.endSession(this);
  }

  /** @internal */
  seen(presence: Presence): void {
    this.#presence = presence;
    this.#lastSeenMs = this.#owner.wallMs();
  }

  /** @internal */
  get deadlineMs(): number {
    return Math.min(this.willAtMs, this.expiresAtMs, this.state.outbox.oldestDeadlineMs);
  }

  /** @internal */
  due(nowMs: number): void {
    this.#owner.sessionDue(this, nowMs);
  }
}
