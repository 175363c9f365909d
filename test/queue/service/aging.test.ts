import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig, settle, type Worker } from "./task-service-rig.ts";

/** A queue where a task of priority 1 always waits: what the one worker got of `count` starts, one a second. */
async function starts(rig: Rig, worker: Worker, count: number): Promise<string[]> {
  const before = worker.tasks.length;
  for (let start = 0; start < count; start += 1) {
    await rig.add("high", { priority: 1 });
    await rig.pass(1000);
    await worker.finish(worker.tasks.length - 1);
  }
  return worker.bodies.slice(before);
}

async function withBacklog(agingMs?: number): Promise<{ rig: Rig; worker: Worker }> {
  const rig = await Rig.open();
  if (agingMs !== undefined) rig.service.configure("q", { agingMs }, () => {});
  await rig.addMany(["high", "high"], { priority: 1 });
  const worker = rig.worker();
  await settle();
  return { rig, worker };
}

test("a steady stream of a higher priority does not hold up a lower one for ever", async () => {
  const { rig, worker } = await withBacklog();
  await rig.addMany(["low 1", "low 2"]);
  const bodies = await starts(rig, worker, 40);
  const [first, second] = [bodies.indexOf("low 1"), bodies.indexOf("low 2")];
  assert.ok(first >= 9 && first <= 18, `after ${first} seconds`);
  assert.equal(second, first + 8, "one of every eight starts");
});

test("aging can be set, and turned off", async () => {
  const soon = await withBacklog(1000);
  await soon.rig.add("low");
  assert.ok((await starts(soon.rig, soon.worker, 20)).indexOf("low") <= 9);
  const never = await withBacklog(0);
  await never.rig.add("low");
  assert.ok(!(await starts(never.rig, never.worker, 100)).includes("low"));
  const again = await Rig.open();
  for (const agingMs of [-1, 0.5, "1s", 1e16]) {
    assert.throws(() => again.service.configure("q", { agingMs: agingMs as number }, () => {}), {
      code: "QUEUE_OPTIONS_INVALID",
    });
  }
});

test("of those that have waited too long the one that waits longest comes first, whatever its priority", async () => {
  const { rig, worker } = await withBacklog(1000);
  for (const [body, priority] of [
    ["first", 0],
    ["second", 5],
    ["third", 3],
    ["fourth", 0],
  ] as const) {
    await rig.add(body, { priority });
    await rig.pass(10);
  }
  const bodies: string[] = [];
  for (let start = 0; start < 40; start += 1) {
    await rig.add("high", { priority: 9 });
    await rig.pass(1000);
    await worker.finish(worker.tasks.length - 1);
    bodies.push(worker.bodies.at(-1)!);
  }
  assert.deepEqual(
    bodies.filter((body) => body !== "high"),
    ["first", "second", "third", "fourth"],
  );
});

test("without a wait that is too long nothing but the priority counts, and among equals who came first", async () => {
  const rig = await Rig.open();
  const tasks = Array.from({ length: 300 }, (_, at) => ({ body: `${at}`, priority: (at * 7) % 5 }));
  for (const { body, priority } of tasks) await rig.add(body, { priority });
  const worker = rig.worker({ slots: 300 });
  assert.deepEqual(
    worker.bodies,
    tasks.toSorted((a, b) => b.priority - a.priority).map(({ body }) => body),
  );
});

test("a low group at its bound does not take the starts that are for those who have waited", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { agingMs: 1000, groupConcurrency: 1 }, () => {});
  const stuck = rig.worker();
  await rig.add("runs", { group: "g" });
  await rig.add("parked", { group: "g" });
  await rig.addMany(["high", "high"], { priority: 1 });
  await rig.add("low", { group: "h" });
  const worker = rig.worker();
  await settle();
  const bodies = await starts(rig, worker, 20);
  assert.ok(bodies.includes("low") && !bodies.includes("parked"));
  await stuck.finish(0);
  assert.deepEqual(stuck.bodies.length, 2);
});
