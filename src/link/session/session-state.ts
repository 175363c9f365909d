/** ○ What survives connections: the messages of both directions. One session has at most one connection at a time. */
import type { Terms } from "./body.ts";
import { Inbox } from "./inbox.ts";
import type { InboxState } from "./inbox.ts";
import { Outbox } from "./outbox.ts";

/** What a side takes and holds. */
export interface SessionLimits {
  readonly messageBytesMax: number;
  readonly window: number;
  readonly windowBytes: number;
  /** Longer messages are sent in parts of this size. */
  readonly partBytes: number;
}

export class SessionState {
  /** 16 unguessable bytes, drawn by the client. */
  id: Uint8Array;
  readonly outbox = new Outbox();
  readonly limits: SessionLimits;
  #inbox: Inbox;

  /** @param session.before what a process before this one had of the peer's messages */
  constructor({ id, limits, before }: { id: Uint8Array; limits: SessionLimits; before?: InboxState | undefined }) {
    this.id = id;
    this.limits = limits;
    this.#inbox = new Inbox(limits, before);
  }

  /** Messages of the session that there is now; a new one gets a new inbox, so hold on to it while a message is handled. */
  get inbox(): Inbox {
    return this.#inbox;
  }

  terms(): Terms {
    const { arrived } = this.#inbox;
    return { arrived, receipt: this.#inbox.fullReceipt(), partial: this.#inbox.partial(), ...this.limits };
  }

  /** Forgets the peer's numbers: the next session, with this id, starts at 1 (see `Outbox.restart`). */
  restart(id: Uint8Array, doubts: { keepDoubtful: boolean }): ReturnType<Outbox["restart"]> {
    this.id = id;
    this.#inbox.close();
    this.#inbox = new Inbox(this.limits);
    return this.outbox.restart(doubts);
  }
}
