/**
 * ○ Commands: a 1-octet name length, the name, data (RFC 37, "command-body"). What the data means is the reader's business.
 */
import { Buffer } from "node:buffer";
import { EMPTY } from "../core/bytes.ts";
import { ProtocolError } from "../core/errors.ts";

export interface ZmtpCommand {
  readonly name: string;
  /** A view of the octets received. */
  readonly data: Uint8Array;
}

export function encodeCommand(name: string, data: Uint8Array = EMPTY): Uint8Array {
  const body = Buffer.allocUnsafe(1 + name.length + data.length);
  body[0] = name.length;
  body.write(name, 1, "latin1");
  body.set(data, 1 + name.length);
  return body;
}

/** @throws ProtocolError ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED */
export function decodeCommand(body: Uint8Array): ZmtpCommand {
  const length = body[0] ?? 0;
  if (length === 0 || body.length < 1 + length) {
    throw new ProtocolError(
      "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED",
      `Cannot read command: name of ${length} octets in ${body.length}`,
    );
  }
  return { name: latin1(body, 1, 1 + length), data: body.subarray(1 + length) };
}

/** The ERROR command, fatal to a handshake: a 1-octet length and the reason. */
export function encodeError(reason: string): Uint8Array {
  const text = Buffer.from(reason, "latin1").subarray(0, 255);
  return encodeCommand("ERROR", Buffer.concat([Buffer.of(text.length), text]));
}

/** @throws ProtocolError ERR_ZMTP_MALFORMED_COMMAND_ERROR */
export function decodeErrorReason(data: Uint8Array): string {
  const length = data[0];
  if (length === undefined || data.length < 1 + length) {
    throw new ProtocolError("ERR_ZMTP_MALFORMED_COMMAND_ERROR", "Cannot read ERROR: its reason is cut off");
  }
  return latin1(data, 1, 1 + length);
}

/** The octets as text, for a log line or a comparison. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end);
}
