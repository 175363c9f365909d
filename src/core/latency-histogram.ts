/**
 * ○ How long things took: counted in buckets of fixed bounds, so that histograms of many queues, brokers and hours add up. A duration is
 * counted in 10 ns and nothing is kept of it but its bucket and the sum.
 */

/** Up to 1 ms, 5 ms, … 1 h; what took longer has a bucket of its own. A factor of 2 to 6 apart: from a lookup to a night's batch in ten. */
export const LATENCY_BOUNDS_MS = [1, 5, 20, 100, 500, 2000, 10_000, 60_000, 600_000, 3_600_000] as const;

/** How many durations fell into each bucket, the last of which has no bound, and their sum. */
export interface LatencyCounts {
  readonly counts: readonly number[];
  readonly sumMs: number;
}

export class LatencyHistogram {
  readonly #counts = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;

  observe(ms: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_MS.length && ms > LATENCY_BOUNDS_MS[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sumMs += Math.max(0, ms);
  }

  get now(): LatencyCounts {
    return { counts: this.#counts.slice(), sumMs: this.#sumMs };
  }
}

/** What two histograms counted together; of one that is not there nothing. */
export function addLatencies(first: LatencyCounts | undefined, second: LatencyCounts | undefined): LatencyCounts | undefined {
  if (!first || !second) return first ?? second;
  return {
    counts: first.counts.map((count, bucket) => count + (second.counts[bucket] ?? 0)),
    sumMs: first.sumMs + second.sumMs,
  };
}

/** What was counted since then; all of it when it went back, as when the broker was restarted. */
export function latenciesSince(now: LatencyCounts, before: LatencyCounts | undefined): LatencyCounts {
  if (!before || now.counts.some((count, bucket) => count < (before.counts[bucket] ?? 0))) return now;
  return { counts: now.counts.map((count, bucket) => count - (before.counts[bucket] ?? 0)), sumMs: now.sumMs - before.sumMs };
}

/**
 * The duration that this share of them did not exceed, estimated within its bucket as Prometheus' `histogram_quantile` does; of what
 * took longer than the last bound, that bound. Undefined when nothing was counted.
 */
export function latencyQuantile({ counts }: LatencyCounts, share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = share * total;
  for (const [bucket, count] of counts.entries()) {
    const low = LATENCY_BOUNDS_MS[bucket - 1] ?? 0;
    if (left > count) left -= count;
    else return low + ((LATENCY_BOUNDS_MS[bucket] ?? low) - low) * (count === 0 ? 0 : left / count);
  }
  return LATENCY_BOUNDS_MS.at(-1);
}
