/** Lists of tasks are complete, whatever has passed through the broker, and since when the oldest waits is right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../../src/core/random.ts";
import { SCAN_ROWS, type RowFilter, TaskScan } from "../../../src/queue/service/task-scan.ts";
import { TaskStateMachine, type TaskStateMachineOptions } from "../../../src/queue/tasks/task-state-machine.ts";
import { ID } from "../../../src/queue/tasks/task-columns.ts";
import { Rig, settle } from "./task-service-rig.ts";

/** As many tasks as could be. */
const PASSED = 2 ** 52;

function idsOf(rig: Rig, rows: readonly number[]): number[] {
  return rows.map((row) => rig.service.stateMachine.table.f(row, ID));
}

function list(rig: Rig, request: RowFilter & { limit?: number } = {}): Promise<{ ids: number[]; next: number | undefined }> {
  return rig.service.search.page({ limit: 50, ...request }, (rows, next) => ({ ids: idsOf(rig, rows), next }));
}

test("five tasks that wait are the whole list, however many have passed before them", async () => {
  const makeStateMachine = (options: TaskStateMachineOptions): TaskStateMachine =>
    new TaskStateMachine({ ...options, firstId: PASSED });
  const rig = await Rig.open(undefined, { makeStateMachine });
  const ids = await rig.addMany(["1", "2", "3", "4", "5"], {}, "emails");
  assert.deepEqual(await list(rig, { queue: "emails" }), { ids, next: undefined });
  assert.deepEqual(await list(rig, { queue: "nowhere" }), { ids: [], next: undefined });
});

test("pages join up to all that pass the filter, each task once and in order, whatever rows they lie in", async () => {
  const rig = await Rig.open();
  const random = seeded(7);
  const worker = rig.worker({ slots: 400, queue: "a" });
  for (let round = 0; round < 8; round += 1) {
    for (const queue of ["a", "b"]) await rig.addMany(Array<string>(500).fill("x"), { keepMs: 1000 }, queue);
    for (const index of worker.tasks.keys()) if (random() < 0.7) await worker.finish(index);
    await rig.pass(2000);
  }
  const { table } = rig.service.stateMachine;
  const kept = Array.from({ length: table.end }, (_, row) => row).filter((row) => row > 0 && table.f(row, ID) > 0);
  const inRows = idsOf(rig, kept);
  const wanted = inRows.toSorted((a, b) => a - b);
  assert.notDeepEqual(inRows, wanted, "rows were used again");
  assert.ok(wanted.length > 2000);
  const all: number[] = [];
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: Awaited<ReturnType<typeof list>> = await list(rig, { after, limit: 300 });
    assert.ok(page.ids.length === 300 || page.next === undefined, "only the last page is short");
    all.push(...page.ids);
    after = page.next;
  }
  assert.deepEqual(all, wanted);
  const active = await list(rig, { states: ["active"], limit: 1000 });
  assert.equal(active.ids.length, rig.service.stateMachine.findQueue("a")!.count("active"));
});

test("what comes and goes while the rows are looked at hides nothing that stays", async () => {
  const rig = await Rig.open();
  const gone = await rig.addMany(Array<string>(40).fill("x"), { keepMs: 0 });
  const stay = await rig.addMany(Array<string>(20).fill("x"));
  const scan = new TaskScan(rig.service.stateMachine, { queue: "q" });
  const found: number[] = [];
  assert.equal(
    scan.look((id) => found.push(id), 45),
    true,
  );
  for (const id of gone) rig.service.adminCommands.cancel(id, () => {});
  rig.service.flush();
  await rig.pass(1000);
  const more = await rig.addMany(["late"]);
  while (scan.look((id) => found.push(id), 5));
  assert.deepEqual(
    found.filter((id) => !more.includes(id) && !gone.includes(id)),
    stay,
  );
});

test("messages are read between the slices of a long list", async () => {
  const makeStateMachine = (options: TaskStateMachineOptions): TaskStateMachine =>
    new TaskStateMachine({ ...options, firstId: PASSED });
  const rig = await Rig.open(undefined, { makeStateMachine });
  await rig.addMany(Array<string>(100).fill("x"));
  const { table } = rig.service.stateMachine;
  const freed = Array.from({ length: SCAN_ROWS * 2 }, () => table.allocate());
  for (const row of freed) table.release(row);
  const read = rig.clock.holdInput();
  let listed = false;
  const page = list(rig, { limit: 3 }).then((answer) => {
    listed = true;
    return answer;
  });
  await settle();
  assert.equal(listed, false, "it waits for what has arrived");
  read();
  assert.deepEqual(await page, { ids: [PASSED, PASSED + 1, PASSED + 2], next: PASSED + 2 });
});

test("the oldest waits since it was added, fell due or was given back its place", async () => {
  const rig = await Rig.open();
  const { service } = rig;
  const sinceMs = (): number | undefined => service.stats().queues.find(({ name }) => name === "q")!.waitingSinceMs;
  const begin = service.nowMs;
  await rig.add("delayed", { delayMs: 5000 });
  assert.equal(sinceMs(), undefined);
  await rig.pass(9000);
  assert.equal(sinceMs(), begin + 5000, "since it fell due");
  await rig.add("urgent", { priority: 9, group: "g" });
  assert.equal(sinceMs(), begin + 5000);
  const worker = rig.worker({ slots: 9 });
  assert.equal(sinceMs(), undefined, "a worker has them");
  await worker.leave(true);
  await rig.pass(60_000);
  assert.equal(sinceMs(), begin, "back in its place: since it was added");
  const last = rig.worker({ slots: 9 });
  for (const index of last.tasks.keys()) await last.fail(index, "no", true);
  await last.leave(false);
  await rig.pass(1000);
  const [dead] = (await list(rig, { states: ["dead"] })).ids;
  assert.equal(
    service.adminCommands.redrive(dead!, () => {}),
    undefined,
  );
  assert.equal(sinceMs(), service.nowMs, "retried: since now");
});
