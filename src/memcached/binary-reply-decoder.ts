/**
 * ○ Bytes of a memcached server → replies of the binary protocol (doc/protocol-binary.xml), for a client, in the text protocol's
 * words: who asks need not know which protocol answered. Invariant: a packet that lies in one chunk is handed out in place, any
 * other is copied once. The chunk rules are those of reply-decoder.ts.
 */
import { Buffer } from "node:buffer";
import { assert } from "../core/assert.ts";
import { EMPTY_BUFFER } from "../core/buffers.ts";
import { ProtocolError } from "../core/errors.ts";
import { BINARY_HEADER_BYTES as HEADER_BYTES, OPCODE, STATUS } from "./binary.ts";
import { MemcachedReply, type ReplyKind } from "./reply.ts";

/** getkq: says nothing of a miss. */
export const GET_KEY_QUIET = 0x0d;
const RESPONSE_MAGIC = 0x81;

/** What a status other than success means for each opcode, where it is not the same for all. */
const REFUSALS: Readonly<Record<number, Readonly<Partial<Record<number, ReplyKind>>>>> = {
  [OPCODE.set]: { [STATUS.notFound]: "NOT_FOUND", [STATUS.exists]: "EXISTS", [STATUS.notStored]: "NOT_STORED" },
  [OPCODE.add]: { [STATUS.exists]: "NOT_STORED", [STATUS.notStored]: "NOT_STORED" },
  [OPCODE.replace]: { [STATUS.notFound]: "NOT_STORED", [STATUS.notStored]: "NOT_STORED" },
  [OPCODE.append]: { [STATUS.notFound]: "NOT_STORED", [STATUS.notStored]: "NOT_STORED" },
  [OPCODE.prepend]: { [STATUS.notFound]: "NOT_STORED", [STATUS.notStored]: "NOT_STORED" },
};

const SUCCESSES: Readonly<Partial<Record<number, ReplyKind>>> = {
  [GET_KEY_QUIET]: "VALUE",
  [OPCODE.set]: "STORED",
  [OPCODE.add]: "STORED",
  [OPCODE.replace]: "STORED",
  [OPCODE.append]: "STORED",
  [OPCODE.prepend]: "STORED",
  [OPCODE.delete]: "DELETED",
  [OPCODE.increment]: "NUMBER",
  [OPCODE.decrement]: "NUMBER",
  [OPCODE.touch]: "TOUCHED",
  [OPCODE.gat]: "VA",
  [OPCODE.flush]: "OK",
  [OPCODE.noop]: "END",
  [OPCODE.version]: "VERSION",
  [OPCODE.stat]: "STAT",
  [OPCODE.saslAuth]: "OK",
};

export class BinaryReplyDecoder {
  readonly #reply = new MemcachedReply();
  readonly #bodyBytesMax: number;
  #chunk: Buffer = EMPTY_BUFFER;
  #length = 0;
  #at = 0;
  /** A packet that spans chunks: first its header, then all of it. */
  #packet: Buffer | undefined = undefined;
  #filled = 0;

  /** @param valueBytesMax what a server may announce as one value before the connection is given up */
  constructor(valueBytesMax: number) {
    this.#bodyBytesMax = valueBytesMax + 0xffff + 0xff; // key and extras beside the value
  }

