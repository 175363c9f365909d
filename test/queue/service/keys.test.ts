import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { digestOf } from "../../../src/queue/tasks/bodies-digest.ts";
import { bytes, Rig, settle, text } from "./task-service-rig.ts";

const conflict = { code: "QUEUE_KEY_CONFLICT" };

test("several bodies under a key are answered with the same tasks again, before and after they are written, and after a restart", async () => {
  const rig = await Rig.open();
  const key = "import";
  const [first, second] = await Promise.all([rig.addMany(["a", "b", "c"], { key }), rig.addMany(["a", "b", "c"], { key })]);
  assert.deepEqual(second, first);
  assert.deepEqual(await rig.addMany(["a", "b", "c"], { key }), first);
  const worker = rig.worker({ slots: 9 });
  assert.deepEqual(worker.bodies, ["a", "b", "c"]);
  await worker.finish(1, "did b");
  await rig.service.close();
  const again = await Rig.open(rig.store);
  assert.deepEqual(await again.addMany(["a", "b", "c"], { key }), first);
  assert.equal(text((await again.outcome(first[1]!)).bytes), "did b");
});

test("other bodies under a key that is known for several are refused whole, and nothing is submitted", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a", "b"], { key: "k" });
  for (const other of [["a", "b", "c"], ["a"], ["a", "x"], ["b", "a"], ["ab", ""], ["", "ab"]])
    await assert.rejects(rig.addMany(other, { key: "k" }), conflict, other.join());
  await rig.service.close();
  const again = await Rig.open(rig.store);
  await assert.rejects(again.addMany(["a", "b", "c"], { key: "k" }), conflict);
  const worker = again.worker({ slots: 9 });
  await settle();
  assert.equal(worker.tasks.length, 2);
});

test("where one body must be the same, another under its key is refused, over a restart too; one submitted without is not compared", async () => {
  const rig = await Rig.open();
  const id = await rig.add("a", { key: "k", sameBody: true });
  assert.equal(await rig.add("a", { key: "k", sameBody: true }), id);
  await assert.rejects(rig.add("b", { key: "k", sameBody: true }), {
    ...conflict,
    message: "Cannot submit 1 body under key 'k': it is known for 1 other body",
  });
  assert.equal(await rig.add("b", { key: "k" }), id, "who does not ask for it gets the task");
  await rig.service.close();
  const again = await Rig.open(rig.store);
  await assert.rejects(again.add("b", { key: "k", sameBody: true }), conflict);
  const plain = await again.add("a", { key: "plain" });
  assert.equal(await again.add("b", { key: "plain", sameBody: true }), plain);
  await assert.rejects(again.addMany(["a", "b"], { key: "k" }), conflict);
});

test("several bodies under a key that is known for one are refused; one body is answered with that one, whatever it is", async () => {
  const rig = await Rig.open();
  const id = await rig.add("a", { key: "k" });
  assert.equal(await rig.add("b", { key: "k" }), id);
  await assert.rejects(rig.addMany(["a", "b"], { key: "k" }), conflict);
});

test("what is submitted while several bodies under its key are still being written is compared too", async () => {
  const rig = await Rig.open();
  const first = rig.addMany(["a", "b"], { key: "k" });
  await assert.rejects(rig.addMany(["a", "c"], { key: "k" }), conflict);
  assert.equal((await first).length, 2);
});

test("no key of a user's is that of a body behind the first, or of a schedule's run", async () => {
  const rig = await Rig.open();
  const many = await rig.addMany(["a", "b"], { key: "user" });
  for (const key of ["user/1", "user/0", "user1", "user/", "1/user"])
    assert.ok(!many.includes(await rig.add(key, { key })), key);
  const solo = await rig.add("solo", { key: "shop/1" });
  const shop = await rig.addMany(["c", "d"], { key: "shop" });
  assert.ok(!shop.includes(solo));
  assert.equal(await rig.add("solo", { key: "shop/1" }), solo);
  await assert.rejects(rig.add("x", { key: "\0cron:tick:2026-01-01T00:00:00.000Z" }), { code: "QUEUE_OPTIONS_INVALID" });
});

test("a long key with several bodies is that key, and no other", async () => {
  const rig = await Rig.open();
  const key = "k".repeat(255);
  const many = await rig.addMany(["a", "b"], { key });
  await rig.service.close();
  const again = await Rig.open(rig.store);
  assert.deepEqual(await again.addMany(["a", "b"], { key }), many);
});

test("the key of several bodies is known for as long as one of them is", async () => {
  const rig = await Rig.open();
  const options = { key: "k", keepMs: 1000 };
  const ids = await rig.addMany(["quick", "slow"], options);
  const worker = rig.worker({ slots: 2 });
  await worker.finish(0);
  await rig.pass(10_000);
  assert.deepEqual(await rig.addMany(["quick", "slow"], options), ids);
  await worker.finish(1);
  await rig.pass(3000);
  assert.notDeepEqual(await rig.addMany(["quick", "slow"], options), ids);
});

