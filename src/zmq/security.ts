/** ● Which mechanism a connection speaks, and who decides about its peer. */
import { NullMechanism } from "../zmtp/null.ts";
import type { Credentials, Mechanism, MechanismName, Verdict } from "../zmtp/mechanism.ts";
import { ownProperties } from "../zmtp/peer.ts";
import type { SocketTypeName } from "../zmtp/socket-type.ts";
import type { Authenticator, AuthRequest, SocketSettings } from "./settings.ts";

/** The mechanism that a socket's options ask for. */
export function mechanismName(settings: SocketSettings): MechanismName {
  if (settings.curveServer || settings.curveServerKey !== null) return "CURVE";
  if (settings.plainServer || settings.plainUsername !== null || settings.plainPassword !== null) return "PLAIN";
  return "NULL";
}

/** One connection's mechanism. @throws UsageError EINVAL when a key is missing or wrong */
export function makeMechanism(type: SocketTypeName, routingId: Uint8Array, settings: SocketSettings): Mechanism {
  const properties = ownProperties(type, routingId);
  return new NullMechanism({ properties, authenticate: settings.authenticate !== null });
}

/** Asks an authenticator. Never rejects: one that throws has refused with 500. */
export async function askAuthenticator(authenticator: Authenticator, request: AuthRequest): Promise<Verdict> {
  try {
    const answer = await authenticator(request);
    if (typeof answer === "boolean") return { status: answer ? 200 : 400 };
    return { status: answer.status ?? 200, ...(answer.userId !== undefined && { userId: answer.userId }) };
  } catch {
    return { status: 500 }; // the peer is told nothing of the reason
  }
}

/** The credentials as an authenticator sees them. */
export function authRequest(credentials: Credentials, domain: string, remoteAddress: string): AuthRequest {
  const base = { mechanism: credentials.mechanism, domain, address: hostOf(remoteAddress) };
  if (credentials.mechanism === "PLAIN") return { ...base, username: credentials.username, password: credentials.password };
  return base;
}

/** "tcp://10.0.0.7:51234" → "10.0.0.7". */
function hostOf(remoteAddress: string): string {
  const match = /^tcp:\/\/\[?(.*?)\]?:\d+$/.exec(remoteAddress);
  return match?.[1] ?? remoteAddress;
}
