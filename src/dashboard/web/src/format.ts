/** ○ Numbers, times and packets as text. */
import type { LifelineEvent } from "../../link-lab/lab-state.ts";
import { showDuration } from "../../../core/units.ts";

export { showDuration, showSize } from "../../../core/units.ts";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 12,345; from a million on 1.2M. */
export function showCount(value: number): string {
  return value < 1_000_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** "1 task", "1,234 dead tasks". */
export function showTasks(count: number, kind = ""): string {
  return `${showCount(count)} ${kind}${count === 1 ? "task" : "tasks"}`;
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

/** In whole seconds: what changes each second should not change its length. */
export function showAge(ms: number): string {
  return ms < 1000 ? "0 s" : showDuration(Math.round(ms / 1000) * 1000);
}

/** 14:05:09. */
export function showTime(wallMs: number): string {
  return new Date(wallMs).toLocaleTimeString([], { hour12: false });
}

/** Nov 30. */
export function showDay(wallMs: number): string {
  return new Date(wallMs).toLocaleDateString("en", { month: "short", day: "numeric" });
}

/** 14:05:09.123. */
export function showTimeMs(wallMs: number): string {
  return `${showTime(wallMs)}.${String(Math.floor(wallMs % 1000)).padStart(3, "0")}`;
}

/** Of today 14:05:09, else 2026-11-30 14:05:09. */
export function showWhen(wallMs: number, nowMs: number): string {
  const day = new Date(wallMs).toDateString() === new Date(nowMs).toDateString();
  return day ? showTime(wallMs) : showDate(wallMs);
}

/** 2026-11-30 14:05:09, in the browser's time zone. */
export function showDate(wallMs: number): string {
  return new Date(wallMs).toLocaleString("sv-SE");
}

/** 2026-11-30 14:05:09, 3 min ago. */
export function showMoment(wallMs: number, nowMs: number): string {
  const ms = nowMs - wallMs;
  const distance = showDuration(Math.round(Math.abs(ms) / 1000) * 1000);
  return `${showDate(wallMs)}, ${ms >= 0 ? `${distance} ago` : `in ${distance}`}`;
}

/** SEQ 1 ACK 6 · 5 bytes. What never arrived says so. */
export function eventText({ text, tcp, lost }: LifelineEvent): string {
  const numbers = tcp ? `SEQ ${tcp.sequence} ACK ${tcp.acknowledgment} · ` : "";
  return `${lost ? "lost: " : ""}${numbers}${text}`;
}
