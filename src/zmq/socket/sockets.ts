/** ● One class a socket type, named as in the `zeromq` package, with the options that mean something to it. */
import { Buffer } from "node:buffer";
import { knownPeer } from "../socket-core/socket-core.ts";
import { toPart } from "./message.ts";
import type { EventKnownPeer } from "../socket-core/observer.ts";
import type { PublisherPattern, SubscriberPattern } from "../patterns/pub-sub.ts";
import type { RouterPattern } from "../patterns/router.ts";
import { octetsOf } from "../socket-core/option-rules.ts";
import { OPTION_RULES } from "../socket-core/settings.ts";
import type { Context } from "./context.ts";
import { defineOptions } from "./option-holder.ts";
import { DuplexSocket, ReadableSocket, WritableSocket } from "./readable-writable.ts";
import type { Socket } from "./socket.ts";
import { OWN_OPTIONS, type AllOptions, type OwnOption } from "./socket-options.ts";
import { SOCKET_TYPE } from "./socket-type.ts";

/* oxlint-disable typescript/no-unsafe-declaration-merging -- each class has the options of the interface beside it: defineOptions */

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- how types are compared for `readonly`
type IfEqual<X, Y, A> = (<T>() => T extends X ? 1 : 2) extends <T>() => T extends Y ? 1 : 2 ? A : never;

/** The properties of a type that can be set. */
type SettableKeys<T> = {
  [K in keyof T]-?: T[K] extends (...args: never[]) => unknown
    ? never
    : IfEqual<Record<K, T[K]>, { -readonly [_ in K]: T[K] }, K>;
}[keyof T];

/** Any of the properties of a socket or context that can be set, and `E`. */
export type Options<T, E = {}> = Partial<Pick<T, SettableKeys<T>> & E>;

/** Options to a socket's constructor: any of its options, and its context. */
export type SocketOptions<S extends Socket> = Options<S, { readonly context: Context }>;

type Own<Type extends keyof typeof OWN_OPTIONS> = Pick<AllOptions, OwnOption<Type>>;

export interface Push extends Own<"Push"> {}

/** Sends each message to one of its peers, in turn. Waits while none has room. */
export class Push extends WritableSocket {
  constructor(options: SocketOptions<Push> = {}) {
    super(SOCKET_TYPE.Push, options);
  }
}

export interface Pull extends Own<"Pull"> {}

/** Receives from all its peers in turn. */
export class Pull extends ReadableSocket {
  constructor(options: SocketOptions<Pull> = {}) {
    super(SOCKET_TYPE.Pull, options);
  }
}

/** Exchanges messages with one peer and no other. */
export class Pair extends DuplexSocket {
  constructor(options: SocketOptions<Pair> = {}) {
    super(SOCKET_TYPE.Pair, options);
  }
}

export interface Dealer extends Own<"Dealer"> {}

/** Sends to its peers in turn and receives from them in turn. */
export class Dealer extends DuplexSocket {
  constructor(options: SocketOptions<Dealer> = {}) {
    super(SOCKET_TYPE.Dealer, options);
  }
}

export interface Request extends Own<"Request"> {}

/** Sends a request, receives its reply, in lock-step. */
export class Request extends DuplexSocket {
  constructor(options: SocketOptions<Request> = {}) {
    super(SOCKET_TYPE.Request, options);
  }
}

export interface Reply extends Own<"Reply"> {}

/** Receives a request, sends its reply, in lock-step. */
export class Reply extends DuplexSocket {
  constructor(options: SocketOptions<Reply> = {}) {
    super(SOCKET_TYPE.Reply, options);
  }
}

/** A Router's connected peer: its id, its address, its socket type, who the authenticator said it is. */
export type RouterPeer = EventKnownPeer;

/** Options of a Router's `connect`. */
export interface RouterConnectOptions {
  /** The id under which this router shall know the peer: 1 to 255 octets. */
  readonly routingId?: string | Uint8Array;
}

export interface Router extends Own<"Router"> {}

/** Receives messages preceded by their sender's routing id; sends each to the peer that its first part names. */
export class Router extends DuplexSocket {
  /** @internal */
  declare protected readonly pattern: RouterPattern;

