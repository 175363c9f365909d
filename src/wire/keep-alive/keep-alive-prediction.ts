/**
 * ○ What keep-alive will do, computed beforehand: when the next probes go out, and when a peer that stays silent is given up. The
 * kernel's rule (net/ipv4/tcp_timer.c): the first probe after `idle` of silence; a probe that is answered is followed by the next
 * after `interval`, or after `idle` where that is longer; `count` unanswered ones and one more interval end the connection.
 */

export interface KeepAliveTimes {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly count: number;
}

export interface PredictedMark {
  /** On the time line of the arguments. */
  readonly atMs: number;
  readonly kind: "probe" | "answer" | "reset";
  /** Probes unanswered with this one, when the peer is silent; 0 when it answers. */
  readonly unanswered: number;
}

export interface PredictionStart {
  /** When the next probe is due: the kernel's own countdown, or the last segment heard plus `idle`. */
  readonly nextProbeAtMs: number;
  /** Probes already out and unanswered. */
  readonly unanswered?: number;
  /** Whether the peer will answer. */
  readonly answers: boolean;
  /** Where the prediction ends; at most 1000 marks are made. */
  readonly untilMs: number;
}

const MARKS_MAX = 1000;

/** The marks to come, in order of time. */
export function predictKeepAlive(
  times: KeepAliveTimes,
  { nextProbeAtMs, unanswered = 0, answers, untilMs }: PredictionStart,
): PredictedMark[] {
  const marks: PredictedMark[] = [];
  let atMs = nextProbeAtMs;
  let missed = unanswered;
  while (atMs <= untilMs && marks.length < MARKS_MAX) {
    if (answers) {
      marks.push({ atMs, kind: "probe", unanswered: 0 }, { atMs, kind: "answer", unanswered: 0 });
      atMs += Math.max(times.idleMs, times.intervalMs);
      continue;
    }
    if (missed >= times.count) return [...marks, { atMs, kind: "reset", unanswered: missed }];
    missed += 1;
    marks.push({ atMs, kind: "probe", unanswered: missed });
    atMs += times.intervalMs;
  }
  return marks;
}
