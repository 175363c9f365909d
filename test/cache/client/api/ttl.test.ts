import assert from "node:assert/strict";
import { test } from "node:test";
import { exptimeOf, ttlMs } from "../../../../src/cache/client/api/ttl.ts";

const WALL_MS = 1_767_225_600_000; // 2026-01-01T00:00:00Z

test("seconds and durations are sent as seconds, and none as never", () => {
  for (const [ttl, exptime] of [
    [undefined, 0],
    [0, 0],
    [1, 1],
    [2_592_000, 2_592_000],
    ["1s", 1],
    ["1500ms", 2],
    ["5m", 300],
    ["30d", 2_592_000],
  ] as const) {
    assert.equal(exptimeOf(ttl, WALL_MS), exptime, String(ttl));
  }
});

test("a duration over 30 days is sent as the date it ends, which is how memcached reads it", () => {
  assert.equal(exptimeOf("40d", WALL_MS), WALL_MS / 1000 + 40 * 86_400);
});

test("a Date is sent as a date, one that is over as already expired", () => {
  assert.equal(exptimeOf(new Date(WALL_MS + 60_000), WALL_MS), WALL_MS / 1000 + 60);
  assert.equal(exptimeOf(new Date(WALL_MS), WALL_MS), -1);
});

test("a number over 30 days is refused: memcached would take it for a date, and it is mostly milliseconds", () => {
  for (const ttl of [2_592_001, 3_600_000, WALL_MS, WALL_MS / 1000 + 60]) {
    assert.throws(() => exptimeOf(ttl, WALL_MS), { code: "CACHE_TTL_INVALID", message: /30 days.*not milliseconds/ });
  }
});

test("what memcached cannot count is refused with a sentence: fractions, less than a second, less than nothing", () => {
  for (const [ttl, sentence] of [
    [0.5, /whole seconds/],
    [1.5, /whole seconds/],
    [-1, /not a number of seconds/],
    [NaN, /not a number of seconds/],
    [Infinity, /not a number of seconds/],
    ["500ms", /shortest is '1s'/],
    [new Date(60), /before the year 2000/],
    [new Date(NaN), /not a date/],
  ] as const) {
    assert.throws(() => exptimeOf(ttl, WALL_MS), { code: "CACHE_TTL_INVALID", message: sentence }, String(ttl));
  }
  assert.throws(() => exptimeOf("5 minutes", WALL_MS), { code: "UNIT_INVALID" });
});

test("how long a ttl lasts is known in milliseconds", () => {
  assert.equal(ttlMs(undefined, WALL_MS), Infinity);
  assert.equal(ttlMs("5m", WALL_MS), 300_000);
  assert.equal(ttlMs("40d", WALL_MS), 40 * 86_400_000);
  assert.equal(ttlMs(new Date(WALL_MS + 2000), WALL_MS), 2000);
  assert.equal(ttlMs(new Date(WALL_MS - 2000), WALL_MS), 0);
});
