import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../../src/core/random.ts";
import type { OnParentDead, TaskOptions } from "../../../src/queue/tasks/task-policy.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { Rig, settle, type Worker } from "./task-service-rig.ts";

const ONCE = { attempts: 1 };

function stateOf(rig: Rig, id: number): string {
  const row = rig.service.stateMachine.find(id);
  return row === 0 ? "unknown" : rig.service.stateMachine.state(row);
}

function child(rig: Rig, parents: readonly number[], options: TaskOptions = {}): Promise<number> {
  return rig.add("child", { ...options, after: parents.map(String) });
}

function retry(rig: Rig, id: number): string | undefined {
  const refusal = rig.service.adminCommands.redrive(id, () => {});
  rig.service.flush();
  return refusal?.code;
}

async function restart(rig: Rig, options = {}): Promise<Rig> {
  await rig.service.close();
  const again = await Rig.open(rig.store, options);
  again.clock.advance(rig.clock.now());
  await settle();
  return again;
}

/** Fails the newest task of the worker, or finishes it. */
async function end(worker: Worker, how: "fail" | "finish"): Promise<void> {
  await settle();
  const newest = worker.tasks.length - 1;
  assert.ok(how === "fail" ? await worker.fail(newest, "no") : await worker.finish(newest));
}

test("a task after one that is not known is refused, and nothing is submitted", async () => {
  const rig = await Rig.open();
  const unknown = { code: "QUEUE_TASK_UNKNOWN" };
  await assert.rejects(child(rig, [1]), unknown);
  const id = await rig.add("forgotten", { keepMs: 0 });
  const worker = rig.worker();
  await worker.finish(0);
  await rig.pass(1);
  await assert.rejects(child(rig, [id]), unknown);
  assert.equal(rig.service.stateMachine.stats().tasks, 0);
});

test("a parent stays known while a child waits, beyond its keep and over restarts, and no longer", async () => {
  const rig = await Rig.open();
  const worker = rig.worker({ slots: 2 });
  const [quick, slow] = await rig.addMany(["quick", "slow"], { keepMs: 1000 });
  const waits = await child(rig, [quick!, slow!]);
  await worker.finish(0);
  await rig.pass(10_000);
  assert.deepEqual([stateOf(rig, quick!), stateOf(rig, waits)], ["completed", "blocked"]);
  const again = await restart(rig);
  await again.pass(10_000);
  assert.deepEqual([stateOf(again, quick!), stateOf(again, waits)], ["completed", "blocked"]);
  const next = again.worker({ slots: 2 });
  await settle();
  assert.deepEqual(next.bodies, ["slow"]);
  await next.finish(0);
  await again.pass(1);
  assert.deepEqual(next.bodies, ["slow", "child"]);
  assert.equal(stateOf(again, quick!), "unknown");
});

test("a parent's result makes room while a child waits, and the parent is known all the same", async () => {
  const rig = await Rig.open(undefined, { endedBytesMax: 3000 });
  const worker = rig.worker({ slots: 9 });
  const parents = await rig.addMany(["a", "b", "c", "d", "e"]);
  const waits = await child(rig, parents);
  for (let at = 0; at < 4; at += 1) await worker.finish(at, "r".repeat(2000));
  assert.ok(rig.service.stats().endedBytes < 5000);
  const again = await restart(rig, { endedBytesMax: 3000 });
  assert.equal(stateOf(again, waits), "blocked");
  assert.deepEqual(
    parents.map((id) => stateOf(again, id)),
    ["completed", "completed", "completed", "completed", "waiting"],
  );
});

test("a parent of a task that could not be written is kept for nobody", async () => {
  class Refusing extends MemoryStore {
    isFull = false;
    override async write(ops: Parameters<MemoryStore["write"]>[0]): Promise<void> {
      if (this.isFull) throw new Error("no space left on device");
      await super.write(ops);
    }
  }
  const store = new Refusing();
  const rig = await Rig.open(store);
  const id = await rig.add("parent", { keepMs: 1000 });
  const worker = rig.worker();
  await worker.finish(0);
  store.isFull = true;
  await assert.rejects(child(rig, [id]), { code: "QUEUE_STORE_UNAVAILABLE" });
  store.isFull = false;
  await rig.pass(2000);
  assert.equal(stateOf(rig, id), "unknown");
});

