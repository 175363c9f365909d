/**
 * ○ Requests → packets of memcached's binary protocol, for servers that require SASL and so support nothing else. The keys of a
 * batch go as quiet gets followed by a noop, whose reply ends the batch.
 */
import { Buffer } from "node:buffer";
import { EMPTY } from "../../../core/bytes.ts";
import { BINARY_REQUEST, OPCODE } from "../../../memcached/binary.ts";
import { BinaryReplyDecoder, GET_KEY_QUIET } from "../../../memcached/binary-reply-decoder.ts";
import { assert } from "../../../core/assert.ts";
import type { InFlightBatch } from "./in-flight.ts";
import { TTL_RELATIVE_S_MAX } from "../operations/limits.ts";
import type { CommandRequest, Verb } from "../operations/operation.ts";
import type { ClientProtocol } from "./client-protocol.ts";
import { isBase64, placementKey } from "../operations/wire-key.ts";
import type { WriteBuffer } from "./write-buffer.ts";

const OPCODES: Readonly<Partial<Record<Verb, number>>> = {
  set: OPCODE.set,
  cas: OPCODE.set,
  add: OPCODE.add,
  replace: OPCODE.replace,
  append: OPCODE.append,
  prepend: OPCODE.prepend,
  delete: OPCODE.delete,
  incr: OPCODE.increment,
  decr: OPCODE.decrement,
  touch: OPCODE.touch,
  gat: OPCODE.gat,
  flush_all: OPCODE.flush,
  stats: OPCODE.stat,
  version: OPCODE.version,
  sasl: OPCODE.saslAuth,
};

/** Tells incr and decr to make no item where there is none. */
const CREATE_NOTHING = 0xffffffff;

/** A packet's parts beside the opcode. */
interface Packet {
  readonly extras?: Uint8Array;
  readonly key?: string;
  readonly body?: string | Uint8Array;
  readonly cas?: bigint;
}

export class BinaryProtocol implements ClientProtocol {
  readonly decoder: BinaryReplyDecoder;

  constructor(valueBytesMax: number) {
    this.decoder = new BinaryReplyDecoder(valueBytesMax);
  }

  encodeGet(batch: InFlightBatch, out: WriteBuffer): void {
    for (const key of batch.keys) write(out, GET_KEY_QUIET, { key: placementKey(key) });
    // A key in base64 is alone in its batch, and comes back as its raw bytes.
    if (isBase64(batch.keys[0]!)) batch.token = placementKey(batch.keys[0]!);
    write(out, OPCODE.noop, {});
  }

  encodeCommand({ verb, key, fields }: CommandRequest, out: WriteBuffer): void {
    const opcode = OPCODES[verb];
    assert(opcode !== undefined, "refused before: the binary protocol has no such command");
    const { body, cas, words } = fields;
    write(out, opcode, {
      extras: extrasOf(verb, fields),
      key: verb === "stats" ? (words ?? "") : placementKey(key),
      ...(body !== undefined && { body }),
      ...(cas !== undefined && { cas }),
    });
  }
}

function extrasOf(verb: Verb, { flags = 0, exptime = 0, delta = 0n }: CommandRequest["fields"]): Uint8Array {
  switch (verb) {
    case "set":
    case "cas":
    case "add":
    case "replace": {
      const extras = Buffer.alloc(8);
      extras.writeUInt32BE(flags, 0);
      extras.writeUInt32BE(unsigned(exptime), 4);
      return extras;
    }
    case "incr":
    case "decr": {
      const extras = Buffer.alloc(20);
      extras.writeBigUInt64BE(delta, 0);
      extras.writeUInt32BE(CREATE_NOTHING, 16);
      return extras;
    }
    case "touch":
    case "gat": {
      const extras = Buffer.alloc(4);
      extras.writeUInt32BE(unsigned(exptime), 0);
      return extras;
    }
    default:
      return EMPTY;
  }
}

/** Already expired: -1 in the text protocol, a date in 1970 here. */
function unsigned(exptime: number): number {
  return exptime < 0 ? TTL_RELATIVE_S_MAX + 1 : exptime;
}

function write(out: WriteBuffer, opcode: number, { extras = EMPTY, key = "", body = EMPTY, cas = 0n }: Packet): void {
  const bodyBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  out.u8(BINARY_REQUEST);
  out.u8(opcode);
  out.u16(key.length);
  out.u8(extras.length);
  out.u8(0);
  out.u16(0);
  out.u32(extras.length + key.length + bodyBytes);
  out.u32(0);
  out.u64(cas);
  out.bytes(extras);
  out.latin1(key);
  if (typeof body === "string") out.utf8(body, bodyBytes);
  else out.bytes(body);
}
