/**
 * ○ REQ and REP (RFC 28): a request, then its reply, in lock-step. On the wire a request is [request id,] an empty delimiter, the
 * body; a reply repeats what stood up to and including the delimiter.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
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
}

export class RequestPattern extends DealerPattern {
  readonly #settings: RequestSettings;
  #awaiting = false;
  #requestPipe: Pipe | undefined;
  #requestId: number;

  /** @param firstId a random 32-bit number, so that a restarted requester does not take its predecessor's replies */
  constructor(settings: RequestSettings, firstId: number) {
    super();
    this.#settings = settings;
    this.#requestId = firstId >>> 0;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    if (this.#requestPipe === pipe) this.#requestPipe = undefined;
  }

  /** Only a reply's form gets in: [4 octets,] an empty part, at least one more. Anything else ends the connection, as in libzmq. */
  override incoming(pipe: Pipe, message: Message): void {
    const delimiterAt = message[0]!.length === REQUEST_ID_BYTES ? 1 : 0;
    if (message[delimiterAt]?.length !== 0 || message.length < delimiterAt + 2) {
      throw new ProtocolError("ERR_ZMTP_UNSPECIFIED", "Invalid reply: no empty delimiter before its body");
    }
    pipe.deliver(message);
  }

  override send(message: Message): SendResult {
    if (this.sendRefusal) return "EFSM";
    // Replies to requests given up must not be taken for replies to this one
    while (this.queue.next() !== undefined);
    const request = [DELIMITER, ...message];
    if (this.#settings.correlate) {
      this.#requestId = (this.#requestId + 1) >>> 0;
      request.unshift(this.#requestIdPart());
    }
    const result = super.send(request);
    if (result !== "sent") return result;
    this.#requestPipe = this.balancer.last;
    this.#awaiting = true;
    return "sent";
  }

  override get receiveRefusal(): "EFSM" | undefined {
    return this.#awaiting ? undefined : "EFSM";
  }

  override get sendRefusal(): "EFSM" | undefined {
    return this.#awaiting && !this.#settings.relaxed ? "EFSM" : undefined;
  }

  override receive(): Message | undefined {
    if (!this.#awaiting) return undefined;
    for (let message = this.queue.next(); message !== undefined; message = this.queue.next()) {
      if (this.#requestPipe !== undefined && this.queue.last !== this.#requestPipe) continue;
      const body = this.#bodyOf(message);
      if (body === undefined) continue;
      this.#awaiting = false;
      return body;
    }
    return undefined;
  }

  override get hasRoom(): boolean {
    return this.sendRefusal === undefined && super.hasRoom;
  }

  override get hasMessage(): boolean {
    return this.#awaiting && super.hasMessage;
  }

  #bodyOf(message: Message): Message | undefined {
    if (!this.#settings.correlate) return message[0]!.length === 0 ? message.slice(1) : undefined;
    if (!message[0]!.equals(this.#requestIdPart())) return undefined;
    return message.slice(2);
  }

  #requestIdPart(): Buffer {
    const part = Buffer.alloc(REQUEST_ID_BYTES);
    part.writeUInt32LE(this.#requestId);
    return part;
  }
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
