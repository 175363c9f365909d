/** ● The door `holdfast/zmq`: ZeroMQ's sockets with the class API of the `zeromq` package. */
export { Context, context, type ContextOptions } from "./context.ts";
export type { MessageLike } from "./message.ts";
export { Observer, type Event, type EventOfType, type EventType } from "./observer.ts";
export { Proxy } from "./proxy.ts";
export type { Authenticator, AuthRequest } from "./settings.ts";
export { DuplexSocket, ReadableSocket, WritableSocket } from "./directions.ts";
export { Socket } from "./socket.ts";
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
  type RouterConnectOptions,
  type RouterPeer,
  type SocketOptions,
} from "./sockets.ts";
export type { SendResult } from "./pattern.ts";
export type { WaitOptions } from "./waiting.ts";
export type { ZmqError } from "./errors.ts";
export { curveKeyPair, type CurveKeyPair } from "./curve-math.ts";

/** What can be done here, as the `zeromq` package tells it. */
export const capability: Readonly<Record<"ipc" | "curve", true>> = { ipc: true, curve: true };

/** The libzmq release whose behaviour these sockets follow. */
export const version = "4.3.5";
