/**
 * ○ A link connection: frames of session mode (docs/link-protocol.md) if it starts with one, else plain bytes. In session mode the
 * server sends first, CHALLENGE with the magic HOLDFAST.
 */
import {
  byeBody,
  gapBody,
  helloBody,
  partBody,
  progressBody,
  receiptBody,
  refuseBody,
  topicBody,
  welcomeBody,
} from "../../link/session/body.ts";
import type { Receipt } from "../../link/session/body.ts";
import { FRAME, HEADER_BYTES, type SessionFrameName } from "../../link/session/session-frame.ts";
import { showDuration } from "../../core/units.ts";
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { BytesDecoder } from "./bytes-decoder.ts";
import { DecoderBuffer } from "./decoder-buffer.ts";
import { DECODED_BYTES_MAX } from "../limits.ts";
import { missing, unreadable, type ProtocolDecoder, type DecodedMessage, type Side } from "./decoded-message.ts";
import { showText } from "./show.ts";

const NAMES = new Map<number, SessionFrameName>(Object.entries(FRAME).map(([name, type]) => [type, name as SessionFrameName]));
const MAGIC = "HOLDFAST";

export class LinkDecoder implements ProtocolDecoder {
  readonly #buffers: Record<Side, DecoderBuffer> = { client: new DecoderBuffer(), server: new DecoderBuffer() };
  readonly #lost: Record<Side, boolean> = { client: false, server: false };
  readonly #plain: BytesDecoder;
  #mode: "unknown" | "session" | "bytes" = "unknown";

  constructor(options: { bodies: boolean }) {
    this.#plain = new BytesDecoder(options);
  }

  feed(side: Side, piece: Piece): DecodedMessage[] {
    if (this.#mode === "bytes") return this.#plain.feed(side, piece);
    const buffer = this.#buffers[side];
    if (!(piece instanceof Uint8Array)) {
      if (this.#lost[side] || buffer.missing(piece.missing)) return [];
      this.#lost[side] = true;
      return [missing("link", piece.missing)];
    }
    if (this.#lost[side]) return [];
    buffer.push(piece);
    if (this.#mode === "unknown") {
      const session = beginsSession(buffer);
      if (session === undefined) return [];
      this.#mode = session ? "session" : "bytes";
      if (!session) return this.#plain.feed(side, buffer.take(buffer.length)!);
    }
    return this.#frames(side, buffer);
  }

  #frames(side: Side, buffer: DecoderBuffer): DecodedMessage[] {
    const messages: DecodedMessage[] = [];
    for (;;) {
      const header = buffer.peek(HEADER_BYTES);
      if (!header) return messages;
      const name = NAMES.get(header[0]!);
      if (name === undefined) {
        buffer.clear();
        this.#lost[side] = true;
        return [...messages, unreadable("link", `unknown frame type 0x${header[0]!.toString(16)}`)];
      }
      const length = (header[1]! << 16) | (header[2]! << 8) | header[3]!;
      const decoded = Math.min(length, DECODED_BYTES_MAX);
      const frame = buffer.take(HEADER_BYTES + decoded);
      if (!frame) return messages;
      buffer.skip(length - decoded);
      messages.push({ protocol: "link", text: nameFrame(name, frame.subarray(HEADER_BYTES), length) });
    }
  }
}

/** Undefined until enough bytes have arrived. */
function beginsSession(buffer: DecoderBuffer): boolean | undefined {
  const first = buffer.at(0);
  if (first !== FRAME.CHALLENGE && first !== FRAME.HELLO) return false;
  const head = buffer.peek(HEADER_BYTES + MAGIC.length);
  if (!head) return undefined;
  return Array.from(MAGIC).every((char, index) => head[HEADER_BYTES + index] === char.charCodeAt(0));
}

function nameFrame(name: SessionFrameName, body: Uint8Array, length: number): string {
  if (body.length < length) return `${name} (${length} B)`;
  try {
    return describe(name, body);
  } catch {
    return `${name} (${length} B, unreadable)`; // the body decoders throw on a protocol violation
  }
}

function describe(name: SessionFrameName, body: Uint8Array): string {
  switch (name) {
    case "HELLO": {
      const { name: session, resume, heartbeatMs } = helloBody.decode(body);
      return `HELLO from '${showText(session)}', ${resume ? "resumes its session" : "new session"}, heartbeat ${showDuration(heartbeatMs)}`;
    }
    case "WELCOME": {
      const { resumed, heartbeatMs, ttlMs } = welcomeBody.decode(body);
      return `WELCOME, ${resumed ? "resumed" : "new"}, heartbeat ${showDuration(heartbeatMs)}, session kept for ${showDuration(ttlMs)}`;
    }
    case "REFUSE":
      return parting(name, refuseBody.decode(body));
    case "BYE":
      return parting(name, byeBody.decode(body));
    case "ACK":
      return acknowledged(receiptBody.decode(body));
    case "GAP":
      return `GAP: messages before ${gapBody.decode(body)} are lost`;
    case "PART": {
      const { number, offset, bytes, last, givenUp } = partBody.decode(body);
      const end = givenUp ? ", given up" : last ? ", the last" : "";
      return `PART of message ${number} from ${offset}${end} (${bytes.length} B)`;
    }
    case "PROGRESS": {
      const { number, bytes } = progressBody.decode(body);
      return `PROGRESS of message ${number}: ${bytes} B`;
    }
    case "TOPIC":
    case "NOTE": {
      const { verb, topic, bytes, keep } = topicBody.decode(body);
      const what = topic === "" ? "" : ` '${showText(topic)}'`;
      return `${name} ${verb}${what}${keep ? ", kept" : ""} (${bytes.length} B)`;
    }
    case "PING":
      return "PING (heartbeat)";
    case "PONG":
      return "PONG (heartbeat answered)";
    default:
      return `${name} (${body.length} B)`;
  }
}

function acknowledged({ done, ranges = [] }: Receipt): string {
  const beyond = ranges.map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`));
  return `ACK up to ${done}${beyond.length > 0 ? ` and ${beyond.join(", ")}` : ""}`;
}

function parting(name: string, { word, retryAfterMs, text }: { word: string; retryAfterMs: number; text: string }): string {
  const retry = retryAfterMs > 0 ? `, retry after ${showDuration(retryAfterMs)}` : "";
  return `${name} ${word}${retry}${text === "" ? "" : `: '${showText(text)}'`}`;
}
