/**
 * ○ A pipe: what is queued between one socket and one peer, both ways. Invariant: `outboundCount` and `outboundBytes` count what
 * is queued and what is being written, `inboundBytes` what is queued; a message is counted once and whole, with what its parts take beyond
 * their octets. Bounds are checked before a message is queued, so that one message of any legal size fits an empty pipe. All that is held is
 * in the context's budget too.
 *
 * A pipe outlives its connection when this side connects (its queue waits for the reconnect) and dies with it when the other
 * side connected. After `closed` nothing can be sent, but what was received can still be taken.
 */
import { Buffer } from "node:buffer";
import type { Message } from "../../zmtp/message-parts.ts";
import { type Account, type Holder, PART_COST_BYTES, PartBudget } from "../../core/budget.ts";
import { OperationError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import { disjoin } from "../../zmtp/frame.ts";
import { MESSAGE_COST_BYTES } from "../limits.ts";

/** What carries a pipe's messages: a connection, or the other end inside this process. */
export interface PipeTransport {
  /** Something was queued to send. */
  wake(): void;
  /** There is room for more to be received. */
  resume(): void;
  /** There is none, for a while. */
  stop(): void;
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

/** 128 bytes: the longest that the `zeromq` package copies. */
const COPIED_BYTES_MAX = 128;

/** 16 KiB may come and go until the budget is told: often enough for its bound, and nothing beside each message. */
const UNTOLD_BYTES_MAX = 16 * 1024;

/** Positions in the lists of routing.ts, -1 when in none. */
const NOWHERE = -1;

/** A message that waits for several peers, as a PUB's: the budget has it once. */
interface SharedMessage extends Message {
  /** How many it has not been written to; undefined: it waits for one peer only. */
  waiting?: number;
  budget?: PartBudget;
}

export class Pipe implements Holder {
  readonly #owner: PipeOwner;
  readonly budget: PartBudget;
  readonly #account: Account;
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
  /** Of those that several peers get, the ones that are being written to this one. */
  #sharedUnderWay: SharedMessage[] = [];
  /** Of `outboundBytes`: what the budget has of messages that others get too. */
  #sharedBytes = 0;
  #incompleteBytes = 0;
  #topicBytes = 0;
  /** Of messages that were taken and that its pattern keeps. */
  #keptBytes = 0;
  /** How much has come and gone since the budget was told. */
  #untoldBytes = 0;
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

  /** @param address whose share of the budget its messages take */
  constructor(owner: PipeOwner, bounds: PipeBounds, { budget, address }: { budget: PartBudget; address: string }) {
    this.#owner = owner;
    this.budget = budget;
    this.#account = budget.open("known", address, this);
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
    const fits =
      this.outboundCount < this.#sendMax &&
      this.outboundBytes + bytes <= this.#sendBytesMax &&
      this.#account.mayHold(this.outboundBytes);
    if (!fits) this.#refused = true;
    return fits;
  }

  /** Whether its peer is in another process. */
  get leavesProcess(): boolean {
    return this.budget !== INPROC_BUDGET;
  }

  /** Queues a message; the caller asked `hasRoom`, or knows that it must not be refused. */
  push(message: Message, bytes: number): void {
    if (this.transport === undefined) ownSmallParts(message);
    if (this.#conflate) this.dropOutbound();
    this.outbound.push(message);
    this.outboundCount += 1;
    this.outboundBytes += bytes;
    this.#untoldBytes += bytes;
    if (this.#untoldBytes > UNTOLD_BYTES_MAX) this.#tellBudget();
    this.transport?.wake();
  }

  /** Queues one message for all of these pipes that have room for it. */
  static pushToAll(pipes: Pipe[], message: Message, bytes: number): void {
    let count = 0;
    for (const pipe of pipes) if (pipe.hasRoom(bytes)) pipes[count++] = pipe;
    pipes.length = count;
    if (count === 0) return;
    if (count === 1) return pipes[0]!.push(message, bytes);
    const { budget } = pipes.find((pipe) => pipe.leavesProcess) ?? pipes[0]!;
    const shared: SharedMessage = message;
    shared.waiting = count;
    shared.budget = budget;
    budget.charge(bytes);
    for (const pipe of pipes) {
      pipe.#sharedBytes += bytes;
      pipe.push(message, bytes);
    }
  }

  /** Takes the next message to send; `settled` follows once it is written. */
  nextOutbound(): Message | undefined {
    const message: SharedMessage | undefined = this.outbound.shift();
    if (this.#sharedBytes > 0 && message?.waiting !== undefined) this.#sharedUnderWay.push(message);
    return message;
  }

  /** Whether it takes no more from the connection. */
  get inboundFull(): boolean {
    if (this.#conflate) return false;
    const waiting = this.inbound.length;
    const full =
      waiting >= this.#receiveMax ||
      this.inboundBytes >= this.#receiveBytesMax ||
      (this.#account.isPressed && waiting > 0 && !this.#mayRead);
    if (full) this.#stopped = true;
    return full;
  }

  /** Whether more may be read for it. */
  get mayRead(): boolean {
    const may = this.#mayRead;
    if (!may) this.#stopped = true;
    return may;
  }

  /** Queues a message received; `announce` follows when no more is at hand, `setIncomplete` at the end of a read. */
  deliver(message: Message): void {
    if (this.#conflate) {
      this.inbound.clear();
      this.inboundBytes = 0;
    }
    this.inbound.push(message);
    this.inboundBytes += costOf(message);
  }

  /** Tells the owner that messages were delivered. */
  announce(): void {
    this.#owner.pipeReadable(this);
  }

  /** Takes the oldest message received. */
  take(): Message | undefined {
    const message = this.inbound.shift();
    if (message === undefined) return undefined;
    const bytes = costOf(message);
    this.inboundBytes -= bytes;
    this.#untoldBytes += bytes;
    const isEmpty = this.inbound.length === 0;
    if (isEmpty || this.#untoldBytes > UNTOLD_BYTES_MAX) this.#tellBudget();
    if (this.#stopped) this.#tellLow();
    if (isEmpty && this.closed) {
      this.#account.leave();
      this.#owner.pipeDrained(this);
    }
    return message;
  }

  get #mayRead(): boolean {
    return this.#account.mayRead(this.inboundBytes + this.#incompleteBytes);
  }

  get incompleteBytes(): number {
    return this.#incompleteBytes;
  }

  /** The end of a read: what has arrived of a message that is not whole; `completed`: one before it has become so. */
  setIncomplete(bytes: number, completed: boolean): void {
    this.#incompleteBytes = bytes;
    this.#tellBudget();
    this.#account.incompleteChanged(completed);
  }

  /** The last messages, as many as were delivered since, get memory of their own, those that are still queued. */
  disjoinLast(count: number): void {
    for (let index = Math.max(0, this.inbound.length - count); index < this.inbound.length; index += 1)
      disjoin(this.inbound.at(index)!);
  }

  /** Its pattern keeps more of what was taken, or less: negative. */
  keep(bytes: number): void {
    this.#keptBytes += bytes;
    this.#tellBudget();
  }

  /** What the peer's subscriptions take. @returns whether it may have so many */
  setTopics(bytes: number): boolean {
    this.#topicBytes = bytes;
    this.#tellBudget();
    return this.#account.mayHold(bytes);
  }

  #tellBudget(): void {
    const heldBytes =
      this.inboundBytes + this.outboundBytes - this.#sharedBytes + this.#incompleteBytes + this.#topicBytes + this.#keptBytes;
    this.#untoldBytes = 0;
    this.#account.set(heldBytes);
  }

  budgetChanged(): void {
    this.#tellRoom();
    if (this.mayRead) this.#tellLow();
    else this.transport?.stop();
  }

  stalled(): void {
    this.transport?.end(new OperationError("ERR_ZMTP_STALLED", "Peer did not complete its message while memory was used up"));
  }

  /** Its socket is closed: what was received is taken by nobody. */
  dropInbound(): void {
    this.inbound.clear();
    this.inboundBytes = 0;
    this.#keptBytes = 0;
    this.#tellBudget();
    if (this.transport === undefined) this.#account.leave();
  }

  /** Its peer is gone for good: keeps nothing but what was received and can still be taken. */
  release(): void {
    this.transport = undefined;
    this.dropOutbound();
    this.#topicBytes = 0;
    this.setIncomplete(0, false);
    if (this.inbound.length === 0) this.#account.leave();
  }

  /** Messages were handed to the kernel, or lost with a connection. */
  settled(count: number, bytes: number): void {
    this.outboundCount -= count;
    this.outboundBytes -= bytes;
    if (this.#sharedUnderWay.length > 0) {
      for (const message of this.#sharedUnderWay) this.#release(message);
      this.#sharedUnderWay = [];
    }
    this.#tellBudget();
    this.#tellRoom();
  }

  /** Forgets what is queued to send, not what is being written. */
  dropOutbound(): void {
    for (let message: SharedMessage | undefined = this.outbound.shift(); message; message = this.outbound.shift()) {
      this.outboundCount -= 1;
      this.outboundBytes -= costOf(message);
      if (message.waiting !== undefined) this.#release(message);
    }
    this.#tellBudget();
  }

  /** One peer less waits for it. */
  #release(message: SharedMessage): void {
    const bytes = costOf(message);
    this.#sharedBytes -= bytes;
    message.waiting! -= 1;
    if (message.waiting === 0) message.budget!.release(bytes);
  }

  #tellRoom(): void {
    if (!this.#refused) return;
    if (this.outboundCount > this.#sendLow || this.outboundBytes > this.#sendBytesMax / 2) return;
    this.#refused = false;
    this.#owner.pipeWritable(this);
  }

  #tellLow(): void {
    if (!this.#stopped || !this.#mayRead) return;
    if (this.inbound.length > this.#receiveLow || this.inboundBytes > this.#receiveBytesMax / 2) return;
    this.#stopped = false;
    this.transport?.resume();
  }
}

/** What sockets of one process send each other is their application's alone: it has no bound but the pipes' own. */
export const INPROC_BUDGET: PartBudget = new PartBudget();

/** What a message takes: its octets, and what it and its parts cost beyond them. */
export function costOf(message: Message): number {
  if (message.length === 1) return message[0]!.length + MESSAGE_COST_BYTES + PART_COST_BYTES;
  let bytes = MESSAGE_COST_BYTES + PART_COST_BYTES * message.length;
  for (const part of message) bytes += part.length;
  return bytes;
}

/** What is to wait for a connection is copied when it is short, as in `zeromq`: it keeps no larger memory alive, and may be written to. */
function ownSmallParts(message: Message): void {
  for (let index = 0; index < message.length; index += 1) {
    const part = message[index]!;
    if (part.length > 0 && part.length <= COPIED_BYTES_MAX) message[index] = Buffer.from(part);
  }
}
