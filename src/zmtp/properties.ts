/**
 * ○ The metadata of a handshake: properties as name → value. On the wire each is a 1-octet name length, the name, a 4-octet
 * value length, the value (RFC 37, "metadata"). Names compare without case; of two equal names the first counts.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../core/errors.ts";

/** Property name in lower case → value. */
export type Properties = ReadonlyMap<string, Uint8Array>;

/** Properties as written by this side, in order, names in the spelling to send. */
export type OwnProperties = ReadonlyArray<readonly [name: string, value: Uint8Array | string]>;

/** The properties' octets. */
export function encodeProperties(properties: OwnProperties): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of properties) {
    const nameBytes = Buffer.from(name, "latin1");
    const valueBytes = typeof value === "string" ? Buffer.from(value) : value;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(valueBytes.length);
    parts.push(Buffer.of(nameBytes.length), nameBytes, length, valueBytes);
  }
  return Buffer.concat(parts);
}

/**
 * Reads properties that fill the octets to their end. Values are copies: they outlive the buffer they came in.
 *
 * @throws ProtocolError ERR_ZMTP_INVALID_METADATA
 */
export function decodeProperties(bytes: Uint8Array): Properties {
  const properties = new Map<string, Uint8Array>();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at < buffer.length) {
    const nameLength = buffer[at]!;
    const valueAt = at + 1 + nameLength + 4;
    if (nameLength === 0 || valueAt > buffer.length) throw invalid(`property at octet ${at} is cut off or has no name`);
    const name = buffer.toString("latin1", at + 1, at + 1 + nameLength).toLowerCase();
    const valueLength = buffer.readUInt32BE(valueAt - 4);
    if (valueLength > buffer.length - valueAt) throw invalid(`value of ${JSON.stringify(name)} claims ${valueLength} octets`);
    if (!properties.has(name)) properties.set(name, Buffer.from(buffer.subarray(valueAt, valueAt + valueLength)));
    at = valueAt + valueLength;
  }
  return properties;
}

function invalid(reason: string): ProtocolError {
  return new ProtocolError("ERR_ZMTP_INVALID_METADATA", `Cannot read metadata: ${reason}`);
}
