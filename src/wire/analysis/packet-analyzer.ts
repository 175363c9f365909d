/**
 * ○ Packet analysis: captured frames in, analysed packets out. Keeps one `TcpConversation` per connection, at most
 * CONVERSATIONS_MAX, and drops the one idle for longest. Never throws: an unreadable frame becomes a packet with the reason.
 */
import { TcpConversation, type TcpConversationOptions, type PortProtocols } from "./tcp-conversation.ts";
import type { CapturedFrame, Source } from "../captured-frame.ts";
import { CONVERSATIONS_MAX } from "../limits.ts";
import type { DecodedMessage, Side } from "../decode/decoded-message.ts";
import { TCP_FLAG, segmentOf, type TcpSegment } from "../tcp/tcp-segment.ts";
import type { TcpMark } from "../tcp/tcp-analysis.ts";

/** One analysed packet. */
export interface Packet {
  /** Counts from 1, as Wireshark numbers the same file. */
  readonly number: number;
  readonly source: Source;
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly wallNs: bigint;
  /** Length on the network in bytes, link layer included. */
  readonly length: number;
  /** The comment in the capture file. */
  readonly comment?: string;
  /** Undefined for a frame without a TCP segment; then `unreadable` has the reason. */
  readonly tcp?: TcpPacket;
  readonly unreadable?: string;
}

export interface TcpPacket {
  /** Counts connections from 1. */
  readonly conversation: number;
  readonly client: string;
  readonly server: string;
  /** The sender. */
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

interface NumberedConversation {
  readonly number: number;
  readonly conversation: TcpConversation;
}

export class PacketAnalyzer {
  readonly #options: TcpConversationOptions;
  /** In the order of last use. */
  readonly #conversations = new Map<string, NumberedConversation>();
  #packets = 0;
  #numbers = 0;

  /**
   * @param ports protocols by server port; the protocol of other conversations is detected from their first bytes
   * @param bodies whether texts may show the beginning of bodies; off by default
   */
  constructor({ ports = new Map(), bodies = false }: { ports?: PortProtocols; bodies?: boolean } = {}) {
    this.#options = { ports, bodies };
  }

  /** Number of tracked connections. */
  get conversations(): number {
    return this.#conversations.size;
  }

  /** Analyses the next frame. */
  packet(frame: CapturedFrame): Packet {
    this.#packets += 1;
    const { wallNs, originalLength, comment, source = "captured" } = frame;
    const base = { number: this.#packets, source, wallNs, length: originalLength, ...(comment !== undefined && { comment }) };
    const segment = segmentOf(frame);
    if ("unreadable" in segment) return { ...base, unreadable: segment.unreadable };
    const known = this.#known(segment);
    const analyzed = known.conversation.segment(segment, wallNs);
    const { client, server } = known.conversation;
    const { flags, window, length } = segment;
    return { ...base, tcp: { conversation: known.number, client, server, flags, window, length, ...analyzed } };
  }

  #known(segment: TcpSegment): NumberedConversation {
    const key = segment.from < segment.to ? `${segment.from} ${segment.to}` : `${segment.to} ${segment.from}`;
    let known = this.#conversations.get(key);
    this.#conversations.delete(key);
    if (!known || isNewConnection(known.conversation, segment)) {
      this.#numbers += 1;
      known = { number: this.#numbers, conversation: new TcpConversation(segment, this.#options) };
    }
    this.#conversations.set(key, known);
    if (this.#conversations.size > CONVERSATIONS_MAX) this.#conversations.delete(this.#conversations.keys().next().value!);
    return known;
  }
}

/** A SYN with another sequence number between the same two ports is a new connection. */
function isNewConnection(conversation: TcpConversation, { flags, from, sequence }: TcpSegment): boolean {
  if ((flags & (TCP_FLAG.syn | TCP_FLAG.ack)) !== TCP_FLAG.syn) return false;
  return from !== conversation.client || conversation.clientSequence !== sequence;
}
