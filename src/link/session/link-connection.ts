/**
 * ○ One connection of session mode joined to what carries its bytes: feeds the conversation, writes what it has to say, keeps its
 * deadlines. The wire, the clock and the moment to write are given, so that a simulator can stand in for a network.
 * Invariant: the owner hears of the end exactly once, and of no event after it.
 */
import type { Clock } from "../../core/clock.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { Farewell } from "./body.ts";
import type { Conversation, ConversationEvent } from "./session-protocol.ts";
import type { Deadlines, Due } from "./deadlines.ts";
import { endOf } from "../end.ts";
import type { EndReason, LinkEnd } from "../end.ts";
import { SOCKET_AHEAD_BYTES } from "../limits.ts";

/** What carries a connection's bytes: a socket, or a simulated one. Tells the line through `received`, `drained` and `lost`. */
export interface Wire {
  readonly peer: string;
  /** Bytes written that the kernel has not taken. */
  readonly aheadBytes: number;
  /** Bytes that the kernel has taken so far. */
  readonly takenBytes: number;
  /** Writes the parts as one; they are never written to again. */
  write(parts: readonly Uint8Array[]): void;
  pause(): void;
  resume(): void;
  /** Ends after what was written. */
  end(): void;
  /** Ends at once. */
  destroy(): void;
}

/** The world as the session's cores see it. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  /** Unguessable bytes. */
  secretBytes(count: number): Uint8Array;
  /** HMAC-SHA256 over the parts in order. */
  hmac(key: string, parts: readonly Uint8Array[]): Uint8Array;
  /** Calls `flush` of the line soon, after what else happens in this turn, so that many sends become one write. */
  soon(line: Line): void;
}

export interface LineOwner {
  readonly stallMs: number;
  event(line: Line, event: ConversationEvent): void;
  ended(line: Line, end: LinkEnd): void;
}

export class Line implements Due {
  position = -1;
  lookAtMs = 0;
  readonly wire: Wire;
  readonly conversation: Conversation;
  readonly #owner: LineOwner;
  readonly #world: World;
  #end: LinkEnd | undefined;
  /** Why the connection will end, once what is under way is confirmed. */
  #parting: LinkEnd | undefined;
  #ended = false;
  #flushing = false;
  #stallAtMs = Infinity;
  #stallMark = 0;
  /** When to say good-bye, and with which word. */
  #leaveAtMs = Infinity;
  #leaveWord: Farewell = "max-age";

  constructor(wire: Wire, { conversation, owner, world }: { conversation: Conversation; owner: LineOwner; world: World }) {
    this.wire = wire;
    this.conversation = conversation;
    this.#owner = owner;
    this.#world = world;
    world.deadlines.moved(this);
    if (conversation.writable) this.flushSoon();
  }

  /** True once nothing is taken from the wire any more. */
  get ended(): boolean {
    return this.#ending;
  }

  get #ending(): boolean {
    return this.#ended || this.#end !== undefined;
  }

  get deadlineMs(): number {
    if (this.#ending) return Infinity;
    return Math.min(this.conversation.deadlineMs, this.#stallAtMs, this.#leaveAtMs);
  }

  /** The wire brought bytes. */
  received(chunk: Uint8Array): void {
    if (this.#ending) return;
    try {
      this.conversation.receive(chunk, this.#world.clock.now());
      for (let event = this.conversation.next(); event; event = this.conversation.next()) {
        this.#owner.event(this, event);
        if (this.#ending) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(endOf("protocol", error), "protocol");
    }
    if (this.conversation.writable || this.conversation.phase === "left") this.flushSoon();
  }

  /** The kernel took what was written. */
  drained(): void {
    this.#stallAtMs = Infinity;
    this.flush();
  }

  /** The wire ended: by itself, or as asked. */
  lost(end: LinkEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#world.deadlines.remove(this);
    this.#owner.ended(this, this.#end ?? (GENTLE.includes(end.reason) ? (this.#parting ?? end) : end));
  }

  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#world.soon(this);
  }

  /** Writes what there is to say, as far as the kernel keeps up. */
  flush(): void {
    this.#flushing = false;
    if (this.#ending) return;
    while (this.wire.aheadBytes < SOCKET_AHEAD_BYTES) {
      const parts = this.conversation.pull(SOCKET_AHEAD_BYTES - this.wire.aheadBytes);
      if (parts.length === 0) break;
      this.wire.write(parts);
    }
    if (this.conversation.phase === "left" && this.conversation.settled) this.wire.end();
    if (this.wire.aheadBytes > 0 && this.#stallAtMs === Infinity) this.#watchStall();
    this.#world.deadlines.moved(this);
  }

  /** Says good-bye at this time. */
  leaveAt(atMs: number, word: Farewell): void {
    if (atMs >= this.#leaveAtMs) return;
    this.#leaveAtMs = atMs;
    this.#leaveWord = word;
    this.#world.deadlines.moved(this);
  }

  /** Says good-bye, and ends when all that is under way is confirmed. */
  leave(word: Farewell, { retryAfterMs = 0, text = "" }: { retryAfterMs?: number; text?: string } = {}): void {
    this.#parting ??= endOf(word);
    this.#leaveAtMs = Infinity;
    this.conversation.leave({ word, retryAfterMs, text }, this.#world.clock.now());
    this.flush();
  }

  /** The client was refused: ends when it has been told. */
  refused(): void {
    this.#parting = endOf("refused");
    this.flush();
  }

  /** The peer said good-bye with this word: that is why the connection ends. */
  parted(word: Farewell): void {
    this.#parting = endOf(word);
  }

  /** Ends the connection now for this reason, with a last word to the peer where it can be said. */
  fail(end: LinkEnd, word?: Farewell): void {
    if (this.#ending) return;
    this.#end = end;
    if (word && (this.conversation.phase === "open" || this.conversation.phase === "leaving")) {
      this.conversation.leave({ word, retryAfterMs: 0, text: end.message }, this.#world.clock.now());
      const parts = this.conversation.pull(0);
      if (parts.length > 0) this.wire.write(parts);
    }
    this.wire.destroy();
  }

  due(nowMs: number): void {
    if (nowMs >= this.#leaveAtMs) return this.leave(this.#leaveWord);
    if (nowMs >= this.#stallAtMs) {
      if (this.wire.aheadBytes > 0 && this.wire.takenBytes === this.#stallMark) return this.fail(endOf("stalled-reader"));
      this.#stallAtMs = Infinity;
      if (this.wire.aheadBytes > 0) this.#watchStall();
    }
    const timeout = this.conversation.tick(nowMs);
    if (timeout) this.fail(endOf(timeout), timeout === "heartbeat" ? "heartbeat" : undefined);
    else if (this.conversation.writable) this.flush();
  }

  #watchStall(): void {
    this.#stallMark = this.wire.takenBytes;
    this.#stallAtMs = this.#world.clock.now() + this.#owner.stallMs;
  }
}

/** Ends of a wire that are no reason of their own when a good-bye was said before. */
const GENTLE: readonly EndReason[] = ["fin", "closed"];
