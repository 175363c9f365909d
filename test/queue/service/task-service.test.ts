import assert from "node:assert/strict";
import { test } from "node:test";
import { showPeer } from "../../../src/queue/protocols/protocol-handler.ts";
import { bytes, Rig, settle, text, Worker } from "./task-service-rig.ts";

test("a task goes to a worker and its result to its watcher", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("hello");
  const outcome = rig.outcome(id);
  await settle();
  assert.deepEqual(worker.bodies, ["hello"]);
  await worker.finish(0, "done well");
  assert.deepEqual(await outcome, { id, state: "completed", bytes: bytes("done well") });
});

test("a result can be read later", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("x");
  await settle();
  await worker.finish(0, "r");
  assert.equal(text((await rig.outcome(id)).bytes), "r");
  await rig.pass(10 * 60_000);
  assert.equal(rig.service.watch(id, { ended: () => {} }), false);
});

test("higher priority goes first, equal ones in the order they came", async () => {
  const rig = await Rig.open();
  await rig.add("a");
  await rig.add("b", { priority: 5 });
  await rig.add("c");
  await rig.add("d", { priority: 5 });
  assert.deepEqual(rig.worker({ slots: 9 }).bodies, ["b", "d", "a", "c"]);
});

test("a delayed task goes when its time has come", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  await rig.add("later", { delayMs: 1000 });
  await rig.pass(999);
  assert.deepEqual(worker.bodies, []);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["later"]);
});

test("a task that failed comes again after its backoff, then dies with the history of its errors", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("x", { attempts: 2, backoffMs: 1000 });
  const outcome = rig.outcome(id);
  await settle();
  await worker.fail(0, "first");
  assert.equal(worker.tasks.length, 1);
  await rig.pass(1000);
  assert.equal(worker.tasks.length, 2);
  assert.equal(worker.tasks[1]!.attempt, 2);
  await worker.fail(1, "second");
  assert.deepEqual(await outcome, { id, state: "dead", bytes: bytes("second") });
  assert.equal(text((await rig.outcome(id)).bytes), "second", "who asks later is told the same");
  const { errors } = (await rig.service.inspect(id))!;
  assert.deepEqual(
    errors.map(({ error }) => error),
    ["first", "second"],
  );
  assert.deepEqual(
    errors.map(({ atMs }) => rig.service.nowMs - atMs!),
    [1000, 0],
  );
  assert.equal(
    rig.service.adminCommands.redrive(id, () => {}),
    undefined,
  );
  rig.service.flush();
  await settle();
  assert.equal(worker.tasks.length, 3);
});

test("a dead connection gives its tasks back in their order, ahead of the others", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a", "b", "c", "d"]);
  const first = rig.worker({ slots: 2 });
  assert.deepEqual(first.bodies, ["a", "b"]);
  await first.leave(true);
  assert.deepEqual(rig.worker({ slots: 4 }).bodies, ["a", "b", "c", "d"]);
});

test("a result that comes after its lease has ended is refused", async () => {
  const rig = await Rig.open();
  const zombie = rig.worker();
  await rig.add("x");
  await settle();
  await zombie.leave(true);
  const heir = rig.worker();
  assert.equal(heir.bodies.length, 1);
  assert.equal(await zombie.finish(0, "late"), false);
  assert.equal(await heir.finish(0, "right"), true);
});

test("an attempt that takes too long is taken back and tried again", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("slow", { timeoutMs: 500, backoffMs: 100 });
  await rig.pass(500);
  assert.deepEqual(worker.revoked, [`${id} timeout`]);
  assert.equal(await worker.finish(0), false);
  await rig.pass(100);
  assert.equal(worker.tasks.length, 2);
});

