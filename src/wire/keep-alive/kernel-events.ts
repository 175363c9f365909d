/**
 * ● The kernel's connection table (/proc/net/tcp, Linux), polled ten times a second: connects and disconnects, unanswered probes,
 * and keep-alive timers suspended by unacknowledged data. Any user may read it; it shows neither payload nor answered probes.
 */
import { kernelTimers } from "../../link/keep-alive/proc-net.ts";
import type { KernelTimer } from "../../link/keep-alive/proc-net-text.ts";
import { systemClock } from "../../core/clock.ts";
import { addressesOf } from "./kernel-addresses.ts";
import { type KernelEvent, KernelMarks } from "./kernel-marks.ts";

interface Tracked {
  readonly marks: KernelMarks;
  readonly server: string;
  readonly peer: string;
}

/** 100 ms: a keep-alive of 1 s is reported probe by probe; a poll of 1000 connections takes 2 ms. */
const POLL_MS = 100;

/**
 * Calls `onEvent` with each change at these server ports, until the returned function is called.
 *
 * @returns undefined where the system has no such table
 */
export function onKernelEvents(ports: readonly number[], onEvent: (event: KernelEvent) => void): (() => void) | undefined {
  if (kernelTimers() === undefined) return undefined;
  const tracked = new Map<string, Tracked>();
  let polls = 0;
  const poll = (): void => {
    polls += 1;
    const nowMs = systemClock.now();
    const wallMs = systemClock.wallMs();
    const seen = new Set<string>();
    const report = ({ server, peer }: Tracked, summary: string, atMs = nowMs): void =>
      onEvent({ source: "kernel counters", wallMs: wallMs - (nowMs - atMs), server, peer, summary });
    for (const [key, timer] of kernelTimers() ?? []) {
      if (!timer.established) continue;
      let known = tracked.get(key);
      if (!known) {
        const { local, remote, localPort } = addressesOf(key);
        if (!ports.includes(localPort)) continue;
        known = { marks: new KernelMarks(), server: local, peer: remote };
        tracked.set(key, known);
        report(known, polls === 1 ? "already connected" : "connected");
      }
      seen.add(key);
      for (const { summary, atMs } of eventsOf(known, timer, { nowMs, polls })) report(known, summary, atMs);
    }
    for (const [key, closed] of tracked) {
      if (seen.has(key)) continue;
      tracked.delete(key);
      report(closed, "disconnected");
    }
  };
  poll();
  const timer = setInterval(poll, POLL_MS);
  return () => clearInterval(timer);
}

/** The table has no byte counts, so a restarted countdown may mean a probe or data and is not reported (`bytes` always differs). */
function eventsOf(
  { marks }: Tracked,
  { keepAliveInMs, unanswered }: KernelTimer,
  { nowMs, polls }: { nowMs: number; polls: number },
): { summary: string; atMs: number }[] {
  return marks
    .update({ nextProbeInMs: keepAliveInMs, unanswered, bytes: polls }, nowMs)
    .flatMap(({ kind, atMs, unanswered: missed }) => {
      if (kind === "probe") return [{ atMs, summary: `keep-alive probe, ${missed} unanswered` }];
      if (kind === "answer") return [{ atMs, summary: "probe answered again" }];
      if (kind === "suspended") return [{ atMs, summary: "data is unacknowledged: the keep-alive timer is suspended" }];
      return [];
    });
}
