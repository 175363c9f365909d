/** How long tasks waited and ran, as a broker counts it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { latencyQuantile } from "../../../src/core/latency-histogram.ts";
import type { QueueStats } from "../../../src/queue/service/task-service.ts";
import { Rig, settle } from "./task-service-rig.ts";

const statsOf = (rig: Rig): QueueStats => rig.service.stats().queues[0]!;
const total = ({ counts }: { readonly counts: readonly number[] }): number => counts.reduce((sum, count) => sum + count, 0);

test("a task waits until a worker takes it, and runs until it completes or fails", async () => {
  const rig = await Rig.open();
  await rig.add("a");
  await rig.pass(3000);
  const worker = rig.worker();
  await settle();
  await rig.pass(40);
  await worker.finish(0, "done");
  const { waits, runs } = statsOf(rig);
  assert.deepEqual([total(waits!), waits!.sumMs], [1, 3000]);
  assert.deepEqual([total(runs!), Math.round(runs!.sumMs)], [1, 40]);
  assert.equal(latencyQuantile(waits!, 1), 10_000);
});

test("a retry waits from when it is due, not from when the task was added; its attempts are runs", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  await rig.add("a", { attempts: 2, backoffMs: 60_000 });
  await settle();
  await rig.pass(500);
  await worker.fail(0, "no");
  await rig.pass(60_000);
  await worker.fail(1, "no");
  const { waits, runs } = statsOf(rig);
  assert.deepEqual([total(waits!), waits!.sumMs < 100], [2, true]);
  assert.equal(total(runs!), 2);
});

test("what was given back or cancelled is no run, and a result is not longer for how long it took", async () => {
  const rig = await Rig.open();
  const worker = rig.worker({ slots: 3 });
  const [first] = await rig.addMany(["a", "b"]);
  await settle();
  await rig.pass(1000);
  const view = rig.service.view(rig.service.stateMachine.find(first!));
  assert.deepEqual([view.state, view.resultBytes], ["active", 0]);
  rig.service.leave(worker.consumer, { lost: false });
  await settle();
  assert.equal(total(statsOf(rig).runs!), 0);
  const again = rig.worker({ slots: 3 });
  await settle();
  await again.finish(0, "four");
  assert.equal(rig.service.view(rig.service.stateMachine.find(first!)).resultBytes, 4);
});
