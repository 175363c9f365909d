/**
 * ○ Keep-alive options as people write them, and as kernels take them: whole seconds. Invariant of `KeepAlive`: idle and interval
 * are whole seconds from 1 s on, so that no system call rounds them to something else, least of all to "off" or "two hours".
 */
import { UsageError } from "../../core/errors.ts";
import { KEEP_ALIVE_DEFAULT } from "../../core/limits.ts";
import { durationMs, showDuration } from "../../core/units.ts";
import type { Duration } from "../../core/units.ts";
import { KEEP_ALIVE_COUNT_MAX, KEEP_ALIVE_SECONDS_MAX, USER_TIMEOUT_MARGIN_MS } from "../limits.ts";

/** How a connection finds out that its peer is gone. */
export interface KeepAliveOptions {
  /** Silence before the first probe; whole seconds from 1 s to 32,767 s (others are rounded up, with a warning). Default 5 s. */
  readonly idle?: Duration;
  /** Time between probes; same range. Default 10 s. */
  readonly interval?: Duration;
  /** Unanswered probes after which the peer is dead; 1 to 127. Default 3. */
  readonly count?: number;
  /**
   * How long sent data may stay unacknowledged (TCP_USER_TIMEOUT). Such data switches probes off, and without this bound the
   * kernel retransmits for a quarter of an hour. "auto", the default, takes a little less than idle + interval × count;
   * "off" leaves it to the kernel.
   */
  readonly userTimeout?: Duration;
}

/** Keep-alive values as the kernel takes them. */
export interface KeepAlive {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly count: number;
  /** 0 means off: the kernel's own retransmission limit holds. */
  readonly userTimeoutMs: number;
}

/** What `tune` could not do as asked; `code` is stable. */
export interface TuneWarning {
  readonly code:
    | "rounded"
    | "not-connected"
    | "interval-ignored"
    | "count-ignored"
    | "user-timeout-unset"
    | "not-read-back"
    | "differs";
  /** One sentence for people. */
  readonly message: string;
}

/**
 * Reads options, fills in defaults and rounds to whole seconds.
 *
 * @throws UsageError LINK_OPTION_INVALID, UNIT_INVALID
 */
export function readKeepAlive(options: KeepAliveOptions = {}): { values: KeepAlive; warnings: TuneWarning[] } {
  const warnings: TuneWarning[] = [];
  const wholeSeconds = (name: "idle" | "interval", value: Duration): number => {
    const askedMs = durationMs(value, name);
    const seconds = Math.max(1, Math.ceil(askedMs / 1000));
    if (seconds > KEEP_ALIVE_SECONDS_MAX) {
      throw new UsageError(
        "LINK_OPTION_INVALID",
        `Cannot set ${name}: ${showDuration(askedMs)} is more than the ${KEEP_ALIVE_SECONDS_MAX} s that kernels accept`,
      );
    }
    if (seconds * 1000 !== askedMs) {
      const message = `${name} of ${askedMs} ms is rounded up to ${seconds} s: kernels count whole seconds from 1 s`;
      warnings.push({ code: "rounded", message });
    }
    return seconds * 1000;
  };
  const idleMs = wholeSeconds("idle", options.idle ?? KEEP_ALIVE_DEFAULT.idleMs);
  const intervalMs = wholeSeconds("interval", options.interval ?? KEEP_ALIVE_DEFAULT.intervalMs);
  const count = options.count ?? KEEP_ALIVE_DEFAULT.count;
  if (!Number.isInteger(count) || count < 1 || count > KEEP_ALIVE_COUNT_MAX) {
    throw new UsageError(
      "LINK_OPTION_INVALID",
      `Cannot set count: ${count} is not a whole number from 1 to ${KEEP_ALIVE_COUNT_MAX}`,
    );
  }
  const userTimeoutMs = userTimeout(options.userTimeout ?? "auto", { idleMs, intervalMs, count });
  return { values: { idleMs, intervalMs, count, userTimeoutMs }, warnings };
}

/**
 * The automatic user timeout. With one set, Linux ignores `count` and ends the connection at the first tick (idle, then every
 * interval) at or after it; so it must lie after the tick before the last and not after the last (tcp_timer.c).
 */
export function automaticUserTimeoutMs({ idleMs, intervalMs, count }: Omit<KeepAlive, "userTimeoutMs">): number {
  return idleMs + intervalMs * count - Math.min(USER_TIMEOUT_MARGIN_MS, intervalMs / 2);
}

function userTimeout(value: Duration, times: Omit<KeepAlive, "userTimeoutMs">): number {
  if (value === "off") return 0;
  if (value === "auto") return automaticUserTimeoutMs(times);
  const ms = Math.ceil(durationMs(value, "userTimeout"));
  if (ms < 1) throw new UsageError("LINK_OPTION_INVALID", "Cannot set userTimeout: 0 means no limit to kernels; write 'off'");
  return ms;
}
