/**
 * ○ What a TCP segment means in its conversation: keep-alive probe and its answer, retransmission, zero window … by the rules that
 * Wireshark documents (User's Guide, "TCP Analysis"), so that both name the same packets. One `TcpAnalysis` per conversation; it
 * remembers per direction what comes next, what was acknowledged last, and what the last segment was; never more.
 */
import type { TcpSegment } from "./tcp-segment.ts";
import { FLAG } from "./tcp-segment.ts";

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

/** The three that mean "sent before". */
export const RETRANSMISSIONS: readonly TcpMark[] = ["retransmission", "fast-retransmission", "spurious-retransmission"];

/** 20 ms after the second duplicate ACK a repeated segment is a fast retransmission. */
const FAST_RETRANSMISSION_NS = 20_000_000n;

/** 3 ms behind the highest segment, where no round trip was measured, is late arrival and not repetition. */
const OUT_OF_ORDER_NS = 3_000_000n;

interface Direction {
  /** Highest sequence number sent so far, plus one; undefined until something was seen. */
  next: number | undefined;
  nextNs: bigint;
  /** As it stood in the last header; 0 before the first. */
  acknowledged: number;
  acknowledgedNs: bigint;
  window: number | undefined;
  /** From this side's SYN; undefined when the handshake was not seen, -1 when it offered no scaling. */
  windowScale: number | undefined;
  duplicateAcks: number;
  /** The highest sequence number up to which no hole is known. */
  continuous: number | undefined;
  last: readonly TcpMark[];
}

export class TcpAnalysis {
  readonly #directions: Record<"left" | "right", Direction> = { left: unseen(), right: unseen() };
  #synNs: bigint | undefined;
  #firstRoundTripNs: bigint | undefined;

  /** @param side which end sent it; the caller keeps to one choice for a conversation's life */
  segment(side: "left" | "right", segment: TcpSegment, wallNs: bigint): TcpMark[] {
    const forward = this.#directions[side];
    const reverse = this.#directions[side === "left" ? "right" : "left"];
    this.#measureRoundTrip(segment, wallNs);
    if ((segment.flags & FLAG.syn) !== 0) forward.windowScale = segment.windowScale ?? -1;

    const marks = this.#marks(segment, wallNs, forward, reverse);
    remember(segment, wallNs, forward, reverse, marks);
    return marks;
  }

  #measureRoundTrip({ flags }: TcpSegment, wallNs: bigint): void {
    if ((flags & FLAG.syn) !== 0) this.#synNs ??= wallNs;
    else if (this.#synNs !== undefined) this.#firstRoundTripNs ??= wallNs - this.#synNs;
  }

  #marks(segment: TcpSegment, wallNs: bigint, forward: Direction, reverse: Direction): TcpMark[] {
    const { flags, length, sequence, window } = segment;
    const marks: TcpMark[] = [];
    const probe = length === 1 && sequence === forward.next && reverse.window === 0;
    const plain = !probe && (flags & (FLAG.syn | FLAG.fin | FLAG.rst)) === 0;
    if (probe) marks.push("zero-window-probe");
    if (plain && window === 0) marks.push("zero-window");
    if (forward.next !== undefined && (flags & FLAG.rst) === 0 && after(sequence, forward.next)) marks.push("lost-segment");
    if (plain) marks.push(...plainMarks(segment, forward, reverse));
    if (reverse.continuous !== undefined && (flags & FLAG.ack) !== 0 && after(segment.acknowledgment, reverse.continuous)) {
      marks.push("acked-unseen");
    }
    if ((length > 0 || (flags & (FLAG.syn | FLAG.fin)) !== 0) && !marks.includes("keep-alive")) {
      const repeated = this.#repetition(segment, wallNs, forward, reverse);
      if (repeated) marks.push(repeated);
    }
    return marks;
  }

  /** Data, SYN or FIN that does not go beyond what was seen: sent again, or overtaken on the way. */
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

/** What a segment without SYN, FIN and RST says about silence and windows. */
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
  const probeAck = sameAck || acknowledgment === wrapped(forward.acknowledged + 1);
  if (window === 0 && sameWindow && probed && probeAck) marks.push("zero-window-probe-ack");
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
  const ends = wrapped(sequence + length + ((flags & (FLAG.syn | FLAG.fin)) !== 0 ? 1 : 0));
  if ((forward.next === undefined || after(ends, forward.next)) && !marks.includes("zero-window-probe")) {
    forward.next = ends;
    forward.nextNs = wallNs;
  }
  if (marks.includes("acked-unseen")) reverse.continuous = acknowledgment; // said once
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

/** True when `a` comes after `b` in TCP's circle of 2^32 sequence numbers. */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function wrapped(sequence: number): number {
  return sequence >>> 0;
}
