/**
 * ○ How long until each kind of death is noticed, computed from the options alone. Kernels run their timers up to 4 % late and
 * round to their ticks, so a measured time lies in [T, 1.04 × T + 0.3 s] (`slackMs`); tests on real kernels hold it to that.
 */
import { UsageError } from "../../core/errors.ts";
import { durationMs, showDuration } from "../../core/units.ts";
import type { Duration } from "../../core/units.ts";
import { readKeepAlive } from "./keep-alive.ts";
import type { KeepAlive, KeepAliveOptions } from "./keep-alive.ts";
import { LOSS_PROBE_MS, RETRANSMISSION_LAST_MS, RETRANSMISSION_MS, RETRANSMISSION_TIMER_MS } from "../limits.ts";
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
  /** The longest round trip of the path: answers on their way when the peer dies, and retransmission timers, follow it. Default 0. */
  readonly rtt?: Duration;
}

/** What the options do that their owner may not expect. */
export interface BoundWarning {
  /**
   * "path-forgets", "path-needs-payload": a middlebox forgets the connection while it is idle. "path-answers-probes": a proxy answers
   * keep-alive in the peer's place. "count-ignored": with this user timeout another number of probes than `count` goes unanswered.
   */
  readonly code: "path-forgets" | "path-needs-payload" | "path-answers-probes" | "count-ignored";
  /** The path as it was given; undefined where the warning is about no path. */
  readonly path?: string;
  readonly message: string;
}

