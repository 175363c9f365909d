import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffDelayMs } from "../../src/core/backoff.ts";

const bounds = { minMs: 100, maxMs: 1000 };

test("the wait doubles with each failure, up to its bound, and stays there", () => {
  const waits = [1, 2, 3, 4, 5, 2000].map((failures) => backoffDelayMs({ ...bounds, jitter: 0 }, failures, () => 0.5));
  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
});

test("full jitter leaves the whole wait to chance, half of it its second half", () => {
  const waitsOf = (jitter: number): number[] =>
    [0, 0.5].map((chance) => backoffDelayMs({ ...bounds, jitter }, 2, () => chance));
  assert.deepEqual(waitsOf(1), [0, 100]);
  assert.deepEqual(waitsOf(0.5), [100, 150]);
});
