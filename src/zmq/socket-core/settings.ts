/** ○ What the insides of a socket read of its options. Names and units are those of the public properties (socket.ts). */
import type { Verdict } from "../../zmtp/mechanism.ts";

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

export interface SocketSettings {
  readonly sendHighWaterMark: number;
  readonly receiveHighWaterMark: number;
  readonly sendHighWaterBytes: number;
  readonly receiveHighWaterBytes: number;
  readonly conflate: boolean;
  readonly linger: number;
  readonly immediate: boolean;
  readonly ipv6: boolean;
  readonly backlog: number;
  readonly reconnectInterval: number;
  readonly reconnectMaxInterval: number;
  readonly connectTimeout: number;
  readonly handshakeInterval: number;
  readonly heartbeatInterval: number;
  readonly heartbeatTimeout: number;
  readonly heartbeatTimeToLive: number;
  readonly maxMessageSize: number;
  readonly routingId: string | Uint8Array | null;
  readonly probeRouter: boolean;
  readonly connectToAll: boolean;
  readonly tcpKeepalive: number;
  readonly tcpKeepaliveCount: number;
  readonly tcpKeepaliveIdle: number;
  readonly tcpKeepaliveInterval: number;
  readonly plainServer: boolean;
  readonly plainUsername: string | null;
  readonly plainPassword: string | null;
  readonly curveServer: boolean;
  readonly curvePublicKey: string | Uint8Array | null;
  readonly curveSecretKey: string | Uint8Array | null;
  readonly curveServerKey: string | Uint8Array | null;
  readonly zapDomain: string | null;
  readonly zapEnforceDomain: boolean;
  readonly typeOfService: number;
  readonly authenticate: Authenticator | null;
}

/** The settings as they are now: what a bound or connected endpoint goes on with, whatever is set later. */
export function copySettings(settings: SocketSettings): SocketSettings {
  const frozen: Record<string, unknown> = {};
  for (const name of NAMES) frozen[name] = settings[name];
  return frozen as unknown as SocketSettings;
}

const NAMES: readonly (keyof SocketSettings)[] = [
  "sendHighWaterMark",
  "receiveHighWaterMark",
  "sendHighWaterBytes",
  "receiveHighWaterBytes",
  "conflate",
  "linger",
  "immediate",
  "ipv6",
  "backlog",
  "reconnectInterval",
  "reconnectMaxInterval",
  "connectTimeout",
  "handshakeInterval",
  "heartbeatInterval",
  "heartbeatTimeout",
  "heartbeatTimeToLive",
  "maxMessageSize",
  "routingId",
  "probeRouter",
  "connectToAll",
  "tcpKeepalive",
  "tcpKeepaliveCount",
  "tcpKeepaliveIdle",
  "tcpKeepaliveInterval",
  "plainServer",
  "plainUsername",
  "plainPassword",
  "curveServer",
  "curvePublicKey",
  "curveSecretKey",
  "curveServerKey",
  "zapDomain",
  "zapEnforceDomain",
  "typeOfService",
  "authenticate",
];
