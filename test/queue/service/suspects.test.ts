import assert from "node:assert/strict";
import { test } from "node:test";
import { LOST_MAX, SUSPECT_LOSSES } from "../../../src/queue/limits.ts";
import { bytes, Rig, settle, Worker } from "./task-service-rig.ts";

function lost(rig: Rig, id: number): number {
  return rig.service.view(rig.service.stateMachine.find(id)).lost;
}

/** Loses a worker with these tasks so often that they are suspects. */
async function suspect(rig: Rig, ids: readonly number[]): Promise<void> {
  for (let loss = 0; loss < SUSPECT_LOSSES; loss += 1) {
    const worker = rig.worker({ slots: ids.length });
    assert.deepEqual(
      worker.tasks.map(({ id }) => id),
      ids,
    );
    await worker.leave(true);
  }
}

test("of a worker that dies the tasks that it said had begun are charged, and no others", async () => {
  const rig = await Rig.open();
  const ids = await rig.addMany(["a", "b", "c", "d"]);
  const worker = rig.worker({ slots: 2, prefetch: 2, saysBegun: true });
  worker.begin(1);
  await worker.leave(true);
  assert.deepEqual(
    ids.map((id) => lost(rig, id)),
    [0, 1, 0, 0],
  );
});

test("of a worker that does not say what has begun as many of the oldest are charged as it works on at once", async () => {
  const rig = await Rig.open();
  const ids = await rig.addMany(["a", "b", "c", "d"]);
  const worker = rig.worker({ slots: 2, prefetch: 2 });
  // It takes no more, as one that is about to end.
  rig.service.adjust(worker.consumer, { slots: 0, prefetch: 0 });
  await worker.leave(true);
  assert.deepEqual(
    ids.map((id) => lost(rig, id)),
    [1, 1, 0, 0],
  );
});

test("what a worker gives back, or says of a lease that it lost, has not begun for the next", async () => {
  const rig = await Rig.open();
  const id = await rig.add("a");
  const first = rig.worker({ saysBegun: true });
  first.begin(0);
  await first.leave(false);
  const second = rig.worker({ saysBegun: true });
  first.begin(0);
  await second.leave(true);
  assert.equal(lost(rig, id), 0);
});

test("a suspect runs alone: its worker gets nothing beside it until it has ended", async () => {
  const rig = await Rig.open();
  const [poison] = await rig.addMany(["poison"]);
  await suspect(rig, [poison!]);
  await rig.addMany(["a", "b", "c"]);
  const worker = rig.worker({ slots: 3, prefetch: 3 });
  assert.deepEqual(worker.bodies, ["poison"]);
  await worker.finish(0);
  assert.deepEqual(worker.bodies, ["poison", "a", "b", "c"]);
});

test("a suspect waits until a worker has nothing else, which is let run empty for it", async () => {
  const rig = await Rig.open();
  const [poison] = await rig.addMany(["poison"]);
  await suspect(rig, [poison!]);
  await rig.addMany(["a", "b", "c", "d"], { priority: 9 });
  const alone = rig.worker({ slots: 2 });
  const other = rig.worker({ slots: 2 });
  assert.deepEqual(alone.bodies, ["poison"], "one that has nothing takes it at once, whatever its priority");
  assert.deepEqual(other.bodies, ["a", "b"]);
  await alone.leave(true);
  await other.finish(0);
  assert.deepEqual(other.bodies, ["a", "b"], "the only worker left takes nothing more");
  await other.finish(1);
  assert.deepEqual(other.bodies, ["a", "b", "poison"]);
  await other.finish(2);
  assert.deepEqual(other.bodies, ["a", "b", "poison", "c", "d"]);
});

test("a worker that was let run empty for a suspect takes other tasks when the suspect is cancelled", async () => {
  const rig = await Rig.open();
  const poison = await rig.add("poison");
  await suspect(rig, [poison]);
  const alone = rig.worker({ slots: 2 });
  await rig.addMany(["a", "b", "c"]);
  const other = rig.worker({ slots: 2 });
  assert.deepEqual(other.bodies, ["a", "b"]);
  await alone.leave(true);
  await other.finish(0);
  assert.deepEqual(other.bodies, ["a", "b"]);
  rig.service.adminCommands.cancel(poison, () => {});
  rig.service.flush();
  assert.deepEqual(other.bodies, ["a", "b", "c"]);
});

test("nothing is given to a process that runs a suspect, over whichever of its connections and queues", async () => {
  const rig = await Rig.open();
  const poison = await rig.add("poison");
  await suspect(rig, [poison]);
  const alone = rig.worker({ host: "p" });
  const beside = rig.worker({ host: "p", queue: "other" });
  const elsewhere = rig.worker({ host: "p2", queue: "other" });
  await rig.addMany(["a", "b"], {}, "other");
  assert.deepEqual([alone.bodies, beside.bodies, elsewhere.bodies], [["poison"], [], ["a"]]);
  await alone.finish(0);
  assert.deepEqual(beside.bodies, ["b"]);
});

