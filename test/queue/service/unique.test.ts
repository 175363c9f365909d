/** How long a key is its task's: while that waits, until it has ended, for a time, and what replaces what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GROUPS_MAX } from "../../../src/queue/limits.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { Rig, text } from "./task-service-rig.ts";

test("a key that is unique while waiting is free once its task has begun, and again its own when that is given back", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", uniqueWhile: "waiting" } as const;
  const first = await rig.add("a", asked);
  assert.equal(await rig.add("b", asked), first, "while it waits");
  const worker = rig.worker();
  assert.deepEqual(worker.bodies, ["a"]);
  const second = await rig.add("c", asked);
  assert.notEqual(second, first, "while it runs");
  assert.equal(await rig.add("d", asked), second, "the newest has the key");
  await worker.leave(false);
  assert.equal(await rig.add("e", asked), second, "the one that was given back has lost it");
});

test("a key that is unique while active is free once its task has ended, whatever it ended in", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", uniqueWhile: "active", attempts: 2, backoffMs: 1000 } as const;
  const first = await rig.add("a", asked);
  const worker = rig.worker();
  assert.equal(await rig.add("b", asked), first, "while it runs");
  await worker.fail(0, "no");
  assert.equal(await rig.add("c", asked), first, "while it is retrying");
  await rig.pass(2000);
  await worker.finish(1, "done");
  const second = await rig.add("d", asked);
  assert.notEqual(second, first);
  assert.equal(text((await rig.outcome(first)).bytes), "done", "its outcome can be read on");
});

test("a throttled key is its task's for its time, though that has ended and is kept for less, over restarts too", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", throttleMs: 60_000, keepMs: 0 } as const;
  const first = await rig.add("a", asked);
  const worker = rig.worker();
  await worker.finish(0);
  await rig.pass(30_000);
  assert.equal(await rig.add("b", asked), first);
  const again = await rig.restarted();
  await again.pass(20_000);
  assert.equal(await again.add("c", asked), first);
  await again.pass(11_000);
  assert.notEqual(await again.add("d", asked), first);
});

test("a queue that keeps no completed tasks keeps what has a throttled key, without its result, until the time is over", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { keepCompleted: 0 }, () => {});
  const asked = { key: "k", throttleMs: 60_000 } as const;
  const first = await rig.add("a", asked);
  await rig.worker().finish(0, "result");
  await rig.pass(1000);
  assert.equal(await rig.add("b", asked), first);
  assert.equal((await rig.outcome(first)).state, "evicted");
  await rig.pass(60_000);
  assert.notEqual(await rig.add("c", asked), first);
});

test("of a debounce the last body, priority and time win, and all are one task", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", debounceMs: 5000 } as const;
  const first = await rig.add("a", { ...asked, attempts: 2 });
  const worker = rig.worker();
  for (const body of ["b", "c"]) {
    await rig.pass(4000);
    assert.equal(await rig.add(body, { ...asked, priority: 9 }), first);
  }
  await rig.pass(4999);
  assert.deepEqual(worker.bodies, []);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["c"]);
  assert.equal(rig.service.view(rig.service.stateMachine.find(first)).priority, 9);
  assert.equal(rig.service.view(rig.service.stateMachine.find(first)).attempts, 2, "what else was asked for stays");
  assert.notEqual(await rig.add("d", asked), first, "once it has begun the next is another");
});

test("a debounce in one moment, before the first is written, is one task with the last body", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", debounceMs: 10 } as const;
  const ids = await Promise.all(["a", "b", "c"].map((body) => rig.add(body, asked)));
  assert.equal(new Set(ids).size, 1);
  const worker = rig.worker();
  await rig.pass(10);
  assert.deepEqual(worker.bodies, ["c"]);
});

test("what a debounce came to is found after a restart, and whoever waits for the first gets the last", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", debounceMs: 5000 } as const;
  const id = await rig.add("a", asked);
  await rig.add("a longer body", asked);
  const again = await rig.restarted();
  assert.equal(await again.add("the last", asked), id);
  const outcome = again.outcome(id);
  const worker = again.worker();
  await again.pass(5000);
  assert.deepEqual(worker.bodies, ["the last"]);
  await worker.finish(0, "ok");
  assert.equal(text((await outcome).bytes), "ok");
  again.service.stateMachine.audit();
});

test("a body that is replaced while its task is updated is the one that counts", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", debounceMs: 5000 } as const;
  const id = await rig.add("a", asked);
  const updating = rig.service.adminCommands.update(id, { priority: 7 });
  const adding = rig.add("b", asked);
  await Promise.all([updating, adding]);
  const again = await rig.restarted();
  const worker = again.worker();
  await again.pass(5000);
  assert.deepEqual(worker.bodies, ["b"]);
});

test("a task that has begun, waits for others or is of many is not replaced, and nothing is submitted", async () => {
  const rig = await Rig.open();
  const conflict = { code: "QUEUE_KEY_CONFLICT", message: /^Cannot replace the task under key/ };
  const debounce = { debounceMs: 10 } as const;
  await rig.add("a", { key: "begun" });
  rig.worker();
  const parent = await rig.add("parent", { delayMs: 1000 });
  await rig.add("child", { key: "child", after: [String(parent)] });
  await rig.addMany(["a", "b"], { key: "many" });
  const before = rig.service.stateMachine.stats().tasks;
  for (const key of ["begun", "child", "many"]) await assert.rejects(rig.add("x", { key, ...debounce }), conflict, key);
  await assert.rejects(
    rig.addEach([
      ["new", { key: "new", ...debounce }],
      ["x", { key: "begun", ...debounce }],
    ]),
    conflict,
  );
  assert.equal(rig.service.stateMachine.stats().tasks, before);
});

test("many bodies with keys of their own are new, known or replaced each by itself, and one key twice is one task", async () => {
  const rig = await Rig.open();
  const old = await rig.add("old", { key: "old", debounceMs: 1000 });
  const known = await rig.add("known", { key: "known" });
  const asked = (key: string): { key: string; debounceMs: number } => ({ key, debounceMs: 1000 });
  const ids = await rig.addEach([
    ["1", asked("new")],
    ["2", asked("old")],
    ["3", { key: "known" }],
    ["4", asked("new")],
    ["5", { key: "other", uniqueWhile: "active" }],
    ["6", { key: "other", uniqueWhile: "active" }],
  ]);
  assert.deepEqual([ids[1], ids[2]], [old, known]);
  assert.equal(ids[0], ids[3]);
  assert.equal(ids[4], ids[5]);
  const worker = rig.worker({ slots: 9 });
  await rig.pass(1000);
  assert.deepEqual(worker.bodies.toSorted(), ["2", "4", "5", "known"]);
});

test("many bodies under keys that are still being written wait for those, and one of one key is one task", async () => {
  const rig = await Rig.open();
  const single = rig.add("a", { key: "k", uniqueWhile: "active" });
  const many = rig.addEach([
    ["b", { key: "k", uniqueWhile: "active" }],
    ["c", { key: "l", uniqueWhile: "active" }],
  ]);
  const after = rig.add("d", { key: "l", uniqueWhile: "active" });
  const [id, [first, second], third] = await Promise.all([single, many, after]);
  assert.equal(first, id);
  assert.equal(new Set([second, third]).size, 1);
});

test("when the store refuses, nothing under a key is added, and its key is free", async () => {
  let isFull = true;
  class Disk extends MemoryStore {
    override async write(ops: readonly StoreOp[]): Promise<void> {
      if (isFull) throw new Error("no space left on device");
      await super.write(ops);
    }
  }
  const rig = await Rig.open(new Disk(), { log: () => {} });
  const asked = { key: "k", uniqueWhile: "active" } as const;
  const both = [
    rig.add("a", asked),
    rig.addEach([
      ["b", asked],
      ["c", { ...asked, key: "l" }],
    ]),
  ];
  for (const each of both) await assert.rejects(each, { code: "QUEUE_STORE_UNAVAILABLE" });
  assert.equal(rig.service.stateMachine.stats().tasks, 0);
  isFull = false;
  await rig.pass(5000);
  const id = await rig.add("b", asked);
  const worker = rig.worker();
  assert.equal(worker.tasks.length, 1);
  assert.equal(await rig.add("c", asked), id);
});

test("options that say how long a key counts are refused where they make no sense", async () => {
  const rig = await Rig.open();
  const invalid = { code: "QUEUE_OPTIONS_INVALID" };
  for (const [options, message] of [
    [{ uniqueWhile: "active" }, /'uniqueWhile' needs a 'key'/],
    [{ key: "k", uniqueWhile: "always" }, /'uniqueWhile' must be 'waiting' or 'active'/],
    [{ key: "k", throttleMs: 0 }, /'throttleMs' is a whole number/],
    [{ key: "k", throttleMs: 1, debounceMs: 1 }, /'debounceMs' does not go with 'throttleMs'/],
    [{ key: "k", debounceMs: 1, delayMs: 1 }, /'debounceMs' does not go with 'delayMs'/],
    [{ key: "k", debounceMs: 1, sameBody: true }, /'debounceMs' does not go with 'sameBody'/],
    [{ backoffMs: [] }, /'backoffMs' is a whole number/],
    [{ backoffMs: [1, -1] }, /'backoffMs' is a whole number/],
    [{ backoffMs: Array.from({ length: 65 }, () => 1) }, /'backoffMs' is a whole number/],
  ] as const)
    await assert.rejects(rig.add("a", options as never), { ...invalid, message }, JSON.stringify(options));
  await assert.rejects(rig.addMany(["a", "b"], { key: "k", throttleMs: 1 }), { ...invalid, message: /give each its own/ });
  await assert.rejects(
    rig.addEach([
      ["a", { key: "k" }],
      ["b", {}],
    ]),
    { ...invalid, message: /of each body, or of none/ },
  );
});

test("a group that is one too many leaves nothing of its submission behind", async () => {
  const rig = await Rig.open();
  const { stateMachine } = rig.service;
  const groups = (from: number, count: number): (readonly [string, object])[] =>
    Array.from({ length: count }, (_, n) => ["", { group: `g${from + n}` }] as const);
  for (let at = 0; at < GROUPS_MAX - 1; at += 1000) await rig.addEach(groups(at, Math.min(1000, GROUPS_MAX - 1 - at)));
  const before = stateMachine.stats();
  await assert.rejects(
    rig.addEach([
      ["a", { group: "last" }],
      ["b", { group: "one too many" }],
    ]),
    { code: "QUEUE_TOO_MANY" },
  );
  const { tasks, bytes } = stateMachine.stats();
  assert.deepEqual({ tasks, bytes }, { tasks: before.tasks, bytes: before.bytes });
  await rig.add("a", { group: "last" });
});

test("a task's own list of pauses is kept to, its last one again and again, over a restart too", async () => {
  const rig = await Rig.open();
  await rig.add("a", { backoffMs: [10, 2000], attempts: 4 });
  const worker = rig.worker();
  await worker.fail(0, "1");
  await rig.pass(9);
  assert.equal(worker.tasks.length, 1);
  await rig.pass(1);
  await worker.fail(1, "2");
  await worker.leave(false);
  const again = await rig.restarted();
  const next = again.worker();
  await again.pass(2000);
  await next.fail(0, "3");
  await again.pass(1999);
  assert.equal(next.tasks.length, 1);
  await again.pass(1);
  assert.equal(next.tasks.length, 2);
});

test("a worker that was cut off does not go on with a body that has been replaced meanwhile", async () => {
  const rig = await Rig.open();
  const asked = { key: "k", debounceMs: 0 } as const;
  const id = await rig.add("a", asked);
  const worker = rig.worker();
  assert.deepEqual(worker.bodies, ["a"]);
  const again = await rig.restarted();
  assert.equal(await again.add("b", asked), id);
  const back = again.worker({ slots: 0 });
  assert.equal(again.service.resume(back.consumer, worker.tasks[0]!), false);
});
