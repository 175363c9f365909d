/**
 * ○ The options that every socket has, as plain properties with their defaults. Names and units are those of the `zeromq` package. An
 * option takes effect at the next bind or connect, but for the timeouts and `linger`, which are read when they are needed.
 */
import { Buffer } from "node:buffer";
import type { Verdict } from "../../zmtp/mechanism.ts";
import { MESSAGE_BYTES_MAX } from "../../zmtp/limits.ts";
import { BACKLOG, HANDSHAKE_INTERVAL_MS, HIGH_WATER_BYTES, HIGH_WATER_MARK, RECONNECT_INTERVAL_MS } from "../limits.ts";

/** Who asks to come in, for an authenticator. */
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
 * Decides who may come in: `true` or `{ userId }` lets the peer in, `false` refuses it (400), `{ status: 300 }` asks it to try later.
 * One that throws refuses with 500.
 */
export type Authenticator = (request: AuthRequest) => boolean | Partial<Verdict> | Promise<boolean | Partial<Verdict>>;

/** Options of all sockets. */
export abstract class OptionFields {
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
  /** Milliseconds of silence after which the peer is asked to give us up; 0 (default): it is not. */
  heartbeatTimeToLive = 0;
  /** Bytes that one message may have, all parts together; -1: no limit. Default 64 MiB. Longer ones end their connection. */
  maxMessageSize: number = MESSAGE_BYTES_MAX;
  /** The id under which a ROUTER is to know this socket: 1 to 255 octets, the first not zero. */
  routingId: string | Uint8Array | null = null;
  /** Send an empty message to each new peer, so that a ROUTER knows of this socket. Default false. */
  probeRouter = false;
  /** Connect to every address of a name rather than to the first. Default true; libzmq cannot. */
  connectToAll = true;
  /** TCP keep-alive: 1 on, 0 off, -1 (default): the system's, which is off. */
  tcpKeepalive = -1;
  /** Probes unanswered until the connection ends; -1 (default): the system's. */
  tcpKeepaliveCount = -1;
  /** Seconds of silence before the first probe; -1 (default): the system's. */
  tcpKeepaliveIdle = -1;
  /** Seconds between probes; -1 (default): the system's. */
  tcpKeepaliveInterval = -1;
  /** PLAIN: this side checks names and passwords. Default false. */
  plainServer = false;
  /** PLAIN: the name that this side shows; null (default): it is no PLAIN client. */
  plainUsername: string | null = null;
  /** PLAIN: the password that this side shows. */
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
  /** Whether to let nobody in while there is no authenticator: CURVE would, and NULL with a domain. Default false. */
  zapEnforceDomain = false;
  /** The IP type of service (DSCP) of connections, 0 to 255. Default 0. */
  typeOfService = 0;
  /** Decides which peers may come in, on the side that checks; null (default): NULL and CURVE let everyone in, PLAIN no one. */
  authenticate: Authenticator | null = null;
}

/** What the insides of a socket read of its options. */
export type SocketSettings = Readonly<OptionFields>;

const NAMES = Object.keys(new (class extends OptionFields {})()) as (keyof SocketSettings)[];

/** The settings as they are now: what a bound or connected endpoint goes on with, whatever is set later. */
export function copySettings(settings: SocketSettings): SocketSettings {
  return Object.fromEntries(NAMES.map((name) => [name, settings[name]])) as unknown as SocketSettings;
}

/** The own routing id as octets. */
export function routingIdOf({ routingId }: SocketSettings): Buffer {
  return routingId === null ? Buffer.alloc(0) : Buffer.from(routingId as string);
}
