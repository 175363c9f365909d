/** ● The socket types by libzmq's number, and the pattern behind each. */
import { randomBytes } from "node:crypto";
import { Buffer } from "node:buffer";
import { OperationError } from "../../core/errors.ts";
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import { PairPattern } from "../patterns/pair.ts";
import { DealerPattern, type Pattern } from "../patterns/pattern.ts";
import type { Pipe } from "../patterns/pipe.ts";
import { PublisherPattern, SubscriberPattern } from "../patterns/pub-sub.ts";
import { PullPattern, PushPattern } from "../patterns/push-pull.ts";
import { ReplyPattern, RequestPattern } from "../patterns/req-rep.ts";
import { RouterPattern } from "../patterns/router.ts";
import type { SocketSettings } from "../socket-core/settings.ts";

/** libzmq's numbers of the types, in the order of SOCKET_TYPES. */
export const SOCKET_TYPE = {
  Pair: 0,
  Publisher: 1,
  Subscriber: 2,
  Request: 3,
  Reply: 4,
  Dealer: 5,
  Router: 6,
  Pull: 7,
  Push: 8,
  XPublisher: 9,
  XSubscriber: 10,
} as const;

/** A socket type's number, as in libzmq. */
export type SocketType = (typeof SOCKET_TYPE)[keyof typeof SOCKET_TYPE];

/** Makes a type's pattern; it reads the settings whenever it needs them. */
export const PATTERNS: Readonly<Record<SocketTypeName, (settings: SocketSettings) => Pattern>> = {
  PAIR: () => new PairPattern(),
  PUB: (settings) => new PublisherPattern(settings, { visible: false }),
  SUB: (settings) => new SubscriberPattern(settings, { filters: true }),
  REQ: (settings) => new RequestPattern(settings, randomUint32()),
  REP: () => new ReplyPattern(),
  DEALER: () => new DealerPattern(),
  ROUTER: (settings) => new RouterPattern(settings, randomUint32(), (pipe) => pipe.transport?.end(handedOver(pipe))),
  PULL: () => new PullPattern(),
  PUSH: () => new PushPattern(),
  XPUB: (settings) => new PublisherPattern(settings, { visible: true }),
  XSUB: (settings) => new SubscriberPattern(settings, { filters: false }),
};

/** For ids; no secret depends on it. */
function randomUint32(): number {
  return randomBytes(4).readUInt32LE();
}

function handedOver({ routingKey }: Pipe): Error {
  return new OperationError(
    "EHOSTUNREACH",
    `Another peer has taken over the routing id ${Buffer.from(routingKey, "latin1").toString("hex")}`,
  );
}
