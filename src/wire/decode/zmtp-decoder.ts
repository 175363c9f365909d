/**
 * ○ ZMTP 1.0 to 3.1 as a bystander reads it (RFC 13, 15, 23, 37): greetings, commands, and messages whose frames are handed to the
 * queue's dialects. Unlike src/zmtp, which is one end of a connection and may refuse, it follows both directions, starts anywhere,
 * and goes on after what it does not understand.
 */
import type { Piece } from "../tcp/tcp-reassembler.ts";
import { Inbox } from "./decoder-buffer.ts";
import { LOOKED_AT_BYTES_MAX } from "../limits.ts";
import { missing, unreadable } from "./decoded-message.ts";
import type { Decoder, Message, Side } from "./decoded-message.ts";
import { nameMessage } from "./queue-protocols.ts";
import type { Part } from "./queue-protocols.ts";
import { showBytes } from "./show.ts";
import { nameCommand, socketTypeOf } from "./zmtp-command.ts";

const GREETING_BYTES = 64;
const SIGNATURE_BYTES = 10;
const FLAG = { more: 1, long: 2, command: 4, reserved: 0xf8 } as const;
/** Frames of one message that are kept to be named; a message of more is counted. */
const PARTS_MAX = 32;
/** ZMTP 2.0 names socket types by number (RFC 15). */
const SOCKET_TYPES = ["PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH"];

type Framing = "greeting" | "new" | "old" | "lost";

class Direction {
  readonly inbox = new Inbox();
  framing: Framing = "greeting";
  /** Octet 10 of the greeting, once it has come. */
  major: number | undefined;
  socketType = "";
  parts: Part[] = [];
  partCount = 0;
}

export class ZmtpDecoder implements Decoder {
  readonly #directions: Record<Side, Direction> = { client: new Direction(), server: new Direction() };

  feed(side: Side, piece: Piece): Message[] {
    const direction = this.#directions[side];
    if (!(piece instanceof Uint8Array)) return this.#missing(direction, piece.missing);
    if (direction.framing === "lost") return [];
    direction.inbox.push(piece);
    const messages: Message[] = [];
    for (;;) {
      const { length } = direction.inbox;
      const framing: Framing = direction.framing;
      if (length === 0) break;
      const message = this.#next(side, direction);
      if (message) messages.push(message);
      if (direction.inbox.length === length && direction.framing === framing) break;
    }
    return messages;
  }

  /** Inside a long body bytes may be missing; anywhere else the frames cannot be found again. */
  #missing(direction: Direction, count: number): Message[] {
    if (direction.framing === "lost" || direction.inbox.missing(count)) return [];
    direction.framing = "lost";
    return [missing("zmtp", count)];
  }

  #next(side: Side, direction: Direction): Message | undefined {
    if (direction.framing === "greeting") return this.#greeting(direction, this.#directions[other(side)]);
    return this.#frame(side, direction);
  }

  #greeting(direction: Direction, peer: Direction): Message | undefined {
    const { inbox } = direction;
    if (inbox.at(0) !== 0xff) return inbox.at(0) <= FLAG.command + FLAG.long ? this.#midway(direction) : lose(direction);
    if (peer.framing === "old") return old(direction);
    if (inbox.length < SIGNATURE_BYTES) return undefined;
    if ((inbox.at(9) & 1) === 0) return old(direction);
    if (inbox.length <= SIGNATURE_BYTES) return undefined;
    direction.major ??= inbox.at(SIGNATURE_BYTES);
    const version = Math.min(direction.major, peer.major ?? direction.major);
    if (version === 0) return old(direction);
    return version < 3 ? greeting2(direction) : greeting3(direction);
  }

  /** No greeting was seen: its octets look like a frame's header, so the capture began later. 1.0 peers look the same. */
  #midway(direction: Direction): Message | undefined {
    const { inbox } = direction;
    if (inbox.at(0) === 1 && inbox.length < 2) return undefined;
    const oldFraming = inbox.at(0) === 1 && inbox.at(1) === 0;
    direction.framing = oldFraming ? "old" : "new";
    return oldFraming ? { protocol: "zmtp", text: "ZMTP 1.0 (anonymous)" } : undefined;
  }

  #frame(side: Side, direction: Direction): Message | undefined {
    const header = direction.framing === "old" ? oldHeader(direction.inbox) : newHeader(direction.inbox);
    if (header === undefined) return undefined;
    if (header === "broken") return lose(direction);
    const looked = Math.min(header.length, LOOKED_AT_BYTES_MAX);
    if (direction.inbox.length < header.bytes + looked) return undefined;
    direction.inbox.skip(header.bytes);
    const body = direction.inbox.take(looked)!;
    direction.inbox.skip(header.length - looked);
    if ((header.flags & FLAG.command) !== 0 && direction.framing === "new") {
      direction.socketType = socketTypeOf(body) ?? direction.socketType;
      return nameCommand(body, header.length);
    }
    return this.#part(side, direction, { body, length: header.length }, (header.flags & FLAG.more) !== 0);
  }

  #part(side: Side, direction: Direction, part: Part, more: boolean): Message | undefined {
    direction.partCount += 1;
    if (direction.parts.length < PARTS_MAX) direction.parts.push(part);
    if (more) return undefined;
    const { parts, partCount } = direction;
    direction.parts = [];
    direction.partCount = 0;
    if (partCount === 1 && /^X?SUB$/.test(direction.socketType)) {
      const subscription = nameSubscription(parts[0]!);
      if (subscription) return subscription;
    }
    return nameMessage(side, parts, partCount);
  }
}

