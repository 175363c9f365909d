/**
 * ○ The socket types, their octet in ZMTP 2.0, and who may talk to whom (RFC 28, RFC 29, RFC 30, RFC 31; libzmq's mechanism.cpp).
 */

/** As in the `Socket-Type` property; the index is the octet of ZMTP 2.0 and libzmq's number. */
export const SOCKET_TYPES = ["PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"] as const;

export type SocketTypeName = (typeof SOCKET_TYPES)[number];

const TALKS_TO: Readonly<Record<SocketTypeName, readonly SocketTypeName[]>> = {
  PAIR: ["PAIR"],
  PUB: ["SUB", "XSUB"],
  XPUB: ["SUB", "XSUB"],
  SUB: ["PUB", "XPUB"],
  XSUB: ["PUB", "XPUB"],
  REQ: ["REP", "ROUTER"],
  REP: ["REQ", "DEALER"],
  DEALER: ["REP", "DEALER", "ROUTER"],
  ROUTER: ["REQ", "DEALER", "ROUTER"],
  PULL: ["PUSH"],
  PUSH: ["PULL"],
};

export function talksTo(own: SocketTypeName, peer: string): boolean {
  return (TALKS_TO[own] as readonly string[]).includes(peer);
}

/** Whether READY carries `Identity` (RFC 37: REQ, DEALER and ROUTER only). */
export function hasIdentity(type: SocketTypeName): boolean {
  return type === "REQ" || type === "DEALER" || type === "ROUTER";
}

/** Whether the peer filters by what this type sends as subscriptions. */
export function sendsSubscriptions(type: SocketTypeName): boolean {
  return type === "SUB" || type === "XSUB";
}

export function takesSubscriptions(type: SocketTypeName): boolean {
  return type === "PUB" || type === "XPUB";
}
