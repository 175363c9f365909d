/**
 * ○ Messages to a server's clients: what is taken, what is refused, and what becomes of it. Invariant: a message that was taken is charged
 * to its session, and kept in the store where there is one, until it is settled.
 */
import { EMPTY } from "../../../core/bytes.ts";
import { OperationError } from "../../../core/errors.ts";
import { showSize } from "../../../core/units.ts";
import { STREAM_AHEAD_BYTES } from "../../limits.ts";
import type { Environment } from "../environment.ts";
import { messageSettings, noteOf, OutgoingMessage } from "../outgoing-message.ts";
import type { MessageSettings } from "../outgoing-message.ts";
import { OutgoingStream } from "../outgoing-stream.ts";
import type { StreamSource } from "../outgoing-stream.ts";
import type { PersistentSessions } from "./persistent-sessions.ts";
import type { SendSettings } from "../send-options.ts";
import type { ServerSession } from "./server-session.ts";
import type { SessionBudget } from "./session-budget.ts";
import type { SessionCounts, SessionServerParts, SessionServerSettings } from "./session-server-settings.ts";

/** What a message is pushed with. */
interface PushOptions {
  readonly settings: MessageSettings;
  /** 0 for as long as any message is kept. */
  readonly expiresMs?: number;
  /** Charged to the session, until it is settled. */
  readonly heldBytes?: number;
}

export class SessionSender {
  readonly #settings: SessionServerSettings;
  readonly #environment: Environment;
  readonly #budget: SessionBudget;
  readonly #counts: SessionCounts;
  readonly #store: PersistentSessions | undefined;

  constructor({ settings, environment, budget, counts, store }: SessionServerParts) {
    this.#settings = settings;
    this.#environment = environment;
    this.#budget = budget;
    this.#counts = counts;
    this.#store = store;
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
    if (session.connection?.note(note) !== true) this.#counts.dropped += 1;
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
  deliver(session: ServerSession, body: Uint8Array, { confirm, expiresAtMs }: { confirm: boolean; expiresAtMs: number }): void {
    if (!confirm) {
      if (session.connection?.note(body) !== true) this.#counts.dropped += 1;
      return;
    }
    const expires = expiresAtMs < Infinity;
    const expiresMs = expires ? Math.max(1, expiresAtMs - this.#environment.clock.now()) : 0;
    try {
      this.#push(session, body, { settings: { isTopic: true, expires }, expiresMs }, () => {});
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      this.#counts.dropped += 1;
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
    this.#budget.hold(session, heldBytes);
    if (session.account?.mayHold(session.heldBytes) === false) {
      this.#budget.hold(session, -heldBytes);
      throw refusal("LINK_FULL", `${showSize(session.heldBytes)} are held for this client, its share of totalMax`);
    }
    const nowMs = this.#environment.clock.now();
    const deadlineMs = settings.stream ? Infinity : nowMs + Math.min(keepMs, expiresMs || Infinity);
    const settle = (error?: OperationError): void => {
      this.settled(session, message, heldBytes, error);
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
  settled(session: ServerSession, message: OutgoingMessage, heldBytes: number, error: OperationError | undefined): void {
    this.#budget.hold(session, -heldBytes);
    if (error && error.code !== "LINK_REJECTED") this.#counts.unconfirmed += 1;
    this.#store?.settled(session.records, message);
  }
}

function refusal(code: "LINK_ENDED" | "LINK_FULL" | "LINK_MESSAGE_TOO_LARGE", why: string): OperationError {
  return new OperationError(code, `Cannot send a message: ${why}`);
}
