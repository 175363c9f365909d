/**
 * ○ Packet analysis: captured frames in, analysed packets out. Keeps one `TcpConversation` per connection, at most CONVERSATIONS_MAX, forgetting the
 * one silent for longest. Never throws: a frame that cannot be read becomes a packet that says so.
 */
import { TcpConversation } from "./tcp-conversation.ts";
import type { TcpConversationOptions, PortProtocols } from "./tcp-conversation.ts";
import type { CapturedFrame, Source } from "../captured-frame.ts";
import { CONVERSATIONS_MAX } from "../limits.ts";
import type { DecodedMessage, Side } from "../decode/decoded-message.ts";
import { FLAG, segmentOf } from "../tcp/tcp-segment.ts";
import type { TcpSegment } from "../tcp/tcp-segment.ts";
import type { TcpMark } from "../tcp/tcp-analysis.ts";

/** One packet, understood. */
export interface Packet {
  /** Counts from 1, as Wireshark numbers the same file. */
  readonly number: number;
  readonly source: Source;
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly wallNs: bigint;
  /** Bytes on the wire, link layer included. */
  readonly length: number;
  /** What somebody noted in the file. */
  readonly comment?: string;
  /** Undefined for what is no TCP segment; then `unreadable` says what it is. */
  readonly tcp?: TcpPacket;
  readonly unreadable?: string;
}

export interface TcpPacket {
  /** Counts connections from 1. */
  readonly conversation: number;
  readonly client: string;
  readonly server: string;
  /** Who sent it. */
  readonly side: Side;
  readonly flags: number;
  /** Relative to the first one seen in its direction. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly window: number;
  /** Bytes of payload. */
  readonly length: number;
  readonly marks: readonly TcpMark[];
  /** The messages that this packet completes. */
  readonly messages: readonly DecodedMessage[];
}

interface Known {
  readonly number: number;
  readonly conversation: TcpConversation;
}

export class PacketAnalyzer {
  readonly #options: TcpConversationOptions;
  /** In the order of last use. */
  readonly #conversations = new Map<string, Known>();
  #packets = 0;
  #numbers = 0;

  /**
   * @param ports what is spoken at which server port; other conversations are told by their first bytes
   * @param bodies whether texts may show the beginning of bodies; off by default
   */
  constructor({ ports = new Map(), bodies = false }: { ports?: PortProtocols; bodies?: boolean } = {}) {
    this.#options = { ports, bodies };
  }

  /** Connections remembered now. */
  get conversations(): number {
    return this.#conversations.size;
  }

  /** Understands the next frame. */
  packet(frame: CapturedFrame): Packet {
    this.#packets += 1;
    const { wallNs, originalLength, comment, source = "captured" } = frame;
    const base = { number: this.#packets, source, wallNs, length: originalLength, ...(comment !== undefined && { comment }) };
    const segment = segmentOf(frame);
    if ("unreadable" in segment) return { ...base, unreadable: segment.unreadable };
    const known = this.#known(segment);
    const seen = known.conversation.segment(segment, wallNs);
    const { client, server } = known.conversation;
    const { flags, window, length } = segment;
    return { ...base, tcp: { conversation: known.number, client, server, flags, window, length, ...seen } };
  }

  #known(segment: TcpSegment): Known {
    const key = segment.from < segment.to ? `${segment.from} ${segment.to}` : `${segment.to} ${segment.from}`;
    let known = this.#conversations.get(key);
    this.#conversations.delete(key);
    if (!known || startsAnew(known.conversation, segment)) {
      this.#numbers += 1;
      known = { number: this.#numbers, conversation: new TcpConversation(segment, this.#options) };
    }
    this.#conversations.set(key, known);
    if (this.#conversations.size > CONVERSATIONS_MAX) this.#conversations.delete(this.#conversations.keys().next().value!);
    return known;
  }
}

/** A SYN with another number between the same two ports is a new connection. */
function startsAnew(conversation: TcpConversation, { flags, from, sequence }: TcpSegment): boolean {
  if ((flags & (FLAG.syn | FLAG.ack)) !== FLAG.syn) return false;
  return from !== conversation.client || conversation.clientSequence !== sequence;
}
