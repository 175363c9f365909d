/** ○ Numbers, times and packets as text. */
import type { LifelineEvent } from "../../link-lab/lab-state.ts";

export { showDuration, showSize } from "../../../core/units.ts";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 12,345; from a million on 1.2M. */
export function showCount(value: number): string {
  return value < 1_000_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** 0.4/s, 12/s, 12.3K/s. */
export function showRate(perSecond: number): string {
  const text = perSecond < 10 ? String(Math.round(perSecond * 10) / 10) : SHORT.format(Math.round(perSecond));
  return `${text}/s`;
}

/** 93 %. */
export function showShare(share: number | undefined): string {
  return share === undefined ? "–" : `${Math.round(share * 1000) / 10} %`;
}

/** 14:05:09. */
export function showTime(wallMs: number): string {
  return new Date(wallMs).toLocaleTimeString([], { hour12: false });
}

/** 14:05:09.123. */
export function showTimeMs(wallMs: number): string {
  return `${showTime(wallMs)}.${String(Math.floor(wallMs % 1000)).padStart(3, "0")}`;
}

/** SEQ 1 ACK 6 · 5 bytes. What never arrived says so. */
export function eventText({ text, tcp, lost }: LifelineEvent): string {
  const numbers = tcp ? `SEQ ${tcp.sequence} ACK ${tcp.acknowledgment} · ` : "";
  return `${lost ? "lost: " : ""}${numbers}${text}`;
}
