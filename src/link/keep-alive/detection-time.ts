/**
 * ○ How long until each kind of death is noticed, computed from the options alone. Kernels run their timers up to 4 % late and
 * round to their ticks, so a measured time lies in [T, 1.04 × T + 0.3 s] (`slackMs`); tests on real kernels hold it to that.
 */
import { UsageError } from "../../core/errors.ts";
import { durationMs, showDuration } from "../../core/units.ts";
import type { Duration } from "../../core/units.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "./keep-alive.ts";
import { FIRST_RETRANSMISSION_MS, RETRANSMISSION_MS } from "../limits.ts";
import { PATHS } from "./middleboxes.ts";
import type { Path, PathName } from "./middleboxes.ts";

/** What `bound` computes from. */
export interface BoundOptions extends KeepAliveOptions {
  /** Silence before an application heartbeat (session mode). Left out: no heartbeats. */
  readonly heartbeat?: Duration;
  /** How long a heartbeat may stay unanswered. Default: a third of `heartbeat`. */
  readonly heartbeatTimeout?: Duration;
  /** How long the peer may take nothing of what is sent before the link is ended as "stalled-reader". Left out: no such limit. */
  readonly stall?: Duration;
  /** What the connection passes: names from PATHS, or the idle time of a middlebox of your own. */
  readonly path?: Duration | readonly Duration[];
}

/** A middlebox that would forget the connection while it is idle. */
export interface BoundWarning {
  readonly code: "path-forgets" | "path-needs-payload";
  readonly path: string;
  readonly message: string;
}

/** Times in ms; Infinity means never. */
export interface Bound {
  /** The cable is cut, or the machine gone, while nothing is in flight. */
  readonly silentPeerMs: number;
  /** The same while sent data is unacknowledged; counted from the send. */
  readonly unackedDataMs: number;
  /** The peer's process is stopped or hangs; its kernel answers every probe. */
  readonly hungProcessMs: number;
  /** The peer's process never reads, and its kernel's buffer is full; counted from when nothing more could be sent. */
  readonly neverReadingMs: number;
  /** On a living, idle connection a probe goes out this often: the later of idle and interval. */
  readonly liveProbeEveryMs: number;
  /** The longest silence on an idle connection, in payload only: Infinity without heartbeats. */
  readonly payloadEveryMs: number;
  readonly warnings: readonly BoundWarning[];
}

/**
 * Computes when deaths will be noticed.
 *
 * @throws UsageError LINK_OPTION_INVALID, UNIT_INVALID
 * @example
 * bound({ idle: "5s", interval: "10s", count: 3 }).silentPeerMs; // 35000
 */
export function bound(options: BoundOptions = {}): Bound {
  const { values } = readKeepAlive(options);
  const heartbeatMs = options.heartbeat === undefined ? Infinity : durationMs(options.heartbeat, "heartbeat");
  const timeoutMs = durationMs(
    options.heartbeatTimeout ?? (Number.isFinite(heartbeatMs) ? heartbeatMs / 3 : 0),
    "heartbeatTimeout",
  );
  const heartbeatDeathMs = heartbeatMs + timeoutMs;
  const stallMs = options.stall === undefined ? Infinity : durationMs(options.stall, "stall");
  const liveProbeEveryMs = Math.max(values.idleMs, values.intervalMs);
  const paths = options.path === undefined ? [] : [options.path].flat();
  return {
    silentPeerMs: Math.min(keepAliveDeathMs(values), heartbeatDeathMs),
    // The kernel counts from the first retransmission, not from the send (retransmits_timed_out() in tcp_timer.c).
    unackedDataMs: Math.min(
      values.userTimeoutMs ? values.userTimeoutMs + FIRST_RETRANSMISSION_MS : RETRANSMISSION_MS,
      heartbeatDeathMs,
    ),
    hungProcessMs: heartbeatDeathMs,
    // Since Linux 5.11 a window that stays closed counts as unacknowledged data, however often the peer's kernel says so.
    neverReadingMs: Math.min(values.userTimeoutMs || Infinity, stallMs, heartbeatDeathMs),
    liveProbeEveryMs,
    payloadEveryMs: heartbeatMs,
    warnings: paths.flatMap((path) => warningsOf(path, { liveProbeEveryMs, payloadEveryMs: heartbeatMs })),
  };
}

/** The window in which a death bounded by `ms` is noticed, on a kernel whose timers are late by its usual few per cent. */
export function slackMs(ms: number): { readonly earliestMs: number; readonly latestMs: number } {
  return { earliestMs: ms, latestMs: 1.04 * ms + 300 };
}

/** With a user timeout the kernel ignores the count: the first tick at or after it, with a probe out, is the last (tcp_timer.c). */
function keepAliveDeathMs({ idleMs, intervalMs, count, userTimeoutMs }: KeepAlive): number {
  const ticks = userTimeoutMs === 0 ? count : Math.max(1, Math.ceil((userTimeoutMs - idleMs) / intervalMs));
  return idleMs + intervalMs * ticks;
}

function warningsOf(path: Duration, has: { liveProbeEveryMs: number; payloadEveryMs: number }): BoundWarning[] {
  const { idleMs, payloadOnly, onExpiry } = pathOf(path);
  const name = String(path);
  const silence = Math.min(has.payloadEveryMs, payloadOnly ? Infinity : has.liveProbeEveryMs);
  if (silence < idleMs) return [];
  const limit = `${name} forgets a connection after ${showDuration(idleMs)} of silence (${onExpiry})`;
  if (payloadOnly && has.liveProbeEveryMs < idleMs) {
    const message = `${limit} and does not count keep-alive probes: set a heartbeat below that`;
    return [{ code: "path-needs-payload", path: name, message }];
  }
  return [{ code: "path-forgets", path: name, message: `${limit}; the first traffic comes after ${showDuration(silence)}` }];
}

function pathOf(path: Duration): Pick<Path, "idleMs" | "payloadOnly" | "onExpiry"> {
  if (typeof path === "string" && path in PATHS) return PATHS[path as PathName];
  try {
    return { idleMs: durationMs(path, "path"), payloadOnly: false, onExpiry: "silence" };
  } catch (cause) {
    const known = Object.keys(PATHS).join(", ");
    throw new UsageError("LINK_OPTION_INVALID", `Cannot read path: '${path}' is neither a duration nor one of ${known}`, {
      cause,
    });
  }
}
