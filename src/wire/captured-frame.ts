/** ○ A packet as a capture hands it over, before anything in it is understood. */

/** Where a mark comes from; shown with every one, because an invented packet must never pass for a seen one. */
export type Source = "captured" | "tapped" | "kernel counters" | "predicted";

export interface CapturedFrame {
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly wallNs: bigint;
  /** The bytes kept, from the link layer's first on. */
  readonly bytes: Uint8Array;
  /** How many there were on the wire; more than `bytes` holds when the capture was cut short. */
  readonly originalLength: number;
  /** Link type by libpcap's numbers, see LINK_TYPE. */
  readonly linkType: number;
  /** "captured" when left out. */
  readonly source?: Source;
  /** What somebody noted about this packet (pcapng's opt_comment). */
  readonly comment?: string;
}

/** libpcap's link types that Holdfast reads (https://www.tcpdump.org/linktypes.html). */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  rawOld: 12,
  raw: 101,
  loop: 108,
  sll: 113,
  ipv4: 228,
  ipv6: 229,
  sll2: 276,
} as const;

/** What reads a capture file piece by piece: `push` bytes, drain with `next`. */
export interface CapturedFrameReader {
  push(chunk: Uint8Array): void;
  /** The next packet, or undefined until more bytes have come. @throws ProtocolError WIRE_CAPTURE_UNREADABLE */
  next(): CapturedFrame | undefined;
  /** True when the bytes ended inside a packet. */
  readonly unfinished: boolean;
}
