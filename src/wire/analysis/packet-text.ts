/** ○ A packet as one line for people, with colours for a terminal, and as a plain object for programs. */
import type { KernelEvent } from "../keep-alive/kernel-events.ts";
import type { Source } from "../captured-frame.ts";
import { FLAG, showFlags } from "../tcp/tcp-segment.ts";
import { showText } from "../decode/show.ts";
import type { TcpMark } from "../tcp/tcp-analysis.ts";
import type { Packet, TcpPacket } from "./packet-analyzer.ts";

/** What a mark means, in words. */
export const MARK_TEXT: Readonly<Record<TcpMark, string>> = {
  "keep-alive": "keep-alive probe",
  "keep-alive-ack": "keep-alive answered",
  retransmission: "retransmission",
  "fast-retransmission": "fast retransmission",
  "spurious-retransmission": "retransmission of what was acknowledged",
  "out-of-order": "out of order",
  "lost-segment": "a segment before this one was not seen",
  "duplicate-ack": "duplicate ACK",
  "zero-window": "zero window: reads no more",
  "zero-window-probe": "zero-window probe",
  "zero-window-probe-ack": "zero-window probe answered",
  "window-update": "window update",
  "window-full": "window full",
  "acked-unseen": "acknowledges what was not seen",
};

/** How urgent a packet is to a reader; decides its colour. */
export type Tone = "trouble" | "warning" | "life" | "content" | "quiet";

const TROUBLE: readonly TcpMark[] = [
  "retransmission",
  "fast-retransmission",
  "spurious-retransmission",
  "zero-window",
  "lost-segment",
];
const WARNING: readonly TcpMark[] = ["out-of-order", "duplicate-ack", "zero-window-probe", "window-full", "acked-unseen"];
const LIFE: readonly TcpMark[] = ["keep-alive", "keep-alive-ack"];

const COLOURS: Readonly<Record<Tone, string>> = {
  trouble: "\u001B[31m",
  warning: "\u001B[33m",
  life: "\u001B[36m",
  content: "\u001B[1m",
  quiet: "\u001B[2m",
};
const PLAIN = "\u001B[0m";

/** The tone of a TCP packet. */
export function toneOf({ flags, marks, messages }: TcpPacket): Tone {
  if ((flags & FLAG.rst) !== 0 || marks.some((mark) => TROUBLE.includes(mark))) return "trouble";
  if (messages.some((message) => message.unreadable)) return "trouble";
  if (marks.some((mark) => WARNING.includes(mark))) return "warning";
  if (marks.some((mark) => LIFE.includes(mark))) return "life";
  return messages.length > 0 || (flags & (FLAG.syn | FLAG.fin)) !== 0 ? "content" : "quiet";
}

/** What a packet is, in words: marks first, then messages, then plain TCP. */
export function summaryOf(packet: Packet): string {
  const { tcp } = packet;
  if (!tcp) return `unreadable: ${packet.unreadable}`;
  const words = tcp.marks.map((mark) => MARK_TEXT[mark]);
  if ((tcp.flags & (FLAG.syn | FLAG.fin | FLAG.rst)) !== 0) words.unshift(showFlags(tcp.flags));
  const said = tcp.messages.map(({ protocol, text }) => (protocol === "bytes" ? text : `${protocol} ${text}`));
  if (said.length > 0) words.push(said.join(" · "));
  else if (tcp.length > 0 && tcp.marks.length === 0) words.push(`part of a message (${tcp.length} B)`);
  if (words.length === 0) words.push(showFlags(tcp.flags) || "no flags");
  return words.join(", ");
}

export interface LineOptions {
  /** Time zero of the second column: the first packet's `wallNs`. */
  readonly startNs: bigint;
  readonly colour: boolean;
}

/** One packet, one line, without the line's end. */
export function lineOf(packet: Packet, { startNs, colour }: LineOptions): string {
  const { tcp, number, source, wallNs, comment } = packet;
  const ends = tcp ? (tcp.side === "client" ? `${tcp.client} → ${tcp.server}` : `${tcp.server} → ${tcp.client}`) : "";
  const note = comment === undefined ? "" : `  # ${showText(comment, 200)}`;
  const head = `${String(number).padStart(5)} ${seconds(wallNs - startNs).padStart(11)} ${source.padEnd(8)} ${ends}`;
  const summary = summaryOf(packet);
  return colour ? `${head}  ${COLOURS[tcp ? toneOf(tcp) : "quiet"]}${summary}${PLAIN}${note}` : `${head}  ${summary}${note}`;
}

/** What the kernel's table told, as a line; it has no packet and so no number. */
export function kernelEventLineOf({ wallMs, source, server, peer, summary }: KernelEvent): string {
  return `      ${new Date(wallMs).toISOString().slice(11, 23)} ${source} ${server} ↔ ${peer}  ${summary}`;
}

/** A packet for `--json` and for the page. Times are strings where a number would lose nanoseconds. */
export interface PacketJson {
  readonly number: number;
  readonly source: Source;
  /** Milliseconds since 1970-01-01 UTC, with the fraction. */
  readonly wallMs: number;
  readonly length: number;
  readonly summary: string;
  readonly comment?: string;
  readonly tcp?: Omit<TcpPacket, "flags"> & { readonly flags: string };
  readonly unreadable?: string;
}

/** A packet as plain data. */
export function jsonOf(packet: Packet): PacketJson {
  const { number, source, length, comment, unreadable, tcp } = packet;
  return {
    number,
    source,
    wallMs: Number(packet.wallNs / 1000n) / 1000,
    length,
    summary: summaryOf(packet),
    ...(comment !== undefined && { comment }),
    ...(unreadable !== undefined && { unreadable }),
    ...(tcp && { tcp: { ...tcp, flags: showFlags(tcp.flags) } }),
  };
}

function seconds(ns: bigint): string {
  return (Number(ns / 1000n) / 1e6).toFixed(6);
}
