/**
 * ○ The commands of a connection whose handshake is done (RFC 37): PING and PONG, and SUBSCRIBE and CANCEL, which stand for the
 * messages 01 topic and 00 topic that ZMTP 3.0 sends in their place.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../core/errors.ts";
import { encodeCommand } from "./command.ts";
import { PING_CONTEXT_BYTES_MAX, PING_TTL_DECISECONDS_MAX } from "./limits.ts";

/** Whether a message from a SUB or XSUB is a subscription: 01 or 00, then the topic. */
export function isSubscription(body: Uint8Array): boolean {
  return body.length > 0 && body[0]! <= 1;
}

/** The command for a message that is a subscription. */
export function subscriptionCommand(body: Uint8Array): Uint8Array {
  return encodeCommand(body[0] === 1 ? "SUBSCRIBE" : "CANCEL", body.subarray(1));
}

/** The message for a command. */
export function subscriptionMessage(name: "SUBSCRIBE" | "CANCEL", topic: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(name === "SUBSCRIBE" ? 1 : 0), topic]);
}

export interface Ping {
  /** After so many ms of silence the receiver ends the connection; 0: never. */
  readonly ttlMs: number;
  /** To be returned in PONG. */
  readonly context: Uint8Array;
}

export function encodePing(ttlMs: number): Uint8Array {
  const ttl = Math.min(Math.floor(ttlMs / 100), PING_TTL_DECISECONDS_MAX);
  return encodeCommand("PING", Buffer.of(ttl >> 8, ttl & 0xff));
}

/** @throws ProtocolError ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED */
export function decodePing(data: Uint8Array): Ping {
  if (data.length < 2) throw new ProtocolError("ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED", "Cannot read PING: no TTL");
  return { ttlMs: (data[0]! * 256 + data[1]!) * 100, context: data.subarray(2, 2 + PING_CONTEXT_BYTES_MAX) };
}

export function encodePong(context: Uint8Array): Uint8Array {
  return encodeCommand("PONG", context);
}
