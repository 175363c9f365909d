/**
 * ○ The options of sockets, their defaults and what each may be set to. Names and units are those of the `zeromq` package. An option
 * takes effect at the next bind or connect, but for those that say `atOnce`.
 */
import type { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import type { Verdict } from "../../zmtp/mechanism.ts";
import { MESSAGE_BYTES_MAX, ROUTING_ID_BYTES_MAX } from "../../zmtp/limits.ts";
import {
  BACKLOG,
  HANDSHAKE_INTERVAL_MS,
  HIGH_WATER_BYTES,
  HIGH_WATER_MARK,
  RECONNECT_INTERVAL_MS,
  SUBSCRIPTION_HIGH_WATER_BYTES,
} from "../limits.ts";
import { call, flag, INT32_MAX, inSteps, key, octetsOf, oneOf, text, whole, type OptionRules } from "./option-rules.ts";

/** What an authenticator is told of a peer that wants to connect. */
export interface AuthRequest {
  readonly mechanism: "NULL" | "PLAIN" | "CURVE";
  /** The socket's `zapDomain`. */
  readonly domain: string;
  /** The peer's own address: "10.0.0.7", without the port; the endpoint for ipc. */
  readonly address: string;
  /** This socket's own routing id, as ZAP passes it. */
  readonly routingId: Uint8Array;
  /** PLAIN only. */
  readonly username?: string;
  readonly password?: string;
  /** CURVE only: the client's long-term key, 40 characters of Z85. */
  readonly publicKey?: string;
}

/**
 * Decides which peers may connect: `true` or `{ userId }` lets the peer in, `false` refuses it (400), `{ status: 300 }` asks it to try later.
 * One that throws refuses with 500.
 */
export type Authenticator = (request: AuthRequest) => boolean | Partial<Verdict> | Promise<boolean | Partial<Verdict>>;

/** The options of all types with their defaults; each type has those that mean something there (socket/options.ts). */
export class OptionFields {
  /** Messages that may wait for one peer; 0: no bound. Default 1000. */
  sendHighWaterMark: number = HIGH_WATER_MARK;
  /** Messages that may wait here from one peer; past it the peer's own sending stops. 0: no bound. Default 1000. */
  receiveHighWaterMark: number = HIGH_WATER_MARK;
  /** Bytes that may wait for one peer, beside the bound in messages; 0: no bound. Default 64 MiB. */
  sendHighWaterBytes: number = HIGH_WATER_BYTES;
  /** Bytes that may wait here from one peer; 0: no bound. Default 64 MiB. */
  receiveHighWaterBytes: number = HIGH_WATER_BYTES;
  /** Milliseconds after which `send` gives up with EAGAIN; 0: at once; -1 (default): never. */
  sendTimeout = -1;
  /** Milliseconds after which `receive` gives up with EAGAIN; 0: at once; -1 (default): never. */
  receiveTimeout = -1;
  /** Keep only the last message each way, of one part. Default false. */
  conflate = false;
  /** Milliseconds that unsent messages outlive `close`; 0: dropped; -1 (default): until they are sent. */
  linger = -1;
  /** Queue for peers with a finished connection only. Default false: a connect counts from the start. */
  immediate = false;
  /** Whether names and `*` stand for IPv6 too. Default false. */
  ipv6 = false;
  /** Connections that may wait to be accepted. Default 100. */
  backlog: number = BACKLOG;
  /** Milliseconds before connecting again; -1: never. Default 100, and up to as much again by chance. */
  reconnectInterval: number = RECONNECT_INTERVAL_MS;
  /** Where doubling the wait ends, in ms; 0 (default): it does not double. */
  reconnectMaxInterval = 0;
  /** Milliseconds that making a connection may take; 0 (default): what the system allows. */
  connectTimeout = 0;
  /** Milliseconds that a handshake may take; 0: any. Default 30,000. */
  handshakeInterval: number = HANDSHAKE_INTERVAL_MS;
  /** Milliseconds between PINGs; 0 (default): none. */
  heartbeatInterval = 0;
  /** Milliseconds of silence after a PING until the peer counts as dead; -1 (default): as `heartbeatInterval`. */
  heartbeatTimeout = -1;
  /** What PINGs ask of the peer: to end the connection after so many ms of silence; 0 (default): nothing. */
  heartbeatTimeToLive = 0;
  /** Bytes that one message may have, all parts together; -1: no limit. Default 64 MiB. Longer ones end their connection. */
  maxMessageSize: number = MESSAGE_BYTES_MAX;
  /** The id under which a ROUTER is to know this socket: 1 to 255 octets, the first not zero. Bytes that are text read as text. */
  routingId: string | Uint8Array | null = null;
  /** Send an empty message to each new peer, so that a ROUTER knows of this socket. Default false. */
  probeRouter = false;
  /** Connect to every address of a name rather than to the first. Default true; libzmq cannot. */
  connectToAll = true;
  /** TCP keep-alive: 1 on, 0 off, -1 (default): the system's, which is off. */
  tcpKeepalive = -1;
  /** Unanswered probes after which the connection ends; -1 (default): the system's. */
  tcpKeepaliveCount = -1;
  /** Seconds of silence before the first probe; -1 (default): the system's. */
  tcpKeepaliveIdle = -1;
  /** Seconds between probes; -1 (default): the system's. */
  tcpKeepaliveInterval = -1;
  /** PLAIN: this side checks names and passwords. Default false. */
  plainServer = false;
  /** PLAIN: the name that this side sends; null (default): it is no PLAIN client. */
  plainUsername: string | null = null;
  /** PLAIN: the password that this side sends. */
  plainPassword: string | null = null;
  /** CURVE: this side has the well-known key. Default false. */
  curveServer = false;
  /** CURVE: this side's public key, 40 characters of Z85 or 32 octets; needed beside the secret one on a client. */
  curvePublicKey: string | Uint8Array | null = null;
  /** CURVE: this side's secret key. */
  curveSecretKey: string | Uint8Array | null = null;
  /** CURVE: the server's public key; given, this side is a client. */
  curveServerKey: string | Uint8Array | null = null;
  /** What an authenticator is told as the domain. */
  zapDomain: string | null = null;
  /** Refuse all peers while there is no authenticator; else CURVE, and NULL with a `zapDomain`, let them in. Default false. */
  zapEnforceDomain = false;
  /** The IP type of service (DSCP) of connections, 0 to 255. Default 0. */
  typeOfService = 0;
  /** Decides which peers may connect, on the side that checks; null (default): NULL and CURVE let everyone in, PLAIN no one. */
  authenticate: Authenticator | null = null;
  /** Whether `send` fails with EHOSTUNREACH, or waits for room, rather than drops. Default false. */
  mandatory = false;
  /** Whether a new peer takes over a routing id that is in use; else its connection is ended. Default false. */
  handover = false;
  /** Mark requests with an id, so that a late reply is not taken for another's. Default false. */
  correlate = false;
  /** Allow a new request before the last one's reply, which is then skipped; set `correlate` too. Default false. */
  relaxed = false;
  /**
   * Requests that may be unanswered at once; `send` waits while there are as many. Replies are received in the order of their requests. From
   * 2 on requests have ids, as with `correlate`, and `receive` rejects with EHOSTUNREACH when the peer that was asked is gone; one that gives
   * up (`receiveTimeout`, a signal) gives its request up. Default 1: send, receive, send …, as in libzmq.
   */
  concurrent = 1;
  /** Wait for room rather than drop. Default false. */
  noDrop = false;
  /** Send, or receive, what does not match. Default false. */
  invertMatching = false;
  /** Subscriptions take effect only by `subscribe` and `unsubscribe` here. Default false. */
  manual = false;
  /** Which repeated subscriptions are received: null (default) none, "allSubs", or "allSubsUnsubs". */
  verbosity: null | "allSubs" | "allSubsUnsubs" = null;
  /** Bytes that one subscriber's topics may take, 256 each beside their octets; past it its connection ends. 0: no bound. Default 64 MiB. */
  subscriptionHighWaterBytes: number = SUBSCRIPTION_HIGH_WATER_BYTES;
  /** Sent to each new subscriber. */
  welcomeMessage: string | Uint8Array | null = null;
}

/** What the insides of a socket read of its options. */
export type SocketSettings = Readonly<OptionFields>;

/** 255 octets: what ZMTP and ZAP can carry of an id, a name, a password or a domain. */
const SHORT_TEXT_BYTES_MAX = 255;

/** 6,553,599 ms: what PING's field of 16 bits in tenths of a second can say. */
const TIME_TO_LIVE_MS_MAX = 6_553_599;

const AT_ONCE = { atOnce: true } as const;

export const OPTION_RULES: OptionRules<keyof OptionFields> = {
  sendHighWaterMark: whole(0, { id: 23, ...AT_ONCE }),
  receiveHighWaterMark: whole(0, { id: 24, ...AT_ONCE }),
  sendHighWaterBytes: whole(0, { most: Number.MAX_SAFE_INTEGER, ...AT_ONCE }),
  receiveHighWaterBytes: whole(0, { most: Number.MAX_SAFE_INTEGER, ...AT_ONCE }),
  sendTimeout: whole(-1, { id: 28, ...AT_ONCE }),
  receiveTimeout: whole(-1, { id: 27, ...AT_ONCE }),
  conflate: flag({ id: 54 }),
  linger: whole(-1, { id: 17, ...AT_ONCE }),
  immediate: flag({ id: 39 }),
  ipv6: flag({ id: 42 }),
  backlog: whole(0, { id: 19 }),
  reconnectInterval: whole(-1, { id: 18 }),
  reconnectMaxInterval: whole(0, { id: 21 }),
  connectTimeout: whole(0, { id: 79 }),
  handshakeInterval: whole(0, { id: 66 }),
  heartbeatInterval: whole(0, { id: 75 }),
  heartbeatTimeout: whole(-1, { id: 77 }),
  heartbeatTimeToLive: inSteps(100, whole(-INT32_MAX - 1, { id: 76, most: TIME_TO_LIVE_MS_MAX })),
  maxMessageSize: whole(-Number.MAX_SAFE_INTEGER, { id: 22, most: Number.MAX_SAFE_INTEGER }),
  routingId: text({ id: 5, most: ROUTING_ID_BYTES_MAX }),
  probeRouter: flag({ id: 51, ...AT_ONCE }),
  connectToAll: flag(),
  tcpKeepalive: whole(-1, { id: 34, most: 1 }),
  tcpKeepaliveCount: whole(-1, { id: 35 }),
  tcpKeepaliveIdle: whole(-1, { id: 36 }),
  tcpKeepaliveInterval: whole(-1, { id: 37 }),
  plainServer: flag({ id: 44 }),
  plainUsername: text({ id: 45, most: SHORT_TEXT_BYTES_MAX }),
  plainPassword: text({ id: 46, most: SHORT_TEXT_BYTES_MAX }),
  curveServer: flag({ id: 47 }),
  curvePublicKey: key({ id: 48 }),
  curveSecretKey: key({ id: 49 }),
  curveServerKey: key({ id: 50 }),
  zapDomain: text({ id: 55, most: SHORT_TEXT_BYTES_MAX }),
  zapEnforceDomain: flag({ id: 93 }),
  typeOfService: whole(0, { id: 57 }),
  authenticate: call(),
  mandatory: flag({ id: 33, ...AT_ONCE }),
  handover: flag({ id: 56, ...AT_ONCE }),
  correlate: flag({ id: 52, ...AT_ONCE }),
  relaxed: flag({ id: 53, ...AT_ONCE }),
  concurrent: whole(1, { most: Number.MAX_SAFE_INTEGER, ...AT_ONCE }),
  noDrop: flag({ id: 69 }),
  invertMatching: flag({ id: 74 }),
  manual: flag({ id: 71 }),
  subscriptionHighWaterBytes: whole(0, { most: Number.MAX_SAFE_INTEGER, ...AT_ONCE }),
  verbosity: oneOf([null, "allSubs", "allSubsUnsubs"], AT_ONCE),
  welcomeMessage: text({ id: 72, least: 0 }),
};

/** The settings as they are now: what a bound or connected endpoint goes on with, whatever is set later. */
export function copySettings(settings: SocketSettings): SocketSettings {
  return Object.assign(new OptionFields(), settings);
}

/** The own routing id as octets. */
export function routingIdOf({ routingId }: SocketSettings): Buffer {
  return routingId === null ? EMPTY_BUFFER : octetsOf(routingId);
}
