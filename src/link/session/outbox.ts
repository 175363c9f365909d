/**
 * ○ Messages sent and not yet done. They wait in lanes (urgent ones, the others, streams), get their number when the first byte of them is
 * written, and are kept until the peer's receipt. Invariant: `#written` is in the order of numbers, acked < its first, and its last is
 * `#last`; what the peer does not have after a reconnect goes back to the front of its lane and is numbered anew. Of each lane at most
 * one message is written in part (of streams STREAMS_MAX), so that the order of a lane is the order of delivery.
 */
import { OperationError, ProtocolError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import { PART_WINDOW_MAX, STREAMS_MAX } from "../limits.ts";
import type { Receipt } from "./body.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import { PartWindow } from "./part-window.ts";

const PLAIN = {};

/** A message on its way. `#settle` is called once: with nothing when the peer's application has it, with an error when not, or in doubt. */
export class OutgoingMessage {
  bytes: Uint8Array;
  /** When it is given up. */
  readonly deadlineMs: number;
  readonly urgent: boolean;
  readonly stream: OutgoingStream | undefined;
  /** 0 until its first byte is written. */
  number = 0;
  /** How much of it was written on this connection, and of that what the peer has said it has (of a stream: its application). */
  writtenBytes = 0;
  toldBytes = 0;
  /** All of it was written: it may arrive. */
  complete = false;
  /** The peer is done with it. */
  acked = false;
  #settle: ((error?: OperationError) => void) | undefined;

  constructor(
    bytes: Uint8Array,
    deadlineMs: number,
    settle: (error?: OperationError) => void,
    { urgent = false, stream }: { readonly urgent?: boolean; readonly stream?: OutgoingStream | undefined } = PLAIN,
  ) {
    this.bytes = bytes;
    this.deadlineMs = deadlineMs;
    this.#settle = settle;
    this.urgent = urgent;
    this.stream = stream;
  }

  /** False once its sender knows what became of it. */
  get open(): boolean {
    return this.#settle !== undefined;
  }

  settle(error?: OperationError): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.stream?.close();
    settle?.(error);
  }
}

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

type Lane = "urgent" | "normal" | "streams";

