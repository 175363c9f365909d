/** ● The entry point `holdfast/zmq`: ZeroMQ's sockets with the class API of the `zeromq` package. */
export { Context, context, type ContextOptions } from "./socket/context.ts";
export type { MessageLike, MessagePart as Message } from "./socket/message.ts";
export { Observer, type Event, type EventInterface, type EventOfType, type EventType } from "./socket-core/observer.ts";
export { Proxy } from "./socket/proxy.ts";
export type { Authenticator, AuthRequest } from "./socket-core/settings.ts";
export { DuplexSocket, ReadableSocket, WritableSocket, type Readable, type Writable } from "./socket/readable-writable.ts";
export { Socket } from "./socket/socket.ts";
export {
  Dealer,
  Pair,
  Publisher,
  Pull,
  Push,
  Reply,
  Request,
  Router,
  Subscriber,
  XPublisher,
  XSubscriber,
  type Options,
  type RouterConnectOptions,
  type RouterPeer,
  type SocketOptions,
} from "./socket/sockets.ts";
export type { SocketType } from "./socket/socket-type.ts";
export type { SendResult } from "./patterns/pattern.ts";
export type { WaitOptions } from "./socket-core/waiters.ts";
export type { ZmqError } from "./errors.ts";
export { curveKeyPair, type CurveKeyPair } from "./transport/curve-math.ts";

/** What can be done here, as the `zeromq` package tells it. */
export const capability: Readonly<Record<"ipc" | "curve", true>> = { ipc: true, curve: true };

/** The libzmq release whose behaviour these sockets follow. */
export const version = "4.3.5";
