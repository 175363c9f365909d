/** ○ A packet as one line of text, with colours for a terminal, and as a plain object for programs. */
import type { KernelEvent } from "../keep-alive/kernel-marks.ts";
import type { Source } from "../captured-frame.ts";
import { TCP_FLAG, showFlags } from "../tcp/tcp-segment.ts";
import { showText } from "../decode/show.ts";
import type { TcpMark } from "../tcp/tcp-analysis.ts";
import type { Packet, TcpPacket } from "./packet-analyzer.ts";

/** The text of each mark. */
export const MARK_TEXT: Readonly<Record<TcpMark, string>> = {
  "keep-alive": "keep-alive probe",
  "keep-alive-ack": "keep-alive answered",
  retransmission: "retransmission",
  "fast-retransmission": "fast retransmission",
  "spurious-retransmission": "spurious retransmission: already acknowledged",
  "out-of-order": "out of order",
  "lost-segment": "previous segment not captured",
  "duplicate-ack": "duplicate ACK",
  "zero-window": "zero window: the receiver's buffer is full",
  "zero-window-probe": "zero-window probe",
  "zero-window-probe-ack": "zero-window probe answered",
  "window-update": "window update",
  "window-full": "window full",
  "acked-unseen": "acknowledges unseen segment",
};

/** The severity of a packet, which selects its colour. */
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
  if ((flags & TCP_FLAG.rst) !== 0 || marks.some((mark) => TROUBLE.includes(mark))) return "trouble";
  if (messages.some((message) => message.unreadable)) return "trouble";
  if (marks.some((mark) => WARNING.includes(mark))) return "warning";
  if (marks.some((mark) => LIFE.includes(mark))) return "life";
  return messages.length > 0 || (flags & (TCP_FLAG.syn | TCP_FLAG.fin)) !== 0 ? "content" : "quiet";
}

/** A packet as text: marks first, then messages, then plain TCP. */
export function summaryOf(packet: Packet): string {
  const { tcp } = packet;
  if (!tcp) return `unreadable: ${packet.unreadable}`;
  const texts = tcp.marks.map((mark) => MARK_TEXT[mark]);
  if ((tcp.flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst)) !== 0) texts.unshift(showFlags(tcp.flags));
  const messages = tcp.messages.map(({ protocol, text }) => (protocol === "bytes" ? text : `${protocol} ${text}`));
  if (messages.length > 0) texts.push(messages.join(" · "));
  else if (tcp.length > 0 && tcp.marks.length === 0) texts.push(`part of a message (${tcp.length} B)`);
  if (texts.length === 0) texts.push(showFlags(tcp.flags) || "no flags");
  return texts.join(", ");
}

export interface LineOptions {
  /** Time zero of the second column: the first packet's `wallNs`. */
  readonly startNs: bigint;
  readonly colour: boolean;
}

/** One packet as one line, without its line end. */
export function lineOf(packet: Packet, { startNs, colour }: LineOptions): string {
  const { tcp, number, source, wallNs, comment } = packet;
  const ends = tcp ? (tcp.side === "client" ? `${tcp.client} → ${tcp.server}` : `${tcp.server} → ${tcp.client}`) : "";
  const note = comment === undefined ? "" : `  # ${showText(comment, 200)}`;
  const head = `${String(number).padStart(5)} ${seconds(wallNs - startNs).padStart(11)} ${source.padEnd(8)} ${ends}`;
  const summary = summaryOf(packet);
  return colour ? `${head}  ${COLOURS[tcp ? toneOf(tcp) : "quiet"]}${summary}${PLAIN}${note}` : `${head}  ${summary}${note}`;
}

/** A kernel event as one line; it has no packet and so no number. */
export function kernelEventLineOf({ wallMs, source, server, peer, summary }: KernelEvent): string {
  return `      ${new Date(wallMs).toISOString().slice(11, 23)} ${source} ${server} ↔ ${peer}  ${summary}`;
}

/** A packet for `--json` and for the page. */
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
