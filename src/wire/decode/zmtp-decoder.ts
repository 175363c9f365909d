/**
 * ○ Decodes captured ZMTP 1.0 to 3.1 (RFC 13, 15, 23, 37): greetings, commands, and messages, which the queue's protocols describe.
 * Unlike src/zmtp, which is one end of a connection and may refuse, it follows both directions, starts anywhere, and continues after
 * bytes that it cannot decode.
 */
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { DecoderBuffer } from "./decoder-buffer.ts";
import { DECODED_BYTES_MAX } from "../limits.ts";
import { missing, unreadable, type ProtocolDecoder, type DecodedMessage, type Side } from "./decoded-message.ts";
import { nameMessage, type MessageFrame } from "./queue-protocols.ts";
import { showBytes } from "./show.ts";
import { nameCommand, socketTypeOf } from "./zmtp-command.ts";

const GREETING_BYTES = 64;
const SIGNATURE_BYTES = 10;
const ZMTP_FLAG = { more: 1, long: 2, command: 4, reserved: 0xf8 } as const;
/** Frames kept of one message; further ones are only counted. */
const FRAMES_MAX = 32;
/** Socket types by their number in ZMTP 2.0 (RFC 15). */
const SOCKET_TYPES = ["PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH"];

type Framing = "greeting" | "new" | "old" | "lost";

class Direction {
  readonly buffer = new DecoderBuffer();
  framing: Framing = "greeting";
  /** Octet 10 of the greeting, once it has arrived. */
  major: number | undefined;
  socketType = "";
  frames: MessageFrame[] = [];
  frameCount = 0;
}

export class ZmtpDecoder implements ProtocolDecoder {
  readonly #directions: Record<Side, Direction> = { client: new Direction(), server: new Direction() };

  feed(side: Side, piece: Piece): DecodedMessage[] {
    const direction = this.#directions[side];
    if (!(piece instanceof Uint8Array)) return this.#missing(direction, piece.missing);
    if (direction.framing === "lost") return [];
    direction.buffer.push(piece);
    const messages: DecodedMessage[] = [];
    for (;;) {
      const { length } = direction.buffer;
      const framing: Framing = direction.framing;
      if (length === 0) break;
      const message = this.#next(side, direction);
      if (message) messages.push(message);
      if (direction.buffer.length === length && direction.framing === framing) break;
    }
    return messages;
  }

  /** Bytes may be missing inside a long body; anywhere else the frame boundaries are lost. */
  #missing(direction: Direction, count: number): DecodedMessage[] {
    if (direction.framing === "lost" || direction.buffer.missing(count)) return [];
    direction.framing = "lost";
    return [missing("zmtp", count)];
  }

  #next(side: Side, direction: Direction): DecodedMessage | undefined {
    if (direction.framing === "greeting") return this.#greeting(direction, this.#directions[other(side)]);
    return this.#frame(side, direction);
  }

  #greeting(direction: Direction, peer: Direction): DecodedMessage | undefined {
    const { buffer } = direction;
    if (buffer.at(0) !== 0xff)
      return buffer.at(0) <= ZMTP_FLAG.command + ZMTP_FLAG.long ? this.#midway(direction) : lose(direction);
    if (peer.framing === "old") return old(direction);
    if (buffer.length < SIGNATURE_BYTES) return undefined;
    if ((buffer.at(9) & 1) === 0) return old(direction);
    if (buffer.length <= SIGNATURE_BYTES) return undefined;
    direction.major ??= buffer.at(SIGNATURE_BYTES);
    const version = Math.min(direction.major, peer.major ?? direction.major);
    if (version === 0) return old(direction);
    return version < 3 ? greeting2(direction) : greeting3(direction);
  }

  /** No greeting: the octets look like a frame header, so the capture started later. ZMTP 1.0 looks the same. */
  #midway(direction: Direction): DecodedMessage | undefined {
    const { buffer } = direction;
    if (buffer.at(0) === 1 && buffer.length < 2) return undefined;
    const oldFraming = buffer.at(0) === 1 && buffer.at(1) === 0;
    direction.framing = oldFraming ? "old" : "new";
    return oldFraming ? { protocol: "zmtp", text: "ZMTP 1.0 (anonymous)" } : undefined;
  }

  #frame(side: Side, direction: Direction): DecodedMessage | undefined {
    const header = direction.framing === "old" ? oldHeader(direction.buffer) : newHeader(direction.buffer);
    if (header === undefined) return undefined;
    if (header === "broken") return lose(direction);
    const decoded = Math.min(header.length, DECODED_BYTES_MAX);
    if (direction.buffer.length < header.bytes + decoded) return undefined;
    direction.buffer.skip(header.bytes);
    const body = direction.buffer.take(decoded)!;
    direction.buffer.skip(header.length - decoded);
    if ((header.flags & ZMTP_FLAG.command) !== 0 && direction.framing === "new") {
      direction.socketType = socketTypeOf(body) ?? direction.socketType;
      return nameCommand(body, header.length);
    }
    return this.#messageFrame(side, direction, { body, length: header.length }, (header.flags & ZMTP_FLAG.more) !== 0);
  }

  #messageFrame(side: Side, direction: Direction, frame: MessageFrame, more: boolean): DecodedMessage | undefined {
    direction.frameCount += 1;
    if (direction.frames.length < FRAMES_MAX) direction.frames.push(frame);
    if (more) return undefined;
    const { frames, frameCount } = direction;
    direction.frames = [];
    direction.frameCount = 0;
    if (frameCount === 1 && /^X?SUB$/.test(direction.socketType)) {
      const subscription = nameSubscription(frames[0]!);
      if (subscription) return subscription;
    }
    return nameMessage(side, frames, frameCount);
  }
}