function greeting2(direction: Direction): Message | undefined {
  const { inbox } = direction;
  if (inbox.length < SIGNATURE_BYTES + 2) return undefined;
  const type = SOCKET_TYPES[inbox.at(SIGNATURE_BYTES + 1)];
  inbox.skip(SIGNATURE_BYTES + 2);
  direction.framing = "new";
  direction.socketType = type ?? "";
  return type
    ? { protocol: "zmtp", text: `greeting ZMTP 2.0, ${type}` }
    : unreadable("zmtp", "a greeting with no known socket type");
}

function greeting3(direction: Direction): Message | undefined {
  const octets = direction.inbox.take(GREETING_BYTES);
  if (!octets) return undefined;
  direction.framing = "new";
  const end = octets.indexOf(0, 12);
  const mechanism = showBytes(octets.subarray(12, end < 0 || end > 32 ? 32 : end));
  const asServer = octets[32] === 1 ? ", as server" : "";
  return { protocol: "zmtp", text: `greeting ZMTP ${octets[10]}.${octets[11]}, ${mechanism}${asServer}` };
}

function old(direction: Direction): Message {
  direction.framing = "old";
  return { protocol: "zmtp", text: "ZMTP 1.0" };
}

function lose(direction: Direction): Message {
  const first = direction.inbox.at(0).toString(16).padStart(2, "0");
  direction.inbox.clear();
  direction.framing = "lost";
  return unreadable("zmtp", `no frame where one should be, first octet 0x${first}`);
}

interface Header {
  readonly bytes: number;
  readonly flags: number;
  readonly length: number;
}

function newHeader(inbox: Inbox): Header | "broken" | undefined {
  const flags = inbox.at(0);
  if ((flags & FLAG.reserved) !== 0 || (flags & (FLAG.command | FLAG.more)) === (FLAG.command | FLAG.more)) return "broken";
  if ((flags & FLAG.long) === 0) {
    return inbox.length < 2 ? undefined : { bytes: 2, flags, length: inbox.at(1) };
  }
  const length = length8(inbox, 1);
  return typeof length === "number" ? { bytes: 9, flags, length } : length;
}

/** ZMTP 1.0: one octet of length, or 0xFF and eight; the length counts the flags octet behind it. */
function oldHeader(inbox: Inbox): Header | "broken" | undefined {
  const long = inbox.at(0) === 0xff;
  const counted = long ? length8(inbox, 1) : inbox.at(0);
  if (typeof counted !== "number") return counted;
  const bytes = long ? 10 : 2;
  if (counted === 0) return "broken";
  return inbox.length < bytes ? undefined : { bytes, flags: inbox.at(bytes - 1) & FLAG.more, length: counted - 1 };
}

function length8(inbox: Inbox, at: number): number | "broken" | undefined {
  const octets = inbox.peek(at + 8);
  if (!octets) return undefined;
  const length = new DataView(octets.buffer, octets.byteOffset + at, 8).getBigUint64(0);
  return length > BigInt(Number.MAX_SAFE_INTEGER) ? "broken" : Number(length);
}

/** Up to ZMTP 3.0 subscriptions are messages: 1 or 0, then the topic. */
function nameSubscription({ body }: Part): Message | undefined {
  if (body[0] !== 0 && body[0] !== 1) return undefined;
  return { protocol: "zmtp", text: `${body[0] === 1 ? "subscribe" : "cancel"} '${showBytes(body.subarray(1))}'` };
}

function other(side: Side): Side {
  return side === "client" ? "server" : "client";
}
