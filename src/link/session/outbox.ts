/**
 * ○ Messages sent and not yet done. They wait (`WaitingMessages`), get their number when the first byte of them is
 * written, and are kept until the peer's receipt. Invariant: `#written` is in the order of numbers, acked < its first, and its last is
 * `#last`; what the peer does not have after a reconnect goes back to the front of its lane and is numbered anew. Of each lane at most
 * one message is written in part (of streams STREAMS_MAX), so that the order of a lane is the order of delivery.
 */
import { OperationError, ProtocolError } from "../../core/errors.ts";
import { Heap } from "../../core/heap.ts";
import { Ring } from "../../core/ring.ts";
import { GAP_ALONE_MS, PART_WINDOW_MAX, STREAMS_MAX } from "../limits.ts";
import type { Receipt } from "./body.ts";
import { OutgoingMessage } from "./outgoing-message.ts";
import { PartWindow } from "./part-window.ts";
import { laneOf, LANES, WaitingMessages } from "./waiting-messages.ts";

/** A part of a message to be written. */
export interface OutgoingPart {
  readonly message: OutgoingMessage;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
  /** It was given up: no more of it will come. */
  readonly givenUp: boolean;
}

/** What the peer takes, and how. */
export interface OutboxLimits {
  readonly version: number;
  readonly window: number;
  readonly windowBytes: number;
  /** Longer messages are written in parts of this size. */
  readonly partBytes: number;
}

export class Outbox {
  #written = NOTHING_WRITTEN;
  #waiting: WaitingMessages | undefined;
  /** Written in part. */
  #parts = NO_PARTS;
  /** Given up while written in part: the peer is to be told. */
  #abandoned: OutgoingMessage[] | undefined;
  #partWindow: PartWindow | undefined;
  /** Given up before they were written: the peer is told that so many numbers are missing. */
  #missing = 0;
  /** Told of every message that gets its number, or loses it (0): it will be written under another one. */
  onNumber: ((message: OutgoingMessage) => void) | undefined;
  /** When it was last told that some are missing: alone, that is a control frame that costs. */
  #gapAtMs = -Infinity;
  #last = 0;
  #done = 0;
  #length = 0;
  #bytes = 0;
  /** Written, not acked; and their bytes. */
  #inFlight = 0;
  #flightBytes = 0;
  /** Written whole, and open. */
  #openWritten = 0;
  #streamsTurn = false;
  /** Those that are given up earlier than the ones before them, by when. */
  #expiring: Heap<OutgoingMessage> | undefined;

  /** Messages given up before they were written, of which the peer has not been told. */
  get missing(): number {
    return this.#missing;
  }

