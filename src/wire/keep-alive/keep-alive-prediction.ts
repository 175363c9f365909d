/**
 * ○ Predicts keep-alive: when the next probes are sent, and when the connection to a peer that does not answer is closed. The
 * kernel's rule (net/ipv4/tcp_timer.c): the first probe after `idle` without traffic; after an answered probe the next one follows
 * after `interval`, or after `idle` where that is longer; after `count` unanswered probes and one more interval the connection is
 * closed.
 */

export interface KeepAliveTimes {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly count: number;
}

export interface PredictedMark {
  /** On the same clock as the arguments. */
  readonly atMs: number;
  readonly kind: "probe" | "answer" | "reset";
  /** Unanswered probes up to this one; 0 if the peer answers. */
  readonly unanswered: number;
}

export interface PredictionStart {
  /** When the next probe is due: the kernel's countdown, or the last received segment plus `idle`. */
  readonly nextProbeAtMs: number;
  /** Probes already sent and unanswered. */
  readonly unanswered?: number;
  /** Whether the peer will answer. */
  readonly answers: boolean;
  /** Where the prediction ends; at most 1000 marks are made. */
  readonly untilMs: number;
}

const MARKS_MAX = 1000;

/** The predicted marks in order of time. */
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
