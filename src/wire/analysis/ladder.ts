/**
 * ○ Packets as a ladder diagram: two lifelines, the client on the left, an arrow for each packet (hollow for keep-alive probes and
 * their answers), and empty rows for idle time.
 */
import { showDuration } from "../../core/units.ts";
import { summaryOf } from "./packet-text.ts";
import type { Packet, TcpPacket } from "./packet-analyzer.ts";

/** Columns between the lifelines if the terminal width is unknown: fits 80 columns with the time. */
const INNER_COLUMNS_DEFAULT = 62;
/** One empty row per idle second, up to this number. */
const IDLE_ROWS_MAX = 12;
const TIME_COLUMNS = 12;

interface Lifeline {
  lastNs: bigint;
}

export class Ladder {
  readonly #inner: number;
  readonly #lifelines = new Map<number, Lifeline>();
  #startNs: bigint | undefined;
  #shown: number | undefined;

  /** @param columns of the terminal; default 80 */
  constructor(columns = 80) {
    this.#inner = Math.max(32, columns > 0 ? columns - TIME_COLUMNS - 6 : INNER_COLUMNS_DEFAULT);
  }

  /** The rows of a packet. */
  rows(packet: Packet): string[] {
    const { tcp, wallNs } = packet;
    if (!tcp) return [];
    this.#startNs ??= wallNs;
    const lifeline = this.#lifelines.get(tcp.conversation);
    const rows = this.#shown === tcp.conversation ? [] : this.#heading(tcp, packet);
    if (lifeline && this.#shown === tcp.conversation) rows.push(...this.#idleRows(wallNs - lifeline.lastNs));
    rows.push(`${this.#time(wallNs)} │${this.#arrow(packet, tcp)}│`);
    this.#lifelines.set(tcp.conversation, { lastNs: wallNs });
    this.#shown = tcp.conversation;
    return rows;
  }

  #heading({ conversation, client, server }: TcpPacket, { source }: Packet): string[] {
    const gap = Math.max(1, this.#inner + 2 - client.length - server.length);
    const indent = " ".repeat(TIME_COLUMNS + 1);
    return ["", `${indent}connection ${conversation}, ${source}`, `${indent}${client}${" ".repeat(gap)}${server}`];
  }

  #idleRows(ns: bigint): string[] {
    const milliseconds = Number(ns / 1_000_000n);
    const rows = Math.min(IDLE_ROWS_MAX, Math.floor(milliseconds / 1000));
    const blank = `${" ".repeat(TIME_COLUMNS)} │${" ".repeat(this.#inner)}│`;
    if (rows < 1) return [];
    const text = `${showDuration(milliseconds)} idle`;
    const labelled = `${" ".repeat(TIME_COLUMNS)} │${centred(text, this.#inner)}│`;
    return Array.from({ length: rows }, (_, row) => (row === Math.floor(rows / 2) ? labelled : blank));
  }

  #arrow(packet: Packet, tcp: TcpPacket): string {
    const hollow = tcp.marks.includes("keep-alive") || tcp.marks.includes("keep-alive-ack");
    const line = hollow ? "╌" : "─";
    const label = ` ${clipped(summaryOf(packet), this.#inner - 8)} `;
    const rest = this.#inner - 1 - Array.from(label).length;
    const start = line.repeat(Math.min(3, rest));
    const end = line.repeat(Math.max(0, rest - start.length));
    if (tcp.side === "client") return `${start}${label}${end}${hollow ? "▷" : "▶"}`;
    return `${hollow ? "◁" : "◀"}${end}${label}${start}`;
  }

  #time(wallNs: bigint): string {
    return `${(Number((wallNs - this.#startNs!) / 1000n) / 1e6).toFixed(3)} s`.padStart(TIME_COLUMNS);
  }
}

function clipped(text: string, columns: number): string {
  const chars = Array.from(text);
  return chars.length <= columns ? text : `${chars.slice(0, columns - 1).join("")}…`;
}

function centred(text: string, columns: number): string {
  const left = Math.floor((columns - text.length) / 2);
  return text.padStart(text.length + left).padEnd(columns);
}
