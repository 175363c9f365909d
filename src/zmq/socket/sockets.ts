/** ● One class a socket type, named as in the `zeromq` package. */
import { Buffer } from "node:buffer";
import { OperationError } from "../../core/errors.ts";
import { zmqError } from "../errors.ts";
import type { Pipe } from "../patterns/pipe.ts";
import { knownPeer } from "../socket-core/socket-core.ts";
import { toPart } from "./message.ts";
import type { EventKnownPeer } from "../socket-core/observer.ts";
import { PairPattern } from "../patterns/pair.ts";
import { DealerPattern } from "../patterns/pattern.ts";
import { PublisherPattern, SubscriberPattern } from "../patterns/pub-sub.ts";
import { PullPattern, PushPattern } from "../patterns/push-pull.ts";
import { ReplyPattern, RequestPattern } from "../patterns/req-rep.ts";
import { RouterPattern } from "../patterns/router.ts";
import type { Context } from "./context.ts";
import { DuplexSocket, ReadableSocket, WritableSocket } from "./readable-writable.ts";
import { randomUint32 } from "./socket.ts";

type Writables<S> = {
  [K in keyof S as K extends "resolve" | "core" ? never : S[K] extends (...args: never[]) => unknown ? never : K]?: S[K];
};

/** Options to a constructor: any of the socket's properties, and its context. */
export type SocketOptions<S> = Omit<
  Writables<S>,
  "context" | "type" | "events" | "closed" | "readable" | "writable" | "lastEndpoint" | "securityMechanism" | "threadSafe"
> & { readonly context?: Context };

/** Sets a new socket's options. @throws UsageError EINVAL on one that it does not have */
function apply(socket: object, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (name === "context") continue;
    if (!(name in socket)) throw zmqError("EINVAL", `Cannot make socket: it has no option ${name}`);
    if (value !== undefined) (socket as Record<string, unknown>)[name] = value;
  }
}

/** Sends each message to one of its peers, in turn. Waits while none has room. */
export class Push extends WritableSocket {
  constructor(options: SocketOptions<Push> = {}) {
    super({ type: "PUSH", pattern: new PushPattern(), context: options.context });
    apply(this, options);
  }
}

/** Receives from all its peers in turn. */
export class Pull extends ReadableSocket {
  constructor(options: SocketOptions<Pull> = {}) {
    super({ type: "PULL", pattern: new PullPattern(), context: options.context });
    apply(this, options);
  }
}

/** Exchanges messages with one peer and no other. */
export class Pair extends DuplexSocket {
  constructor(options: SocketOptions<Pair> = {}) {
    super({ type: "PAIR", pattern: new PairPattern(), context: options.context });
    apply(this, options);
  }
}

/** Sends to its peers in turn and receives from them in turn. */
export class Dealer extends DuplexSocket {
  constructor(options: SocketOptions<Dealer> = {}) {
    super({ type: "DEALER", pattern: new DealerPattern(), context: options.context });
    apply(this, options);
  }
}

/** Sends a request, receives its reply, in lock-step. */
export class Request extends DuplexSocket {
  /** Mark requests with an id, so that a late reply is not taken for another's. Default false. */
  correlate = false;
  /** Allow a new request before the last one's reply, which is then skipped; set `correlate` too. Default false. */
  relaxed = false;

  constructor(options: SocketOptions<Request> = {}) {
    const pattern = new RequestPattern(randomUint32());
    super({ type: "REQ", pattern, context: options.context });
    pattern.settings = this;
    apply(this, options);
  }
}

/** Receives a request, sends its reply, in lock-step. */
export class Reply extends DuplexSocket {
  constructor(options: SocketOptions<Reply> = {}) {
    super({ type: "REP", pattern: new ReplyPattern(), context: options.context });
    apply(this, options);
  }
}

/** A Router's connected peer: its id, its address, its socket type, who the authenticator said it is. */
export type RouterPeer = EventKnownPeer;

/** Options of a Router's `connect`. */
export interface RouterConnectOptions {
  /** The id under which this router shall know the peer: 1 to 255 octets. */
  readonly routingId?: string | Uint8Array;
}

/** Receives messages preceded by their sender's routing id; sends each to the peer that its first part names. */
export class Router extends DuplexSocket {
  /** Whether `send` fails with EHOSTUNREACH, or waits for room, rather than drops. Default false. */
  mandatory = false;
  /** Whether a new peer takes over a routing id that is in use; else its connection is ended. Default false. */
  handover = false;
  readonly #pattern: RouterPattern;

