/**
 * ○ Frames: octets received → frames. ZMTP 2.0 to 3.1 share one header (flags, length of 1 or 8 octets), 1.0 has its own
 * (length of 1 or 1+8 octets that counts the flags octet behind it). Chunks may be borrowed, since all connections read into one
 * buffer: a large body is copied out of it, at the first small one all that is left of the chunk is, and bodies are views of that
 * copy. So a small body that somebody keeps for long keeps up to 64 KiB alive with it. (Smaller slabs were tried: at 100 octets a
 * body, 8 KiB took 100 ns a frame, 16 KiB 85, a whole read 58.) A frame that does not lie in one chunk is gathered into memory that
 * grows with what arrives, never with what a header claims.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../core/buffers.ts";
import { ProtocolError } from "../core/errors.ts";
import { BODY_RESERVED_BYTES_MAX } from "./limits.ts";

export const MORE = 1;
export const LONG = 2;
export const COMMAND = 4;
/** Bits 3 to 7 must be zero (RFC 37, "flags"). */
const RESERVED = 0xf8;
const HEADER_BYTES_MAX = 10;
const SHORT_BYTES_MAX = 255;

/** 4 KiB: a longer body in a borrowed chunk gets memory of its own. */
const SHARED_BYTES_MAX = 4 * 1024;

export class ZmtpFrameDecoder {
  /** Flags of the frame that `next` returned last. */
  flags = 0;
  readonly #oldFraming: boolean;
  /** The limit on one frame's body; the caller lowers and raises it (handshake, message under way). */
  bodyBytesMax: number;
  #chunk: Buffer = EMPTY_BUFFER;
  #at = 0;
  /** Of the last read: octets that views of other bodies keep alive in vain, since they were copied, or nobody keeps them. */
  wastedBytes = 0;
  /** Whether somebody else will write to the chunk. */
  #borrowed = false;
  #waiting: Buffer[] = [];
  readonly #header = Buffer.alloc(HEADER_BYTES_MAX);
  /** Not 0 from a frame's first octet seen apart from the rest until its body is whole. */
  #headerLength = 0;
  #body: Buffer | undefined;
  #bodyLength = 0;
  #bodyFilled = 0;

  constructor({ oldFraming = false, bodyBytesMax }: { oldFraming?: boolean; bodyBytesMax: number }) {
    this.#oldFraming = oldFraming;
    this.bodyBytesMax = bodyBytesMax;
  }

  /**
   * Remembers a chunk, parses nothing. One that is not borrowed belongs to the decoder, and bodies are views of it; a borrowed one
   * is good until `retain`.
   */
  push(chunk: Uint8Array, borrowed = false): void {
    if (chunk.length === 0) return;
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#at === this.#chunk.length && this.#waiting.length === 0) this.#setChunk(buffer, borrowed);
    else this.#waiting.push(borrowed ? copyOf(buffer, 0, buffer.length) : buffer);
  }

