/**
 * ○ WebSocket's frames (RFC 6455, section 5), as far as a stream of bytes needs them: binary data, Ping, Pong, Close; no text, no
 * extensions. Bytes in, events out; bytes in, frames out. Where one message ends and the next begins means nothing (as in MQTT 5,
 * section 6), so the payload is handed on as it comes: the decoder never holds more than a header or a control frame, and a long message on
 * a thin line is seen to move.
 */
import { EMPTY } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { WEB_SOCKET_MESSAGE_BYTES } from "../limits.ts";

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const KEY_BYTES = 4;
/** Two octets, eight of length, four of masking key. */
const HEADER_BYTES_MAX = 14;
/** A control frame's payload (section 5.5). */
const CONTROL_BYTES_MAX = 125;

/** Status codes of a Close frame (section 7.4.1). */
export const CLOSE = { normal: 1000, protocolError: 1002 } as const;

/** What frames mean. `bytes` of data and Ping are views of what was pushed, unmasked in place. */
export type WebSocketEvent =
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "ping"; readonly bytes: Uint8Array }
  | { readonly kind: "close" };

/**
 * Invariant: between two calls of `next` either a header is being read (`#headerBytes` of it are here), or `#left` bytes of a payload are
 * still to come.
 */
export class WebSocketDecoder {
  readonly #masked: boolean;
  readonly #header = new Uint8Array(HEADER_BYTES_MAX);
  #headerBytes = 0;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  #opcode: number = OPCODE.binary;
  #left = 0;
  /** Bytes of the payload so far: the masking key goes round. */
  #payloadBytes = 0;
  #inPayload = false;
  /** A message has begun whose last frame has not come. */
  #isContinued = false;
  #control: Uint8Array[] = [];

  /** @param masked the peer is a client, which masks every frame; a server masks none (section 5.1) */
  constructor({ masked }: { masked: boolean }) {
    this.#masked = masked;
  }