test("what is purged is never taken for done: parents that are waited for stay, others go with their children", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const parent = await rig.add("parent", ONCE);
  const waits = await child(rig, [parent], { onParentDead: "wait" });
  const fails = await child(rig, [parent]);
  const grandchild = await child(rig, [fails]);
  await end(worker, "fail");
  const purge = (): Promise<number> => rig.service.adminCommands.purge({ queue: "q", states: ["dead"] }, { most: 100 });
  assert.equal(await purge(), 2, "the two that died with it");
  assert.deepEqual(
    [parent, waits, fails, grandchild].map((id) => stateOf(rig, id)),
    ["dead", "blocked", "unknown", "unknown"],
  );
  rig.service.adminCommands.cancel(waits, () => {});
  assert.equal(await purge(), 1);
  assert.equal(stateOf(rig, parent), "unknown");
});

for (const how of ["dead", "expired", "cancelled"] as const) {
  for (const when of ["before", "after"] as const) {
    test(`a child of a parent that is ${how} ends as its onParentDead says, submitted ${when} that`, async () => {
      const rig = await Rig.open();
      const parent = await rig.add("parent", how === "expired" ? { expireMs: 1000 } : ONCE);
      const other = await rig.add("other", { priority: 1 });
      const choices: readonly (OnParentDead | undefined)[] = [undefined, "fail", "continue", "wait"];
      const submit = (): Promise<number[]> =>
        Promise.all(choices.map((onParentDead) => child(rig, [parent, other], { ...(onParentDead && { onParentDead }) })));
      let children = when === "before" ? await submit() : [];
      if (how === "dead") {
        const worker = rig.worker({ slots: 2 });
        await settle();
        await worker.fail(1, "no");
        await worker.leave(false);
      } else if (how === "expired") await rig.pass(1000);
      else rig.service.adminCommands.cancel(parent, () => {});
      rig.service.flush();
      await settle();
      if (when === "after") children = await submit();
      await settle();
      const states = (broker: Rig): string[] => children.map((id) => stateOf(broker, id));
      assert.deepEqual(states(rig), ["dead", "dead", "blocked", "blocked"], "the other parent is not completed yet");
      const again = await restart(rig);
      assert.deepEqual(states(again), ["dead", "dead", "blocked", "blocked"], "after a restart");
      const view = again.service.view(again.service.stateMachine.find(children[0]!));
      assert.equal(view.reason, "parent");
      const worker = again.worker();
      await settle();
      await worker.finish(0);
      await again.pass(1);
      assert.deepEqual(states(again), ["dead", "dead", "active", "blocked"]);
      assert.match(again.service.whyWaiting(again.service.stateMachine.find(children[3]!))!, /is (dead|cancelled)/);
    });
  }
}

test("a child that waits for a dead parent runs when that one was retried and is completed", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const parent = await rig.add("parent", ONCE);
  const waits = await child(rig, [parent], { onParentDead: "wait" });
  await end(worker, "fail");
  const again = await restart(rig);
  const next = again.worker();
  assert.equal(retry(again, parent), undefined);
  await end(next, "finish");
  await again.pass(1);
  assert.deepEqual(next.bodies, ["parent", "child"]);
  assert.equal(stateOf(again, waits), "active");
});

for (const order of ["parent first", "child first"] as const) {
  for (const restarts of [false, true]) {
    test(`dead tasks that are retried keep their order, ${order}${restarts ? ", with a restart between" : ""}`, async () => {
      let rig = await Rig.open();
      let worker = rig.worker({ slots: 9 });
      const build = await rig.add("build", ONCE);
      const deploy = await rig.add("deploy", { after: [String(build)] });
      const announce = await rig.add("announce", { after: [String(deploy)] });
      await end(worker, "fail");
      assert.deepEqual(
        [deploy, announce].map((id) => stateOf(rig, id)),
        ["dead", "dead"],
      );
      const all = order === "parent first" ? [build, deploy, announce] : [announce, deploy, build];
      for (const id of all) {
        if (restarts) {
          await worker.leave(false);
          rig = await restart(rig);
          worker = rig.worker({ slots: 9 });
        }
        assert.equal(retry(rig, id), undefined);
        await rig.pass(1);
        if (id !== build && order === "child first") assert.equal(stateOf(rig, id), "blocked");
      }
      for (const name of ["build", "deploy", "announce"]) {
        assert.equal(worker.bodies.at(-1), name);
        await end(worker, "finish");
        await rig.pass(1);
      }
      assert.deepEqual(
        [build, deploy, announce].map((id) => stateOf(rig, id)),
        ["completed", "completed", "completed"],
      );
    });
  }
}

test("a child that was retried dies again when its parent does", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const parent = await rig.add("parent", ONCE);
  const fails = await child(rig, [parent]);
  await end(worker, "fail");
  retry(rig, fails);
  retry(rig, parent);
  await end(worker, "fail");
  assert.deepEqual([stateOf(rig, parent), stateOf(rig, fails)], ["dead", "dead"]);
});

