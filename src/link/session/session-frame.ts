/**
 * ○ Frames of session mode (docs/link-protocol.md): type u8, length of the body u24, body; numbers in network order. Bytes in,
 * frames out; frames in, bytes out. A body is a view of what was pushed, so that a message is not copied.
 * Refuses every body longer than its type may have before a byte of it is kept.
 */
import { ByteQueue } from "../../core/byte-queue.ts";
import { EMPTY } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { CONTROL_BYTES_MAX } from "../limits.ts";

export const FRAME = {
  CHALLENGE: 0x01,
  HELLO: 0x02,
  WELCOME: 0x03,
  REFUSE: 0x04,
  MESSAGE: 0x10,
  ACK: 0x11,
  GAP: 0x12,
  PING: 0x13,
  PONG: 0x14,
  BYE: 0x15,
  PART: 0x16,
  PROGRESS: 0x17,
  TOPIC: 0x18,
  NOTE: 0x19,
} as const;

/** A key of FRAME: the frame's name in the protocol. */
export type SessionFrameName = keyof typeof FRAME;

export const HEADER_BYTES = 4;

const NAMES = new Map<number, SessionFrameName>(Object.entries(FRAME).map(([name, type]) => [type, name as SessionFrameName]));

export interface SessionFrame {
  readonly name: SessionFrameName;
  readonly body: Uint8Array;
}

/**
 * Invariant: either `#rest` is empty and the next frame starts at `#at` of `#chunk`, or `#rest` holds the beginning of one frame
 * and `#chunk` is used up.
 */
export class SessionFrameDecoder {
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  #rest: ByteQueue | undefined;
  /** Longest MESSAGE or TOPIC that is taken. */
  messageBytesMax: number;

  constructor({ messageBytesMax }: { messageBytesMax: number }) {
    this.messageBytesMax = messageBytesMax;
  }

  /** Appends a chunk; the decoder keeps a view of it. Call `next` until it says undefined before pushing again. */
  push(chunk: Uint8Array): void {
    if (this.#rest) this.#rest.push(chunk);
    else {
      this.#chunk = chunk;
      this.#at = 0;
    }
  }

  /**
   * The next frame, or undefined while it has not arrived whole.
   *
   * @throws ProtocolError LINK_FRAME_UNKNOWN, LINK_FRAME_TOO_LARGE
   */
  next(): SessionFrame | undefined {
    if (this.#rest && !this.#continue(this.#rest)) return undefined;
    const chunk = this.#chunk;
    const at = this.#at;
    const there = chunk.length - at;
    if (there >= HEADER_BYTES) {
      const name = NAMES.get(chunk[at]!);
      const length = (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!;
      this.#check(name, { type: chunk[at]!, length });
      const end = at + HEADER_BYTES + length;
      if (end <= chunk.length) {
        this.#at = end;
        return { name: name!, body: chunk.subarray(at + HEADER_BYTES, end) };
      }
    }
    if (there > 0) {
      this.#rest = new ByteQueue();
      this.#rest.push(chunk.subarray(at));
    }
    this.#chunk = EMPTY;
    this.#at = 0;
    return undefined;
  }

  /** Bytes of a frame that has begun and not arrived whole. */
  get waitingBytes(): number {
    return this.#rest?.length ?? this.#chunk.length - this.#at;
  }

  /** When the frame begun in `rest` is whole, goes back to reading from one chunk. */
  #continue(rest: ByteQueue): boolean {
    if (rest.length < HEADER_BYTES) return false;
    const [type, high, middle, low] = rest.peek(HEADER_BYTES) as unknown as [number, number, number, number];
    const length = (high << 16) | (middle << 8) | low;
    this.#check(NAMES.get(type), { type, length });
    if (rest.length < HEADER_BYTES + length) return false;
    this.#chunk = rest.take(rest.length);
    this.#at = 0;
    this.#rest = undefined;
    return true;
  }

  #check(name: SessionFrameName | undefined, { type, length }: { type: number; length: number }): void {
    if (name === undefined) {
      throw new ProtocolError(
        "LINK_FRAME_UNKNOWN",
        `Cannot read a frame: 0x${type.toString(16)} is not a frame type of the link protocol`,
      );
    }
    const max = name === "MESSAGE" || name === "TOPIC" ? this.messageBytesMax : CONTROL_BYTES_MAX;
    if (length > max) {
      throw new ProtocolError("LINK_FRAME_TOO_LARGE", `Cannot read ${name}: ${length} bytes, at most ${max} allowed`);
    }
  }
}

/** Writes a header in place. */
export function putHeader(bytes: Uint8Array, at: number, { type, length }: { type: number; length: number }): void {
  bytes[at] = type;
  bytes[at + 1] = length >>> 16;
  bytes[at + 2] = (length >>> 8) & 255;
  bytes[at + 3] = length & 255;
}

/** A whole frame in bytes of its own. */
export function encodeFrame(name: SessionFrameName, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  putHeader(bytes, 0, { type: FRAME[name], length: body.length });
  bytes.set(body, HEADER_BYTES);
  return bytes;
}
