/**
 * ○ What a server holds for its sessions and for strangers, in bytes. Invariant: the bytes held for a session are in its account; from half
 * of `totalBytesMax` on, who has more than its share is read no further until others have room.
 */
import { PartBudget, PROCESS_BUDGET } from "../../../core/budget.ts";
import type { Account, Holder } from "../../../core/budget.ts";
import type { Clock } from "../../../core/clock.ts";
import { endOf } from "../../end.ts";
import type { LinkConnection } from "../link-connection.ts";
import type { ServerSession } from "./server-session.ts";

export class SessionBudget {
  /** The links' part of the process's budget. */
  readonly part: PartBudget;
  readonly #clock: Clock;
  readonly #stallMs: number;
  /** Not read from: their sessions hold more than their share. */
  readonly #paused = new Set<LinkConnection>();

  constructor({ clock, stallMs, totalBytesMax }: { clock: Clock; stallMs: number; totalBytesMax: number }) {
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.part = new PartBudget(PROCESS_BUDGET, { name: "link", onFull: () => this.#endStalled() });
    this.part.setBound(totalBytesMax);
  }

  /** Counts what a connection without a session makes the server hold; it ends where there is no room. */
  countStranger(connection: LinkConnection, entry: { readonly network: string; stranger?: Account | undefined }): void {
    const { waitingBytes } = connection.protocol;
    if (waitingBytes === 0 && !entry.stranger) return;
    entry.stranger ??= this.part.open("stranger", entry.network, strangerOf(connection));
    entry.stranger.set(waitingBytes);
    if (!entry.stranger.mayRead(waitingBytes)) connection.fail(endOf("no-room"));
  }

  /** A connection is gone. */
  ended(connection: LinkConnection): void {
    this.#paused.delete(connection);
  }

  /** Counts anew what has arrived for a session and is not whole, and reads on or not. */
  countIncomplete(session: ServerSession): void {
    const { incompleteBytes, connection } = session;
    if (incompleteBytes === session.countedBytes && !session.account?.isPressed) return;
    const completed = incompleteBytes < session.countedBytes;
    const more = incompleteBytes - session.countedBytes;
    session.countedBytes = incompleteBytes;
    this.hold(session, more);
    session.account?.incompleteChanged(completed);
    if (!connection || session.account === undefined || session.account.mayRead(session.heldBytes)) return;
    connection.transport.pause();
    this.#paused.add(connection);
  }

  /** More is held for a session, or less. */
  hold(session: ServerSession, bytes: number): void {
    session.heldBytes += bytes;
    if (session.heldBytes > 0) session.account ??= this.part.open("known", session.address, session);
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
    if (!this.part.isFull) return;
    const next = this.part.endStalled(chosen);
    const clock = this.#clock;
    clock.at(clock.now() + this.#stallMs, () => this.#endStalled(next));
  }

  /** A session counts where its client last was. */
  move(session: ServerSession, address: string): void {
    if (session.address === address) return;
    session.address = address;
    const { account } = session;
    if (!account) return;
    account.set(0);
    account.leave();
    session.account = undefined;
    this.hold(session, 0);
  }
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