  /** Messages kept. */
  get length(): number {
    return this.#length;
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Highest number up to which the peer's application is done with all. */
  get acked(): number {
    return this.#done;
  }

  /** Messages written whole that are not done. */
  get inFlight(): number {
    return this.#inFlight - this.#parts.length;
  }

  /** True while something is to be written, if the peer's windows allow. */
  get pending(): boolean {
    return this.#missing > 0 || this.#length > this.#openWritten || this.#abandoned !== undefined;
  }

  push(message: OutgoingMessage): void {
    this.#toWait.push(message);
    this.#length += 1;
    this.#bytes += message.bytes.length;
    this.#watchExpiry(message);
  }

  #watchExpiry(message: OutgoingMessage): void {
    if (!message.expires) return;
    this.#expiring ??= new Heap({
      before: (one, other) => one.deadlineMs < other.deadlineMs,
      setPosition: (each, position) => (each.expiryPosition = position),
    });
    this.#expiring.push(message);
  }

  /** Messages that the peer would have been sent are not: it is told of numbers missing. */
  skip(count = 1): void {
    this.#missing += count;
  }

  /** When the first message is to be given up; Infinity when there is none. */
  get oldestDeadlineMs(): number {
    if (this.#length === 0) return Infinity;
    let earliestMs = this.#written.peek()?.open ? this.#written.peek()!.deadlineMs : Infinity;
    if (this.#expiring) earliestMs = Math.min(earliestMs, this.#expiring.peek()?.deadlineMs ?? Infinity);
    if (this.#openWritten + this.#parts.length > 0 && earliestMs === Infinity)
      earliestMs = this.#firstOpen()?.deadlineMs ?? Infinity;
    return this.#waiting ? Math.min(earliestMs, this.#waiting.oldestDeadlineMs) : earliestMs;
  }

  /** Gives up the oldest message; its sender learns why, and whether it may have arrived. */
  dropOldest(why: string): void {
    const written = this.#firstOpen();
    if (written) return this.#giveUp(written, why);
    for (const lane of LANES) {
      const message = this.#waiting?.peek(lane);
      if (!message) continue;
      this.#waiting!.shift(lane);
      this.#missing += 1;
      return this.#giveUp(message, why);
    }
  }

  /** Gives up what is past its deadline; returns how many. */
  expire(nowMs: number): number {
    if (this.oldestDeadlineMs > nowMs) return 0;
    let count = 0;
    for (let first = this.#expiring?.peek(); first && first.deadlineMs <= nowMs; first = this.#expiring!.peek()) {
      this.#expiring!.pop();
      // One that waits has no number yet, and leaves no gap: it was to be delivered in time or not at all.
      if (first.number === 0) this.#drop(first);
      else this.#giveUp(first, "its time is over");
    }
    for (const message of this.#written) {
      if (!message.open || message.deadlineMs > nowMs) continue;
      this.#giveUp(message, "its time is over");
      count += 1;
    }
    for (const lane of this.#waiting ? LANES : []) {
      for (
        let message = this.#waiting!.peek(lane);
        message && message.deadlineMs <= nowMs;
        message = this.#waiting!.peek(lane)
      ) {
        this.#waiting!.shift(lane);
        this.#missing += 1;
        this.#giveUp(message, "its time is over");
        count += 1;
      }
    }
    return count;
  }

  /**
   * What to write now, and counts it as written: a message; a part of one; the number that the next message has, because those
   * before it are gone; or undefined when there is nothing or the peer's windows are full.
   */
  take(limits: OutboxLimits, nowMs: number): OutgoingMessage | OutgoingPart | number | undefined {
    const abandoned = this.#abandoned?.shift();
    if (this.#abandoned?.length === 0) this.#abandoned = undefined;
    if (abandoned) return { message: abandoned, offset: abandoned.writtenBytes, bytes: EMPTY, last: true, givenUp: true };
    if (this.#missing > 0 && (nowMs >= this.#gapAtMs + GAP_ALONE_MS || this.#mayBegin(limits))) {
      this.#gapAtMs = nowMs;
      this.#last += this.#missing;
      this.#missing = 0;
      return this.#last + 1;
    }
    if (!this.#waiting) return undefined;
    if (this.#parts.length === 0 && this.#waiting.isPlain) return this.#takeFrom("normal", limits, nowMs);
    const urgent = this.#takeFrom("urgent", limits, nowMs);
    if (urgent) return urgent;
    this.#streamsTurn = !this.#streamsTurn;
    const first = this.#streamsTurn ? this.#takeStream(limits, nowMs) : this.#takeFrom("normal", limits, nowMs);
    if (first) return first;
    return this.#streamsTurn ? this.#takeFrom("normal", limits, nowMs) : this.#takeStream(limits, nowMs);
  }

  /** True when the first of a lane may be written now. What is missing is told before it. */
  #mayBegin(limits: OutboxLimits): boolean {
    return LANES.some((lane) => {
      const first = this.#waiting?.peek(lane);
      return first !== undefined && this.#fits(first, limits);
    });
  }

  #takeFrom(lane: "urgent" | "normal", limits: OutboxLimits, nowMs: number): OutgoingMessage | OutgoingPart | undefined {
    for (const message of this.#parts) if (laneOf(message) === lane) return this.#part(message, limits, nowMs);
    const message = this.#waiting!.peek(lane);
    if (!message || !this.#fits(message, limits)) return undefined;
    const inParts = limits.version > 1 && message.bytes.length > limits.partBytes;
    if (inParts && this.#underWay.full) return undefined;
    this.#waiting!.shift(lane);
    this.#begin(message);
    if (inParts) {
      this.#addPart(message);
      return this.#part(message, limits, nowMs);
    }
    message.complete = true;
    this.#openWritten += 1;
    return message;
  }

  #takeStream(limits: OutboxLimits, nowMs: number): OutgoingPart | undefined {
    for (const message of this.#parts) {
      if (!message.stream?.ready(message.writtenBytes)) continue;
      const part = this.#part(message, limits, nowMs);
      if (!part) return undefined;
      const at = this.#parts.indexOf(message);
      if (at >= 0) this.#parts.push(...this.#parts.splice(at, 1)); // the next one's turn
      return part;
    }
    const message = this.#waiting!.peek("streams");
    if (!message?.stream!.ready(0) || !this.#fits(message, limits) || this.#underWay.full) return undefined;
    if (this.#parts.filter(({ stream }) => stream).length >= STREAMS_MAX) return undefined;
    this.#waiting!.shift("streams");
    this.#begin(message);
    this.#addPart(message);
    return this.#part(message, limits, nowMs);
  }

  #fits(message: OutgoingMessage, { version, window, windowBytes }: OutboxLimits): boolean {
    if ((version === 1 ? this.#last - this.#done : this.#inFlight) >= window) return false;
    // One message is always let through, or one that is larger than the window would wait for ever; an urgent one does not wait for
    // the bytes of one that is written in part.
    let bytes = this.#flightBytes;
    if (message.urgent) for (const part of this.#parts) bytes -= part.bytes.length;
    return bytes === 0 || bytes + message.bytes.length <= windowBytes;
  }

  #begin(message: OutgoingMessage): void {
    this.#last += 1;
    message.number = this.#last;
    message.acked = false;
    this.#addWritten(message);
    this.#inFlight += 1;
    this.#flightBytes += message.bytes.length;
    this.onNumber?.(message);
  }

  /** Messages of a process before this one, those with numbers first: the next connection tells what became of them. */
  restore(messages: readonly OutgoingMessage[]): void {
    for (const message of messages) {
      if (message.number === 0) {
        this.push(message);
        continue;
      }
      message.complete = true;
      this.#addWritten(message);
      this.#openWritten += 1;
      this.#inFlight += 1;
      this.#flightBytes += message.bytes.length;
      this.#length += 1;
      this.#bytes += message.bytes.length;
      this.#watchExpiry(message);
    }
    this.#last = Number.MAX_SAFE_INTEGER; // until the peer says how many have arrived
  }

  #addWritten(message: OutgoingMessage): void {
    if (this.#written === NOTHING_WRITTEN) this.#written = new Ring();
    this.#written.push(message);
  }

  #part(message: OutgoingMessage, { partBytes, windowBytes }: OutboxLimits, nowMs: number): OutgoingPart | undefined {
    if (this.#underWay.full) return undefined;
    const offset = message.writtenBytes;
    let bytes: Uint8Array;
    let last: boolean;
    if (message.stream) {
      if (offset - message.toldBytes + partBytes > Math.max(windowBytes, partBytes)) return undefined;
      ({ bytes, last } = message.stream.read(offset, partBytes));
    } else {
      bytes = message.bytes.subarray(offset, offset + partBytes);
      last = offset + bytes.length === message.bytes.length;
    }
    message.writtenBytes += bytes.length;
    this.#underWay.wrote(bytes.length, { nowMs, windowBytes: Math.min(windowBytes, PART_WINDOW_MAX) });
    if (last) this.#completed(message);
    return { message, offset, bytes, last, givenUp: false };
  }

  #completed(message: OutgoingMessage): void {
    this.#parts.splice(this.#parts.indexOf(message), 1);
    message.complete = true;
    this.#openWritten += 1;
  }

  /**
   * The peer has so much of a message (of a stream: its application has).
   *
   * @returns false when that is nothing new
   * @throws ProtocolError LINK_ACK_INVALID
   */
  progress(number: number, bytes: number, nowMs: number): boolean {
    const message = this.#find(number);
    if (!message) return false; // given up, or done, meanwhile
    if (bytes < message.toldBytes || bytes > message.writtenBytes) {
      const known = `${message.toldBytes} to ${message.writtenBytes} bytes`;
      throw new ProtocolError("LINK_ACK_INVALID", `Invalid progress of message ${number}: ${bytes} is not in ${known}`);
    }
    const more = bytes > message.toldBytes;
    this.#underWay.told(bytes - message.toldBytes, nowMs);
    message.toldBytes = bytes;
    message.stream?.trim(bytes);
    return more;
  }

  /**
   * The peer's receipt: settles all up to `done`, and those of its ranges.
   *
   * @throws ProtocolError LINK_ACK_INVALID when it is for what was never written, or goes back
   */
  receipt({ done, rejects, ranges }: Receipt): void {
    if (done > this.#last || done < this.#done) {
      throw new ProtocolError("LINK_ACK_INVALID", `Invalid receipt: ${done} is not in ${this.#done} … ${this.#last}`);
    }
    this.#done = done;
    for (let first = this.#written.peek(); first && first.number <= done; first = this.#written.peek()) {
      this.#written.shift();
      this.#acknowledge(first, rejects);
    }
    if (!ranges) return;
    for (const { from, to } of ranges) {
      if (from > to || to > this.#last)
        throw new ProtocolError("LINK_ACK_INVALID", `Invalid receipt: ${from} to ${to} of ${this.#last} written`);
      for (let index = this.#indexOf(from); index < this.#written.length; index += 1) {
        const message = this.#written.at(index)!;
        if (message.number > to) break;
        this.#acknowledge(message, rejects);
      }
    }
    this.#compact();
  }

  #acknowledge(message: OutgoingMessage, rejects: ReadonlyMap<number, string>): void {
    if (message.acked) return;
    message.acked = true;
    this.#inFlight -= 1;
    this.#flightBytes -= message.bytes.length;
    const part = message.writtenBytes === 0 ? -1 : this.#parts.indexOf(message);
    if (part >= 0) {
      this.#parts.splice(part, 1); // refused before all of it was written
      this.#underWay.told(message.writtenBytes - message.toldBytes, Infinity);
      (this.#abandoned ??= []).push(message);
    } else if (message.writtenBytes > message.toldBytes)
      this.#underWay.told(message.writtenBytes - message.toldBytes, Infinity);
    if (!message.open) return void (message.bytes = EMPTY);
    const reason = rejects.size > 0 ? rejects.get(message.number) : undefined;
    this.#forget(message, part < 0);
    if (reason === undefined) message.settle();
    else
      message.settle(
        new OperationError("LINK_REJECTED", `Cannot deliver a message: the peer's application refused it: ${reason}`),
      );
    message.bytes = EMPTY;
  }

  /** Where a few messages stay open for long, those done behind them are let go: the ring holds what is in flight, at most twice. */
  #compact(): void {
    if (this.#written.length <= 2 * this.#inFlight + 64) return;
    for (const message of this.#written.drain()) if (!message.acked) this.#addWritten(message);
  }

  /** False when the peer claims to have what was never written, or less than it had. */
  mayResume(arrived: number, { done }: Receipt, partial: ReadonlyMap<number, number> = NONE): boolean {
    for (const [number, bytes] of partial) {
      const message = this.#find(number);
      if (message?.open && !message.mayGoOn(bytes)) return false;
    }
    return arrived <= this.#last && arrived >= done && done >= this.#done;
  }

  /**
   * A new connection on the same session, which `mayResume`: goes on after what the peer has. `partial` says of which messages it
   * has a part, and how much.
   */
  resume(arrived: number, receipt: Receipt, partial: ReadonlyMap<number, number> = NONE): void {
    this.receipt(receipt);
    const written = this.#written.drain();
    this.#nothingUnderWay();
    this.#last = arrived;
    const back: OutgoingMessage[] = [];
    for (const message of written) {
      if (message.number > arrived) {
        if (message.open) back.push(message);
        else if (!message.acked) this.#missing += 1;
        continue;
      }
      this.#addWritten(message);
      if (message.acked) continue;
      this.#inFlight += 1;
      this.#flightBytes += message.bytes.length;
      const has = partial.get(message.number);
      message.complete = has === undefined;
      if (has === undefined) {
        if (message.open) this.#openWritten += 1;
        continue;
      }
      message.writtenBytes = has;
      message.toldBytes = message.stream ? message.toldBytes : has;
      if (message.open && !message.stream?.trimmedTo(has)) this.#addPart(message);
      else this.#leave(message);
    }
    // Of messages that a process before this one had, and did not keep: streams.
    for (const [number, has] of partial)
      if (this.#written.at(this.#indexOf(number))?.number !== number) this.#leave(unknownMessage(number, has));
    for (const message of back.toReversed()) {
      if (message.stream?.trimmedTo(0)) {
        this.#missing += 1;
        this.#leave(message);
      } else this.#waitAgain(message);
    }
  }

  /** It cannot go on where the peer is: the peer hears that no more of it comes. */
  #leave(message: OutgoingMessage): void {
    if (message.number <= this.#last) (this.#abandoned ??= []).push(message);
    if (!message.open) return;
    this.#forget(message, false);
    message.settle(new OperationError("LINK_GAP", "Stream dropped: the peer has lost the beginning of it"));
  }

  /** It will be written anew, under another number. */
  #waitAgain(message: OutgoingMessage): void {
    message.number = 0;
    message.writtenBytes = 0;
    message.toldBytes = 0;
    message.complete = false;
    this.#toWait.unshift(message);
    this.onNumber?.(message);
  }

  /**
   * Gives up messages that were never written and are longer than the peer takes: writing one would end the connection, and after
   * the reconnect end it again; and streams and topics, where the peer takes none.
   */
  refuseLongerThan(bytesMax: number, { version }: { version: number }): void {
    for (const message of this.#waiting?.drain() ?? []) {
      const { length } = message.bytes;
      const needs = message.stream ? "streams" : message.isTopic ? "topics" : undefined;
      if (length <= bytesMax && (version > 1 || !needs)) {
        this.#waiting!.push(message);
        continue;
      }
      this.#forget(message, false);
      const why =
        needs && version === 1 ? `the peer takes no ${needs}` : `${length} bytes, at most ${bytesMax} allowed by the peer`;
      message.settle(new OperationError("LINK_MESSAGE_TOO_LARGE", `Cannot send a message: ${why}`));
    }
  }

  /**
   * The peer has forgotten the session. What was never written whole moves on to the next session, numbered anew; what was and is
   * not done is in doubt: it moves on as well, or the caller gets it to give it up. A stream that has begun cannot begin again.
   */
  restart({ keepDoubtful }: { keepDoubtful: boolean }): { readonly count: number; readonly givenUp: OutgoingMessage[] } {
    const open = this.#written.drain().filter((message) => message.open);
    const givenUp: OutgoingMessage[] = [];
    let count = 0;
    for (const message of open.toReversed()) {
      const begun = message.stream !== undefined && message.stream.trimmed;
      if (message.complete || begun) count += 1;
      if (begun || (message.complete && !keepDoubtful)) {
        givenUp.unshift(message);
        this.#forget(message, false);
        continue;
      }
      this.#waitAgain(message);
    }
    this.#nothingUnderWay();
    this.#missing = 0;
    this.#last = 0;
    this.#done = 0;
    return { count, givenUp };
  }

  /** What was written went with its connection, parts of messages too. */
  #nothingUnderWay(): void {
    this.#partWindow = undefined;
    this.#parts = NO_PARTS;
    this.#abandoned = undefined;
    this.#inFlight = 0;
    this.#flightBytes = 0;
    this.#openWritten = 0;
  }

  /** Gives up everything, with this error. */
  clear(error: OperationError): void {
    const { givenUp } = this.restart({ keepDoubtful: false });
    const waiting = this.#waiting?.drain() ?? [];
    this.#length = 0;
    this.#bytes = 0;
    this.#expiring = undefined;
    for (const message of [...givenUp, ...waiting]) message.settle(error);
  }

  /** Gives up a message that its own side cannot go on with. */
  abandon(message: OutgoingMessage, why: string): void {
    if (!message.open) return;
    if (message.number === 0) this.#missing += 1;
    this.#giveUp(message, why);
  }

  #drop(message: OutgoingMessage): void {
    this.#forget(message, false);
    message.settle(new OperationError("LINK_GAP", "Message dropped: it has expired; it was never sent"));
  }

  #giveUp(message: OutgoingMessage, why: string): void {
    const { number } = message;
    const part = this.#parts.indexOf(message);
    if (part >= 0) {
      this.#parts.splice(part, 1);
      (this.#abandoned ??= []).push(message);
    }
    this.#forget(message, number > 0 && part < 0);
    const doubt = message.complete ? "it may or may not have arrived" : "it was never sent";
    message.settle(new OperationError("LINK_GAP", `Message dropped: ${why}; ${doubt}`));
  }

  /** It is kept no longer for its sender. */
  #forget(message: OutgoingMessage, written: boolean): void {
    if (message.expiryPosition >= 0) this.#expiring!.remove(message.expiryPosition);
    this.#length -= 1;
    this.#bytes -= message.bytes.length;
    if (written) this.#openWritten -= 1;
  }

  #firstOpen(): OutgoingMessage | undefined {
    if (this.#openWritten + this.#parts.length === 0) return undefined;
    for (const message of this.#written) if (message.open) return message;
    return undefined;
  }

  #find(number: number): OutgoingMessage | undefined {
    const message = this.#written.at(this.#indexOf(number));
    return message?.number === number && !message.acked ? message : undefined;
  }

  /** The first written message with that number or a higher one. */
  #indexOf(number: number): number {
    let low = 0;
    let high = this.#written.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#written.at(middle)!.number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get #underWay(): PartWindow {
    return (this.#partWindow ??= new PartWindow());
  }

  #addPart(message: OutgoingMessage): void {
    if (this.#parts === NO_PARTS) this.#parts = [];
    this.#parts.push(message);
  }

  get #toWait(): WaitingMessages {
    return (this.#waiting ??= new WaitingMessages());
  }
}

/** Stands for a message that is no more, of which the peer has a part. */
function unknownMessage(number: number, writtenBytes: number): OutgoingMessage {
  const message = new OutgoingMessage(EMPTY, Infinity, () => {});
  message.settle();
  return Object.assign(message, { number, writtenBytes });
}

const EMPTY = new Uint8Array(0);
/** Shared by all that have written nothing: an idle session keeps no ring. */
const NOTHING_WRITTEN = new Ring<OutgoingMessage>();
/** Shared by all that write no parts. */
const NO_PARTS: OutgoingMessage[] = [];
const NONE: ReadonlyMap<number, number> = new Map();
