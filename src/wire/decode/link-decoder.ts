/**
 * ○ A link's connection: session mode's frames (docs/link-protocol.md) where it begins as one, else byte mode's plain bytes. The
 * server speaks first in session mode, with CHALLENGE and the word HOLDFAST.
 */
import { byeBody, gapBody, helloBody, receiptBody, refuseBody, welcomeBody } from "../../link/session/body.ts";
import { FRAME, HEADER_BYTES } from "../../link/session/session-frame.ts";
import type { FrameName } from "../../link/session/session-frame.ts";
import { showDuration } from "../../core/units.ts";
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { BytesDecoder } from "./bytes-decoder.ts";
import { Inbox } from "./decoder-buffer.ts";
import { LOOKED_AT_BYTES_MAX } from "../limits.ts";
import { missing, unreadable } from "./decoded-message.ts";
import type { Decoder, Message, Side } from "./decoded-message.ts";
import { showText } from "./show.ts";

const NAMES = new Map<number, FrameName>(Object.entries(FRAME).map(([name, type]) => [type, name as FrameName]));
const MAGIC = "HOLDFAST";

export class LinkDecoder implements Decoder {
  readonly #inboxes: Record<Side, Inbox> = { client: new Inbox(), server: new Inbox() };
  readonly #lost: Record<Side, boolean> = { client: false, server: false };
  readonly #plain: BytesDecoder;
  #mode: "unknown" | "session" | "bytes" = "unknown";

  constructor(options: { bodies: boolean }) {
    this.#plain = new BytesDecoder(options);
  }

  feed(side: Side, piece: Piece): Message[] {
    if (this.#mode === "bytes") return this.#plain.feed(side, piece);
    const inbox = this.#inboxes[side];
    if (!(piece instanceof Uint8Array)) {
      if (this.#lost[side] || inbox.missing(piece.missing)) return [];
      this.#lost[side] = true;
      return [missing("link", piece.missing)];
    }
    if (this.#lost[side]) return [];
    inbox.push(piece);
    if (this.#mode === "unknown") {
      const session = beginsSession(inbox);
      if (session === undefined) return [];
      this.#mode = session ? "session" : "bytes";
      if (!session) return this.#plain.feed(side, inbox.take(inbox.length)!);
    }
    return this.#frames(side, inbox);
  }

  #frames(side: Side, inbox: Inbox): Message[] {
    const messages: Message[] = [];
    for (;;) {
      const header = inbox.peek(HEADER_BYTES);
      if (!header) return messages;
      const name = NAMES.get(header[0]!);
      if (name === undefined) {
        inbox.clear();
        this.#lost[side] = true;
        return [...messages, unreadable("link", `no frame has the type 0x${header[0]!.toString(16)}`)];
      }
      const length = (header[1]! << 16) | (header[2]! << 8) | header[3]!;
      const looked = Math.min(length, LOOKED_AT_BYTES_MAX);
      const frame = inbox.take(HEADER_BYTES + looked);
      if (!frame) return messages;
      inbox.skip(length - looked);
      messages.push({ protocol: "link", text: nameFrame(name, frame.subarray(HEADER_BYTES), length) });
    }
  }
}

/** Undefined until enough has come to tell. */
function beginsSession(inbox: Inbox): boolean | undefined {
  const first = inbox.at(0);
  if (first !== FRAME.CHALLENGE && first !== FRAME.HELLO) return false;
  const head = inbox.peek(HEADER_BYTES + MAGIC.length);
  if (!head) return undefined;
  return Array.from(MAGIC).every((char, index) => head[HEADER_BYTES + index] === char.charCodeAt(0));
}

function nameFrame(name: FrameName, body: Uint8Array, length: number): string {
  if (body.length < length) return `${name} (${length} B)`;
  try {
    return describe(name, body);
  } catch {
    return `${name} (${length} B that cannot be read)`; // the bodies' own decoders throw on what breaks the protocol
  }
}

function describe(name: FrameName, body: Uint8Array): string {
  switch (name) {
    case "HELLO": {
      const { name: who, resume, heartbeatMs } = helloBody.decode(body);
      return `HELLO from '${showText(who)}', ${resume ? "resumes its session" : "new session"}, heartbeat ${showDuration(heartbeatMs)}`;
    }
    case "WELCOME": {
      const { resumed, heartbeatMs, ttlMs } = welcomeBody.decode(body);
      return `WELCOME, ${resumed ? "resumed" : "new"}, heartbeat ${showDuration(heartbeatMs)}, kept for ${showDuration(ttlMs)}`;
    }
    case "REFUSE":
      return parting(name, refuseBody.decode(body));
    case "BYE":
      return parting(name, byeBody.decode(body));
    case "ACK":
      return `ACK up to ${receiptBody.decode(body).done}`;
    case "GAP":
      return `GAP: messages before ${gapBody.decode(body)} will not come`;
    case "PING":
      return "PING (heartbeat)";
    case "PONG":
      return "PONG (heartbeat answered)";
    default:
      return `${name} (${body.length} B)`;
  }
}

function parting(name: string, { word, retryAfterMs, text }: { word: string; retryAfterMs: number; text: string }): string {
  const retry = retryAfterMs > 0 ? `, come back in ${showDuration(retryAfterMs)}` : "";
  return `${name} ${word}${retry}${text === "" ? "" : `: '${showText(text)}'`}`;
}
