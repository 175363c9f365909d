/**
 * ○ One TCP conversation: which side is the client, the TCP analysis of each segment, and its payload decoded by the protocol that
 * was configured or detected.
 */
import { CR, LF } from "../../core/ascii.ts";
import { portOf } from "../../core/address.ts";
import { TcpReassembler, type Piece } from "../tcp/tcp-reassembler.ts";
import { LinkDecoder } from "../decode/link-decoder.ts";
import { MemcachedDecoder } from "../decode/memcached-decoder.ts";
import { ZmtpDecoder } from "../decode/zmtp-decoder.ts";
import { MESSAGES_PER_PACKET_MAX } from "../limits.ts";
import { nameLine } from "../decode/memcached-text.ts";
import type { ProtocolDecoder, DecodedMessage, Protocol, Side } from "../decode/decoded-message.ts";
import { TCP_FLAG, type TcpSegment } from "../tcp/tcp-segment.ts";
import { TcpAnalysis, type TcpMark } from "../tcp/tcp-analysis.ts";

/** Server port → its protocol, where it is known. */
export type PortProtocols = ReadonlyMap<number, Protocol>;

export interface TcpConversationOptions {
  readonly ports: PortProtocols;
  /** Whether texts show the beginning of bodies. */
  readonly bodies: boolean;
}

export interface AnalyzedSegment {
  readonly side: Side;
  /** Relative to the first sequence number of this direction, as in Wireshark. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly marks: readonly TcpMark[];
  readonly messages: readonly DecodedMessage[];
}

export class TcpConversation {
  readonly client: string;
  readonly server: string;
  /** The client's initial sequence number, to detect a reused port; undefined without a captured SYN. */
  readonly clientSequence: number | undefined;
  readonly #options: TcpConversationOptions;
  readonly #analysis = new TcpAnalysis();
  readonly #reassemblers: Record<Side, TcpReassembler> = { client: new TcpReassembler(), server: new TcpReassembler() };
  readonly #firstSequence: Record<Side, number | undefined> = { client: undefined, server: undefined };
  #decoder: ProtocolDecoder | undefined;

  constructor(first: TcpSegment, options: TcpConversationOptions) {
    const fromClient = isFromClient(first, options.ports);
    this.client = fromClient ? first.from : first.to;
    this.server = fromClient ? first.to : first.from;
    this.clientSequence = fromClient && (first.flags & TCP_FLAG.syn) !== 0 ? first.sequence : undefined;
    this.#options = options;
  }

  segment(segment: TcpSegment, wallNs: bigint): AnalyzedSegment {
    const side: Side = segment.from === this.client ? "client" : "server";
    const back: Side = side === "client" ? "server" : "client";
    const synchronises = (segment.flags & TCP_FLAG.syn) !== 0;
    this.#firstSequence[side] ??= synchronises ? segment.sequence : (segment.sequence - 1) >>> 0;
    const marks = this.#analysis.segment(side === "client" ? "left" : "right", segment, wallNs);
    const acknowledges = (segment.flags & TCP_FLAG.ack) !== 0;
    if (acknowledges) this.#firstSequence[back] ??= (segment.acknowledgment - 1) >>> 0;
    if (synchronises) this.#reassemblers[side].start(segment.sequence);
    const messages = acknowledges ? this.#read(back, this.#reassemblers[back].acknowledged(segment.acknowledgment)) : [];
    if (!isKeepAliveByte(segment, marks)) {
      messages.push(...this.#read(side, this.#reassemblers[side].push(segment.sequence, segment.payload, segment.length)));
    }
    return {
      side,
      sequence: (segment.sequence - this.#firstSequence[side]) >>> 0,
      acknowledgment: acknowledges ? (segment.acknowledgment - this.#firstSequence[back]!) >>> 0 : 0,
      marks,
      messages: limited(messages),
    };
  }

  #read(side: Side, pieces: readonly Piece[]): DecodedMessage[] {
    return pieces.flatMap((piece) => {
      this.#decoder ??= this.#choose(side, piece);
      return this.#decoder.feed(side, piece);
    });
  }

  #choose(side: Side, piece: Piece): ProtocolDecoder {
    const known =
      this.#options.ports.get(portOf(this.server)!) ?? (piece instanceof Uint8Array ? detect(side, piece) : undefined);
    if (known === "memcached") return new MemcachedDecoder();
    if (known === "zmtp" || known === "queue") return new ZmtpDecoder();
    return new LinkDecoder(this.#options); // plain bytes, unless they start like a session
  }
}

/** Some TCP stacks send one arbitrary byte with a probe; it is not part of the stream. */
function isKeepAliveByte({ length }: TcpSegment, marks: readonly TcpMark[]): boolean {
  return length === 1 && marks.includes("keep-alive");
}

function limited(messages: DecodedMessage[]): readonly DecodedMessage[] {
  if (messages.length <= MESSAGES_PER_PACKET_MAX) return messages;
  const shown = messages.slice(0, MESSAGES_PER_PACKET_MAX);
  return [...shown, { protocol: shown[0]!.protocol, text: `… and ${messages.length - shown.length} more messages` }];
}

/** Detects the protocol from the first bytes of a conversation. */
function detect(side: Side, bytes: Uint8Array): Protocol | undefined {
  if (bytes[0] === 0xff && (bytes.length < 10 || (bytes[9]! & 1) === 1)) return "zmtp";
  if (bytes[0] === (side === "client" ? 0x80 : 0x81) && bytes.length >= 24) return "memcached";
  const end = bytes.indexOf(LF);
  if (end < 0 || side === "server") return undefined;
  return nameLine(side, bytes.subarray(0, end > 0 && bytes[end - 1] === CR ? end - 1 : end)).unreadable
    ? undefined
    : "memcached";
}

/** The sender of the SYN is the client; without a SYN, the side that uses a known server port as its peer, or the higher port. */
function isFromClient({ flags, from, to }: TcpSegment, ports: PortProtocols): boolean {
  if ((flags & TCP_FLAG.syn) !== 0) return (flags & TCP_FLAG.ack) === 0;
  const known = [ports.has(portOf(to)!), ports.has(portOf(from)!)];
  if (known[0] !== known[1]) return known[0]!;
  return portOf(from)! >= portOf(to)!;
}
