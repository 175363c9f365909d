import assert from "node:assert/strict";
import { test } from "node:test";
import { bench } from "../../bench/queue.ts";
import { measureMemory } from "../../bench/queue-memory.ts";
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
