/**
 * ○ TCP analysis of the segments of one conversation: keep-alive probe and answer, retransmission, zero window … by Wireshark's
 * rules (User's Guide, "TCP Analysis"), so that both mark the same packets. The state per direction has a fixed size: the next
 * sequence number, the last acknowledgement, and the marks of the last segment.
 */
import { type TcpSegment, TCP_FLAG } from "./tcp-segment.ts";

export type TcpMark =
  | "keep-alive"
  | "keep-alive-ack"
  | "retransmission"
  | "fast-retransmission"
  | "spurious-retransmission"
  | "out-of-order"
  | "lost-segment"
  | "duplicate-ack"
  | "zero-window"
  | "zero-window-probe"
  | "zero-window-probe-ack"
  | "window-update"
  | "window-full"
  | "acked-unseen";

/** The three kinds of retransmission. */
export const RETRANSMISSIONS: readonly TcpMark[] = ["retransmission", "fast-retransmission", "spurious-retransmission"];

/** Up to 20 ms after the second duplicate ACK a repeated segment is a fast retransmission. */
const FAST_RETRANSMISSION_NS = 20_000_000n;

/** Without a measured round trip: up to 3 ms after the highest segment it is out of order, not a retransmission. */
const OUT_OF_ORDER_NS = 3_000_000n;

interface Direction {
  /** Highest sequence number sent so far, plus one; undefined before the first segment. */
  next: number | undefined;
  nextNs: bigint;
  /** From the last header; 0 before the first. */
  acknowledged: number;
  acknowledgedNs: bigint;
  window: number | undefined;
  /** From this side's SYN; undefined without a captured handshake, -1 if it offered no scaling. */
  windowScale: number | undefined;
  duplicateAcks: number;
  /** The highest sequence number without a gap before it. */
  continuous: number | undefined;
  last: readonly TcpMark[];
}

export class TcpAnalysis {
  readonly #directions: Record<"left" | "right", Direction> = { left: unseen(), right: unseen() };
  #synNs: bigint | undefined;
  #firstRoundTripNs: bigint | undefined;

  /** @param side the sender; the same end must be the same side throughout the conversation */
  segment(side: "left" | "right", segment: TcpSegment, wallNs: bigint): TcpMark[] {
    const forward = this.#directions[side];
    const reverse = this.#directions[side === "left" ? "right" : "left"];
    this.#measureRoundTrip(segment, wallNs);
    if ((segment.flags & TCP_FLAG.syn) !== 0) forward.windowScale = segment.windowScale ?? -1;

    const marks = this.#marks(segment, wallNs, forward, reverse);
    remember(segment, wallNs, forward, reverse, marks);
    return marks;
  }

  #measureRoundTrip({ flags }: TcpSegment, wallNs: bigint): void {
    if ((flags & TCP_FLAG.syn) !== 0) this.#synNs ??= wallNs;
    else if (this.#synNs !== undefined) this.#firstRoundTripNs ??= wallNs - this.#synNs;
  }

  #marks(segment: TcpSegment, wallNs: bigint, forward: Direction, reverse: Direction): TcpMark[] {
    const { flags, length, sequence, window } = segment;
    const marks: TcpMark[] = [];
    const probe = length === 1 && sequence === forward.next && reverse.window === 0;
    const plain = !probe && (flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst)) === 0;
    if (probe) marks.push("zero-window-probe");
    if (plain && window === 0) marks.push("zero-window");
    if (forward.next !== undefined && (flags & TCP_FLAG.rst) === 0 && after(sequence, forward.next)) marks.push("lost-segment");
    if (plain) marks.push(...plainMarks(segment, forward, reverse));
    if (reverse.continuous !== undefined && (flags & TCP_FLAG.ack) !== 0 && after(segment.acknowledgment, reverse.continuous)) {
      marks.push("acked-unseen");
    }
    if ((length > 0 || (flags & (TCP_FLAG.syn | TCP_FLAG.fin)) !== 0) && !marks.includes("keep-alive")) {
      const repeated = this.#repetition(segment, wallNs, forward, reverse);
      if (repeated) marks.push(repeated);
    }
    return marks;
  }

  /** Data, SYN or FIN that does not go beyond the highest sequence number: retransmitted or out of order. */
  #repetition({ sequence, length }: TcpSegment, wallNs: bigint, forward: Direction, reverse: Direction): TcpMark | undefined {
    if (forward.next === undefined) return undefined;
    const oneBack = length > 1 && sequence === wrapped(forward.next - 1); // data after an unanswered one-byte probe is new
    const repeats = after(forward.next, sequence) && !oneBack;
    if (length > 0 && reverse.acknowledged !== 0 && !after(wrapped(sequence + length), reverse.acknowledged)) {
      return "spurious-retransmission";
    }
    if (!repeats) return undefined;
    const sinceAck = wallNs - reverse.acknowledgedNs;
    if (reverse.duplicateAcks >= 2 && reverse.acknowledged === sequence && sinceAck < FAST_RETRANSMISSION_NS) {
      return "fast-retransmission";
    }
    const lateNs = this.#firstRoundTripNs ?? OUT_OF_ORDER_NS;
    if (wallNs - forward.nextNs < lateNs && forward.next !== wrapped(sequence + length)) return "out-of-order";
    return "retransmission";
  }
}