export class Outbox {
  #written = NOTHING_WRITTEN;
  #lanes: Record<Lane, Ring<OutgoingMessage>> | undefined;
  /** Written in part. */
  #parts = NO_PARTS;
  /** Given up while written in part: the peer is to be told. */
  #abandoned: OutgoingMessage[] | undefined;
  #partWindow: PartWindow | undefined;
  /** Given up before they were written: the peer is told that so many numbers are missing. */
  #missing = 0;
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
    this.#lane(laneOf(message)).push(message);
    this.#length += 1;
    this.#bytes += message.bytes.length;
  }

  /** When the first message is to be given up; Infinity when there is none. */
  get oldestDeadlineMs(): number {
    if (this.#length === 0) return Infinity;
    let earliestMs = this.#written.peek()?.open ? this.#written.peek()!.deadlineMs : Infinity;
    if (this.#openWritten + this.#parts.length > 0 && earliestMs === Infinity)
      earliestMs = this.#firstOpen()?.deadlineMs ?? Infinity;
    if (this.#lanes)
      for (const lane of Object.values(this.#lanes)) earliestMs = Math.min(earliestMs, lane.peek()?.deadlineMs ?? Infinity);
    return earliestMs;
  }

  /** Gives up the oldest message; its sender learns why, and whether it may have arrived. */
  dropOldest(why: string): void {
    const written = this.#firstOpen();
    if (written) return this.#giveUp(written, why);
    for (const lane of ["normal", "urgent", "streams"] as const) {
      const message = this.#lanes?.[lane].shift();
      if (!message) continue;
      this.#missing += 1;
      return this.#giveUp(message, why);
    }
  }

  /** Gives up what is past its deadline; returns how many. */
  expire(nowMs: number): number {
    if (this.oldestDeadlineMs > nowMs) return 0;
    let count = 0;
    for (const message of this.#written) {
      if (!message.open || message.deadlineMs > nowMs) continue;
      this.#giveUp(message, "its time is over");
      count += 1;
    }
    for (const lane of this.#lanes ? Object.values(this.#lanes) : []) {
      for (let message = lane.peek(); message && message.deadlineMs <= nowMs; message = lane.peek()) {
        lane.shift();
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
    if (this.#missing > 0) {
      this.#last += this.#missing;
      this.#missing = 0;
      return this.#last + 1;
    }
    if (!this.#lanes) return undefined;
    const { urgent: urgents, streams } = this.#lanes;
    if (this.#parts.length + urgents.length + streams.length === 0) return this.#takeFrom("normal", limits, nowMs);
    const urgent = this.#takeFrom("urgent", limits, nowMs);
    if (urgent) return urgent;
    this.#streamsTurn = !this.#streamsTurn;
    const first = this.#streamsTurn ? this.#takeStream(limits, nowMs) : this.#takeFrom("normal", limits, nowMs);
    if (first) return first;
    return this.#streamsTurn ? this.#takeFrom("normal", limits, nowMs) : this.#takeStream(limits, nowMs);
  }

  #takeFrom(lane: "urgent" | "normal", limits: OutboxLimits, nowMs: number): OutgoingMessage | OutgoingPart | undefined {
    for (const message of this.#parts) if (laneOf(message) === lane) return this.#part(message, limits, nowMs);
    const message = this.#lanes![lane].peek();
    if (!message || !this.#fits(message, limits)) return undefined;
    const inParts = limits.version > 1 && message.bytes.length > limits.partBytes;
    if (inParts && this.#underWay.full) return undefined;
    this.#lanes![lane].shift();
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
    const message = this.#lanes!.streams.peek();
    if (!message?.stream!.ready(0) || !this.#fits(message, limits) || this.#underWay.full) return undefined;
    if (this.#parts.filter(({ stream }) => stream).length >= STREAMS_MAX) return undefined;
    this.#lanes!.streams.shift();
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
  mayResume(arrived: number, { done }: Receipt): boolean {
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
      if (message.open) this.#addPart(message);
      else (this.#abandoned ??= []).push(message);
    }
    for (const message of back.toReversed()) {
      message.number = 0;
      message.writtenBytes = 0;
      message.complete = false;
      this.#lane(laneOf(message)).unshift(message);
    }
  }

  /**
   * Gives up messages that were never written and are longer than the peer takes: writing one would end the connection, and after
   * the reconnect end it again; and streams, where the peer takes none.
   */
  refuseLongerThan(bytesMax: number, { streams }: { streams: boolean }): void {
    for (const lane of this.#lanes ? Object.values(this.#lanes) : []) {
      for (const message of lane.drain()) {
        const { length } = message.bytes;
        if (length <= bytesMax && (streams || !message.stream)) {
          lane.push(message);
          continue;
        }
        this.#forget(message, false);
        const why = message.stream ? "the peer takes no streams" : `${length} bytes, at most ${bytesMax} allowed by the peer`;
        message.settle(new OperationError("LINK_MESSAGE_TOO_LARGE", `Cannot send a message: ${why}`));
      }
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
        this.#length -= 1;
        this.#bytes -= message.bytes.length;
        continue;
      }
      message.number = 0;
      message.writtenBytes = 0;
      message.toldBytes = 0;
      message.complete = false;
      this.#lane(laneOf(message)).unshift(message);
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
    const waiting = this.#lanes ? Object.values(this.#lanes).flatMap((lane) => lane.drain()) : [];
    this.#length = 0;
    this.#bytes = 0;
    for (const message of [...givenUp, ...waiting]) message.settle(error);
  }

  /** Gives up a message that its own side cannot go on with. */
  abandon(message: OutgoingMessage, why: string): void {
    if (!message.open) return;
    const lane = message.number === 0 ? this.#lanes?.[laneOf(message)] : undefined;
    if (lane) {
      for (const each of lane.drain()) if (each !== message) lane.push(each);
      this.#missing += 1;
    }
    this.#giveUp(message, why);
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

  #lane(name: Lane): Ring<OutgoingMessage> {
    this.#lanes ??= { urgent: new Ring(), normal: new Ring(), streams: new Ring() };
    return this.#lanes[name];
  }
}

function laneOf({ urgent, stream }: OutgoingMessage): Lane {
  return stream ? "streams" : urgent ? "urgent" : "normal";
}

const EMPTY = new Uint8Array(0);
/** Shared by all that have written nothing: an idle session keeps no ring. */
const NOTHING_WRITTEN = new Ring<OutgoingMessage>();
/** Shared by all that write no parts. */
const NO_PARTS: OutgoingMessage[] = [];
const NONE: ReadonlyMap<number, number> = new Map();
