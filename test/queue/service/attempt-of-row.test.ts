/** What the row of a task says of its newest attempt: when it began, by which worker, and why the task is dead; over restarts of the broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TaskView } from "../../../src/queue/service/task-view.ts";
import { decodeState, encodeState } from "../../../src/queue/tasks/task-record.ts";
import { FLAGS_REASON } from "../../../src/queue/tasks/task-columns.ts";
import { WorkerNames } from "../../../src/queue/tasks/worker-names.ts";
import { bytes, Rig } from "./task-service-rig.ts";

const view = (rig: Rig, id: number): TaskView => rig.service.view(rig.service.stateMachine.find(id));

async function restart(rig: Rig): Promise<Rig> {
  await rig.service.close();
  return Rig.open(rig.store);
}

test("an ended task says when its newest attempt began, by which worker and why it is dead, after a restart too", async () => {
  const rig = await Rig.open();
  const done = await rig.add("done");
  const failed = await rig.add("failed", { attempts: 2, backoffMs: 10 });
  const gaveUp = await rig.add("gave up", { expireMs: 2000 });
  const expired = await rig.add("expired", { expireMs: 1000 }, "nobody");
  const parent = await rig.add("child", { after: [`${gaveUp}`] }, "nobody");
  const cancelled = await rig.add("cancelled", {}, "nobody");
  await rig.pass(100);
  const first = rig.worker({ slots: 3, peer: "first" });
  await rig.pass(50);
  await first.finish(0);
  await first.fail(1, "no");
  await rig.pass(500);
  const retried = first.tasks.findIndex(({ id }, index) => id === failed && index > 2);
  await rig.pass(40);
  await first.fail(retried, "no again");
  await rig.pass(2000);
  // Long after it would have expired, had it waited.
  await first.fail(2, "no such address", true);
  rig.service.adminCommands.cancel(cancelled, () => {});
  await rig.pass(1);
  const said = (now: Rig): unknown[] =>
    [done, failed, gaveUp, expired, parent, cancelled].map((id) => {
      const { state, reason, worker, startedMs, createdMs } = view(now, id);
      return [state, reason, worker, startedMs === undefined ? undefined : startedMs - createdMs];
    });
  const secondMs = view(rig, failed).startedMs! - view(rig, failed).createdMs;
  assert.ok(secondMs > 150, "the second attempt");
  const expected = [
    ["completed", undefined, "first", 100],
    ["dead", "attempts", "first", secondMs],
    ["dead", "final", "first", 100],
    ["dead", "expired", undefined, undefined],
    ["dead", "parent", undefined, undefined],
    ["cancelled", undefined, undefined, undefined],
  ];
  assert.deepEqual(said(rig), expected);
  assert.deepEqual(said(await restart(rig)), expected);
});

test("what a worker gave back before it began, or an operator retries, says of no attempt what is not so", async () => {
  const rig = await Rig.open();
  const id = await rig.add("x");
  const first = rig.worker({ peer: "first", saysBegun: true });
  assert.deepEqual([view(rig, id).worker, typeof view(rig, id).startedMs], ["first", "number"]);
  await first.leave(false);
  assert.deepEqual([view(rig, id).worker, view(rig, id).startedMs], [undefined, undefined]);
  const second = rig.worker({ peer: "second" });
  await second.fail(0, "no", true);
  assert.equal(view(rig, id).reason, "final");
  await second.leave(false);
  rig.service.adminCommands.redrive(id, () => {});
  await rig.pass(1);
  assert.equal(view(rig, id).reason, undefined);
  rig.service.adminCommands.cancel(id, () => {});
  assert.equal(rig.service.stateMachine.record(rig.service.stateMachine.find(id)).flags & FLAGS_REASON, 0);
});

test("a lease that is resumed after a restart goes on with the start that it had", async () => {
  let rig = await Rig.open();
  const id = await rig.add("x");
  const first = rig.worker({ peer: "first" });
  await rig.pass(2000);
  const { startedMs } = view(rig, id);
  const [lease] = first.tasks;
  rig = await restart(rig);
  const again = rig.worker({ peer: "first again", slots: 0 });
  assert.ok(rig.service.resume(again.consumer, lease!));
  rig.service.flush();
  assert.deepEqual([view(rig, id).worker, view(rig, id).startedMs], ["first again", startedMs]);
  again.tasks.push(lease!);
  await again.finish(0);
  assert.deepEqual([view(rig, id).state, view(rig, id).startedMs], ["completed", startedMs]);
});

test("a state of 0.1.0 is read, and one of now does not grow when its task gets a worker", () => {
  const record = {
    state: "waiting",
    flags: 0,
    atMs: 0,
    token: 0,
    attempts: 0,
    lost: 0,
    bodyBytes: 3,
    resultBytes: 0,
  } as const;
  const plain = encodeState(record);
  assert.deepEqual(decodeState(plain), record);
  const old = plain.slice(0, 32);
  old[0] = 1;
  assert.deepEqual(decodeState(old), record);
  assert.equal(encodeState({ ...record, started: 7, worker: bytes("00ab12cd34ef") }).length, plain.length);
});

test("a worker's name is kept for as long as a task or a worker here is of it", () => {
  const names = new WorkerNames();
  const numbers = new Set<number>();
  for (let round = 0; round < 1000; round += 1) {
    const own = names.hold(`worker ${round}`);
    const read = names.holdRead(bytes(`worker ${round}`));
    assert.equal(own, read);
    names.release(own);
    assert.equal(names.name(read), `worker ${round}`);
    names.release(read);
    numbers.add(own);
  }
  assert.equal(numbers.size, 1);
  // What was read last may be another's by now.
  const other = names.hold("another");
  assert.equal(names.name(names.holdRead(bytes("worker 999"))), "worker 999");
  assert.equal(names.name(other), "another");
});