/** Keep-alive and window marks of a segment without SYN, FIN and RST. */
function plainMarks(segment: TcpSegment, forward: Direction, reverse: Direction): TcpMark[] {
  const { length, sequence, acknowledgment, window } = segment;
  const marks: TcpMark[] = [];
  if (forward.next !== undefined && length <= 1 && sequence === wrapped(forward.next - 1)) marks.push("keep-alive");
  if (length > 0 && fillsWindow(segment, reverse)) marks.push("window-full");
  if (length > 0 || sequence !== forward.next) return marks;

  const sameAck = acknowledgment === forward.acknowledged;
  const sameWindow = window === forward.window;
  if (sameAck && window !== 0 && !sameWindow) marks.push("window-update");
  if (sameAck && sameWindow && window !== 0)
    marks.push(reverse.last.includes("keep-alive") ? "keep-alive-ack" : "duplicate-ack");
  const probed = reverse.last.includes("zero-window-probe");
  if (window === 0 && sameWindow && probed && sameAck) marks.push("zero-window-probe-ack");
  return marks;
}

function fillsWindow({ sequence, length }: TcpSegment, reverse: Direction): boolean {
  if (reverse.windowScale === undefined || reverse.window === undefined) return false;
  const open = reverse.window * 2 ** Math.max(0, reverse.windowScale);
  return wrapped(sequence + length) === wrapped(reverse.acknowledged + open);
}

function remember(
  segment: TcpSegment,
  wallNs: bigint,
  forward: Direction,
  reverse: Direction,
  marks: readonly TcpMark[],
): void {
  const { sequence, length, flags, acknowledgment, window } = segment;
  const ends = wrapped(sequence + length + ((flags & (TCP_FLAG.syn | TCP_FLAG.fin)) !== 0 ? 1 : 0));
  if ((forward.next === undefined || after(ends, forward.next)) && !marks.includes("zero-window-probe")) {
    forward.next = ends;
    forward.nextNs = wallNs;
  }
  if (marks.includes("acked-unseen")) reverse.continuous = acknowledgment; // reported once
  if ((forward.continuous === undefined || sequence === forward.continuous) && !marks.includes("zero-window-probe")) {
    forward.continuous = forward.next;
  }
  if (acknowledgment !== forward.acknowledged) forward.duplicateAcks = 0;
  else if (marks.includes("duplicate-ack")) forward.duplicateAcks += 1;
  forward.acknowledged = acknowledgment;
  forward.acknowledgedNs = wallNs;
  forward.window = window;
  forward.last = marks;
}

function unseen(): Direction {
  return {
    next: undefined,
    nextNs: 0n,
    acknowledged: 0,
    acknowledgedNs: 0n,
    window: undefined,
    windowScale: undefined,
    duplicateAcks: 0,
    continuous: undefined,
    last: [],
  };
}

/** True if `a` comes after `b`, modulo 2^32 (RFC 9293, 3.4). */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function wrapped(sequence: number): number {
  return sequence >>> 0;
}