test("a dead child that had run already does not wait again when it is retried", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const parent = await rig.add("parent", { keepMs: 0 });
  const ran = await child(rig, [parent], ONCE);
  await end(worker, "finish");
  await rig.pass(1);
  await end(worker, "fail");
  await rig.pass(60_000);
  assert.equal(stateOf(rig, parent), "unknown");
  const again = await restart(rig);
  assert.equal(retry(again, ran), undefined);
  assert.equal(stateOf(again, ran), "waiting");
});

test("a child that waited for a cancelled parent cannot be retried, and is told why", async () => {
  const rig = await Rig.open();
  const parent = await rig.add("parent");
  const fails = await child(rig, [parent]);
  rig.service.adminCommands.cancel(parent, () => {});
  rig.service.flush();
  await settle();
  assert.equal(stateOf(rig, fails), "dead");
  assert.equal(retry(rig, fails), "QUEUE_TASK_STATE");
  assert.equal(stateOf(rig, fails), "dead");
});

test("a task that waited for one that 0.1 had completed and forgotten runs", async () => {
  const rig = await Rig.open();
  const parent = await rig.add("parent");
  const waits = await child(rig, [parent]);
  await rig.service.close();
  await rig.store.write([{ kind: "remove", id: parent }]);
  const again = await Rig.open(rig.store);
  const worker = again.worker();
  await again.pass(1);
  assert.deepEqual(
    worker.tasks.map(({ id }) => id),
    [waits],
  );
});

test("a chain of ten thousand dies with its first, and is retried from end to end", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const ids = [await rig.add("first", ONCE)];
  for (let link = 1; link < 10_000; link += 1) ids.push(await child(rig, [ids.at(-1)!]));
  await end(worker, "fail");
  assert.equal(rig.service.stateMachine.queue("q").count("dead"), 10_000);
  for (const id of ids.toReversed()) assert.equal(retry(rig, id), undefined);
  assert.equal(rig.service.stateMachine.queue("q").count("blocked"), 9999);
  for (let link = 0; link < 20; link += 1) {
    await end(worker, "finish");
    await rig.pass(1);
  }
  assert.deepEqual(
    worker.tasks.slice(-20).map(({ id }) => id),
    ids.slice(1, 21),
  );
});

test("whatever is added, ended, retried, cancelled, purged and restarted, no child runs before its parents are completed", async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seeded(seed);
    const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    let rig = await Rig.open(undefined, { endedBytesMax: 2000 });
    let worker = rig.worker({ slots: 3 });
    const parentsOf = new Map<number, readonly number[]>();
    const completed = new Set<number>();
    const begun = (): void => {
      for (const { id } of worker.tasks)
        for (const parent of parentsOf.get(id) ?? []) assert.ok(completed.has(parent), `seed ${seed}: ${id} before ${parent}`);
    };
    let checked = 0;
    for (let step = 0; step < 300; step += 1) {
      const ids = [...parentsOf.keys()];
      const chance = random();
      if (chance < 0.4 || ids.length === 0) {
        const parents = [...new Set(Array.from({ length: Math.floor(random() * 3) }, () => any(ids)).filter(Boolean))];
        const options = { ...ONCE, keepMs: any([0, 100, 10_000]), ...(random() < 0.3 && { onParentDead: "wait" as const }) };
        const id = await rig.add("x", { ...options, after: parents.map(String) }).catch((error: { code: string }) => {
          assert.equal(error.code, "QUEUE_TASK_UNKNOWN");
          assert.ok(parents.some((parent) => stateOf(rig, parent) === "unknown"));
        });
        if (id !== undefined) parentsOf.set(id, parents);
      } else if (chance < 0.7 && worker.tasks.length > checked) {
        const at = checked;
        checked += 1;
        if (random() < 0.6) {
          if (await worker.finish(at, "r".repeat(300))) completed.add(worker.tasks[at]!.id);
        } else await worker.fail(at, "no");
      } else if (chance < 0.8) retry(rig, any(ids));
      else if (chance < 0.84) rig.service.adminCommands.cancel(any(ids), () => {});
      else if (chance < 0.88) {
        const states = [any(["completed", "dead", "cancelled"] as const)] as const;
        await rig.service.adminCommands.purge({ queue: "q", states }, { most: 100 });
      } else if (chance < 0.91) {
        await worker.leave(false);
        rig = await restart(rig, { endedBytesMax: 2000 });
        worker = rig.worker({ slots: 3 });
        checked = 0;
      } else await rig.pass(any([1, 50, 1000]));
      rig.service.flush();
      await settle();
      rig.service.stateMachine.audit();
      begun();
    }
    assert.ok(completed.size > 10);
  }
});
