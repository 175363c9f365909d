/**
 * ○ REQ and REP (RFC 28): a request, then its reply, in lock-step. On the wire a request is [request id,] an empty delimiter, the
 * body; a reply repeats what stood up to and including the delimiter.
 */
import { Buffer } from "node:buffer";
import { OperationError, ProtocolError } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { DealerPattern, FairPattern, type SendResult } from "./pattern.ts";
import { costOf, type Pipe } from "./pipe.ts";

const DELIMITER = Buffer.alloc(0);
const REQUEST_ID_BYTES = 4;

export interface RequestSettings {
  /** Mark each request with an id and skip replies to others. */
  readonly correlate: boolean;
  /** Allow a new request before the reply to the last. */
  readonly relaxed: boolean;
  /** How many requests may be unanswered at once; from 2 on each has an id, as with `correlate`. */
  readonly concurrent: number;
}

/** A request that `receive` has not answered yet. */
interface Unanswered {
  readonly id: number;
  /** Who was asked; undefined once it is gone. */
  pipe: Pipe | undefined;
  /** Who was asked is gone with it. */
  isLost: boolean;
  /** One that came before those to earlier requests. */
  reply: Message | undefined;
}

/** Invariant: `#unanswered` has the requests in the order they were sent, and `receive` gives the replies in that order. */
export class RequestPattern extends DealerPattern {
  readonly #settings: RequestSettings;
  readonly #unanswered: Unanswered[] = [];
  #requestId: number;

  /** @param firstId a random 32-bit number, so that a restarted requester does not take its predecessor's replies */
  constructor(settings: RequestSettings, firstId: number) {
    super();
    this.#settings = settings;
    this.#requestId = firstId >>> 0;
  }

