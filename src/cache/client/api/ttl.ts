/**
 * ○ Times to live as callers give them → memcached's exptime. memcached reads 0 as "never", up to 30 days as seconds from now,
 * anything larger as seconds since 1970, and whole seconds only. What it would take for another time is refused.
 */
import { UsageError } from "../../../core/errors.ts";
import { durationMs, type Duration } from "../../../core/units.ts";
import { EXPTIME_MAX, TTL_RELATIVE_S_MAX } from "../operations/limits.ts";

/** How long an item lives: "5m" (ms, s, m, h or d), a number of seconds up to 30 days, or a Date. 0 and leaving it out: no end. */
export type Ttl = string | number | Date;

/** 2000-01-01: an earlier Date is a mistake, such as `new Date(60)` for 60 s. */
const DATE_MS_MIN = 946_684_800_000;

/**
 * @param wallMs the wall clock, for Dates and durations over 30 days
 * @returns memcached's exptime
 * @throws UsageError CACHE_TTL_INVALID
 */
export function exptimeOf(ttl: Ttl | undefined, wallMs: number): number {
  if (ttl === undefined) return 0;
  if (typeof ttl === "number") return ofSeconds(ttl);
  if (typeof ttl === "string") return ofDuration(ttl, wallMs);
  if (ttl instanceof Date) return ofDate(ttl, wallMs);
  throw refused(
    ttl === null ? "null" : `of type ${typeof ttl}`,
    "it must be text such as '5m', a number of seconds, or a Date",
  );
}

/**
 * memcached's exptime for a life of `ms` milliseconds from now, rounded up to whole seconds; Infinity: no end.
 *
 * @throws UsageError CACHE_TTL_INVALID beyond 2038
 */
export function exptimeOfMs(ms: number, wallMs: number): number {
  if (ms === Infinity) return 0;
  if (ms <= 0) return -1;
  const seconds = Math.ceil(ms / 1000);
  return seconds <= TTL_RELATIVE_S_MAX ? seconds : dateOf(wallMs + ms);
}

/** Milliseconds a ttl lasts from now on; Infinity without end. */
export function ttlMs(ttl: Ttl | undefined, wallMs: number): number {
  const exptime = exptimeOf(ttl, wallMs);
  if (exptime === 0) return Infinity;
  if (exptime < 0) return 0;
  return exptime > TTL_RELATIVE_S_MAX ? Math.max(0, exptime * 1000 - wallMs) : exptime * 1000;
}

/**
 * A length of time that memcached counts itself, in whole seconds: at least 1.
 *
 * @throws UsageError UNIT_INVALID for none, or beyond 2^31-1 s
 */
export function leaseSeconds(value: Duration, name: string): number {
  return Math.max(1, Math.ceil(boundedMs(value, name) / 1000));
}

/** Milliseconds of a duration. @throws UsageError UNIT_INVALID for none, or beyond 2^31-1 s */
export function boundedMs(value: Duration, name: string): number {
  const ms = durationMs(value, name);
  if (ms <= EXPTIME_MAX * 1000) return ms;
  throw new UsageError("UNIT_INVALID", `Cannot use ${name}: memcached counts at most ${EXPTIME_MAX} s`);
}

function ofSeconds(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= TTL_RELATIVE_S_MAX) return seconds;
  if (!Number.isFinite(seconds) || seconds < 0) throw refused(String(seconds), "it is not a number of seconds from now");
  if (seconds > TTL_RELATIVE_S_MAX) {
    throw refused(
      String(seconds),
      "memcached reads numbers over 30 days (2592000 s) as a date; seconds are meant, not milliseconds. For longer write '40d' or a Date",
    );
  }
  throw refused(String(seconds), "memcached counts whole seconds");
}

function ofDuration(text: string, wallMs: number): number {
  const ms = durationMs(text, "ttl");
  if (ms === 0) return 0;
  if (ms < 1000) throw refused(`'${text}'`, "memcached counts whole seconds; the shortest is '1s'");
  return exptimeOfMs(ms, wallMs);
}

function ofDate(date: Date, wallMs: number): number {
  const ms = date.getTime();
  if (Number.isNaN(ms)) throw refused("Invalid Date", "it is not a date");
  if (ms < DATE_MS_MIN) throw refused(date.toISOString(), "a Date before the year 2000 is probably a duration in milliseconds");
  if (ms <= wallMs) return -1; // already over: the item is stored as expired, which deletes it
  return dateOf(ms);
}

function dateOf(ms: number): number {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= EXPTIME_MAX) return seconds;
  throw refused(`that ends after ${LAST_DATE}`, "memcached keeps no later date; leave ttl out for an item without end");
}

const LAST_DATE = new Date(EXPTIME_MAX * 1000).toISOString();

function refused(shown: string, reason: string): UsageError {
  return new UsageError("CACHE_TTL_INVALID", `Cannot use ttl ${shown}: ${reason}`);
}
