/** The times that `bound` promises, and the options behind them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bound, PATHS } from "../../../src/link/index.ts";
import { automaticUserTimeoutMs, readKeepAlive } from "../../../src/link/keep-alive/keep-alive.ts";

test("the lecture's 5 s, 10 s, 3: dead after 35 s, a probe every 10 s on a living connection", () => {
  const { silentPeerMs, liveProbeEveryMs, hungProcessMs, unackedDataMs } = bound({ idle: "5s", interval: "10s", count: 3 });
  assert.equal(silentPeerMs, 35_000);
  assert.equal(liveProbeEveryMs, 10_000);
  assert.equal(hungProcessMs, Infinity);
  assert.equal(unackedDataMs, 34_200);
});

test("without a user timeout, unacknowledged data takes a quarter of an hour, and a peer that never reads is never found", () => {
  const { silentPeerMs, unackedDataMs, neverReadingMs } = bound({ idle: "5s", interval: "10s", count: 3, userTimeout: "off" });
  assert.equal(silentPeerMs, 35_000);
  assert.equal(unackedDataMs, 924_600);
  assert.equal(neverReadingMs, Infinity);
});

test("a user timeout of 12 s makes 5 s, 10 s, 3 die at the tick after it: 15 s", () => {
  assert.equal(bound({ idle: "5s", interval: "10s", count: 3, userTimeout: "12s" }).silentPeerMs, 15_000);
});

test("the automatic user timeout never changes when a silent peer is found", () => {
  const seconds = fc.integer({ min: 1, max: 32_767 });
  fc.assert(
    fc.property(seconds, seconds, fc.integer({ min: 1, max: 127 }), (idle, interval, count) => {
      const times = { idle: idle * 1000, interval: interval * 1000, count };
      assert.equal(bound(times).silentPeerMs, bound({ ...times, userTimeout: "off" }).silentPeerMs);
    }),
  );
});

test("the automatic user timeout lies after the last tick but one, even when the kernel's timers run 4 % late", () => {
  for (const [idleMs, intervalMs, count] of [
    [1000, 1000, 2],
    [5000, 10_000, 3],
    [30_000, 10_000, 3],
  ] as const) {
    const lastButOneMs = idleMs + intervalMs * (count - 1);
    assert.ok(automaticUserTimeoutMs({ idleMs, intervalMs, count }) > lastButOneMs * 1.04);
  }
});

test("a heartbeat bounds every death, a hung process too", () => {
  const found = bound({ idle: "5s", interval: "10s", count: 3, heartbeat: "9s" });
  assert.deepEqual(
    [found.silentPeerMs, found.unackedDataMs, found.hungProcessMs, found.neverReadingMs],
    [12_000, 12_000, 12_000, 12_000],
  );
});

test("AWS's application load balancer is not kept awake by keep-alive, but by a heartbeat below 60 s", () => {
  const [warning] = bound({ path: "aws-alb" }).warnings;
  assert.equal(warning!.code, "path-needs-payload");
  assert.deepEqual(bound({ path: "aws-alb", heartbeat: "30s" }).warnings, []);
});

test("every named path warns of two hours of silence but the one that remembers for days, and of none of the lecture's", () => {
  for (const [name, { idleMs, payloadOnly }] of Object.entries(PATHS)) {
    const silent = bound({ idle: "3h", interval: "3h", count: 1, path: name }).warnings;
    assert.equal(silent.length, idleMs > 3 * 3_600_000 ? 0 : 1, name);
    assert.equal(bound({ path: name }).warnings.length, payloadOnly ? 1 : 0, name);
  }
});

test("several paths, and one of your own, are checked together", () => {
  const { warnings } = bound({ idle: "5min".replace("min", "m"), path: ["azure-lb", "aws-nlb", "2m"] });
  assert.deepEqual(
    warnings.map(({ path, code }) => `${path} ${code}`),
    ["azure-lb path-forgets", "2m path-forgets"],
  );
});

test("an unknown path is the caller's mistake", () => {
  assert.throws(() => bound({ path: "aws-xyz" }), { code: "LINK_OPTION_INVALID" });
});

test("delays below 1 s and broken seconds are rounded up and said, never taken as off or two hours", () => {
  const { values, warnings } = readKeepAlive({ idle: 500, interval: 1500, count: 2 });
  assert.equal(values.idleMs, 1000);
  assert.equal(values.intervalMs, 2000);
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["rounded", "rounded"],
  );
});

for (const [what, options] of [
  ["an idle time that kernels do not take", { idle: "10h" }],
  ["a count of 0", { count: 0 }],
  ["a count of 128", { count: 128 }],
  ["a count of 2.5", { count: 2.5 }],
  ["a user timeout of 0, which would mean none", { userTimeout: 0 }],
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(() => readKeepAlive(options), { code: "LINK_OPTION_INVALID" });
  });
}