  /** @param length how much of the chunk's beginning counts */
  push(chunk: Buffer, length: number = chunk.length): void {
    assert(this.#at === this.#length, "a chunk is drained before the next is pushed");
    this.#chunk = chunk;
    this.#length = length;
    this.#at = 0;
  }

  /**
   * The next reply, borrowed until the next call, or undefined when more bytes are needed.
   *
   * @throws ProtocolError CACHE_REPLY_INVALID; the connection's state is lost then
   */
  next(): MemcachedReply | undefined {
    if (this.#packet) return this.#fill();
    const left = this.#length - this.#at;
    if (left === 0) return undefined;
    const whole = left >= HEADER_BYTES ? HEADER_BYTES + this.#bodyBytes(this.#chunk, this.#at) : Infinity;
    if (left >= whole) {
      const start = this.#at;
      this.#at += whole;
      return this.#read(this.#chunk, start);
    }
    this.#packet = Buffer.allocUnsafe(whole === Infinity ? HEADER_BYTES : whole);
    this.#filled = 0;
    return this.#fill();
  }

  #fill(): MemcachedReply | undefined {
    for (;;) {
      const packet = this.#packet!;
      const copied = this.#chunk.copy(packet, this.#filled, this.#at, this.#length);
      this.#filled += copied;
      this.#at += copied;
      if (this.#filled < packet.length) return undefined;
      const whole = HEADER_BYTES + this.#bodyBytes(packet, 0);
      if (packet.length === whole) {
        this.#packet = undefined;
        return this.#read(packet, 0);
      }
      this.#packet = Buffer.allocUnsafe(whole);
      packet.copy(this.#packet);
    }
  }

  #bodyBytes(bytes: Buffer, start: number): number {
    if (bytes[start] !== RESPONSE_MAGIC) throw invalid(`magic 0x${bytes[start]!.toString(16)}`);
    const length = bytes.readUInt32BE(start + 8);
    if (length > this.#bodyBytesMax) throw invalid(`a packet of ${length} bytes, at most ${this.#bodyBytesMax} accepted`);
    return length;
  }

  #read(bytes: Buffer, start: number): MemcachedReply {
    const opcode = bytes[start + 1]!;
    const keyBytes = bytes.readUInt16BE(start + 2);
    const extrasBytes = bytes[start + 4]!;
    const status = bytes.readUInt16BE(start + 6);
    const end = start + HEADER_BYTES + bytes.readUInt32BE(start + 8);
    const keyStart = start + HEADER_BYTES + extrasBytes;
    const valueStart = keyStart + keyBytes;
    if (valueStart > end) throw invalid("a key longer than its packet");
    const reply = this.#reply;
    reply.clear();
    reply.kind = kindOf(opcode, status);
    reply.cas = bytes.readBigUInt64BE(start + 16);
    reply.flags = extrasBytes >= 4 ? bytes.readUInt32BE(start + HEADER_BYTES) : 0;
    reply.line = bytes;
    reply.keyStart = keyStart;
    reply.keyEnd = valueStart;
    reply.value = bytes;
    reply.valueStart = valueStart;
    reply.valueEnd = end;
    if (reply.kind === "NUMBER") {
      if (end - valueStart !== 8) throw invalid("a counter that is not 8 bytes");
      says(reply, Buffer.from(String(bytes.readBigUInt64BE(valueStart))));
    } else if (reply.kind === "STAT") {
      if (keyBytes === 0) reply.kind = "END";
      says(reply, Buffer.concat([bytes.subarray(keyStart, valueStart), Buffer.from(" "), bytes.subarray(valueStart, end)]));
    } else {
      reply.lineStart = valueStart;
      reply.lineEnd = end;
      reply.restStart = valueStart;
    }
    return reply;
  }
}

/** Gives the reply a line of its own, where the text protocol would have one. */
function says(reply: MemcachedReply, line: Buffer): void {
  reply.line = line;
  reply.lineStart = 0;
  reply.lineEnd = line.length;
  reply.restStart = 0;
  reply.keyStart = 0;
  reply.keyEnd = 0;
}

function kindOf(opcode: number, status: number): ReplyKind {
  if (status === STATUS.ok) return SUCCESSES[opcode] ?? "LINE";
  const refusal = REFUSALS[opcode]?.[status];
  if (refusal) return refusal;
  switch (status) {
    case STATUS.notFound:
      return "NOT_FOUND";
    case STATUS.unknownCommand:
      return "ERROR";
    case STATUS.tooLarge:
    case STATUS.outOfMemory:
      return "SERVER_ERROR";
    default:
      return "CLIENT_ERROR";
  }
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("CACHE_REPLY_INVALID", `Cannot read reply: ${what}`);
}