  constructor(options: SocketOptions<Router> = {}) {
    const pattern = new RouterPattern(randomUint32(), (pipe) => pipe.transport?.end(handedOver(pipe)));
    super({ type: "ROUTER", pattern, context: options.context, keyOf: (message) => message[0]!.toString("latin1") });
    this.#pattern = pattern;
    pattern.settings = this;
    apply(this, options);
  }

  /** What is known of the connected peer that has a routing id; undefined when there is none. */
  peer(routingId: Uint8Array | string): RouterPeer | undefined {
    const pipe = this.#pattern.find(toPart(routingId));
    return pipe?.peer && knownPeer(pipe);
  }

  /**
   * Ends the connection of the peer that has a routing id, such as one that does not read; `peer:gone` follows with the reason.
   *
   * @returns false when there is no such peer
   */
  disconnectPeer(routingId: Uint8Array | string, reason: Error): boolean {
    const transport = this.#pattern.find(toPart(routingId))?.transport;
    transport?.end(reason);
    return transport !== undefined;
  }

  override connect(address: string, { routingId }: RouterConnectOptions = {}): void {
    this.connectAs(address, routingId === undefined ? undefined : Buffer.from(routingId as string));
  }
}

/** Sends each message to the subscribers of its topics; drops it for those that are full. */
export class Publisher extends WritableSocket {
  /** Wait for room rather than drop. Default false. */
  noDrop = false;
  /** Send what does not match. Default false. */
  invertMatching = false;
  /** @internal */
  readonly manual = false;
  /** @internal */
  readonly verbosity = null;
  /** @internal */
  readonly welcomeMessage = null;

  constructor(options: SocketOptions<Publisher> = {}) {
    const pattern = new PublisherPattern({ visible: false });
    super({ type: "PUB", pattern, context: options.context });
    pattern.settings = this;
    apply(this, options);
  }
}

/** Receives what begins with one of its topics. */
export class Subscriber extends ReadableSocket {
  /** Receive what does not match. Default false. */
  invertMatching = false;
  readonly #pattern: SubscriberPattern;

  constructor(options: SocketOptions<Subscriber> = {}) {
    const pattern = new SubscriberPattern({ filters: true });
    super({ type: "SUB", pattern, context: options.context });
    this.#pattern = pattern;
    pattern.settings = this;
    this.linger = 0; // as in libzmq: subscriptions are worth nothing once their socket is closed
    apply(this, options);
  }

  /** Subscribes to messages that begin with a prefix; without one, to all. Counted: it takes as many `unsubscribe`s to undo. */
  subscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes.length === 0 ? [""] : prefixes) this.#pattern.subscribe(Buffer.from(prefix as string));
  }

  /** Undoes one `subscribe`. */
  unsubscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes.length === 0 ? [""] : prefixes) this.#pattern.unsubscribe(Buffer.from(prefix as string));
  }
}

/** A Publisher that receives its peers' subscriptions: 01 or 00, then the topic. */
export class XPublisher extends DuplexSocket {
  /** Wait for room rather than drop. Default false. */
  noDrop = false;
  /** Send what does not match. Default false. */
  invertMatching = false;
  /** Subscriptions take effect only by `subscribe` and `unsubscribe` here. Default false. */
  manual = false;
  /** Which repeated subscriptions are received: null (default) none, "allSubs", or "allSubsUnsubs". */
  verbosity: null | "allSubs" | "allSubsUnsubs" = null;
  /** Sent to each new subscriber. */
  welcomeMessage: string | null = null;
  readonly #pattern: PublisherPattern;

  constructor(options: SocketOptions<XPublisher> = {}) {
    const pattern = new PublisherPattern({ visible: true });
    super({ type: "XPUB", pattern, context: options.context });
    this.#pattern = pattern;
    pattern.settings = this;
    apply(this, options);
  }

  /** Manual mode: subscribes the peer whose subscription was received last. */
  subscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes) this.#pattern.answer("subscribe", Buffer.from(prefix as string));
  }

  /** Manual mode: unsubscribes the peer whose message was received last. */
  unsubscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes) this.#pattern.answer("cancel", Buffer.from(prefix as string));
  }
}

/** A Subscriber that sends its subscriptions as messages: 01 or 00, then the topic. */
export class XSubscriber extends DuplexSocket {
  constructor(options: SocketOptions<XSubscriber> = {}) {
    super({
      type: "XSUB",
      pattern: new SubscriberPattern({ filters: false }),
      context: options.context,
    });
    this.linger = 0; // as SUB's
    apply(this, options);
  }
}

function handedOver({ routingKey }: Pipe): Error {
  return new OperationError(
    "EHOSTUNREACH",
    `Another peer has taken over the routing id ${Buffer.from(routingKey, "latin1").toString("hex")}`,
  );
}
