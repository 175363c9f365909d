/** ○ Describes a message of memcached's binary protocol: a header of 24 octets, then extras, key and value (protocol_binary.h). */
import { BINARY_HEADER_BYTES } from "../../memcached/binary.ts";
import { showBytes } from "./show.ts";

export const BINARY_MAGIC = { client: 0x80, server: 0x81 } as const;

/** By opcode; undefined for an opcode that memcached does not have. */
const OPCODES: readonly (string | undefined)[] = [
  ..."get set add replace delete incr decr quit flush getq noop version getk getkq append prepend".split(" "),
  ..."stat setq addq replaceq deleteq incrq decrq quitq flushq appendq prependq verbosity touch gat gatq".split(" "),
  undefined,
  "sasl-list",
  "sasl-auth",
  "sasl-step",
  "gatk",
  "gatkq",
];

const STATUSES: Readonly<Record<number, string>> = {
  0: "ok",
  1: "not found",
  2: "exists",
  3: "too large",
  4: "invalid arguments",
  5: "not stored",
  6: "not a number",
  0x20: "authentication failed",
  0x21: "authentication continues",
  0x81: "unknown command",
  0x82: "out of memory",
};

export interface BinaryHeader {
  readonly keyAt: number;
  readonly keyBytes: number;
  readonly bodyBytes: number;
}

/** Positions of key and value; undefined for inconsistent lengths or an unknown opcode. */
export function binaryHeader(header: Uint8Array): BinaryHeader | undefined {
  const view = new DataView(header.buffer, header.byteOffset, BINARY_HEADER_BYTES);
  const keyBytes = view.getUint16(2);
  const extrasBytes = view.getUint8(4);
  const bodyBytes = view.getUint32(8);
  if (OPCODES[view.getUint8(1)] === undefined || keyBytes + extrasBytes > bodyBytes || keyBytes > 250) return undefined;
  return { keyAt: extrasBytes, keyBytes, bodyBytes };
}

/** @param key the key's bytes, empty for a message without a key */
export function nameBinary(header: Uint8Array, { bodyBytes, keyAt, keyBytes }: BinaryHeader, key: Uint8Array): string {
  const name = OPCODES[header[1]!]!;
  const valueBytes = bodyBytes - keyAt - keyBytes;
  const words = [`binary ${name}`];
  if (keyBytes > 0) words.push(showBytes(key));
  const facts: string[] = [];
  if (header[0] === BINARY_MAGIC.server) {
    const status = (header[6]! << 8) | header[7]!;
    facts.push(STATUSES[status] ?? `status 0x${status.toString(16)}`);
  }
  if (valueBytes > 0) facts.push(`${valueBytes} B`);
  if (facts.length > 0) words.push(`(${facts.join(", ")})`);
  return words.join(" ");
}