test("cancel reaches a running worker and frees its slot", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("a");
  await rig.add("b");
  await settle();
  const outcome = rig.outcome(id);
  assert.equal(
    rig.service.adminCommands.cancel(id, () => {}),
    undefined,
  );
  rig.service.flush();
  assert.deepEqual(worker.revoked, [`${id} cancelled`]);
  assert.equal((await outcome).state, "cancelled");
  assert.deepEqual(worker.bodies, ["a", "b"]);
});

test("the same key is the same task", async () => {
  const rig = await Rig.open();
  const both = [rig.add("x", { key: "k" }), rig.add("y", { key: "k" })];
  const [first, second] = await Promise.all(both);
  assert.equal(first, second);
  assert.equal(await rig.add("z", { key: "k" }), first);
  assert.notEqual(await rig.add("z", { key: "k" }, "other"), first);
  assert.deepEqual(rig.worker({ slots: 9 }).bodies, ["x"]);
});

test("groups take turns", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a1", "a2", "a3"], { group: "a" });
  await rig.addMany(["b1", "b2"], { group: "b" });
  await rig.add("c1", { group: "c" });
  assert.deepEqual(rig.worker({ slots: 9 }).bodies, ["a1", "b1", "c1", "a2", "b2", "a3"]);
});

test("a group runs no more tasks at once than its bound", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groupConcurrency: 1 }, () => {});
  await rig.addMany(["a1", "a2"], { group: "a" });
  await rig.addMany(["b1", "b2"], { group: "b" });
  const worker = rig.worker({ slots: 9 });
  assert.deepEqual(worker.bodies, ["a1", "b1"]);
  await worker.finish(1);
  assert.deepEqual(worker.bodies, ["a1", "b1", "b2"]);
  await worker.finish(0);
  assert.deepEqual(worker.bodies, ["a1", "b1", "b2", "a2"]);
});

test("a queue starts no more tasks in a stretch of time than its rate", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { rate: { count: 2, perMs: 1000 } }, () => {});
  await rig.addMany(["1", "2", "3", "4", "5"]);
  const worker = rig.worker({ slots: 9 });
  await settle();
  assert.equal(worker.tasks.length, 2);
  await rig.pass(999);
  assert.equal(worker.tasks.length, 2);
  await rig.pass(11);
  assert.equal(worker.tasks.length, 4);
  await rig.pass(1010);
  assert.equal(worker.tasks.length, 5);
});

test("a paused queue gives nothing out until it is resumed", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { paused: true }, () => {});
  await rig.add("x");
  const worker = rig.worker();
  assert.equal(worker.tasks.length, 0);
  rig.service.configure("q", { paused: false }, () => {});
  rig.service.flush();
  assert.equal(worker.tasks.length, 1);
});

test("a task waits for others, and dies with them", async () => {
  const rig = await Rig.open();
  const worker = rig.worker({ slots: 9 });
  const [a, b] = await rig.addMany(["a", "b"], { attempts: 1 });
  await rig.add("after a", { after: [String(a)] });
  const never = await rig.add("after both", { after: [String(a), String(b)] });
  const outcome = rig.outcome(never);
  await settle();
  assert.deepEqual(worker.bodies, ["a", "b"]);
  await worker.finish(0);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["a", "b", "after a"]);
  await worker.fail(1, "no");
  assert.equal((await outcome).state, "dead");
  assert.match(text((await outcome).bytes), /which it waited for, is dead/);
});

test("a task that nobody took in time is dead", async () => {
  const rig = await Rig.open();
  const id = await rig.add("x", { expireMs: 1000 });
  const outcome = rig.outcome(id);
  await rig.pass(1000);
  assert.equal((await outcome).state, "dead");
  assert.equal(rig.worker().tasks.length, 0);
});

test("a full queue refuses, or lets the producer wait for room", async () => {
  const rig = await Rig.open(undefined, { bytesMax: 300 });
  const body = "x".repeat(100);
  await rig.add(body);
  await assert.rejects(rig.add(body), { code: "QUEUE_FULL" });
  const waiting = rig.add(body, { whenFull: "wait" });
  const worker = rig.worker();
  await worker.finish(0);
  assert.equal(await waiting, 2);
});