  /** What was not sent yet goes out once the connection is made again. */
  override disconnected(pipe: Pipe): void {
    if (this.#settings.concurrent === 1) return;
    const waiting = new Set<number>();
    for (let index = 0; index < pipe.outbound.length; index += 1) waiting.add(pipe.outbound.at(index)![0]!.readUInt32LE());
    for (const each of this.#unanswered)
      if (each.pipe === pipe && each.reply === undefined && !waiting.has(each.id)) each.isLost = true;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    for (const each of this.#unanswered) {
      if (each.pipe !== pipe || each.reply !== undefined) continue;
      each.pipe = undefined;
      each.isLost = this.#settings.concurrent > 1;
    }
  }

  /**
   * Only a reply's form gets in: [4 octets,] an empty part, at least one more. Anything else ends the connection, as in libzmq; over inproc,
   * where none would be made again, it is skipped.
   */
  override incoming(pipe: Pipe, message: Message): void {
    const delimiterAt = message[0]!.length === REQUEST_ID_BYTES ? 1 : 0;
    if (message[delimiterAt]?.length !== 0 || message.length < delimiterAt + 2) {
      if (!pipe.leavesProcess) return;
      throw new ProtocolError("ERR_ZMTP_UNSPECIFIED", "Invalid reply: no empty delimiter before its body");
    }
    pipe.deliver(message);
  }

  override send(message: Message): SendResult {
    if (this.sendRefusal) return "EFSM";
    if (this.#unanswered.length >= this.#settings.concurrent) this.#drop(0);
    // Replies to requests given up must not be taken for replies to this one
    if (this.#unanswered.length === 0) while (this.queue.next() !== undefined);
    const request = [DELIMITER, ...message];
    if (this.#isCorrelated) {
      this.#requestId = (this.#requestId + 1) >>> 0;
      request.unshift(idPart(this.#requestId));
    }
    const result = super.send(request);
    if (result !== "sent") return result;
    this.#unanswered.push({ id: this.#requestId, pipe: this.balancer.last, isLost: false, reply: undefined });
    return "sent";
  }

  override get receiveRefusal(): "EFSM" | undefined {
    return this.#unanswered.length > 0 ? undefined : "EFSM";
  }

  override get sendRefusal(): "EFSM" | undefined {
    return this.#unanswered.length >= this.#settings.concurrent && !this.#settings.relaxed ? "EFSM" : undefined;
  }

  override receive(): Message | undefined {
    const [first] = this.#unanswered;
    if (first === undefined) return undefined;
    if (first.reply !== undefined) {
      this.#drop(0);
      return first.reply;
    }
    for (let message = this.queue.next(); message !== undefined; message = this.queue.next()) {
      const from = this.queue.last!;
      const request = this.#requestOf(message, from);
      if (request === undefined) continue;
      const reply = message.slice(this.#isCorrelated ? 2 : 1);
      if (request === first) {
        this.#unanswered.shift();
        return reply;
      }
      request.pipe = from;
      request.reply = reply;
      from.keep(costOf(reply));
    }
    return undefined;
  }

  override takeFailure(): Error | undefined {
    const [first] = this.#unanswered;
    if (first === undefined || !first.isLost) return undefined;
    this.#drop(0);
    return new OperationError("EHOSTUNREACH", "Cannot receive: the peer that was asked is gone");
  }

  /** With several unanswered ones, a request whose reply nobody waits for any more: it is skipped. */
  override giveUp(position: number): void {
    if (this.#settings.concurrent > 1) this.#drop(position);
  }

  override get hasRoom(): boolean {
    return this.sendRefusal === undefined && super.hasRoom;
  }

  override get hasMessage(): boolean {
    const [first] = this.#unanswered;
    return first !== undefined && (first.reply !== undefined || super.hasMessage);
  }

  get #isCorrelated(): boolean {
    return this.#settings.correlate || this.#settings.concurrent > 1;
  }

  #drop(position: number): void {
    const [dropped] = this.#unanswered.splice(position, 1);
    if (dropped?.reply !== undefined) dropped.pipe!.keep(-costOf(dropped.reply));
  }

  /** The request that a reply is for; undefined: none that waits for one. */
  #requestOf(reply: Message, from: Pipe): Unanswered | undefined {
    const isCorrelated = reply[0]!.length === REQUEST_ID_BYTES;
    if (isCorrelated !== this.#isCorrelated) return undefined;
    const id = isCorrelated ? reply[0]!.readUInt32LE() : this.#requestId;
    const request = this.#unanswered.find((each) => each.id === id);
    if (request === undefined || request.reply !== undefined) return undefined;
    return request.pipe === undefined || request.pipe === from ? request : undefined;
  }
}

function idPart(id: number): Buffer {
  const part = Buffer.alloc(REQUEST_ID_BYTES);
  part.writeUInt32LE(id);
  return part;
}

export class ReplyPattern extends FairPattern {
  #requester: Pipe | undefined;
  #envelope: Message = [];
  #replying = false;

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    if (this.#requester === pipe) this.#requester = undefined;
  }

  override get receiveRefusal(): "EFSM" | undefined {
    return this.#replying ? "EFSM" : undefined;
  }

  override get sendRefusal(): "EFSM" | undefined {
    return this.#replying ? undefined : "EFSM";
  }

  override receive(): Message | undefined {
    if (this.#replying) return undefined;
    for (let message = this.queue.next(); message !== undefined; message = this.queue.next()) {
      const delimiterAt = message.findIndex((part) => part.length === 0);
      if (delimiterAt < 0 || delimiterAt === message.length - 1) continue; // no delimiter: dropped, as in libzmq
      const requester = this.queue.last!;
      this.#requester = requester.closed ? undefined : requester;
      this.#envelope = message.slice(0, delimiterAt + 1);
      this.#replying = true;
      return message.slice(delimiterAt + 1);
    }
    return undefined;
  }

  /** A reply to a requester that is gone, or that does not read, is dropped. */
  override send(message: Message): SendResult {
    if (!this.#replying) return "EFSM";
    this.#replying = false;
    const pipe = this.#requester;
    this.#requester = undefined;
    const reply = [...this.#envelope, ...message];
    const bytes = costOf(reply);
    if (pipe?.hasRoom(bytes)) pipe.push(reply, bytes);
    return "sent";
  }

  override get hasMessage(): boolean {
    return !this.#replying && super.hasMessage;
  }

  override get hasRoom(): boolean {
    return this.#replying;
  }
}
