import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs, POLICY_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { bytes, Rig, settle, text } from "./task-service-rig.ts";

test("a task with a time runs at that time and not before", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  await rig.add("at nine", { runAtMs: rig.service.wallMs + 5000 });
  await rig.add("in the past", { runAtMs: rig.service.wallMs - 5000 });
  await settle();
  assert.deepEqual(worker.bodies, ["in the past"]);
  await worker.finish(0);
  await rig.pass(4999);
  assert.equal(worker.tasks.length, 1);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["in the past", "at nine"]);
});

test("the pause after each failure doubles up to its bound, its second half by chance", () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), chance, (attempts, luck) => {
      const policy = { ...POLICY_DEFAULT, backoffMs: 1000, backoffMaxMs: 60_000 };
      const fullMs = Math.min(60_000, 1000 * 2 ** (attempts - 1));
      const pauseMs = backoffMs(policy, attempts, () => luck);
      assert.ok(pauseMs >= fullMs / 2 && pauseMs <= fullMs, `${pauseMs} of ${fullMs}`);
    }),
  );
  assert.notEqual(
    backoffMs(POLICY_DEFAULT, 1, () => 0),
    backoffMs(POLICY_DEFAULT, 1, () => 0.9),
  );
});

test("a group starts no more tasks in a stretch of time than its rate, and others go on meanwhile", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groupRate: { count: 1, perMs: 1000 } }, () => {});
  const worker = rig.worker({ slots: 10 });
  for (const body of ["a1", "a2", "a3"]) await rig.add(body, { group: "a" });
  await rig.add("b1", { group: "b" });
  await settle();
  assert.deepEqual(worker.bodies, ["a1", "b1"]);
  await rig.pass(1010);
  assert.deepEqual(worker.bodies, ["a1", "b1", "a2"]);
  await rig.pass(1010);
  assert.deepEqual(worker.bodies, ["a1", "b1", "a2", "a3"]);
});

test("an outcome can be read for as long as its task asks, and then no more", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("x", { keepMs: 5000 });
  await settle();
  await worker.finish(0, "result");
  await rig.pass(4999);
  assert.equal(text((await rig.outcome(id)).bytes), "result");
  await rig.pass(1);
  assert.equal(rig.service.watch(id, { ended: () => assert.fail("it is no longer kept") }), false);
  assert.equal(rig.service.stats().tasks, 0);
});

test("past the bound on their bytes the results that ended first go, the newest stays", async () => {
  const rig = await Rig.open(undefined, { endedBytesMax: 1000 });
  const worker = rig.worker();
  const ids: number[] = [];
  for (let index = 0; index < 5; index += 1) {
    ids.push(await rig.add(`${index}`));
    await settle();
    await worker.finish(index, "r".repeat(300));
  }
  const known = ids.filter((id) => rig.service.watch(id, { ended: () => {} }));
  assert.deepEqual(known, ids.slice(3));
  assert.ok(rig.service.stats().endedBytes <= 1000);
});

test("past the bound on their bytes the dead that died first go, and are counted", async () => {
  const rig = await Rig.open(undefined, { deadBytesMax: 1000 });
  const worker = rig.worker();
  for (let index = 0; index < 5; index += 1) {
    await rig.add("b".repeat(300));
    await settle();
    await worker.fail(index, "no", true);
  }
  assert.equal(rig.service.stats().deadDropped, 3);
  assert.equal(rig.service.queueStats(rig.service.stateMachine.queue("q")).states.dead, 2);
});

test("a batch is taken in whole or not at all", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { bytesMax: 500 }, () => {});
  await rig.add("first");
  await assert.rejects(rig.addMany(["a", "b", "c"]), { code: "QUEUE_FULL" });
  assert.equal(rig.service.stateMachine.queue("q").count("waiting"), 1);
  assert.deepEqual(await rig.addMany(["a", "b"]), [2, 3]);
});

test("the last twenty errors of a task are kept, each with its attempt", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("x", { attempts: 30, backoffMs: 0 });
  await settle();
  for (let attempt = 1; attempt <= 25; attempt += 1) {
    await worker.fail(attempt - 1, `error ${attempt}`);
    await rig.pass(1);
  }
  const { errors } = (await rig.service.inspect(id))!;
  assert.equal(errors.length, 20);
  assert.deepEqual(
    errors.map(({ error, attempt }) => [error, attempt]),
    Array.from({ length: 20 }, (_, index) => [`error ${index + 6}`, index + 6]),
  );
});

test("an error that is not of an attempt has no attempt number", async () => {
  const rig = await Rig.open();
  const id = await rig.add("x", { expireMs: 1000 });
  await rig.pass(1000);
  const { errors } = (await rig.service.inspect(id))!;
  assert.deepEqual(
    errors.map(({ error, attempt }) => [error, attempt]),
    [["expired before a worker took it", undefined]],
  );
});

test("the same key with the same result: who asks again under a key gets what was done, without doing it again", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("x", { key: "order 7" });
  await settle();
  await worker.finish(0, "shipped");
  assert.equal(await rig.add("x", { key: "order 7" }), id);
  await settle();
  assert.equal(worker.tasks.length, 1);
  assert.deepEqual(await rig.outcome(id), { id, state: "completed", bytes: bytes("shipped") });
});

test("a dead task says why it is dead", async () => {
  const rig = await Rig.open();
  const reason = (id: number): string | undefined => rig.service.view(rig.service.stateMachine.find(id)).reason;
  const worker = rig.worker();
  const [failed, gaveUp] = [await rig.add("x", { attempts: 1 }), await rig.add("x")];
  const child = await rig.add("x", { after: [`${gaveUp}`] });
  assert.equal(rig.service.view(rig.service.stateMachine.find(child)).state, "blocked");
  await worker.fail(0, "no");
  await worker.fail(1, "no", true);
  assert.deepEqual([failed, gaveUp, child].map(reason), ["attempts", "final", "parent"]);
  const [expired, returned] = [
    await rig.add("x", { expireMs: 1000 }, "other"),
    await rig.add("x", { expireMs: 1000 }, "returned"),
  ];
  await rig.worker({ queue: "returned" }).leave(false);
  await rig.pass(1000);
  assert.deepEqual([expired, returned].map(reason), ["expired", "expired"]);
  const suspect = await rig.add("x", {}, "lossy");
  for (let loss = 0; loss < 10; loss += 1) await rig.worker({ queue: "lossy" }).leave(true);
  assert.equal(reason(suspect), "lost");
});

test("a task is blocked until what it waits for has ended, then delayed until its time", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const parent = await rig.add("x");
  const child = await rig.add("x", { after: [`${parent}`], delayMs: 1000 });
  const state = (): string => rig.service.view(rig.service.stateMachine.find(child)).state;
  const seen = [state()];
  await settle();
  await worker.finish(0);
  seen.push(state());
  await rig.pass(1000);
  assert.deepEqual([...seen, state()], ["blocked", "delayed", "active"]);
});