function greeting2(direction: Direction): DecodedMessage | undefined {
  const { buffer } = direction;
  if (buffer.length < SIGNATURE_BYTES + 2) return undefined;
  const type = SOCKET_TYPES[buffer.at(SIGNATURE_BYTES + 1)];
  buffer.skip(SIGNATURE_BYTES + 2);
  direction.framing = "new";
  direction.socketType = type ?? "";
  return type
    ? { protocol: "zmtp", text: `greeting ZMTP 2.0, ${type}` }
    : unreadable("zmtp", "a greeting with no known socket type");
}

function greeting3(direction: Direction): DecodedMessage | undefined {
  const octets = direction.buffer.take(GREETING_BYTES);
  if (!octets) return undefined;
  direction.framing = "new";
  const end = octets.indexOf(0, 12);
  const mechanism = showBytes(octets.subarray(12, end < 0 || end > 32 ? 32 : end));
  const asServer = octets[32] === 1 ? ", as server" : "";
  return { protocol: "zmtp", text: `greeting ZMTP ${octets[10]}.${octets[11]}, ${mechanism}${asServer}` };
}

function old(direction: Direction): DecodedMessage {
  direction.framing = "old";
  return { protocol: "zmtp", text: "ZMTP 1.0" };
}

function lose(direction: Direction): DecodedMessage {
  const first = direction.buffer.at(0).toString(16).padStart(2, "0");
  direction.buffer.clear();
  direction.framing = "lost";
  return unreadable("zmtp", `frame expected, first octet 0x${first}`);
}

interface Header {
  readonly bytes: number;
  readonly flags: number;
  readonly length: number;
}

function newHeader(buffer: DecoderBuffer): Header | "broken" | undefined {
  const flags = buffer.at(0);
  if (
    (flags & ZMTP_FLAG.reserved) !== 0 ||
    (flags & (ZMTP_FLAG.command | ZMTP_FLAG.more)) === (ZMTP_FLAG.command | ZMTP_FLAG.more)
  )
    return "broken";
  if ((flags & ZMTP_FLAG.long) === 0) {
    return buffer.length < 2 ? undefined : { bytes: 2, flags, length: buffer.at(1) };
  }
  const length = length8(buffer, 1);
  return typeof length === "number" ? { bytes: 9, flags, length } : length;
}

/** ZMTP 1.0: one octet of length, or 0xFF and eight; the length includes the flags octet after it. */
function oldHeader(buffer: DecoderBuffer): Header | "broken" | undefined {
  const long = buffer.at(0) === 0xff;
  const counted = long ? length8(buffer, 1) : buffer.at(0);
  if (typeof counted !== "number") return counted;
  const bytes = long ? 10 : 2;
  if (counted === 0) return "broken";
  return buffer.length < bytes ? undefined : { bytes, flags: buffer.at(bytes - 1) & ZMTP_FLAG.more, length: counted - 1 };
}

function length8(buffer: DecoderBuffer, at: number): number | "broken" | undefined {
  const octets = buffer.peek(at + 8);
  if (!octets) return undefined;
  const length = new DataView(octets.buffer, octets.byteOffset + at, 8).getBigUint64(0);
  return length > BigInt(Number.MAX_SAFE_INTEGER) ? "broken" : Number(length);
}

/** Up to ZMTP 3.0 subscriptions are messages: 1 or 0, then the topic. */
function nameSubscription({ body }: MessageFrame): DecodedMessage | undefined {
  if (body[0] !== 0 && body[0] !== 1) return undefined;
  return { protocol: "zmtp", text: `${body[0] === 1 ? "subscribe" : "cancel"} '${showBytes(body.subarray(1))}'` };
}

function other(side: Side): Side {
  return side === "client" ? "server" : "client";
}
