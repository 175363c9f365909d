/**
 * ● Events of a socket's connections: `for await (const event of socket.events)`, `receive()`, or
 * `on(type, listener)`. Events from before `socket.events` was first read are not kept. Listeners are called after the code that
 * caused the event has returned, in order.
 */
import { EventEmitter } from "node:events";
import type { Buffer } from "node:buffer";
import { EVENTS_WAITING_MAX } from "../limits.ts";
import { Ring } from "../../core/ring.ts";
import { hold, release } from "./process-life.ts";
import { codeOf, UsageError } from "../../core/errors.ts";
import { zmqError } from "../errors.ts";

/** Which connection. More than the `zeromq` package has. */
export interface EventPeer {
  /** The endpoint as bound or connected. */
  readonly address: string;
  /** The peer's own address, as far as there is one. */
  readonly remoteAddress?: string;
}

/** A peer whose handshake is done. */
export interface EventKnownPeer extends EventPeer {
  /** On a Router: the id that its messages carry. Else the id that the peer announced, if any. */
  readonly routingId?: Buffer;
  /** As in its READY: "DEALER" … */
  readonly socketType?: string;
  /** Who the authenticator said it is. */
  readonly userId?: string;
}

/** Who was refused, or by whom. */
type AuthFailure = Error & {
  /** What the authenticator answered, as in ZAP. */
  readonly status?: 300 | 400 | 500;
  /** What the message does not say. */
  readonly detail?: string;
};

/** A socket's event; `type` tells which. */
export type Event =
  | ({ readonly type: "accept" } & EventPeer)
  | ({ readonly type: "accept:error"; readonly error: Error } & EventPeer)
  | ({ readonly type: "bind" } & EventPeer)
  | ({ readonly type: "bind:error"; readonly error: Error } & EventPeer)
  | ({ readonly type: "connect" } & EventPeer)
  | ({ readonly type: "connect:delay"; readonly error?: Error } & EventPeer)
  | ({ readonly type: "connect:retry"; readonly interval: number } & EventPeer)
  | ({ readonly type: "close" } & EventPeer)
  | ({ readonly type: "close:error"; readonly error: Error } & EventPeer)
  /** `reason` tells why; undefined when the peer closed in good order. */
  | ({ readonly type: "disconnect"; readonly reason?: Error } & EventKnownPeer)
  /** The last message of a peer that is gone has been received: nothing more will come under its routing id. */
  | ({ readonly type: "peer:gone"; readonly reason?: Error } & EventKnownPeer)
  | ({ readonly type: "handshake"; readonly version: string; readonly mechanism: string } & EventKnownPeer)
  /** The error's `detail` tells more than its message. */
  | ({ readonly type: "handshake:error:protocol"; readonly error: Error & { readonly detail?: string } } & EventPeer)
  | ({ readonly type: "handshake:error:auth"; readonly error: AuthFailure } & EventPeer)
  | ({ readonly type: "handshake:error:other"; readonly error: Error } & EventPeer)
  | { readonly type: "end" };

/** The types of events that `socket.events` tells. */
export type EventType = Event["type"];
/** The events of one type. */
export type EventOfType<E extends EventType = EventType> = Extract<Event, { readonly type: E }>;

interface Waiter {
  readonly resolve: (event: Event) => void;
  readonly reject: (error: Error) => void;
}

/** What takes listeners for events: an `Observer`. */
export interface EventInterface {
  /** Calls the listener at each event of a type from now on. */
  on<E extends EventType>(type: E, listener: (event: EventOfType<E>) => void): EventInterface;
  /** Takes a listener away. */
  off<E extends EventType>(type: E, listener: (event: EventOfType<E>) => void): EventInterface;
}

/** The events of one socket: `socket.events`. */
export class Observer implements EventInterface {
  readonly #waiting = new Ring<Event>();
  readonly #waiters = new Ring<Waiter>();
  #emitter: EventEmitter | undefined;
  #draining = false;
  #closed = false;

  /** Whether it was closed, or its socket was. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The next event.
   *
   * @throws OperationError EAGAIN when closed while waiting, UsageError EBADF when closed before; ENOTSUP, at once, when listeners take the
   * events (`on`)
   */
  receive(): Promise<Event> {
    if (this.#emitter) {
      throw new UsageError(
        "ENOTSUP",
        "Observer is in event emitter mode. After a call to events.on() it is not possible to read events with events.receive().",
      );
    }
    const event = this.#waiting.shift();
    if (event) return Promise.resolve(event);
    if (this.#closed) return Promise.reject(zmqError("EBADF", "Cannot receive event: the observer is closed"));
    hold();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Calls the listener at each event of a type from now on. */
  on<E extends EventType>(type: E, listener: (event: EventOfType<E>) => void): this {
    if (this.#emitter === undefined) {
      this.#emitter = new EventEmitter();
      if (!this.#closed) hold();
    }
    this.#emitter.on(type, listener);
    this.#schedule();
    return this;
  }

  /** Takes a listener away. */
  off<E extends EventType>(type: E, listener: (event: EventOfType<E>) => void): this {
    this.#emitter?.off(type, listener);
    return this;
  }

  /** Ends the observation; events not yet received can still be. */
  close(): void {
    if (this.#closed) return;
    this.tell({ type: "end" });
    this.#closed = true;
    if (this.#emitter !== undefined) release();
    for (const { reject } of this.#waiters.drain()) {
      release();
      reject(zmqError("EAGAIN", "Cannot receive event: the observer was closed"));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, undefined> {
    while (!this.#closed || this.#waiting.length > 0) {
      const event = await this.receive().catch(undefinedWhenClosed);
      if (event === undefined) return undefined;
      yield event;
    }
    return undefined;
  }

  /** @internal */
  tell(event: Event): void {
    if (this.#closed) return;
    const waiter = this.#waiters.shift();
    if (waiter) {
      release();
      waiter.resolve(event);
      return;
    }
    this.#waiting.push(event);
    if (this.#waiting.length > EVENTS_WAITING_MAX) this.#waiting.shift();
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#emitter || this.#draining) return;
    this.#draining = true;
    process.nextTick(() => {
      this.#draining = false;
      for (let event = this.#waiting.shift(); event; event = this.#waiting.shift()) this.#emitter!.emit(event.type, event);
    });
  }
}

function undefinedWhenClosed(error: unknown): undefined {
  if (codeOf(error) !== "EAGAIN") throw error;
}
