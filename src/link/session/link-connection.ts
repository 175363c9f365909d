/**
 * ○ One connection of session mode joined to what carries its bytes: feeds the session protocol, writes what it has to say, keeps its
 * deadlines. The transport, the clock and the moment to write are given, so that a simulator can stand in for a network.
 * Invariant: the owner hears of the end exactly once, and of no event after it.
 */
import { ProtocolError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import type { ByeReason } from "./body.ts";
import type { SessionProtocol, SessionProtocolEvent } from "./session-protocol.ts";
import type { Due } from "./deadlines.ts";
import type { Environment, LinkTransport } from "./environment.ts";
import { endOf } from "../end.ts";
import type { EndReason, LinkEnd } from "../end.ts";
import { SOCKET_AHEAD_BYTES, UNCONFIRMED_AHEAD_BYTES } from "../limits.ts";

export interface LinkConnectionOwner {
  readonly stallMs: number;
  event(connection: LinkConnection, event: SessionProtocolEvent): void;
  /**
   * Bytes are about to be written.
   *
   * @param go writes them
   * @returns true when it will be called later, in the order of the calls; else they are written at once
   */
  writing?(connection: LinkConnection, go: () => void): boolean;
  ended(connection: LinkConnection, end: LinkEnd): void;
}

export class LinkConnection implements Due {
  position = -1;
  lookAtMs = 0;
  readonly transport: LinkTransport;
  readonly protocol: SessionProtocol;
  readonly #owner: LinkConnectionOwner;
  readonly #environment: Environment;
  #end: LinkEnd | undefined;
  /** Why the connection will end, once what is under way is confirmed. */
  #announcedEnd: LinkEnd | undefined;
  #ended = false;
  #flushing = false;
  #stallAtMs = Infinity;
  #stallMark = 0;
  /** When to say BYE, and with which reason. */
  #leaveAtMs = Infinity;
  /** Until then nothing is written and nothing read. */
  #silentUntilMs: number | undefined;
  #leaveWord: ByeReason = "max-age";
  /** What the owner lets go later, in order. */
  #held: Ring<readonly Uint8Array[]> | undefined;
  #heldBytes = 0;

  constructor(
    transport: LinkTransport,
    {
      protocol,
      owner,
      environment,
      delayMs = 0,
    }: { protocol: SessionProtocol; owner: LinkConnectionOwner; environment: Environment; delayMs?: number },
  ) {
    this.transport = transport;
    this.protocol = protocol;
    this.#owner = owner;
    this.#environment = environment;
    if (delayMs > 0) {
      this.#silentUntilMs = environment.clock.now() + delayMs;
      transport.pause();
    }
    environment.deadlines.moved(this);
    if (protocol.writable) this.flushSoon();
  }

  /** True once nothing is taken from the transport any more. */
  get ended(): boolean {
    return this.#ending;
  }

  get #ending(): boolean {
    return this.#ended || this.#end !== undefined;
  }

  get deadlineMs(): number {
    if (this.#ending) return Infinity;
    return Math.min(this.protocol.deadlineMs, this.#stallAtMs, this.#leaveAtMs, this.#silentUntilMs ?? Infinity);
  }

  /** The transport brought bytes. */
  received(chunk: Uint8Array): void {
    if (this.#ending) return;
    try {
      this.protocol.receive(chunk, this.#environment.clock.now());
      for (let event = this.protocol.next(); event; event = this.protocol.next()) {
        this.#owner.event(this, event);
        if (this.#ending) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(endOf("protocol", error), "protocol");
    }
    if (this.protocol.writable || this.protocol.phase === "left") this.flushSoon();
  }

  /** The kernel took what was written. */
  drained(): void {
    this.#stallAtMs = Infinity;
    this.flush();
  }

  /**
   * The transport ended: by itself, or as asked.
   *
   * @returns the end that the owner was told
   */
  lost(end: LinkEnd): LinkEnd {
    if (this.#ended) return this.#end!;
    this.#ended = true;
    this.#environment.deadlines.remove(this);
    const announced = this.#announcedEnd;
    const toldSo =
      announced && (CLEAN_ENDS.includes(end.reason) || (end.reason === "rst" && ABRUPT_ENDS.includes(announced.reason)));
    this.#end ??= toldSo ? announced : end;
    this.#owner.ended(this, this.#end);
    return this.#end;
  }

  /** The peer has closed its side: it is told what is done of what it sent, for as long as after a BYE. */
  peerEnded(): void {
    if (this.#ending) return this.transport.end();
    this.#announcedEnd ??= endOf("fin");
    this.protocol.peerEnded(this.#environment.clock.now());
    this.flush();
  }

  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#environment.soon(this);
  }

  /** Says something that nobody confirms; false when it is not said: the peer is not there, slow, or does not know such messages. */
  note(body: Uint8Array): boolean {
    const ahead = this.transport.aheadBytes + this.protocol.noteBytes;
    if (this.#ending || !this.protocol.takesTopics || ahead >= UNCONFIRMED_AHEAD_BYTES) return false;
    this.protocol.note(body);
    this.flushSoon();
    return true;
  }

  /** Writes what there is to say, as far as the kernel keeps up. */
  flush(): void {
    this.#flushing = false;
    if (this.#ending || this.#silentUntilMs !== undefined) return;
    const nowMs = this.#environment.clock.now();
    for (let ahead = this.#aheadBytes; ahead < SOCKET_AHEAD_BYTES; ahead = this.#aheadBytes) {
      const parts = this.protocol.pull(SOCKET_AHEAD_BYTES - ahead, nowMs);
      if (parts.length === 0) break;
      this.#write(parts);
    }
    if (this.protocol.phase === "left" && this.protocol.settled && this.#heldBytes === 0) this.transport.end();
    if (this.transport.aheadBytes > 0 && this.#stallAtMs === Infinity) this.#watchStall();
    this.#environment.deadlines.moved(this);
  }

  /** Asks the peer whether it is there: its answer or silence decides. */
  probe(): void {
    if (this.#ending) return;
    this.protocol.probe(this.#environment.clock.now());
    this.flush();
  }

  get #aheadBytes(): number {
    return this.transport.aheadBytes + this.#heldBytes;
  }

  #write(parts: readonly Uint8Array[]): void {
    const isLater = this.#owner.writing?.(this, () => this.#go());
    if (isLater !== true) return this.transport.write(parts);
    (this.#held ??= new Ring()).push(parts);
    for (const { length } of parts) this.#heldBytes += length;
  }

  /** The owner lets go what was held first. */
  #go(): void {
    const parts = this.#held!.shift()!;
    for (const { length } of parts) this.#heldBytes -= length;
    if (this.#ending) return;
    this.transport.write(parts);
    if (this.#heldBytes === 0) this.flush();
  }

  /** Says BYE at this time. */
  leaveAt(atMs: number, word: ByeReason): void {
    if (atMs >= this.#leaveAtMs) return;
    this.#leaveAtMs = atMs;
    this.#leaveWord = word;
    this.#environment.deadlines.moved(this);
  }

  /** Says BYE, and ends when all that is under way is confirmed. */
  leave(word: ByeReason, { retryAfterMs = 0, text = "" }: { retryAfterMs?: number; text?: string } = {}): void {
    this.#announcedEnd ??= endOf(word);
    this.#leaveAtMs = Infinity;
    this.protocol.leave({ word, retryAfterMs, text }, this.#environment.clock.now());
    this.flush();
  }

  /** The client was refused: ends when it has been told. */
  refused(): void {
    this.#announcedEnd = endOf("refused");
    this.flush();
  }

  /** The peer said BYE with this reason: that is why the connection ends. */
  peerLeft(word: ByeReason): void {
    this.#announcedEnd = endOf(word);
  }

  /** Ends the connection now for this reason, after a BYE to the peer where one can be sent. */
  fail(end: LinkEnd, word?: ByeReason): void {
    if (this.#ending) return;
    this.#end = end;
    if (word && (this.protocol.phase === "open" || this.protocol.phase === "leaving")) {
      this.protocol.leave({ word, retryAfterMs: 0, text: end.message }, this.#environment.clock.now());
      const parts = this.protocol.pull(0);
      // What is to be kept first is not said any more: nothing waits for a connection that fails.
      if (parts.length > 0 && this.#owner.writing?.(this, () => {}) !== true) this.transport.write(parts);
    }
    this.transport.destroy();
  }

  due(nowMs: number): void {
    if (this.#silentUntilMs !== undefined && nowMs >= this.#silentUntilMs) {
      this.#silentUntilMs = undefined;
      this.transport.resume();
      this.flush();
    }
    if (nowMs >= this.#leaveAtMs) return this.leave(this.#leaveWord);
    if (nowMs >= this.#stallAtMs) {
      if (this.transport.aheadBytes > 0 && this.transport.takenBytes === this.#stallMark) return this.#silent("stalled-reader");
      this.#stallAtMs = Infinity;
      if (this.transport.aheadBytes > 0) this.#watchStall();
    }
    const timeout = this.protocol.tick(nowMs);
    if (timeout === "leave-timeout" && this.protocol.peerHasEnded) this.fail(endOf("fin"));
    else if (timeout === "heartbeat") this.#silent("heartbeat", "heartbeat");
    else if (timeout) this.fail(endOf(timeout));
    else if (this.protocol.writable) this.flush();
  }

  /** The peer is not heard, or takes nothing; which is this machine's doing while its own interface is down. */
  #silent(reason: "heartbeat" | "stalled-reader", word?: ByeReason): void {
    this.fail(endOf(this.transport.interfaceDown ? "interface-down" : reason), word);
  }

  #watchStall(): void {
    this.#stallMark = this.transport.takenBytes;
    this.#stallAtMs = this.#environment.clock.now() + this.#owner.stallMs;
  }
}

/** Ends of a transport that are no reason of their own after a BYE. */
const CLEAN_ENDS: readonly EndReason[] = ["fin", "closed"];
/** Reasons of a BYE whose sender waits for nothing: what it left unread makes its kernel reset the connection. */
const ABRUPT_ENDS: readonly EndReason[] = ["taken-over", "heartbeat", "stalled-reader", "protocol"];
