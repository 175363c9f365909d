/** The times that `bound` promises, and the options behind them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bound, PATHS } from "../../../src/link/index.ts";
import { automaticUserTimeoutMs, readKeepAlive } from "../../../src/link/keep-alive/keep-alive.ts";

test("the lecture's 5 s, 10 s, 3: dead after 40 s on an idle connection, 35 s after activity, a probe every 10 s", () => {
  const times = bound({ idle: "5s", interval: "10s", count: 3 });
  assert.equal(times.silentPeerMs, 40_000);
  assert.equal(times.silentPeerFirstMs, 35_000);
  assert.equal(times.liveProbeEveryMs, 10_000);
  assert.equal(times.hungProcessMs, Infinity);
  assert.equal(times.unackedDataMs, 34_400);
  assert.equal(times.interfaceDownMs, 40_000);
});

test("the worst case on an idle connection is max(idle, interval) + interval × count, for any values", () => {
  const seconds = fc.integer({ min: 1, max: 32_767 });
  fc.assert(
    fc.property(seconds, seconds, fc.integer({ min: 1, max: 127 }), (idle, interval, count) => {
      const times = bound({ idle: idle * 1000, interval: interval * 1000, count });
      assert.equal(times.silentPeerMs, 1000 * (Math.max(idle, interval) + interval * count));
      assert.equal(times.silentPeerFirstMs, 1000 * (idle + interval * count));
      assert.deepEqual(times.warnings, []);
    }),
  );
});

test("without a user timeout, unacknowledged data takes a quarter of an hour, and a peer that never reads is never found", () => {
  const times = bound({ idle: "5s", interval: "10s", count: 3, userTimeout: "off" });
  assert.equal(times.silentPeerMs, 40_000);
  assert.equal(
    times.unackedDataMs,
    924_600 + 120_000 + 400,
    "the kernel looks when a retransmission timer of up to 120 s ends",
  );
  assert.equal(times.neverReadingMs, Infinity);
});

test("a user timeout of 12 s makes 5 s, 10 s, 3 die at the tick after it, whatever count says, and that is a warning", () => {
  const { silentPeerFirstMs, silentPeerMs, warnings } = bound({ idle: "5s", interval: "10s", count: 3, userTimeout: "12s" });
  assert.deepEqual([silentPeerFirstMs, silentPeerMs], [15_000, 20_000]);
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["count-ignored"],
  );
});

test("a user timeout that falls on a tick may be missed by a moment: one interval more", () => {
  assert.equal(bound({ idle: "1s", interval: "10s", count: 2, userTimeout: "15s" }).silentPeerMs, 25_000);
});

test("a slow path is given its round trips: for answers on their way, and for the timers that follow it", () => {
  const near = bound({ idle: "1s", interval: "1s", count: 2 });
  const far = bound({ idle: "1s", interval: "1s", count: 2, rtt: "2s" });
  assert.equal(far.silentPeerMs, near.silentPeerMs + 2000);
  assert.equal(far.unackedDataMs, 2500 + 4200 + 6000);
});

test("a heartbeat before keep-alive is through switches the probes off, and finds the peer itself", () => {
  assert.equal(bound({ idle: "5s", interval: "10s", count: 3, heartbeat: "30s" }).silentPeerMs, 40_000);
  assert.equal(bound({ idle: "5s", interval: "10s", count: 3, heartbeat: "39s" }).silentPeerMs, 52_000);
  assert.equal(bound({ idle: "5s", interval: "10s", count: 3, heartbeat: "50s" }).silentPeerMs, 40_000);
});

test("behind a proxy that answers probes itself only a heartbeat finds the peer", () => {
  for (const path of ["nginx-stream", "haproxy"]) {
    const alone = bound({ path });
    assert.equal(alone.silentPeerMs, Infinity);
    assert.ok(alone.warnings.some(({ code }) => code === "path-answers-probes"));
    assert.equal(bound({ path, heartbeat: "30s" }).silentPeerMs, 40_000);
    assert.deepEqual(bound({ path, heartbeat: "30s" }).warnings, []);
  }
  const [warning] = bound({ idle: "20m", path: "kube-proxy-ipvs" }).warnings;
  assert.equal(warning?.code, "path-forgets");
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
    const silent = bound({ idle: "3h", interval: "3h", count: 1, path: name }).warnings.filter(
      ({ code }) => code !== "path-answers-probes",
    );
    assert.equal(silent.length, idleMs > 3 * 3_600_000 ? 0 : 1, name);
    const warnings = bound({ path: name }).warnings.filter(({ code }) => code !== "path-answers-probes");
    assert.equal(warnings.length, payloadOnly ? 1 : 0, name);
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