test("a process whose other queue has work runs empty before it gets a suspect", async () => {
  const rig = await Rig.open();
  const poison = await rig.add("poison");
  await suspect(rig, [poison]);
  await rig.add("a", {}, "other");
  const beside = rig.worker({ host: "p", queue: "other" });
  assert.deepEqual(beside.bodies, ["a"]);
  const worker = rig.worker({ host: "p" });
  assert.deepEqual(worker.bodies, []);
  await rig.add("b", {}, "other");
  assert.deepEqual(beside.bodies, ["a"]);
  await beside.finish(0);
  assert.deepEqual([worker.bodies, beside.bodies], [["poison"], ["a"]]);
  await worker.leave(true);
  assert.deepEqual(beside.bodies, ["a", "b"]);
});

test("half of the workers at most are kept for suspects: the others go on", async () => {
  const rig = await Rig.open();
  const ids = await rig.addMany(["s1", "s2", "s3", "s4"]);
  await suspect(rig, ids);
  const workers = Array.from({ length: 4 }, () => rig.worker({ slots: 2 }));
  await rig.addMany(["a", "b", "c", "d"]);
  assert.deepEqual(
    workers.map(({ bodies }) => bodies),
    [["s1"], ["s2"], ["a", "c"], ["b", "d"]],
  );
});

test("a suspect keeps to its group's bound", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groupConcurrency: 1 }, () => {});
  const first = await rig.add("s", { group: "g" });
  await suspect(rig, [first]);
  await rig.add("after", { group: "g" });
  const worker = rig.worker();
  const other = rig.worker();
  assert.deepEqual([worker.bodies, other.bodies], [["s"], []]);
  await worker.finish(0);
  assert.deepEqual([...worker.bodies, ...other.bodies].sort(), ["after", "s"]);
});

test("a task that kills each of its workers is dead after ten, and those that were beside it are done", async () => {
  const rig = await Rig.open();
  const bodies = ["poison", ...Array.from({ length: 30 }, (_, at) => `innocent ${at}`)];
  const ids = await rig.addMany(bodies);
  const done = new Set<string>();
  for (let processes = 0; processes < 100 && done.size < 30; processes += 1) {
    const worker = rig.worker({ slots: 10, saysBegun: true });
    for (let at = 0; at < worker.tasks.length; at += 1) worker.begin(at);
    for (let at = 0; at < worker.tasks.length && !worker.bodies.includes("poison"); at += 1) {
      done.add(worker.bodies[at]!);
      await worker.finish(at);
      for (let more = at + 1; more < worker.tasks.length; more += 1) worker.begin(more);
    }
    await worker.leave(true);
  }
  assert.equal(done.size, 30);
  const view = rig.service.view(rig.service.stateMachine.find(ids[0]!));
  assert.deepEqual([view.state, view.reason, view.lost], ["dead", "lost", LOST_MAX]);
});

test("a suspect is one after a restart too, and a redriven task is none", async () => {
  const rig = await Rig.open();
  const poison = await rig.add("poison");
  await suspect(rig, [poison]);
  await rig.addMany(["a"]);
  await rig.service.close();
  const again = await Rig.open(rig.store);
  const worker = again.worker({ slots: 2 });
  await settle();
  assert.deepEqual(worker.bodies, ["poison"]);
  again.service.fail(worker.consumer, worker.tasks[0]!, { error: "no", final: true });
  again.service.flush();
  await settle();
  assert.deepEqual(worker.bodies, ["poison", "a"]);
  again.service.adminCommands.redrive(poison, () => {});
  again.service.flush();
  await settle();
  assert.deepEqual(worker.bodies, ["poison", "a", "poison"], "beside another");
});

test("a worker that comes back with a suspect gets nothing beside it", async () => {
  const rig = await Rig.open();
  const poison = await rig.add("poison");
  await suspect(rig, [poison]);
  const worker = rig.worker();
  await rig.pass(50);
  await rig.service.close();
  const again = await Rig.open(rig.store);
  await again.add("a");
  const back = new Worker(again.service, { slots: 0, prefetch: 0, queue: "q" });
  assert.equal(again.service.resume(back.consumer, worker.tasks[0]!), true);
  again.service.adjust(back.consumer, { slots: 5, prefetch: 0 });
  again.service.flush();
  assert.deepEqual(back.bodies, []);
  again.service.finish(back.consumer, worker.tasks[0]!, bytes("r"));
  again.service.flush();
  await settle();
  assert.deepEqual(back.bodies, ["a"]);
});
