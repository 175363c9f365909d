import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Rate, RateLimiter } from "../../../src/queue/tasks/rate-limiter.ts";

/** Starts as they were given out, by the simplest model there is. */
class Model {
  readonly #rate: Rate;
  readonly #gaveMs: number[] = [];

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  gave(nowMs: number): void {
    this.#gaveMs.push(nowMs);
    const inWindow = this.#gaveMs.filter((each) => each > nowMs - this.#rate.perMs).length;
    assert.ok(inWindow <= this.#rate.count, `${inWindow} starts in the ${this.#rate.perMs} ms until ${nowMs}`);
  }
}

/** A time as clocks tell it, in 64ths of a millisecond: sums and differences are exact. */
function milliseconds(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: max * 64 }).map((ticks) => ticks / 64);
}

const rates = fc.record({ count: fc.integer({ min: 1, max: 20 }), perMs: fc.integer({ min: 1, max: 5000 }) });

const acts = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("start" as const), commitMs: milliseconds(800) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: milliseconds(2000) }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: "until it opens" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), gaveBefore: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant({ kind: "lose" as const }) },
  ),
  { maxLength: 300 },
);

test("in no window of a rate's length more is given out than its count, whatever commits take, and over restarts", () => {
  fc.assert(
    fc.property(rates, acts, milliseconds(1e12), (rate, all, firstMs) => {
      const model = new Model(rate);
      const bounds = { rate };
      let limiter = new RateLimiter();
      let nowMs = firstMs;
      let reserved: number[] = [];
      /** Commits that end on the way are told in their order. */
      const until = (ms: number): void => {
        for (const atMs of reserved.filter((each) => each <= ms).sort((a, b) => a - b)) {
          model.gave(atMs);
          limiter.gave(rate, atMs);
        }
        reserved = reserved.filter((each) => each > ms);
        nowMs = ms;
      };
      for (const act of all) {
        if (act.kind === "wait") until(nowMs + act.ms);
        else if (act.kind === "start") {
          if (limiter.opensMs(bounds, nowMs) > nowMs) continue;
          limiter.reserve();
          reserved.push(nowMs + act.commitMs);
        } else if (act.kind === "until it opens") {
          const opensMs = limiter.opensMs(bounds, nowMs);
          if (opensMs === Infinity) assert.ok(reserved.length > 0, "closed for ever");
          else until(opensMs);
        } else {
          if (act.kind === "restart" && act.gaveBefore) for (const _ of reserved) model.gave(nowMs);
          else if (act.kind === "lose") for (const _ of reserved) model.gave(nowMs);
          reserved = [];
          const history = act.kind === "restart" ? JSON.parse(JSON.stringify(limiter.history)) : undefined;
          limiter = new RateLimiter();
          assert.equal(limiter.restore(history, rate, nowMs), act.kind === "restart");
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test("of a rate all but a hundredth can be used", () => {
  for (const rate of [
    { count: 1, perMs: 1000 },
    { count: 100, perMs: 1000 },
    { count: 7, perMs: 86_400_000 },
    { count: 5000, perMs: 60_000 },
  ]) {
    const limiter = new RateLimiter();
    let nowMs = 1_767_225_600_123.4;
    const firstMs = nowMs;
    let starts = 0;
    for (; nowMs < firstMs + 100 * rate.perMs; nowMs = limiter.opensMs({ rate }, nowMs)) {
      limiter.reserve();
      limiter.gave(rate, nowMs);
      starts += 1;
    }
    assert.ok(starts >= 99 * rate.count, `${starts} of ${100 * rate.count}`);
  }
});

test("a history of starts takes a few hundred numbers, however many they were", () => {
  const rate = { count: 1_000_000, perMs: 60_000 };
  const limiter = new RateLimiter();
  for (let nowMs = 0; nowMs < 200_000; nowMs += 0.5) {
    if (limiter.opensMs({ rate }, nowMs) > nowMs) continue;
    limiter.reserve();
    limiter.gave(rate, nowMs);
  }
  assert.ok(limiter.history.length < 530, `${limiter.history.length}`);
});

test("a history that is none counts as a whole window used, and one from the future as now", () => {
  const rate = { count: 2, perMs: 1000 };
  for (const garbage of [
    undefined,
    null,
    {},
    "[0]",
    [],
    [0, 1],
    [-1],
    [0.5],
    [0, 1, -3],
    ["0"],
    [0, null, 1],
    [0, Infinity, 1],
    new Array(5001).fill(0),
  ]) {
    const limiter = new RateLimiter();
    assert.equal(limiter.restore(garbage, rate, 5000), false, JSON.stringify(garbage));
    const opensMs = limiter.opensMs({ rate }, 5000);
    assert.ok(opensMs >= 6000 && opensMs < 6010);
    assert.equal(limiter.opensMs({ rate }, opensMs), opensMs);
  }
  const ahead = new RateLimiter();
  assert.ok(ahead.restore([0, 9e15, 2], rate, 5000));
  assert.ok(ahead.opensMs({ rate }, 5000) < 6020);
});