/** Times in ms, each the worst case; Infinity means never. */
export interface Bound {
  /** The cable is cut, or the machine gone, while nothing is in flight; counted from when the peer was last heard. */
  readonly silentPeerMs: number;
  /**
   * The same on a connection that carried data until then: no probe was waiting for its interval, so the first one goes out after
   * the idle time.
   */
  readonly silentPeerFirstMs: number;
  /** The same while sent data is unacknowledged; counted from the send. */
  readonly unackedDataMs: number;
  /** This machine's own interface is down, with or without data to send; counted from the last byte heard, or the send. */
  readonly interfaceDownMs: number;
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
 * bound({ idle: "5s", interval: "10s", count: 3 }).silentPeerMs; // 40000: an answered probe, then 10 s + 3 × 10 s
 */
export function bound(options: BoundOptions = {}): Bound {
  const { values } = readKeepAlive(options);
  const rttMs = durationMs(options.rtt ?? 0, "rtt");
  const heartbeatMs = options.heartbeat === undefined ? Infinity : durationMs(options.heartbeat, "heartbeat");
  const timeoutMs = durationMs(
    options.heartbeatTimeout ?? (Number.isFinite(heartbeatMs) ? heartbeatMs / 3 : 0),
    "heartbeatTimeout",
  );
  const stallMs = options.stall === undefined ? Infinity : durationMs(options.stall, "stall");
  const paths = (options.path === undefined ? [] : [options.path].flat()).map((path) => ({
    name: String(path),
    ...pathOf(path),
  }));
  const proxied = paths.some(({ answersProbes }) => answersProbes);
  const liveProbeEveryMs = Math.max(values.idleMs, values.intervalMs);
  const lostDataMs = proxied ? Infinity : unacknowledgedMs(values, rttMs);
  const heartbeatDeathMs = heartbeatMs + timeoutMs + rttMs;
  // A heartbeat that goes out before keep-alive is through is data, and switches the probes off.
  const silent = (keepAliveMs: number): number =>
    heartbeatMs < keepAliveMs ? Math.min(heartbeatDeathMs, heartbeatMs + lostDataMs) : keepAliveMs;
  const silentPeerMs = silent(proxied ? Infinity : steadyDeathMs(values) + rttMs);
  const unackedDataMs = Math.min(lostDataMs, heartbeatDeathMs);
  return {
    silentPeerMs,
    silentPeerFirstMs: silent(proxied ? Infinity : deathMs(values, values.idleMs) + rttMs),
    unackedDataMs,
    // Probes and retransmissions that the machine cannot send count like those that nobody answers; a proxy is not asked.
    interfaceDownMs: Math.max(
      silent(steadyDeathMs(values) + rttMs),
      Math.min(unacknowledgedMs(values, rttMs), heartbeatDeathMs),
    ),
    hungProcessMs: heartbeatDeathMs,
    // Since Linux 5.11 a window that stays closed counts as unacknowledged data, however often the peer's kernel says so.
    neverReadingMs: Math.min(values.userTimeoutMs ? unacknowledgedMs(values, rttMs) : Infinity, stallMs, heartbeatDeathMs),
    liveProbeEveryMs,
    payloadEveryMs: heartbeatMs,
    warnings: [
      ...countWarning(values),
      ...paths.flatMap((path) => warningsOf(path, { liveProbeEveryMs, payloadEveryMs: heartbeatMs })),
    ],
  };
}

/** The window in which a death bounded by `ms` is noticed, on a kernel whose timers are late by its usual few per cent. */
export function slackMs(ms: number): { readonly earliestMs: number; readonly latestMs: number } {
  return { earliestMs: ms, latestMs: 1.04 * ms + 300 };
}

/**
 * When a peer that falls silent is given up, with the first probe `firstMs` after it was last heard (tcp_keepalive_timer() in
 * tcp_timer.c). With a user timeout the kernel ignores the count: the first tick at or after it, with a probe out, is the last.
 */
function deathMs({ intervalMs, count, userTimeoutMs }: KeepAlive, firstMs: number): number {
  const ticks = userTimeoutMs === 0 ? count : Math.max(1, Math.ceil((userTimeoutMs - firstMs) / intervalMs));
  return firstMs + intervalMs * ticks;
}

/**
 * The worst case on an idle connection. The timer runs on for the interval after an answered probe, and a byte heard at any time
 * within it does not set it anew: the first probe after the last byte goes out between idle and max(idle, interval) later. Where the
 * user timeout falls on a tick for one of these, the kernel may miss it by a moment and take one interval more.
 */
function steadyDeathMs(values: KeepAlive): number {
  const { idleMs, intervalMs, userTimeoutMs } = values;
  const latestMs = Math.max(idleMs, intervalMs);
  const onTickMs = latestMs - ((((latestMs - userTimeoutMs) % intervalMs) + intervalMs) % intervalMs);
  const missed = userTimeoutMs > latestMs && onTickMs > idleMs;
  return Math.max(deathMs(values, latestMs), missed ? userTimeoutMs + intervalMs : 0);
}

/**
 * When sent data that nobody acknowledges is given up. The kernel counts from its first retransmission (retransmits_timed_out() in
 * tcp_timer.c), which comes after a tail loss probe (2 round trips and 200 ms) and a retransmission timer: 3 round trips on a
 * connection that has measured one only, else a round trip and 200 ms. Without a user timeout it looks when a timer ends, 120 s apart at last.
 */
function unacknowledgedMs({ userTimeoutMs }: KeepAlive, rttMs: number): number {
  const timerMs = Math.max(3 * rttMs, rttMs + RETRANSMISSION_TIMER_MS);
  const firstMs = Math.min(2 * rttMs + LOSS_PROBE_MS, timerMs) + timerMs;
  return firstMs + (userTimeoutMs || RETRANSMISSION_MS + RETRANSMISSION_LAST_MS);
}

function countWarning(values: KeepAlive): BoundWarning[] {
  const { idleMs, intervalMs, count, userTimeoutMs } = values;
  const probes = Math.round((deathMs(values, idleMs) - idleMs) / intervalMs);
  if (probes === count) return [];
  const timeout = `a user timeout of ${showDuration(userTimeoutMs)}`;
  const message = `${timeout} ends the connection after ${probes} unanswered probe${probes === 1 ? "" : "s"}, whatever count says (${count})`;
  return [{ code: "count-ignored", message }];
}

interface NamedPath extends Pick<Path, "idleMs" | "payloadOnly" | "answersProbes" | "onExpiry"> {
  readonly name: string;
}

function warningsOf(path: NamedPath, has: { liveProbeEveryMs: number; payloadEveryMs: number }): BoundWarning[] {
  const { name, idleMs, payloadOnly, answersProbes, onExpiry } = path;
  const warnings: BoundWarning[] = [];
  if (answersProbes && has.payloadEveryMs === Infinity) {
    const message = `${name} answers keep-alive probes itself: they find the proxy's death, not the peer's; set a heartbeat`;
    warnings.push({ code: "path-answers-probes", path: name, message });
  }
  const silence = Math.min(has.payloadEveryMs, payloadOnly ? Infinity : has.liveProbeEveryMs);
  if (silence < idleMs) return warnings;
  const limit = `${name} forgets a connection after ${showDuration(idleMs)} of silence (${onExpiry})`;
  if (payloadOnly && has.liveProbeEveryMs < idleMs) {
    const message = `${limit} and does not count keep-alive probes: set a heartbeat below that`;
    return [{ code: "path-needs-payload", path: name, message }, ...warnings];
  }
  const message = `${limit}; the first traffic comes after ${showDuration(silence)}`;
  return [{ code: "path-forgets", path: name, message }, ...warnings];
}

function pathOf(path: Duration): Omit<NamedPath, "name"> {
  if (typeof path === "string" && path in PATHS) return PATHS[path as PathName];
  try {
    return { idleMs: durationMs(path, "path"), payloadOnly: false, answersProbes: false, onExpiry: "silence" };
  } catch (cause) {
    const known = Object.keys(PATHS).join(", ");
    throw new UsageError("LINK_OPTION_INVALID", `Cannot read path: '${path}' is neither a duration nor one of ${known}`, {
      cause,
    });
  }
}
