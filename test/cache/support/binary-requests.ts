/** Requests and replies of the binary protocol as tests write and read them. */
import { BINARY_HEADER_BYTES, BINARY_REQUEST } from "../../../src/memcached/binary.ts";

/** The parts of a request; what is left out is empty or zero. */
export interface RequestParts {
  readonly opcode: number;
  readonly key?: string;
  readonly value?: string;
  readonly extras?: Uint8Array;
  readonly cas?: bigint;
  readonly opaque?: number;
}

/** A request's bytes. Key and value are latin1. */
export function binaryRequest({
  opcode,
  key = "",
  value = "",
  extras = new Uint8Array(0),
  cas = 0n,
  opaque = 0,
}: RequestParts): Buffer {
  const header = Buffer.alloc(BINARY_HEADER_BYTES);
  header[0] = BINARY_REQUEST;
  header[1] = opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(opaque, 12);
  header.writeBigUInt64BE(cas, 16);
  return Buffer.concat([header, extras, Buffer.from(key + value, "latin1")]);
}

/** Extras of `set` and its kin. */
export function updateExtras(flags = 0, expiry = 0): Buffer {
  const extras = Buffer.alloc(8);
  extras.writeUInt32BE(flags, 0);
  extras.writeUInt32BE(expiry, 4);
  return extras;
}

/** Extras of `incr` and `decr`. */
export function arithmeticExtras(delta: bigint, initial = 0n, expiry = 0): Buffer {
  const extras = Buffer.alloc(20);
  extras.writeBigUInt64BE(delta, 0);
  extras.writeBigUInt64BE(initial, 8);
  extras.writeUInt32BE(expiry, 16);
  return extras;
}

/** One 32-bit number, as `touch`, `gat` and `flush` want it. */
export function expiryExtras(expiry: number): Buffer {
  const extras = Buffer.alloc(4);
  extras.writeUInt32BE(expiry, 0);
  return extras;
}

export interface ReplyParts {
  readonly opcode: number;
  readonly status: number;
  readonly opaque: number;
  readonly cas: bigint;
  readonly extras: Buffer;
  readonly key: string;
  readonly value: string;
}

/** Takes an answer apart into replies. @throws RangeError when the last is not whole */
export function binaryReplies(answer: Buffer): readonly ReplyParts[] {
  const replies: ReplyParts[] = [];
  for (let at = 0; at < answer.length;) {
    const keyBytes = answer.readUInt16BE(at + 2);
    const extraBytes = answer[at + 4]!;
    const body = at + BINARY_HEADER_BYTES;
    const end = body + answer.readUInt32BE(at + 8);
    if (answer[at] !== 0x81 || end > answer.length)
      throw new RangeError(`no whole reply at ${at}: ${answer.toString("hex", at)}`);
    replies.push({
      opcode: answer[at + 1]!,
      status: answer.readUInt16BE(at + 6),
      opaque: answer.readUInt32BE(at + 12),
      cas: answer.readBigUInt64BE(at + 16),
      extras: answer.subarray(body, body + extraBytes),
      key: answer.toString("latin1", body + extraBytes, body + extraBytes + keyBytes),
      value: answer.toString("latin1", body + extraBytes + keyBytes, end),
    });
    at = end;
  }
  return replies;
}