  /** Takes a chunk, which it may write to. Call `next` until it says undefined before pushing again. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * What comes next, or undefined while it has not arrived.
   *
   * @throws ProtocolError LINK_WEB_SOCKET_INVALID
   */
  next(): WebSocketEvent | undefined {
    for (;;) {
      if (!this.#inPayload && !this.#readHeader()) return undefined;
      const bytes = this.#takePayload();
      const isControl = this.#opcode >= OPCODE.close;
      if (this.#left === 0) this.#inPayload = false;
      if (!isControl) {
        if (bytes.length > 0) return { kind: "data", bytes };
        if (this.#inPayload) return undefined;
        continue;
      }
      if (bytes.length > 0) this.#control.push(this.#inPayload ? bytes.slice() : bytes);
      if (this.#inPayload) return undefined;
      const event = this.#endControl();
      if (event) return event;
    }
  }

  #readHeader(): boolean {
    while (this.#at < this.#chunk.length) {
      this.#header[this.#headerBytes] = this.#chunk[this.#at]!;
      this.#headerBytes += 1;
      this.#at += 1;
      if (this.#headerBytes === 2) this.#checkStart();
      if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerLength) {
        this.#begin();
        return true;
      }
    }
    return false;
  }

  get #headerLength(): number {
    const length = this.#header[1]! & 0x7f;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (this.#masked ? KEY_BYTES : 0);
  }

  /** The first two octets say whether the frame may come at all. */
  #checkStart(): void {
    const [first, second] = this.#header as unknown as [number, number];
    const opcode = first & 0x0f;
    const isControl = opcode >= OPCODE.close;
    if ((first & RESERVED) !== 0) throw invalid("an extension is used that was not agreed on");
    if (((second & MASKED) !== 0) !== this.#masked) throw invalid(this.#masked ? "it is not masked" : "it is masked");
    if (isControl) {
      if (opcode > OPCODE.pong) throw invalid(`opcode ${opcode} is not known`);
      if ((first & FIN) === 0 || (second & 0x7f) > CONTROL_BYTES_MAX) throw invalid("a control frame is short and whole");
      return;
    }
    if (opcode === OPCODE.text) throw invalid("text is not taken, only binary data");
    if (opcode > OPCODE.binary) throw invalid(`opcode ${opcode} is not known`);
    if ((opcode === OPCODE.continuation) !== this.#isContinued)
      throw invalid(this.#isContinued ? "the message before has not ended" : "no message is to be continued");
    this.#isContinued = (first & FIN) === 0;
  }

  #begin(): void {
    const view = new DataView(this.#header.buffer);
    const length = this.#header[1]! & 0x7f;
    if (length === 127 && view.getUint32(2) >= 0x20_0000) throw invalid("its length is beyond what a number can say");
    this.#left = length === 126 ? view.getUint16(2) : length === 127 ? Number(view.getBigUint64(2)) : length;
    this.#opcode = this.#header[0]! & 0x0f;
    if (this.#masked) this.#header.copyWithin(0, this.#headerBytes - KEY_BYTES, this.#headerBytes); // the key lies in front
    this.#headerBytes = 0;
    this.#payloadBytes = 0;
    this.#inPayload = true;
  }

  #takePayload(): Uint8Array {
    const end = Math.min(this.#chunk.length, this.#at + this.#left);
    const bytes = this.#chunk.subarray(this.#at, end);
    if (this.#masked) mask(bytes, this.#header, this.#payloadBytes);
    this.#at = end;
    this.#left -= bytes.length;
    this.#payloadBytes += bytes.length;
    return bytes;
  }

  #endControl(): WebSocketEvent | undefined {
    const [first = EMPTY, ...more] = this.#control;
    this.#control = [];
    if (this.#opcode === OPCODE.pong) return undefined;
    const bytes = more.length === 0 ? first : Uint8Array.from([first, ...more].flatMap((part) => [...part]));
    return this.#opcode === OPCODE.ping ? { kind: "ping", bytes } : { kind: "close" };
  }
}

/**
 * Frames around bytes that are written as one. They are cut into messages of at most WEB_SOCKET_MESSAGE_BYTES: a browser hands a message on
 * when it is whole, and must see a slow line move before that.
 *
 * @param key draws a masking key, where this side is the client; what is masked is a copy
 */
export function dataFrames(parts: readonly Uint8Array[], key?: () => Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let message: Uint8Array[] = [];
  let length = 0;
  const end = (): void => {
    if (length > 0) frames.push(...frame(OPCODE.binary, message, { length, key: key?.() }));
    message = [];
    length = 0;
  };
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const piece = part.subarray(at, at + WEB_SOCKET_MESSAGE_BYTES - length);
      message.push(piece);
      length += piece.length;
      at += piece.length;
      if (length === WEB_SOCKET_MESSAGE_BYTES) end();
    }
  }
  end();
  return frames;
}

/** The answer to a Ping: what it said. */
export function pongFrame(bytes: Uint8Array, key?: Uint8Array): Uint8Array[] {
  return frame(OPCODE.pong, [bytes], { length: bytes.length, key });
}

export function closeFrame(code: number, key?: Uint8Array): Uint8Array[] {
  return frame(OPCODE.close, [Uint8Array.of(code >>> 8, code & 0xff)], { length: 2, key });
}

function frame(
  opcode: number,
  payload: readonly Uint8Array[],
  { length, key }: { length: number; key?: Uint8Array | undefined },
): Uint8Array[] {
  const long = length > CONTROL_BYTES_MAX;
  const headerBytes = 2 + (long ? 2 : 0) + (key ? KEY_BYTES : 0);
  const bytes = new Uint8Array(headerBytes + (key ? length : 0));
  bytes[0] = FIN | opcode;
  bytes[1] = (key ? MASKED : 0) | (long ? 126 : length);
  if (long) {
    bytes[2] = length >>> 8;
    bytes[3] = length & 0xff;
  }
  if (!key) return [bytes, ...payload];
  bytes.set(key, headerBytes - KEY_BYTES);
  let at = headerBytes;
  for (const part of payload) {
    bytes.set(part, at);
    at += part.length;
  }
  mask(bytes.subarray(headerBytes), key, 0);
  return [bytes];
}

/** XORs in place with the four bytes of the key, four at a time where they lie so; the key goes round from `from` on (section 5.3). */
function mask(bytes: Uint8Array, key: Uint8Array, from: number): void {
  let at = 0;
  for (; at < bytes.length && (bytes.byteOffset + at) % 4 !== 0; at += 1) bytes[at]! ^= key[(from + at) & 3]!;
  const words = (bytes.length - at) >>> 2;
  if (words > 0) {
    const turned = Uint8Array.from([0, 1, 2, 3], (index) => key[(from + at + index) & 3]!);
    const [word] = new Uint32Array(turned.buffer) as unknown as [number];
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset + at, words);
    for (let index = 0; index < words; index += 1) view[index]! ^= word;
    at += words * 4;
  }
  for (; at < bytes.length; at += 1) bytes[at]! ^= key[(from + at) & 3]!;
}

function invalid(why: string): ProtocolError {
  return new ProtocolError("LINK_WEB_SOCKET_INVALID", `Cannot read a WebSocket frame: ${why}`);
}
