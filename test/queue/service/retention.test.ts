/** How long, and how many, completed and dead tasks are kept; bounds of one group; both set while the queue runs, and over a restart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE } from "../../../src/queue/tasks/task-columns.ts";
import { Rig, settle } from "./task-service-rig.ts";

const kept = (rig: Rig, ids: readonly number[]): number[] => ids.filter((id) => rig.service.stateMachine.find(id) !== NONE);

async function completed(rig: Rig, count: number, options = {}): Promise<number[]> {
  const worker = rig.worker({ slots: 1000 });
  const ids = await rig.addMany(
    Array.from({ length: count }, (_, n) => `${n}`),
    { keepMs: 1_000_000, ...options },
  );
  await settle();
  for (let index = 0; index < count; index += 1) await worker.finish(index, "r");
  rig.service.leave(worker.consumer, { lost: false });
  return [...ids];
}

async function dead(rig: Rig, count: number): Promise<number[]> {
  const worker = rig.worker({ slots: 1000 });
  const ids = await rig.addMany(Array.from({ length: count }, (_, n) => `${n}`));
  await settle();
  for (let index = 0; index < count; index += 1) await worker.fail(index, "no", true);
  rig.service.leave(worker.consumer, { lost: false });
  return [...ids];
}

test("of completed and of dead tasks so many are kept as the queue says, the newest, and others' outcomes are told", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { keepCompleted: 3, keepDead: 2 }, () => {});
  const done = await completed(rig, 10);
  const died = await dead(rig, 5);
  assert.deepEqual(kept(rig, done), done.slice(-3));
  assert.deepEqual(kept(rig, died), died.slice(-2));
  rig.service.configure("q", { keepCompleted: 0 }, () => {});
  assert.deepEqual(kept(rig, done), []);
  const id = await rig.add("waited for");
  const outcome = rig.outcome(id);
  const worker = rig.worker();
  await worker.finish(0, "told");
  assert.equal(new TextDecoder().decode((await outcome).bytes), "told");
  assert.deepEqual(kept(rig, [id]), []);
});

test("a number that is set later holds for those that have ended before, in that order, and over a restart", async () => {
  const rig = await Rig.open();
  const first = await completed(rig, 10);
  rig.service.configure("q", { keepCompleted: 4 }, () => {});
  rig.service.flush();
  await settle();
  assert.deepEqual(kept(rig, first), first.slice(-4));
  await rig.service.close();
  const again = await Rig.open(rig.store);
  assert.deepEqual(kept(again, first), first.slice(-4));
  const more = await completed(again, 2);
  assert.deepEqual(kept(again, [...first, ...more]), [...first.slice(-2), ...more]);
  again.service.configure("q", { keepCompleted: null }, () => {});
  const all = await completed(again, 10);
  assert.deepEqual(kept(again, all), all);
});

test("a task that others wait for stays, however many are kept", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { keepCompleted: 1 }, () => {});
  const [parent] = await rig.addMany(["parent"], { keepMs: 1_000_000 });
  const other = await rig.add("later", { delayMs: 1000 });
  const child = await rig.add("child", { after: [`${parent}`, `${other}`] });
  const worker = rig.worker({ slots: 1 });
  await worker.finish(0);
  rig.service.leave(worker.consumer, { lost: false });
  await completed(rig, 3);
  assert.deepEqual(kept(rig, [parent!, child]), [parent, child]);
});

test("dead and completed tasks are kept for as long as the queue says, also those that have ended before it said so", async () => {
  const rig = await Rig.open();
  const died = await dead(rig, 2);
  const done = await completed(rig, 2);
  rig.service.configure("q", { keepDeadMs: 60_000, keepCompletedMs: 30_000 }, () => {});
  await rig.pass(29_000);
  assert.deepEqual(kept(rig, [...died, ...done]), [...died, ...done]);
  await rig.pass(2000);
  assert.deepEqual(kept(rig, [...died, ...done]), died);
  await rig.pass(30_000);
  assert.deepEqual(kept(rig, died), []);
  const short = await completed(rig, 1, { keepMs: 5000 });
  await rig.pass(6000);
  assert.deepEqual(kept(rig, short), [], "a task's own keep may be shorter");
});

test("one group has bounds of its own, which are changed while it runs and taken away again", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groupConcurrency: 2, groups: { big: { concurrency: 4 }, small: { concurrency: 1 } } }, () => {});
  const worker = rig.worker({ slots: 100 });
  for (const group of ["big", "small", "other"])
    await rig.addMany(
      Array.from({ length: 8 }, () => group),
      { group },
    );
  await settle();
  const running = (): number[] =>
    ["big", "small", "other"].map((group) => worker.bodies.filter((body) => body === group).length);
  assert.deepEqual(running(), [4, 1, 2]);
  rig.service.configure("q", { groups: { small: { concurrency: 3 } } }, () => {});
  rig.service.flush();
  assert.deepEqual(running(), [4, 3, 2], "the other group that is named keeps its own");
  rig.service.configure("q", { groups: { big: { concurrency: null }, small: null } }, () => {});
  rig.service.flush();
  assert.deepEqual(running(), [8, 3, 2], "null is no bound");
  assert.deepEqual(rig.service.stateMachine.findQueue("q")!.settings.groups, { big: { concurrency: null } });
});

test("a rate of one group holds over a restart, and the others have none", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groups: { slow: { rate: { count: 2, perMs: 10_000 } } } }, () => {});
  const worker = rig.worker({ slots: 100 });
  for (const group of ["slow", "free"])
    await rig.addMany(
      Array.from({ length: 5 }, () => group),
      { group },
    );
  await settle();
  const given = (bodies: readonly string[], group: string): number => bodies.filter((body) => body === group).length;
  assert.deepEqual([given(worker.bodies, "slow"), given(worker.bodies, "free")], [2, 5]);
  await rig.service.close();
  const again = await Rig.open(rig.store);
  const after = again.worker({ slots: 100 });
  await again.pass(6000);
  assert.equal(given(after.bodies, "slow") <= 2, true, "those that were given out before count");
  await again.pass(25_000);
  assert.ok(given(after.bodies, "slow") >= 3);
});

test("bounds and retention that are none are refused with a code, and nothing is set", async () => {
  const rig = await Rig.open();
  const wrong = [
    { groups: { a: { concurrency: 0 } } },
    { groups: { a: { speed: 1 } } },
    { groups: { "": { concurrency: 1 } } },
    { groups: [] },
    { groups: Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`g${n}`, { concurrency: 1 }])) },
    { keepDead: -1 },
    { keepCompleted: 1.5 },
    { keepDeadMs: "1d" },
  ];
  for (const settings of wrong)
    assert.throws(
      () => rig.service.configure("q", settings as never, () => {}),
      { code: "QUEUE_OPTIONS_INVALID" },
      JSON.stringify(settings),
    );
  assert.deepEqual(rig.service.stateMachine.findQueue("q")?.settings ?? {}, {});
});
