import assert from "node:assert/strict";
import { test } from "node:test";
import { bench } from "../../bench/queue.ts";
import { benchBadMembers } from "../../bench/queue-bad-members.ts";
import { benchEvents } from "../../bench/queue-events.ts";
import { measureMemory } from "../../bench/queue-memory.ts";
import { measureSearch } from "../../bench/queue-search.ts";
import { requires } from "../support/requires.ts";

test("the queue's bench measures full cycles of ours and beanstalkd's", requires("beanstalkd"), async () => {
  const findings = await bench({ rounds: 1, seconds: 0.3, producers: [4], names: ["holdfast", "beanstalkd default"] });
  assert.ok(findings.length > 0);
  for (const { name, figures } of findings) for (const { median } of Object.values(figures)) assert.ok(median > 0, name);
});

test("a waiting task takes under 200 bytes of rows and indices outside the heap", async () => {
  const { tableBytesPerTask, heapBytesPerTask } = await measureMemory(40_000);
  assert.ok(tableBytesPerTask < 200, `${tableBytesPerTask} bytes in the table`);
  // Cached bodies have their views in the heap, 64 MiB of them at most.
  assert.ok(tableBytesPerTask + heapBytesPerTask < 300, `${tableBytesPerTask} + ${heapBytesPerTask} bytes`);
});

test("the bench of searches finds something by each filter, and measures it", async () => {
  const findings = await measureSearch(20_000, 1);
  assert.ok(findings.length > 20);
  for (const { name, figures } of findings) for (const { median } of Object.values(figures)) assert.ok(median > 0, name);
});

test("the bench of listeners measures what they cost, and each of them hears of every task", async () => {
  const findings = await benchEvents({ listeners: 3, seconds: 0.5, producers: 4, rounds: 1 });
  assert.equal(findings.length, 2);
  assert.ok(findings[0]!.figures["none"]!.median > 0);
});

test("the bench of bad members measures the calls of healthy queues beside one of each kind", async () => {
  const [p99, p50] = await benchBadMembers({ queues: 5, rate: 50, seconds: 0.5, rounds: 1 });
  for (const found of [p99!, p50!]) {
    assert.deepEqual(Object.keys(found.figures), ["with bad members", "without"]);
    for (const { median } of Object.values(found.figures))
      assert.ok(median > 0 && median < 10_000, `${found.name}: ${median} ms`);
  }
});