  constructor(options: SocketOptions<Router> = {}) {
    super(SOCKET_TYPE.Router, options);
  }

  /** What is known of the connected peer that has a routing id; undefined when there is none. */
  peer(routingId: Uint8Array | string): RouterPeer | undefined {
    const pipe = this.pattern.find(toPart(routingId));
    return pipe?.peer && knownPeer(pipe);
  }

  /**
   * Ends the connection of the peer that has a routing id, such as one that does not read; `peer:gone` follows with the reason.
   *
   * @returns false when there is no such peer
   */
  disconnectPeer(routingId: Uint8Array | string, reason: Error): boolean {
    const transport = this.pattern.find(toPart(routingId))?.transport;
    transport?.end(reason);
    return transport !== undefined;
  }

  /** Who the authenticator said the peer with this routing id is; undefined: nobody it named, or there is no such peer. */
  userOf(routingId: Uint8Array | string): string | undefined {
    return this.pattern.find(toPart(routingId))?.peer?.userId;
  }

  override connect(address: string, { routingId }: RouterConnectOptions = {}): void {
    this.connectAs(address, routingId === undefined ? undefined : peerId(routingId));
  }
}

export interface Publisher extends Own<"Publisher"> {}

/** Sends each message to the subscribers of its topics; drops it for those that are full. */
export class Publisher extends WritableSocket {
  constructor(options: SocketOptions<Publisher> = {}) {
    super(SOCKET_TYPE.Publisher, options);
  }
}

export interface Subscriber extends Own<"Subscriber"> {}

/** Receives what begins with one of its topics. */
export class Subscriber extends ReadableSocket {
  /** @internal */
  declare protected readonly pattern: SubscriberPattern;

  constructor(options: SocketOptions<Subscriber> = {}) {
    super(SOCKET_TYPE.Subscriber, options);
  }

  /** Subscribes to messages that begin with a prefix; without one, to all. Counted: it takes as many `unsubscribe`s to undo. */
  subscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes.length === 0 ? [""] : prefixes) this.pattern.subscribe(Buffer.from(prefix as string));
  }

  /** Undoes one `subscribe`. */
  unsubscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes.length === 0 ? [""] : prefixes) this.pattern.unsubscribe(Buffer.from(prefix as string));
  }
}

export interface XPublisher extends Own<"XPublisher"> {}

/** A Publisher that receives its peers' subscriptions: 01 or 00, then the topic. */
export class XPublisher extends DuplexSocket {
  /** @internal */
  declare protected readonly pattern: PublisherPattern;

  constructor(options: SocketOptions<XPublisher> = {}) {
    super(SOCKET_TYPE.XPublisher, options);
  }

  /** Manual mode: subscribes the peer whose subscription was received last. */
  subscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes) this.pattern.answer("subscribe", Buffer.from(prefix as string));
  }

  /** Manual mode: unsubscribes the peer whose message was received last. */
  unsubscribe(...prefixes: readonly (Uint8Array | string)[]): void {
    for (const prefix of prefixes) this.pattern.answer("cancel", Buffer.from(prefix as string));
  }
}

/** A Subscriber that sends its subscriptions as messages: 01 or 00, then the topic. */
export class XSubscriber extends DuplexSocket {
  constructor(options: SocketOptions<XSubscriber> = {}) {
    super(SOCKET_TYPE.XSubscriber, options);
  }
}

const TYPES: Readonly<Record<keyof typeof OWN_OPTIONS, { readonly prototype: Socket }>> = {
  Push,
  Pull,
  Dealer,
  Request,
  Reply,
  Router,
  Publisher,
  Subscriber,
  XPublisher,
};

for (const [name, { prototype }] of Object.entries(TYPES))
  defineOptions(prototype, OWN_OPTIONS[name as keyof typeof OWN_OPTIONS]);

/** @throws UsageError EINVAL, TypeError */
function peerId(routingId: string | Uint8Array): Buffer {
  const { check } = OPTION_RULES.routingId;
  return octetsOf(check("routingId", routingId));
}
