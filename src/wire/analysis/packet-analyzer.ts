/**
 * ○ The wire: frames in, packets understood out. Keeps one `Conversation` per connection, at most CONVERSATIONS_MAX, forgetting the
 * one silent for longest. Never throws: a frame that cannot be read becomes a packet that says so.
 */
import { Conversation } from "./tcp-conversation.ts";
import type { ConversationOptions, Ports } from "./tcp-conversation.ts";
import type { Frame, Source } from "../captured-frame.ts";
import { CONVERSATIONS_MAX } from "../limits.ts";
import type { Message, Side } from "../decode/decoded-message.ts";
import { FLAG, segmentOf } from "../tcp/tcp-segment.ts";
import type { Segment } from "../tcp/tcp-segment.ts";
import type { Mark } from "../tcp/tcp-analysis.ts";

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
  readonly marks: readonly Mark[];
  /** The messages that this packet completes. */
  readonly messages: readonly Message[];
}

interface Known {
  readonly number: number;
  readonly conversation: Conversation;
}

export class Wire {
  readonly #options: ConversationOptions;
  /** In the order of last use. */
  readonly #conversations = new Map<string, Known>();
  #packets = 0;
  #numbers = 0;

  /**
   * @param ports what is spoken at which server port; other conversations are told by their first bytes
   * @param bodies whether texts may show the beginning of bodies; off by default
   */
  constructor({ ports = new Map(), bodies = false }: { ports?: Ports; bodies?: boolean } = {}) {
    this.#options = { ports, bodies };
  }

  /** Connections remembered now. */
  get conversations(): number {
    return this.#conversations.size;
  }

  /** Understands the next frame. */
  packet(frame: Frame): Packet {
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

  #known(segment: Segment): Known {
    const key = segment.from < segment.to ? `${segment.from} ${segment.to}` : `${segment.to} ${segment.from}`;
    let known = this.#conversations.get(key);
    this.#conversations.delete(key);
    if (!known || startsAnew(known.conversation, segment)) {
      this.#numbers += 1;
      known = { number: this.#numbers, conversation: new Conversation(segment, this.#options) };
    }
    this.#conversations.set(key, known);
    if (this.#conversations.size > CONVERSATIONS_MAX) this.#conversations.delete(this.#conversations.keys().next().value!);
    return known;
  }
}

/** A SYN with another number between the same two ports is a new connection. */
function startsAnew(conversation: Conversation, { flags, from, sequence }: Segment): boolean {
  if ((flags & (FLAG.syn | FLAG.ack)) !== FLAG.syn) return false;
  return from !== conversation.client || conversation.clientSequence !== sequence;
}
