/** ○ Describes ZMTP commands (RFC 37; CURVE: RFC 26): a length octet, the name, then its data. */
import { unreadable, type DecodedMessage } from "./decoded-message.ts";
import { showBytes } from "./show.ts";

/** Name and data of a command; undefined for an invalid name. */
function splitCommand(body: Uint8Array): { name: string; data: Uint8Array } | undefined {
  const length = body[0] ?? 0;
  if (length === 0 || length >= body.length + 1) return undefined;
  const name = showBytes(body.subarray(1, 1 + length));
  return /^[A-Z][A-Z0-9-]*$/i.test(name) ? { name: name.toUpperCase(), data: body.subarray(1 + length) } : undefined;
}

/** @param length of the whole body; `body` may be only its beginning */
export function nameCommand(body: Uint8Array, length: number): DecodedMessage {
  const command = splitCommand(body);
  if (!command) return unreadable("zmtp", "a command without a name");
  return { protocol: "zmtp", text: describe(command.name, command.data, length - 1 - command.name.length) };
}

function describe(name: string, data: Uint8Array, dataBytes: number): string {
  switch (name) {
    case "READY":
      return `READY${describeProperties(data)}`;
    case "ERROR":
      return `ERROR '${showBytes(data.subarray(1, 1 + (data[0] ?? 0)))}'`;
    case "SUBSCRIBE":
    case "CANCEL":
      return `${name} '${showBytes(data)}'`;
    case "PING":
      return data.length < 2 ? "PING" : `PING (heartbeat, TTL ${((data[0]! << 8) | data[1]!) / 10} s)`;
    case "PONG":
      return "PONG (heartbeat answered)";
    case "HELLO":
      return dataBytes === 194 ? "HELLO (CURVE)" : `HELLO (PLAIN, user '${showBytes(data.subarray(1, 1 + (data[0] ?? 0)))}')`;
    case "MESSAGE":
      return `MESSAGE (CURVE, ${dataBytes} B encrypted)`;
    default:
      return dataBytes > 0 ? `${name} (${dataBytes} B)` : name;
  }
}

/** " (DEALER, identity 'w1')"; nothing when the properties are encrypted. */
function describeProperties(data: Uint8Array): string {
  const shown = propertiesOf(data).flatMap(([name, value]) => {
    if (name === "socket-type") return [showBytes(value)];
    return value.length > 0 ? [`${name} '${showBytes(value)}'`] : [];
  });
  return shown.length > 0 ? ` (${shown.join(", ")})` : "";
}

/** The socket type in an unencrypted READY or INITIATE. */
export function socketTypeOf(body: Uint8Array): string | undefined {
  const command = splitCommand(body);
  if (command?.name !== "READY" && command?.name !== "INITIATE") return undefined;
  const value = propertiesOf(command.data).find(([name]) => name === "socket-type")?.[1];
  return value && showBytes(value);
}

/** One octet of name length, the name, four octets of value length, the value; stops at the first invalid property. */
function propertiesOf(data: Uint8Array): [string, Uint8Array][] {
  const found: [string, Uint8Array][] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length;) {
    const nameEnd = at + 1 + data[at]!;
    if (nameEnd + 4 > data.length) break;
    const valueEnd = nameEnd + 4 + view.getUint32(nameEnd);
    if (valueEnd > data.length) break;
    const name = showBytes(data.subarray(at + 1, nameEnd)).toLowerCase();
    if (!/^[a-z0-9-]+$/.test(name)) break;
    found.push([name, data.subarray(nameEnd + 4, valueEnd)]);
    at = valueEnd;
  }
  return found;
}