  /** Copies what is left of a borrowed chunk, whose owner may write to it afterwards, or of one that is mostly read. */
  retain(): void {
    const { length } = this.#chunk;
    if (!this.#borrowed && this.#at < length / 2) return;
    this.#setChunk(this.#at === length ? EMPTY_BUFFER : copyOf(this.#chunk, this.#at, length), false);
  }

  /** The connection is over: a body that is not whole is freed at once. */
  end(): void {
    if (this.#body !== undefined) free(this.#body);
    this.#body = undefined;
    this.#waiting = [];
    this.#setChunk(EMPTY_BUFFER, false);
  }

  /** Octets that arrived and belong to no frame returned yet. */
  get pendingBytes(): number {
    let bytes = this.#headerLength + this.#bodyFilled + this.#chunk.length - this.#at;
    for (const chunk of this.#waiting) bytes += chunk.length;
    return bytes;
  }

  /** Memory that they take, with what was read of their chunk; room made for a body takes none before the body comes. */
  get heldBytes(): number {
    return this.pendingBytes + (this.#at < this.#chunk.length ? this.#at : 0);
  }

  /**
   * The next frame's body, its flags in `flags`; undefined when no whole frame has arrived.
   *
   * @throws ProtocolError on a reserved flag or a body longer than `bodyBytesMax`
   */
  next(): Buffer | undefined {
    const chunk = this.#chunk;
    const at = this.#at;
    // The usual case, written out: a short header and its body lie in the chunk
    if (this.#headerLength === 0 && !this.#oldFraming && !this.#borrowed && chunk.length - at >= 2) {
      const flags = chunk[at]!;
      if ((flags & (LONG | RESERVED)) === 0) {
        const end = at + 2 + chunk[at + 1]!;
        if (end <= chunk.length && end - at - 2 <= this.bodyBytesMax) {
          this.flags = flags;
          this.#at = end;
          return chunk.subarray(at + 2, end);
        }
      }
    }
    return this.#nextSlowly();
  }

  #nextSlowly(): Buffer | undefined {
    for (;;) {
      if (this.#at === this.#chunk.length && !this.#nextChunk()) return undefined;
      if (this.#body !== undefined) {
        const body = this.#fillBody();
        if (body) return body;
      } else if (this.#fillHeader()) {
        const chunk = this.#chunk;
        const end = this.#at + this.#bodyLength;
        if (end <= chunk.length) {
          this.#headerLength = 0;
          return this.#takeBody(end);
        }
        this.wastedBytes += chunk.length - this.#at;
        this.#body = Buffer.allocUnsafeSlow(Math.min(this.#bodyLength, BODY_RESERVED_BYTES_MAX));
        this.#bodyFilled = 0;
      }
    }
  }

  /** The body that lies in the chunk up to `end`. */
  #takeBody(end: number): Buffer {
    const start = this.#at;
    this.#at = end;
    if (!this.#borrowed) return this.#chunk.subarray(start, end);
    const bytes = end - start;
    if (bytes > SHARED_BYTES_MAX) return copyOf(this.#chunk, start, end);
    this.#setChunk(copyOf(this.#chunk, start, this.#chunk.length), false);
    this.#at = bytes;
    return this.#chunk.subarray(0, bytes);
  }

  #nextChunk(): boolean {
    const next = this.#waiting.shift();
    this.#setChunk(next ?? EMPTY_BUFFER, false);
    return next !== undefined;
  }

  #setChunk(chunk: Buffer, borrowed: boolean): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#borrowed = borrowed;
  }

  /** Takes header octets one by one; true when the header is whole and read. */
  #fillHeader(): boolean {
    const header = this.#header;
    while (this.#at < this.#chunk.length) {
      header[this.#headerLength] = this.#chunk[this.#at]!;
      this.#headerLength += 1;
      this.#at += 1;
      if (this.#headerLength === this.#headerBytes()) {
        this.#readHeader();
        return true;
      }
    }
    return false;
  }

  /** How long the header is, as far as its first octet tells. */
  #headerBytes(): number {
    if (this.#oldFraming) return this.#header[0] === 0xff ? 10 : 2;
    const flags = this.#header[0]!;
    if (flags & RESERVED) throw malformed(`reserved flag bits are set: 0x${flags.toString(16)}`);
    return flags & LONG ? 9 : 2;
  }

  #readHeader(): void {
    const header = this.#header;
    if (this.#oldFraming) {
      const length = header[0] === 0xff ? readLength(header, 1) : header[0]!;
      if (length === 0) throw malformed("a 1.0 frame of length 0 has no room for its flags");
      this.flags = header[header[0] === 0xff ? 9 : 1]! & MORE;
      this.#bodyLength = length - 1;
    } else {
      this.flags = header[0]! & ~LONG;
      this.#bodyLength = header[0]! & LONG ? readLength(header, 1) : header[1]!;
    }
    if (this.#bodyLength > this.bodyBytesMax) {
      throw new ProtocolError(
        "ERR_ZMTP_MESSAGE_TOO_LONG",
        `Frame too long: ${this.#bodyLength} octets, at most ${this.bodyBytesMax} allowed here`,
      );
    }
  }

  #fillBody(): Buffer | undefined {
    let body = this.#body!;
    const wanted = Math.min(this.#bodyLength - this.#bodyFilled, this.#chunk.length - this.#at);
    if (this.#bodyFilled + wanted > body.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#bodyLength, Math.max(body.length * 4, this.#bodyFilled + wanted)));
      grown.set(body.subarray(0, this.#bodyFilled));
      free(body);
      this.#body = grown;
      body = grown;
    }
    body.set(this.#chunk.subarray(this.#at, this.#at + wanted), this.#bodyFilled);
    this.#bodyFilled += wanted;
    this.#at += wanted;
    if (this.#bodyFilled < this.#bodyLength) return undefined;
    this.#body = undefined;
    this.#bodyFilled = 0;
    this.#headerLength = 0;
    return body;
  }
}

/** Writes the header of ZMTP 2.0 and later. @returns where the body goes */
export function writeHeader(target: Buffer, at: number, flags: number, bodyBytes: number): number {
  if (bodyBytes <= SHORT_BYTES_MAX) {
    target[at] = flags;
    target[at + 1] = bodyBytes;
    return at + 2;
  }
  target[at] = flags | LONG;
  writeLength(target, at + 1, bodyBytes);
  return at + 9;
}

/** Writes the header of ZMTP 1.0, at most 10 octets. @returns where the body goes */
export function writeOldHeader(target: Buffer, at: number, flags: number, bodyBytes: number): number {
  if (bodyBytes + 1 < 0xff) {
    target[at] = bodyBytes + 1;
    target[at + 1] = flags;
    return at + 2;
  }
  target[at] = 0xff;
  writeLength(target, at + 1, bodyBytes + 1);
  target[at + 9] = flags;
  return at + 10;
}

/** A length of 2^53 or more comes out inexact but huge, so that every limit refuses it. */
function readLength(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

function writeLength(target: Buffer, at: number, length: number): void {
  target.writeUInt32BE(Math.floor(length / 2 ** 32), at);
  target.writeUInt32BE(length % 2 ** 32, at + 4);
}

function malformed(reason: string): ProtocolError {
  return new ProtocolError("ERR_ZMTP_UNSPECIFIED", `Cannot read frame: ${reason}`);
}

/** Gives the parts of a message that are views of more memory than theirs memory of their own. */
export function disjoin(message: Buffer[], from = 0): void {
  for (let index = from; index < message.length; index += 1) {
    const part = message[index]!;
    if (part.buffer.byteLength > part.length) message[index] = copyOf(part, 0, part.length);
  }
}

/** Gives memory back that nobody else has: the collector may take its time, and does not see how much a large body is. */
function free(body: Buffer): void {
  (body.buffer as ArrayBuffer).transfer(0);
}

/** Memory of its own, of the exact size. */
function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  copy.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  return copy;
}
