/**
 * ○ A pipe: what is queued between one socket and one peer, both ways. Invariant: `outboundCount` and `outboundBytes` count what
 * is queued and what is being written, `inboundBytes` what is queued; a message is counted once and whole. Bounds are checked
 * before a message is queued, so that one message of any legal size fits an empty pipe.
 *
 * A pipe outlives its connection when this side connects (its queue waits for the reconnect) and dies with it when the other
 * side connected. After `closed` nothing can be sent, but what was received can still be taken.
 */
import type { Buffer } from "node:buffer";
import type { Message } from "../../zmtp/message-parts.ts";
import { Ring } from "../../core/ring.ts";

/** What carries a pipe's messages: a connection, or the other end inside this process. */
export interface PipeTransport {
  /** Something was queued to send. */
  wake(): void;
  /** There is room for more to be received. */
  resume(): void;
  /** Ends the connection; its owner is called as at any other end. */
  end(reason: Error): void;
}

/** The socket that a pipe belongs to. */
export interface PipeOwner {
  /** Messages were delivered. */
  pipeReadable(pipe: Pipe): void;
  /** A pipe that refused a message has room again. */
  pipeWritable(pipe: Pipe): void;
  /** The last message of a closed pipe was taken. */
  pipeDrained(pipe: Pipe): void;
}

/** What is known of the peer at the other end. */
export interface PeerInfo {
  /** The endpoint as bound or connected. */
  readonly address: string;
  /** The peer's own address: "tcp://10.0.0.7:51234", or the endpoint's for ipc and inproc. */
  readonly remoteAddress: string;
  /** The routing id that the peer announced; empty when none. */
  readonly announcedId: Buffer;
  readonly socketType: string;
  /** Who the authenticator said it is. */
  readonly userId: string | undefined;
}

export interface PipeBounds {
  /** Messages; 0: no bound. */
  readonly sendHighWaterMark: number;
  readonly receiveHighWaterMark: number;
  /** Bytes; 0: no bound. */
  readonly sendHighWaterBytes: number;
  readonly receiveHighWaterBytes: number;
  /** Keep only the last message each way. */
  readonly conflate: boolean;
}

/** Positions in the lists of routing.ts, -1 when in none. */
const NOWHERE = -1;

export class Pipe {
  readonly #owner: PipeOwner;
  // No bound is Infinity: asked for at every message
  readonly #conflate: boolean;
  #sendMax = Infinity;
  #sendBytesMax = Infinity;
  #sendLow = Infinity;
  #receiveMax = Infinity;
  #receiveBytesMax = Infinity;
  #receiveLow = Infinity;
  readonly inbound = new Ring<Message>();
  readonly outbound = new Ring<Message>();
  inboundBytes = 0;
  outboundBytes = 0;
  outboundCount = 0;
  /** Undefined while there is no connection. */
  transport: PipeTransport | undefined;
  /** The peer, once its handshake is done; stays when the connection breaks. */
  peer: PeerInfo | undefined;
  /** No more can be sent, ever. */
  closed = false;
  /** Refused a message since it last had room. */
  #refused = false;
  #stopped = false;

  /** The id under which a ROUTER knows it. */
  routingId: Buffer | undefined;
  /** The routing id as a key of maps. */
  routingKey = "";
  /** PUB: the number of the message that matched one of its topics last. */
  mark = 0;
  sendPosition = NOWHERE;
  receivePosition = NOWHERE;

  constructor(owner: PipeOwner, bounds: PipeBounds) {
    this.#owner = owner;
    this.#conflate = bounds.conflate;
    this.setBounds(bounds);
  }

  /** Bounds may change while messages are queued: what is above a new one stays, and nothing more is taken. */
  setBounds(bounds: PipeBounds): void {
    this.#sendMax = bounds.sendHighWaterMark || Infinity;
    this.#sendBytesMax = bounds.sendHighWaterBytes || Infinity;
    this.#sendLow = Math.floor((this.#sendMax + 1) / 2); // libzmq's compute_lwm
    this.#receiveMax = bounds.receiveHighWaterMark || Infinity;
    this.#receiveBytesMax = bounds.receiveHighWaterBytes || Infinity;
    this.#receiveLow = Math.floor((this.#receiveMax + 1) / 2);
    this.#tellRoom();
    this.#tellLow();
  }

  /** Whether a message of so many bytes may be queued; a refusal is remembered until `writable` was told. */
  hasRoom(bytes: number): boolean {
    if (this.closed) return false;
    if (this.#conflate || this.outboundCount === 0) return true;
    const fits = this.outboundCount < this.#sendMax && this.outboundBytes + bytes <= this.#sendBytesMax;
    if (!fits) this.#refused = true;
    return fits;
  }

  /** Queues a message; the caller asked `hasRoom`, or knows that it must not be refused. */
  push(message: Message, bytes: number): void {
    if (this.#conflate) this.dropOutbound();
    this.outbound.push(message);
    this.outboundCount += 1;
    this.outboundBytes += bytes;
    this.transport?.wake();
  }

  /** Whether it takes no more from the connection. */
  get inboundFull(): boolean {
    if (this.#conflate) return false;
    const full = this.inbound.length >= this.#receiveMax || this.inboundBytes >= this.#receiveBytesMax;
    if (full) this.#stopped = true;
    return full;
  }

  /** Queues a message received; `announce` follows when no more is at hand. */
  deliver(message: Message): void {
    if (this.#conflate) {
      this.inbound.clear();
      this.inboundBytes = 0;
    }
    this.inbound.push(message);
    this.inboundBytes += byteLength(message);
  }

  /** Tells the owner that messages were delivered. */
  announce(): void {
    this.#owner.pipeReadable(this);
  }

  /** Takes the oldest message received. */
  take(): Message | undefined {
    const message = this.inbound.shift();
    if (message === undefined) return undefined;
    this.inboundBytes -= byteLength(message);
    this.#tellLow();
    if (this.closed && this.inbound.length === 0) this.#owner.pipeDrained(this);
    return message;
  }

  /** Messages were handed to the kernel, or lost with a connection. */
  settled(count: number, bytes: number): void {
    this.outboundCount -= count;
    this.outboundBytes -= bytes;
    this.#tellRoom();
  }

  /** Forgets what is queued to send, not what is being written. */
  dropOutbound(): void {
    for (let message = this.outbound.shift(); message; message = this.outbound.shift()) {
      this.outboundCount -= 1;
      this.outboundBytes -= byteLength(message);
    }
  }

  #tellRoom(): void {
    if (!this.#refused) return;
    if (this.outboundCount > this.#sendLow || this.outboundBytes > this.#sendBytesMax / 2) return;
    this.#refused = false;
    this.#owner.pipeWritable(this);
  }

  #tellLow(): void {
    if (!this.#stopped) return;
    if (this.inbound.length > this.#receiveLow || this.inboundBytes > this.#receiveBytesMax / 2) return;
    this.#stopped = false;
    this.transport?.resume();
  }
}

/** Bytes of a message's parts. */
export function byteLength(message: Message): number {
  if (message.length === 1) return message[0]!.length;
  let bytes = 0;
  for (const part of message) bytes += part.length;
  return bytes;
}
