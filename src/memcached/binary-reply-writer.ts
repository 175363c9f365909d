/** ○ Writes the header and the numbers of a binary reply into a `ReplyBuffer`; nothing is allocated per reply. All numbers are big-endian. */
import { BINARY_HEADER_BYTES, type BinaryRequest } from "./binary.ts";
import type { ReplyBuffer } from "./reply-buffer.ts";

/** First byte of a reply. */
const BINARY_REPLY = 0x81;

/** What a reply says in its header beside what it repeats of the request. */
export interface BinaryReply {
  readonly status: number;
  readonly extraBytes: number;
  readonly keyBytes: number;
  readonly bodyBytes: number;
  readonly casHigh: number;
  readonly casLow: number;
}

/** Writes a reply's header; the caller writes `bodyBytes` bytes behind it. */
export function writeBinaryHeader(out: ReplyBuffer, request: BinaryRequest, reply: BinaryReply): void {
  out.ensure(BINARY_HEADER_BYTES + reply.bodyBytes);
  const { bytes } = out;
  const at = out.length;
  bytes[at] = BINARY_REPLY;
  bytes[at + 1] = request.opcode;
  bytes[at + 2] = reply.keyBytes >>> 8;
  bytes[at + 3] = reply.keyBytes;
  bytes[at + 4] = reply.extraBytes;
  bytes[at + 5] = 0;
  bytes[at + 6] = reply.status >>> 8;
  bytes[at + 7] = reply.status;
  writeU32(bytes, at + 8, reply.bodyBytes);
  writeU32(bytes, at + 12, request.opaque);
  writeU32(bytes, at + 16, reply.casHigh);
  writeU32(bytes, at + 20, reply.casLow);
  out.length = at + BINARY_HEADER_BYTES;
}

/** Appends a big-endian 32-bit number to a reply's body. */
export function writeBinaryU32(out: ReplyBuffer, value: number): void {
  out.ensure(4);
  writeU32(out.bytes, out.length, value);
  out.length += 4;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