test("a task submitted again whose outcome is no longer kept is answered with its own id, and told as unknown", async () => {
  const rig = await Rig.open();
  const ids = await rig.addMany(["slow", "quick"], { key: "k", keepMs: 0 });
  const worker = rig.worker({ slots: 2 });
  await worker.finish(1);
  await rig.pass(1);
  assert.deepEqual(await rig.addMany(["slow", "quick"], { key: "k", keepMs: 0 }), ids);
  assert.equal(rig.service.watch(ids[1]!, { ended: () => {} }), false);
});

/** A broker that has room for the results of two tasks or three. */
const small = { endedBytesMax: 5000 };
const RESULT = "r".repeat(2000);

async function finishTen(rig: Rig): Promise<void> {
  for (let task = 0; task < 10; task += 1) {
    const worker = rig.worker();
    await rig.add(`filler ${task}`);
    await settle();
    await worker.finish(0, RESULT);
    await worker.leave(false);
  }
}

test("a key is remembered for as long as its task asks, even when its result had to go: no second run, and the caller is told", async () => {
  const rig = await Rig.open(undefined, small);
  const options = { key: "k", keepMs: 60_000 };
  const id = await rig.add("once", options);
  const worker = rig.worker();
  await worker.finish(0, RESULT);
  await worker.leave(false);
  await finishTen(rig);
  const check = async (broker: Rig): Promise<void> => {
    assert.equal(await broker.add("once", options), id);
    assert.deepEqual(await broker.outcome(id), { id, state: "evicted", bytes: bytes("") });
    const view = broker.service.view(broker.service.stateMachine.find(id));
    assert.deepEqual([view.state, view.evicted, view.resultBytes], ["completed", true, 0]);
  };
  await check(rig);
  assert.ok(rig.service.stats().endedBytes < 6000);
  await rig.service.close();
  const again = await Rig.open(rig.store, small);
  await check(again);
  await again.pass(60_000);
  assert.notEqual(await again.add("once", options), id);
});

test("each of several bodies under a key is remembered so, and unkeyed tasks are not", async () => {
  const rig = await Rig.open(undefined, small);
  const unkeyed = await rig.add("unkeyed");
  const ids = await rig.addMany(["a", "b"], { key: "k" });
  const worker = rig.worker({ slots: 3 });
  for (let task = 0; task < 3; task += 1) await worker.finish(task, RESULT);
  await worker.leave(false);
  await finishTen(rig);
  assert.deepEqual(await rig.addMany(["a", "b"], { key: "k" }), ids);
  for (const id of ids) assert.equal((await rig.outcome(id)).state, "evicted");
  assert.equal(rig.service.watch(unkeyed, { ended: () => {} }), false);
});

test("a key made by a client to send again is not remembered beyond its result", async () => {
  const rig = await Rig.open(undefined, small);
  const id = await rig.add("a", { key: "~aB3-_x9zK0Lm.17" });
  const worker = rig.worker();
  await worker.finish(0, RESULT);
  await worker.leave(false);
  await finishTen(rig);
  assert.equal(rig.service.watch(id, { ended: () => {} }), false);
});

test("a dead task under a key whose body had to go stays dead, with its error, and cannot be retried", async () => {
  const rig = await Rig.open(undefined, { deadBytesMax: 5000 });
  const options = { key: "k", attempts: 1, keepMs: 60_000 };
  const id = await rig.add("b".repeat(2000), options);
  const worker = rig.worker();
  await worker.fail(0, "no");
  for (let task = 1; task <= 10; task += 1) {
    await rig.add("b".repeat(2000), { attempts: 1 });
    await settle();
    await worker.fail(task, "no");
  }
  assert.equal(await rig.add("again", options), id);
  const { state, bytes: error } = await rig.outcome(id);
  assert.deepEqual([state, text(error)], ["dead", "no"]);
  assert.equal(rig.service.adminCommands.redrive(id, () => {})?.code, "QUEUE_TASK_STATE");
  await rig.service.adminCommands.purge({ queue: "q", states: ["dead"] }, { most: 100 });
  assert.notEqual(await rig.add("again", options), id, "purged is forgotten");
});

test("bodies that differ in anything have another digest: contents, order, where one ends", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 9 }), { minLength: 1, maxLength: 4 });
  const show = (all: readonly Uint8Array[]): string => JSON.stringify(all.map((each) => [...each]));
  fc.assert(
    fc.property(bodies, bodies, (one, other) => {
      assert.equal(digestOf(one).join() === digestOf(other).join(), show(one) === show(other));
    }),
    { numRuns: 2000 },
  );
  assert.equal(
    Buffer.from(digestOf([bytes("a"), bytes("bcdefg")])).toString("hex"),
    "2a3d80c7b26a56fd4b2b7dc8",
    "it is stored: it never changes",
  );
});
