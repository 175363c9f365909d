/**
 * ○ The messages between a follower and the leader's broker core, over NATS subjects that may lose but do not reorder. Two streams of
 * items, one each way, cut into numbered chunks; a chunk that is missing ends the session. Integers big-endian.
 *
 * ```
 * chunk: version u8 = 1 | kind u8 | 0 u16 | session u32 | number u32 | taken f64 | sender 16 hex digits | bytes of the stream
 * item:  bytes that follow u32 | kind u8 | key u8 length + bytes | idempotency key u8 length + bytes | frames: u32 length + bytes each
 * ```
 */
import { Buffer } from "node:buffer";
import { ByteReader } from "../../../core/byte-reader.ts";
import { ProtocolError } from "../../../core/errors.ts";
import { MESSAGE_BYTES_MAX } from "../../limits.ts";
import type { Frames } from "../../protocols/messages.ts";

export const OPEN = 1;
export const DATA = 2;
/** Acknowledges: no bytes, but what was taken and which number comes next, so that a lost last chunk is noticed. */
export const ACK = 3;
/** The session is not known here, or a chunk is missing. */
export const RESET = 4;

export interface Chunk {
  readonly kind: number;
  readonly session: number;
  readonly number: number;
  /** Bytes of the other direction's stream that were taken. */
  readonly taken: number;
  readonly sender: string;
  readonly bytes: Buffer;
}

/** A peer's message, or one to a peer. */
export const MESSAGE = 1;
/** The peer is gone; to a follower: close the peer, the frame says why. */
export const GONE = 2;
/** Who the peer is: the frame is the name that it has proved. Of a peer without one nothing is said. */
export const USER = 3;

export interface Item {
  readonly kind: typeof MESSAGE | typeof GONE | typeof USER;
  readonly key: string;
  /** See `PeerConnection.idempotencyKey`. */
  readonly idempotencyKey: string;
  readonly frames: Frames;
}

const VERSION = 1;
export const CHUNK_HEAD_BYTES = 36;
const NAME_BYTES_MAX = 255;
/** 256 MiB: a message is at most half of that, and has a length before each of its frames. */
const ITEM_BYTES_MAX = 2 * MESSAGE_BYTES_MAX;

export function encodeChunk({ kind, session, number, taken, sender }: Omit<Chunk, "bytes">, pieces: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(CHUNK_HEAD_BYTES);
  head[0] = VERSION;
  head[1] = kind;
  head.writeUInt32BE(session, 4);
  head.writeUInt32BE(number, 8);
  head.writeDoubleBE(taken, 12);
  head.write(sender, 20, "latin1");
  return pieces.length === 0 ? head : Buffer.concat([head, ...pieces]);
}

/** @throws ProtocolError QUEUE_PROTOCOL */
export function decodeChunk(data: Uint8Array): Chunk {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < CHUNK_HEAD_BYTES || bytes[0] !== VERSION) throw unreadable("a chunk");
  const kind = bytes[1]!;
  const taken = bytes.readDoubleBE(12);
  if (kind < OPEN || kind > RESET || !Number.isSafeInteger(taken) || taken < 0) throw unreadable("a chunk");
  return {
    kind,
    session: bytes.readUInt32BE(4),
    number: bytes.readUInt32BE(8),
    taken,
    sender: bytes.toString("latin1", 20, 36),
    bytes: bytes.subarray(CHUNK_HEAD_BYTES),
  };
}

/** The item as pieces; bodies are not copied. */
export function encodeItem({ kind, key, idempotencyKey, frames }: Item): Buffer[] {
  const nameBytes = 7 + key.length + idempotencyKey.length;
  const head = Buffer.allocUnsafe(nameBytes);
  let bytes = nameBytes - 4;
  for (const frame of frames) bytes += 4 + frame.length;
  head.writeUInt32BE(bytes, 0);
  head[4] = kind;
  head[5] = Math.min(key.length, NAME_BYTES_MAX);
  head.write(key, 6, "latin1");
  head[6 + key.length] = Math.min(idempotencyKey.length, NAME_BYTES_MAX);
  head.write(idempotencyKey, 7 + key.length, "latin1");
  const pieces: Buffer[] = [head];
  for (const frame of frames) {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(frame.length, 0);
    pieces.push(length, frame);
  }
  return pieces;
}

class ItemFields extends ByteReader<Buffer> {
  text(): string {
    return this.view(this.u8()).toString("latin1");
  }

  protected override invalid(): ProtocolError {
    return unreadable("an item");
  }
}

function decodeItem(bytes: Buffer): Item {
  const fields = new ItemFields(bytes);
  const kind = fields.u8();
  if (kind !== MESSAGE && kind !== GONE && kind !== USER) throw unreadable("an item");
  const key = fields.text();
  const idempotencyKey = fields.text();
  const frames: Buffer[] = [];
  while (fields.left > 0) frames.push(fields.view(fields.u32()));
  return { kind, key, idempotencyKey, frames };
}

/** Items out of a stream's bytes. Never copies when a whole item lies in one chunk. */
export class ItemReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #needed = 4;

  push(bytes: Buffer): void {
    if (bytes.length > 0) this.#chunks.push(bytes);
    this.#bytes += bytes.length;
  }

  /** @returns undefined when the next item has not come whole. @throws ProtocolError QUEUE_PROTOCOL */
  next(): Item | undefined {
    if (this.#bytes < this.#needed) return undefined;
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    const chunk = this.#chunks[0]!;
    this.#needed = 4 + chunk.readUInt32BE(0);
    if (this.#needed > ITEM_BYTES_MAX) throw unreadable("an item");
    if (this.#bytes < this.#needed) return undefined;
    const item = decodeItem(chunk.subarray(4, this.#needed));
    this.#chunks = chunk.length > this.#needed ? [chunk.subarray(this.#needed)] : [];
    this.#bytes -= this.#needed;
    this.#needed = 4;
    return item;
  }
}

/** What another broker of the group said and no broker says. */
export function unreadable(what: string): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", `Cannot read ${what} from another broker of the group; check its version`);
}
