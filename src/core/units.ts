/**
 * ○ Durations and sizes as people write them. Durations become milliseconds, sizes become bytes; a bare number is taken in the
 * unit that the option documents (milliseconds and bytes unless it says otherwise).
 */
import { UsageError } from "./errors.ts";

/** A duration: a number of milliseconds, or text such as "250ms", "5s", "10m", "2h", "7d". */
export type Duration = number | string;

/** A size: a number of bytes, or text such as "512", "64k", "64kb", "64m", "1g" (powers of 1024). */
export type Size = number | string;

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Milliseconds of a duration.
 *
 * @param name the option's name, for the error's sentence
 * @throws UsageError UNIT_INVALID on anything else than a finite number >= 0 or digits with ms, s, m, h or d
 */
export function durationMs(value: Duration, name = "duration"): number {
  if (typeof value === "number") {
    if (Number.isFinite(value) && value >= 0) return value;
  } else if (typeof value === "string") {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(value.trim());
    if (match) return Number(match[1]) * DURATION_MS[match[2] ?? "ms"]!;
  }
  throw new UsageError(
    "UNIT_INVALID",
    `Cannot read ${name}: ${show(value)} is not a duration; write '250ms', '5s', '10m', '2h' or '7d'`,
  );
}

/**
 * Bytes of a size.
 *
 * @param name the option's name, for the error's sentence
 * @throws UsageError UNIT_INVALID on anything else than a whole number >= 0 or digits with k, m, g or t (b or ib may follow)
 */
export function sizeBytes(value: Size, name = "size"): number {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value) && value >= 0) return value;
  } else if (typeof value === "string") {
    const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/.exec(value.trim().toLowerCase());
    if (match) return Math.floor(Number(match[1]) * SIZE_BYTES[match[2]!]!);
  }
  throw new UsageError("UNIT_INVALID", `Cannot read ${name}: ${show(value)} is not a size; write '512', '64k', '64m' or '1g'`);
}

/** A duration for people: "250 ms", "5 s", "1 min 30 s", "2 h 11 min". At most two units. */
export function showDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "never";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** A size for people: "512 B", "64 KiB", "1.5 GiB". */
export function showSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Math.round(value * 10) / 10} ${units[unit]}`;
}

function show(value: unknown): string {
  if (typeof value === "string") return `'${value}'`;
  return typeof value === "number" || value === null ? String(value) : `a value of type ${typeof value}`;
}
