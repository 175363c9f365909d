/** ○ A captured frame, not decoded yet. */
import { ProtocolError } from "../core/errors.ts";

/** The source of a packet or event; always shown, so that a synthetic packet is never mistaken for a captured one. */
export type Source = "captured" | "tapped" | "kernel counters" | "predicted";

export interface CapturedFrame {
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly wallNs: bigint;
  /** The captured bytes, starting with the link layer. */
  readonly bytes: Uint8Array;
  /** Length on the network; more than `bytes` holds if the capture was truncated. */
  readonly originalLength: number;
  /** Link type by libpcap's numbers, see LINK_TYPE. */
  readonly linkType: number;
  /** Default "captured". */
  readonly source?: Source;
  /** The packet's comment (pcapng's opt_comment). */
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

/** Reads a capture file incrementally: `push` bytes, drain with `next`. */
export interface CapturedFrameReader {
  push(chunk: Uint8Array): void;
  /** The next frame, or undefined until more bytes arrive. @throws ProtocolError WIRE_CAPTURE_UNREADABLE */
  next(): CapturedFrame | undefined;
  /** True if the bytes end inside a packet. */
  readonly unfinished: boolean;
}

/** The error of a capture file that cannot be read. */
export function captureUnreadable(reason: string): ProtocolError {
  return new ProtocolError("WIRE_CAPTURE_UNREADABLE", `Cannot read capture: ${reason}`);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