test("a prefetched task is recalled when another worker is idle", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a", "b", "c"]);
  const greedy = rig.worker({ slots: 1, prefetch: 2 });
  assert.deepEqual(greedy.bodies, ["a", "b", "c"]);
  const idle = rig.worker();
  assert.deepEqual(greedy.recalled, [3]);
  rig.service.giveBack(greedy.consumer, greedy.tasks[2]!);
  rig.service.flush();
  assert.deepEqual(idle.bodies, ["c"]);
});

test("after a restart waiting tasks are there in their order, with priorities, delays, keys and settings", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { concurrency: 5 }, () => {});
  const id = await rig.add("a", { key: "k" });
  await rig.add("b", { priority: 1 });
  await rig.add("later", { delayMs: 1000 });
  await rig.service.close();
  const again = await Rig.open(rig.store);
  assert.equal(await again.add("a", { key: "k" }), id);
  const worker = again.worker({ slots: 9 });
  await settle();
  assert.deepEqual(worker.bodies, ["b", "a"]);
  await again.pass(1000);
  assert.deepEqual(worker.bodies, ["b", "a", "later"]);
  assert.equal(again.service.queueStats(again.service.stateMachine.queue("q")).settings.concurrency, 5);
});

test("a lease that lasted a while can be taken up again after a restart; one that another worker has meanwhile is not", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a", "b"]);
  const before = rig.worker({ slots: 2 });
  await rig.pass(50);
  await rig.service.close();
  const again = await Rig.open(rig.store);
  const worker = new Worker(again.service, { slots: 2, prefetch: 0, queue: "q" });
  assert.equal(again.service.resume(worker.consumer, before.tasks[0]!), true);
  again.service.flush();
  assert.deepEqual(worker.bodies, []);
  await again.pass(5000);
  assert.deepEqual(worker.bodies, ["b"]);
  assert.equal(again.service.finish(worker.consumer, before.tasks[0]!, bytes("r")), true);
  assert.equal(again.service.finish(worker.consumer, before.tasks[1]!, bytes("r")), false);
});

test("a lease too short to be written down is taken up again after a restart, unless another worker has the task", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a", "b"]);
  const before = rig.worker({ slots: 2 });
  await rig.service.close();
  const again = await Rig.open(rig.store);
  const other = again.worker();
  await settle();
  assert.deepEqual(other.bodies, ["a"]);
  const back = new Worker(again.service, { slots: 2, prefetch: 0, queue: "q" });
  assert.equal(again.service.resume(back.consumer, before.tasks[0]!), false);
  assert.equal(again.service.resume(back.consumer, before.tasks[1]!), true);
  assert.equal(again.service.finish(back.consumer, before.tasks[1]!, bytes("r")), true);
});

test("a lease from before a restart is believed of no worker of another queue", async () => {
  const rig = await Rig.open();
  await rig.addMany(["a"]);
  const before = rig.worker();
  await rig.service.close();
  const again = await Rig.open(rig.store);
  const liar = new Worker(again.service, { slots: 1, prefetch: 0, queue: "other" });
  assert.equal(again.service.resume(liar.consumer, before.tasks[0]!), false);
  const own = new Worker(again.service, { slots: 1, prefetch: 0, queue: "q" });
  assert.equal(again.service.resume(own.consumer, before.tasks[0]!), true);
});

test("producers that wait for room in one queue do not hold up those of another", async () => {
  const rig = await Rig.open(undefined, { bytesMax: 1000 });
  rig.service.configure("small", { bytesMax: 250 }, () => {});
  rig.service.configure("other", { bytesMax: 250 }, () => {});
  const body = "x".repeat(100);
  for (const queue of ["small", "other"]) await rig.add(body, {}, queue);
  const small = rig.add(body, { whenFull: "wait" }, "small");
  const other = rig.add(body, { whenFull: "wait" }, "other");
  await rig.worker({ queue: "other" }).finish(0);
  assert.equal(await other, 3);
  await rig.worker({ queue: "small" }).finish(0);
  assert.equal(await small, 4);
});

