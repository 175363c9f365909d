import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuSeconds, freePort, residentBytes } from "../../bench/support/process.ts";
import { describe, finding, reached } from "../../bench/support/report.ts";
import { pairedRounds, ratio, spread } from "../../bench/support/rounds.ts";

test("every round measures each contender once, and the one that goes first changes", async () => {
  const order: string[] = [];
  const note = (name: string) => () => Promise.resolve(order.push(name));
  const rounds = await pairedRounds(2, { ours: note("ours"), theirs: note("theirs") });
  assert.deepEqual(order.slice(2), ["ours", "theirs", "theirs", "ours"], "after the round that warms up");
  assert.deepEqual(rounds, { ours: [3, 6], theirs: [4, 5] });
});

test("a ratio is taken within each round, so that a slow round does not blur it", () => {
  assert.deepEqual(ratio([1, 10, 3], [2, 20, 4]), { median: 0.5, low: 0.5, high: 0.75 });
  assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, low: 1, high: 4 });
  assert.throws(() => spread([]), RangeError);
});

test("a finding says whether its target was reached", () => {
  const about = { name: "echo", unit: "s", target: { against: "theirs", atMost: 0.6 } };
  const good = finding(about, "ours", { ours: [1, 1], theirs: [2, 4] });
  assert.equal(reached(good), true);
  assert.equal(
    describe(good),
    "echo: ours 1.00, theirs 3.00 (2.00 to 4.00) s; 0.375 (0.250 to 0.500) × theirs; wanted at most 0.6: reached",
  );
  assert.equal(reached(finding(about, "ours", { ours: [3], theirs: [2] })), false);
  assert.equal(reached(finding({ name: "echo", unit: "s" }, "ours", { ours: [3], theirs: [2] })), undefined);
});

test("a target without a rival bounds our own figure, and one round of one contender is a plain figure", () => {
  const about = { name: "memory", unit: "MiB", target: { atMost: 80 } };
  assert.equal(reached(finding(about, "ours", { ours: [79] })), true);
  assert.equal(reached(finding(about, "ours", { ours: [81], theirs: [200] })), false);
});

test("what is counted per second is better when more, anything else when less", () => {
  const better = (unit: string): string => finding({ name: "it", unit }, "ours", { ours: [1] }).better;
  for (const unit of ["operations / s", "messages/s", "messages/CPU s", "thousand messages a second"])
    assert.equal(better(unit), "more");
  for (const unit of ["ms", "CPU µs / operation", "CPU s / million operations", "bytes a task"])
    assert.equal(better(unit), "less");
  assert.equal(finding({ name: "it", unit: "items", better: "more" }, "ours", { ours: [1] }).better, "more");
});

test("a process's CPU seconds grow while it computes", async () => {
  const before = cpuSeconds(process.pid);
  for (let sum = 0, until = performance.now() + 60; performance.now() < until;) sum += 1;
  assert.ok(cpuSeconds(process.pid) >= before + 0.02);
  assert.ok(residentBytes(process.pid) > 10 * 1024 ** 2);
  assert.ok((await freePort()) > 0);
});
