/** Keep-alive foretold, and read off the kernel's counters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KernelMarks } from "../../src/wire/keep-alive/kernel-marks.ts";
import { predictKeepAlive } from "../../src/wire/keep-alive/keep-alive-prediction.ts";

const LECTURE = { idleMs: 5000, intervalMs: 10_000, count: 3 };
const brief = ({ atMs, kind, unanswered }: { atMs: number; kind: string; unanswered: number }): string =>
  `${atMs / 1000} ${kind}${unanswered > 0 ? ` ${unanswered}` : ""}`;

test("with 5/10/3 a silent peer gets probes at 5, 15 and 25 s and is given up at 35 s", () => {
  const marks = predictKeepAlive(LECTURE, { nextProbeAtMs: 5000, answers: false, untilMs: 100_000 });
  assert.deepEqual(marks.map(brief), ["5 probe 1", "15 probe 2", "25 probe 3", "35 reset 3"]);
});

test("with 5/10/3 a living peer is probed every 10 s, with 10/5/2 too", () => {
  const marks = predictKeepAlive(LECTURE, { nextProbeAtMs: 5000, answers: true, untilMs: 26_000 });
  assert.deepEqual(marks.map(brief), ["5 probe", "5 answer", "15 probe", "15 answer", "25 probe", "25 answer"]);
  const other = predictKeepAlive(
    { idleMs: 10_000, intervalMs: 5000, count: 2 },
    { nextProbeAtMs: 10_000, answers: true, untilMs: 21_000 },
  );
  assert.deepEqual(other.map(brief), ["10 probe", "10 answer", "20 probe", "20 answer"]);
});

test("a prediction goes on from probes already out", () => {
  const marks = predictKeepAlive(LECTURE, { nextProbeAtMs: 1000, unanswered: 2, answers: false, untilMs: 100_000 });
  assert.deepEqual(marks.map(brief), ["1 probe 3", "11 reset 3"]);
});

test("the kernel's countdown starting anew without a byte means a probe was sent and answered", () => {
  const marks = new KernelMarks();
  assert.deepEqual(marks.update({ nextProbeInMs: 5000, unanswered: 0, bytes: 10 }, 0).map(brief), ["0 armed"]);
  for (let now = 100; now < 5000; now += 100)
    assert.deepEqual(marks.update({ nextProbeInMs: 5000 - now, unanswered: 0, bytes: 10 }, now), []);
  assert.deepEqual(marks.update({ nextProbeInMs: 9950, unanswered: 0, bytes: 10 }, 5050).map(brief), ["5 probe", "5 answer"]);
});

test("a countdown that starts anew after a byte was exchanged is no probe", () => {
  const marks = new KernelMarks();
  marks.update({ nextProbeInMs: 5000, unanswered: 0, bytes: 10 }, 0);
  marks.update({ nextProbeInMs: 2000, unanswered: 0, bytes: 11 }, 3000);
  assert.deepEqual(marks.update({ nextProbeInMs: 2950, unanswered: 0, bytes: 11 }, 5050), []);
  assert.deepEqual(marks.update({ nextProbeInMs: 9950, unanswered: 0, bytes: 11 }, 8050).map(brief), ["8 probe", "8 answer"]);
});

test("unanswered probes are counted, and an answer after them is told", () => {
  const marks = new KernelMarks();
  marks.update({ nextProbeInMs: 100, unanswered: 0, bytes: 0 }, 0);
  assert.deepEqual(marks.update({ nextProbeInMs: 950, unanswered: 1, bytes: 0 }, 150).map(brief), ["0.1 probe 1"]);
  assert.deepEqual(marks.update({ nextProbeInMs: 980, unanswered: 2, bytes: 0 }, 1150).map(brief), ["1.1 probe 2"]);
  assert.deepEqual(marks.update({ nextProbeInMs: 900, unanswered: 0, bytes: 0 }, 1300).map(brief), ["1.3 answer"]);
});

test("data in flight suspends keep-alive, and that is told", () => {
  const marks = new KernelMarks();
  marks.update({ nextProbeInMs: 5000, unanswered: 0, bytes: 0 }, 0);
  assert.deepEqual(marks.update({ nextProbeInMs: undefined, unanswered: 0, bytes: 5 }, 100).map(brief), ["0.1 suspended"]);
  assert.deepEqual(marks.update({ nextProbeInMs: 4900, unanswered: 0, bytes: 5 }, 300).map(brief), ["0.3 armed"]);
});