test("of more workers than a page holds the newest hundred are listed, and twenty of those that left", async () => {
  const rig = await Rig.open();
  const workers = Array.from({ length: 130 }, (_, index) => rig.worker({ queue: `q${index}` }));
  const { workers: listed } = rig.service.stats();
  assert.deepEqual([listed.length, listed[0]!.queue, listed.at(-1)!.queue], [100, "q129", "q30"]);
  for (const worker of workers) await worker.leave(false);
  const { workers: none, workersLeft } = rig.service.stats();
  assert.deepEqual([none.length, workersLeft.length, workersLeft[0]!.queue], [0, 20, "q129"]);
});

test("a routing id is shown as text where it can be read, else in hex", () => {
  assert.equal(showPeer(bytes("worker-7")), "worker-7");
  assert.equal(showPeer(Uint8Array.of(0, 0x6b, 0x8b, 0x45, 0x67)), "006b8b4567");
  assert.equal(showPeer(bytes("two words")), "74776f20776f726473");
});

test("errors that were kept before times were are still read, without a time", async () => {
  const rig = await Rig.open();
  const id = await rig.add("x");
  for (const text of ["ENOENT: no such file", "2026-13-45T99:99:99.999Z is no time", ""]) {
    await rig.store.write([{ kind: "fact", id, fact: { kind: "error", name: "", payload: bytes(text) } }]);
  }
  assert.deepEqual((await rig.service.inspect(id))!.errors, [
    { error: "ENOENT: no such file", atMs: undefined, attempt: undefined },
    { error: "2026-13-45T99:99:99.999Z is no time", atMs: undefined, attempt: undefined },
    { error: "", atMs: undefined, attempt: undefined },
  ]);
});

test("names of queues are used up by queues in use only: those without task, worker or setting make room for new ones", async () => {
  const rig = await Rig.open();
  const { stateMachine } = rig.service;
  await rig.add("waits", {}, "has a task");
  rig.worker({ queue: "has a worker" });
  rig.service.configure("has a setting", { paused: true }, () => {});
  rig.service.configure("set back", { paused: true }, () => {});
  rig.service.configure("set back", { paused: false }, () => {});
  for (let each = 0; each < 20_000; each += 1) stateMachine.queue(`user ${each}`);
  assert.deepEqual(
    ["has a task", "has a worker", "has a setting", "set back", "user 0"].map(
      (name) => stateMachine.findQueue(name) !== undefined,
    ),
    [true, true, true, false, false],
  );
  const workers = Array.from({ length: 9_997 }, (_, each) => rig.worker({ queue: `in use ${each}` }));
  await assert.rejects(rig.add("one more", {}, "no room"), { code: "QUEUE_TOO_MANY" });
  rig.service.leave(workers[0]!.consumer, { lost: false });
  await rig.add("one more", {}, "room again");
});

test("a worker that let a task's time pass in silence gets what nobody else can take, one at a time, until it says something", async () => {
  const rig = await Rig.open();
  const frozen = rig.worker({ slots: 3 });
  const late = await rig.add("late", { timeoutMs: 100, attempts: 1 });
  await rig.pass(100);
  assert.deepEqual(frozen.revoked, [`${late} timeout`]);
  const well = rig.worker({ slots: 2 });
  await rig.addMany(["a", "b", "c", "d", "e"]);
  assert.deepEqual(
    [well.bodies, frozen.bodies],
    [
      ["a", "b"],
      ["late", "c"],
    ],
  );
  rig.service.heard(frozen.consumer);
  rig.service.flush();
  assert.deepEqual(frozen.bodies, ["late", "c", "d", "e"]);
});
