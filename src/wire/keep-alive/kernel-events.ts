/**
 * ● The kernel's own table of connections (/proc/net/tcp, Linux), looked at ten times a second: who came and went, which peers leave
 * probes unanswered, where data in flight keeps keep-alive from running. Any user may read it; it shows no payload, and a probe that
 * was answered leaves no trace in it.
 */
import { kernelTimers } from "../../link/keep-alive/proc-net.ts";
import type { KernelTimer } from "../../link/keep-alive/proc-net-text.ts";
import { systemClock } from "../../core/clock.ts";
import { addressesOf } from "./kernel-addresses.ts";
import { KernelMarks } from "./kernel-marks.ts";

/** One thing that the kernel's table told. */
export interface KernelEvent {
  readonly source: "kernel counters";
  readonly wallMs: number;
  readonly server: string;
  readonly peer: string;
  readonly summary: string;
}

interface Followed {
  readonly marks: KernelMarks;
  readonly server: string;
  readonly peer: string;
}

/** 100 ms: a keep-alive of 1 s is told probe by probe; a look at 1000 connections takes 2 ms. */
const LOOK_MS = 100;

/**
 * Calls `onEvent` with what changes at these server ports, until the returned function is called.
 *
 * @returns undefined where the system has no such table
 */
export function onKernelEvents(ports: readonly number[], onEvent: (event: KernelEvent) => void): (() => void) | undefined {
  if (kernelTimers() === undefined) return undefined;
  const followed = new Map<string, Followed>();
  let looks = 0;
  const look = (): void => {
    looks += 1;
    const nowMs = systemClock.now();
    const wallMs = systemClock.wallMs();
    const seen = new Set<string>();
    const tell = ({ server, peer }: Followed, summary: string, atMs = nowMs): void =>
      onEvent({ source: "kernel counters", wallMs: wallMs - (nowMs - atMs), server, peer, summary });
    for (const [key, timer] of kernelTimers() ?? []) {
      if (!timer.established) continue;
      let known = followed.get(key);
      if (!known) {
        const { local, remote, localPort } = addressesOf(key);
        if (!ports.includes(localPort)) continue;
        known = { marks: new KernelMarks(), server: local, peer: remote };
        followed.set(key, known);
        tell(known, looks === 1 ? "was connected already" : "connected");
      }
      seen.add(key);
      for (const { summary, atMs } of eventsOf(known, timer, { nowMs, looks })) tell(known, summary, atMs);
    }
    for (const [key, gone] of followed) {
      if (seen.has(key)) continue;
      followed.delete(key);
      tell(gone, "is gone");
    }
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

/** The table has no byte counts, so a countdown that starts anew may be a probe or data: it is not told (`bytes` always differs). */
function eventsOf(
  { marks }: Followed,
  { keepAliveInMs, unanswered }: KernelTimer,
  { nowMs, looks }: { nowMs: number; looks: number },
): { summary: string; atMs: number }[] {
  return marks
    .look({ nextProbeInMs: keepAliveInMs, unanswered, bytes: looks }, nowMs)
    .flatMap(({ kind, atMs, unanswered: missed }) => {
      if (kind === "probe") return [{ atMs, summary: `keep-alive probe, ${missed} unanswered` }];
      if (kind === "answer") return [{ atMs, summary: "heard from again" }];
      if (kind === "suspended") return [{ atMs, summary: "data in flight: keep-alive stands still" }];
      return [];
    });
}
