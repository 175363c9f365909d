import assert from "node:assert/strict";
import { test } from "node:test";
import { addLatencies, latenciesSince, LatencyHistogram, latencyQuantile } from "../../src/core/latency-histogram.ts";

function of(...durations: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const ms of durations) histogram.observe(ms);
  return histogram;
}

test("a duration is counted in the bucket whose bound it does not exceed, one beyond all bounds in the last", () => {
  assert.deepEqual(of(-1, 0, 1, 1.1, 5, 3_600_000, 3_600_001).now, {
    counts: [3, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1],
    sumMs: 0 + 1 + 1.1 + 5 + 3_600_000 + 3_600_001,
  });
});

test("a quantile lies within its bucket, and of what took longer than all bounds it is the last", () => {
  assert.equal(latencyQuantile(of().now, 0.5), undefined);
  assert.equal(latencyQuantile(of(50, 60, 70, 80).now, 0.5), 60);
  assert.equal(Math.round(latencyQuantile(of(0.5, 0.5, 0.5, 400).now, 0.95)!), 420);
  assert.equal(latencyQuantile(of(9e9).now, 0.5), 3_600_000);
});

test("what was counted since is the difference, or all of it after a restart; two histograms add up", () => {
  const [before, now] = [of(3).now, of(3, 4, 700).now];
  assert.deepEqual(latenciesSince(now, before), of(4, 700).now);
  assert.deepEqual(latenciesSince(before, now), before);
  assert.deepEqual(addLatencies(of(3, 4).now, of(700).now), of(3, 4, 700).now);
  assert.equal(addLatencies(undefined, now), now);
});
