/**
 * ○ Messages of a server's clients: each is handed to its handler, in order, and confirmed or refused as that says. Invariant: a handler is
 * given a message once the store has its number; its bytes are charged to the session until it is settled.
 */
import { ProtocolError } from "../../../core/errors.ts";
import { UNCONFIRMED_OPEN_MAX } from "../../limits.ts";
import { acknowledge, overdueReason } from "../acknowledgement.ts";
import type { TopicBody } from "../body.ts";
import type { Environment } from "../environment.ts";
import type { Inbox } from "../inbox.ts";
import type { IncomingStream } from "../incoming-stream.ts";
import type { PersistentSessions } from "./persistent-sessions.ts";
import type { ServerSession } from "./server-session.ts";
import type { SessionBudget } from "./session-budget.ts";
import type { SessionCounts, SessionServerCoreOwner, SessionServerParts } from "./session-server-settings.ts";
import type { SessionTopics } from "./session-topics.ts";

export class SessionReceiver {
  readonly #handlerMs: number;
  readonly #owner: Pick<SessionServerCoreOwner, "message" | "stream">;
  readonly #topics: SessionTopics | undefined;
  readonly #environment: Environment;
  readonly #budget: SessionBudget;
  readonly #counts: SessionCounts;
  readonly #store: PersistentSessions | undefined;

  constructor(
    { settings, environment, budget, counts, store }: SessionServerParts,
    { owner, topics }: { owner: Pick<SessionServerCoreOwner, "message" | "stream">; topics: SessionTopics | undefined },
  ) {
    this.#handlerMs = settings.handlerMs;
    this.#owner = owner;
    this.#topics = topics;
    this.#environment = environment;
    this.#budget = budget;
    this.#counts = counts;
    this.#store = store;
  }

  message(session: ServerSession, number: number, bytes: Uint8Array, topic?: TopicBody): void {
    this.#counts.received += 1;
    const { inbox } = session.state;
    this.#store?.counted(session.records);
    const handle = (isHeld: boolean): void => this.#handle(session, inbox, { number, bytes, topic, isHeld });
    // Its number is kept first: should it come again after a crash, it is the same one, whatever else came beside it.
    if (this.#store?.after(session.records, () => handle(true))) this.#budget.hold(session, bytes.length);
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
    if (!held) this.#budget.hold(session, bytes.length);
    held = true;
    this.#handling(session, inbox, { number, bytes: bytes.length });
  }

  #takeTopic(session: ServerSession, topic: TopicBody): void | Promise<unknown> {
    if (!this.#topics) throw new Error("this server has no topics");
    return this.#topics.take(session, topic);
  }

  /** A message that nobody waits for: it is dropped where there is no room, no topic or no permission. */
  note(session: ServerSession, note: TopicBody): void {
    if (note.verb !== "message" && note.verb !== "publish")
      throw new ProtocolError("LINK_BODY_INVALID", `Cannot take a NOTE: ${note.verb} is to be confirmed`);
    if (session.openNotes >= UNCONFIRMED_OPEN_MAX) return void (this.#counts.dropped += 1);
    this.#counts.received += 1;
    let open = false;
    const { length } = note.bytes;
    const handle = (): void | Promise<unknown> =>
      note.verb === "message" ? this.#owner.message(session, note.bytes, 0) : this.#topics?.take(session, note, false);
    const settle = (): void => {
      if (!open) return;
      session.openNotes -= 1;
      this.#budget.hold(session, -length);
    };
    if (!acknowledge(handle, settle)) return;
    open = true;
    session.openNotes += 1;
    this.#budget.hold(session, length);
  }

  stream(session: ServerSession, stream: IncomingStream): void {
    this.#counts.received += 1;
    const { number } = stream;
    const { inbox } = session.state;
    this.#store?.counted(session.records);
    inbox.progressed = (taken) => {
      inbox.handlingOn(taken, this.#environment.clock.now() + this.#handlerMs);
      this.#budget.countIncomplete(session);
      session.connection?.flushSoon();
    };
    const settle = (reject?: string): void => this.#settle(session, inbox, { number, bytes: 0, reject });
    if (acknowledge(() => this.#owner.stream(session, stream), settle)) this.#handling(session, inbox, { number, bytes: 0 });
  }

  #handling(session: ServerSession, inbox: Inbox, { number, bytes }: { number: number; bytes: number }): void {
    inbox.handling(number, { bytes, deadlineMs: this.#environment.clock.now() + this.#handlerMs });
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
    if (reject !== undefined) this.#counts.refused += 1;
    if (held) this.#budget.hold(session, -bytes);
    session.connection?.flushSoon();
  }

  /** Refuses what its handlers have had for too long. */
  overdue(session: ServerSession, nowMs: number): void {
    const { inbox } = session.state;
    for (const [number, bytes] of inbox.overdue(nowMs, nowMs + this.#handlerMs))
      this.#settle(session, inbox, { number, bytes, reject: overdueReason(this.#handlerMs) });
  }
}
