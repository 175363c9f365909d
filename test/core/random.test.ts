import assert from "node:assert/strict";
import { test } from "node:test";
import { between, pick, seeded } from "../../src/core/random.ts";

test("the same seed gives the same numbers, another seed others", () => {
  const run = (seed: number): number[] => {
    const random = seeded(seed);
    return Array.from({ length: 5 }, random);
  };
  assert.deepEqual(run(7), run(7));
  assert.notDeepEqual(run(7), run(8));
});

test("numbers spread evenly over [0, 1)", () => {
  const random = seeded(1);
  const buckets = new Uint32Array(10);
  for (let index = 0; index < 100_000; index += 1) buckets[Math.floor(random() * 10)]! += 1;
  for (const count of buckets) assert.ok(Math.abs(count - 10_000) < 500, `${count} in a bucket of 10000`);
});

test("between reaches both of its ends, pick every item", () => {
  const random = seeded(3);
  assert.deepEqual(new Set(Array.from({ length: 200 }, () => between(random, 2, 4))), new Set([2, 3, 4]));
  assert.deepEqual(new Set(Array.from({ length: 200 }, () => pick(random, ["a", "b"]))), new Set(["a", "b"]));
});
