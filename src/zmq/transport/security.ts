/** ● Which mechanism a connection uses, and the authenticator's verdict on its peer. */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import { type CurveKeys, KEY_BYTES, newKeys, sharedKey } from "../../zmtp/curve/curve-box.ts";
import { CurveClient } from "../../zmtp/curve/curve-client.ts";
import { CurveServer } from "../../zmtp/curve/curve-server.ts";
import type { MechanismCredentials, Mechanism, MechanismName, Verdict } from "../../zmtp/mechanism.ts";
import { NullMechanism } from "../../zmtp/mechanisms/null.ts";
import { ownProperties } from "../../zmtp/peer.ts";
import type { OwnProperties } from "../../zmtp/properties.ts";
import { PLAIN_TEXT_BYTES_MAX, PlainClient, PlainServer } from "../../zmtp/mechanisms/plain.ts";
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import { decodeZ85, encodeZ85 } from "../../zmtp/curve/z85.ts";
import { curveMath } from "./curve-math.ts";
import { zmqError } from "../errors.ts";
import type { Authenticator, AuthRequest, SocketSettings } from "../socket-core/settings.ts";

/** The mechanism that a socket's options ask for. */
export function mechanismName(settings: SocketSettings): MechanismName {
  if (settings.curveServer || settings.curveServerKey !== null) return "CURVE";
  if (settings.plainServer || settings.plainUsername !== null || settings.plainPassword !== null) return "PLAIN";
  return "NULL";
}

/** Makes a connection's mechanism; `authenticate`: whether an authenticator will give a verdict on the peer. */
export type MechanismMaker = (authenticate: boolean) => Mechanism;

/**
 * Reads and checks the options, once for all connections of an endpoint.
 *
 * @throws UsageError EINVAL when a key is missing or wrong, or a text too long
 */
export function mechanismMaker(type: SocketTypeName, routingId: Uint8Array, settings: SocketSettings): MechanismMaker {
  const properties = ownProperties(type, routingId);
  switch (mechanismName(settings)) {
    case "NULL":
      return (authenticate) => new NullMechanism({ properties, authenticate });
    case "PLAIN": {
      if (settings.plainServer) return () => new PlainServer({ properties });
      const username = shortText("plainUsername", settings.plainUsername);
      const password = shortText("plainPassword", settings.plainPassword);
      return () => new PlainClient({ username, password, properties });
    }
    default: {
      if (settings.curveServer && settings.curveSecretKey === null) return lockedServer(properties);
      const secretKey = curveKey("curveSecretKey", settings.curveSecretKey);
      const keys = { secretKey, publicKey: curveMath.x25519.publicKey(secretKey) };
      if (settings.curveServer) return (authenticate) => new CurveServer({ keys, math: curveMath, properties, authenticate });
      const serverKey = curveKey("curveServerKey", settings.curveServerKey);
      assertKeyAgrees(keys, serverKey);
      return () => new CurveClient({ serverKey, keys, math: curveMath, properties });
    }
  }
}

/**
 * A CURVE server that was given no key. In libzmq its key is 32 zeros, which everyone knows; here it is one that nobody knows, so that
 * peers are told of a mechanism that differs, and none gets in.
 */
function lockedServer(properties: OwnProperties): MechanismMaker {
  process.emitWarning("A CURVE server without curveSecretKey lets nobody in.", { code: "HOLDFAST_ZMQ_CURVE_KEY" });
  const keys = newKeys(curveMath);
  return (authenticate) => new CurveServer({ keys, math: curveMath, properties, authenticate });
}

/**
 * Asks an authenticator. One that throws has refused with 500, and so has one that is gone.
 *
 * @throws ProtocolError when it is a ZAP handler whose reply cannot be read
 */
export async function askAuthenticator(
  authenticator: Authenticator | null,
  credentials: MechanismCredentials,
  { remoteAddress, ...asked }: { domain: string; remoteAddress: string; routingId: Uint8Array },
): Promise<Verdict> {
  if (authenticator === null) return { status: 500 };
  try {
    const { mechanism } = credentials;
    const request: AuthRequest = { mechanism, ...asked, address: hostOf(remoteAddress), ...shown(credentials) };
    const answer = await authenticator(request);
    if (typeof answer === "boolean") return { status: answer ? 200 : 400 };
    return { status: answer.status ?? 200, ...(answer.userId !== undefined && { userId: answer.userId }) };
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    return { status: 500 }; // the peer is told nothing of the reason
  }
}

/** What the peer showed, as an authenticator sees it. */
function shown(credentials: MechanismCredentials): Pick<AuthRequest, "username" | "password" | "publicKey"> {
  switch (credentials.mechanism) {
    case "NULL":
      return {};
    case "PLAIN":
      return { username: credentials.username, password: credentials.password };
    default:
      return { publicKey: encodeZ85(credentials.publicKey) };
  }
}

/** "tcp://10.0.0.7:51234" → "10.0.0.7". */
function hostOf(remoteAddress: string): string {
  const match = /^tcp:\/\/\[?(.*?)\]?:\d+$/.exec(remoteAddress);
  return match?.[1] ?? remoteAddress;
}

function curveKey(name: string, value: string | Uint8Array | null): Uint8Array {
  if (value === null) throw zmqError("EINVAL", `Cannot use CURVE: ${name} is not set`);
  const key = typeof value === "string" ? decodeZ85(value) : value;
  if (key.length !== KEY_BYTES) throw zmqError("EINVAL", `Cannot use CURVE: ${name} has ${key.length} octets, not 32`);
  return key;
}

/** A point of low order, such as 32 zeros, agrees with no key: told here, where the caller can hear it. */
function assertKeyAgrees(keys: CurveKeys, serverKey: Uint8Array): void {
  try {
    sharedKey(curveMath.x25519, keys.secretKey, serverKey);
  } catch (cause) {
    throw zmqError("EINVAL", { detail: "Cannot use CURVE: curveServerKey is a point of low order", cause });
  }
}

function shortText(name: string, value: string | null): string {
  const text = value ?? "";
  const bytes = Buffer.byteLength(text);
  if (bytes > PLAIN_TEXT_BYTES_MAX) throw zmqError("EINVAL", `Cannot use PLAIN: ${name} has ${bytes} octets, at most 255`);
  return text;
}
