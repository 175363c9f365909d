/**
 * ○ What makes a socket type: which pipe a message goes to, which it comes from, and what is put on or taken off on the way. One
 * class a type, called when its pipes come, change and go; it holds no socket and never waits: "EAGAIN" is an answer.
 */
import type { Message } from "../../zmtp/message-parts.ts";
import { costOf, type Pipe } from "./pipe.ts";
import { FairQueue, LoadBalancer } from "./routing.ts";

/**
 * - `sent`: queued
 * - `EAGAIN`: no room, or no peer yet
 * - `EHOSTUNREACH`: no peer has this routing id
 * - `EFSM`: not in this state
 * - `ENOTSUP`: never on this type
 */
export type SendResult = "sent" | "EAGAIN" | "EHOSTUNREACH" | "EFSM" | "ENOTSUP";

export abstract class Pattern {
  /** A pipe was made: at connect, or when a peer that connected is through its handshake. */
  attach(_pipe: Pipe): void {}

  /** The pipe's connection is through its handshake. @returns false to end the connection: there is no place for it */
  connected(_pipe: Pipe): boolean {
    return true;
  }

  /** The pipe's connection broke; another is being made. */
  disconnected(_pipe: Pipe): void {}

  /** The pipe is closed for good. What it received can still be taken. */
  detach(_pipe: Pipe): void {}

  /** A message arrived. @throws ProtocolError when this type forbids it: the connection ends */
  incoming(pipe: Pipe, message: Message): void {
    pipe.deliver(message);
  }

  /** The pipe has messages. */
  readable(_pipe: Pipe): void {}

  /** The pipe has room again. */
  writable(_pipe: Pipe): void {}

  send(_message: Message): SendResult {
    return "ENOTSUP";
  }

  /** Whether what cannot be sent is dropped instead of waiting: ROUTER without `mandatory`. */
  get drops(): boolean {
    return false;
  }

  /** The next message for the application; undefined when there is none. */
  receive(): Message | undefined {
    return undefined;
  }

  /** After `receive` had nothing: why whoever waits longest will get nothing, once. */
  takeFailure(): Error | undefined {
    return undefined;
  }

  /** Who waits for a message gave up; `position`: so many came before. */
  giveUp(_position: number): void {}

  /** Why `receive` is not allowed now, or undefined. */
  get receiveRefusal(): "EFSM" | "ENOTSUP" | undefined {
    return undefined;
  }

  /** Whether it is not this socket's turn to send. */
  get sendRefusal(): "EFSM" | undefined {
    return undefined;
  }

  /** Whether `receive` would give a message. It may be true although all that is queued will be skipped. */
  get hasMessage(): boolean {
    return false;
  }

  /** Whether some message could be sent. */
  get hasRoom(): boolean {
    return false;
  }
}

/** Takes from all pipes in turn. */
export abstract class FairPattern extends Pattern {
  protected readonly queue = new FairQueue();

  override detach(pipe: Pipe): void {
    if (pipe.inbound.length === 0) this.queue.remove(pipe);
  }

  override readable(pipe: Pipe): void {
    this.queue.activate(pipe);
  }

  override receive(): Message | undefined {
    return this.queue.next();
  }

  override get hasMessage(): boolean {
    return !this.queue.isEmpty;
  }
}

/** Takes from all pipes in turn and gives to all in turn: DEALER, and what REQ is made of. */
export class DealerPattern extends FairPattern {
  protected readonly balancer = new LoadBalancer();

  override attach(pipe: Pipe): void {
    this.balancer.add(pipe);
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    this.balancer.remove(pipe);
  }

  override writable(pipe: Pipe): void {
    this.balancer.activate(pipe);
  }

  override send(message: Message): SendResult {
    return this.balancer.send(message, costOf(message)) ? "sent" : "EAGAIN";
  }

  override get hasRoom(): boolean {
    return this.balancer.hasRoom;
  }
}
