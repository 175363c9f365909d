import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { Rig, settle } from "./task-service-rig.ts";

const MINUTE_MS = 60_000;
/** Rounded late by two steps of 256 at most. */
const LATE_MS = 500;
const ONE_A_MINUTE = { count: 1, perMs: MINUTE_MS };

/** A store whose disk is stopped now and then. */
class SlowStore extends MemoryStore {
  #stopped: Promise<void> | undefined;
  go = (): void => {};

  stop(): void {
    this.#stopped = new Promise((resolve) => {
      this.go = () => {
        this.#stopped = undefined;
        resolve();
      };
    });
  }

  override async write(ops: readonly StoreOp[]): Promise<void> {
    await this.#stopped;
    await super.write(ops);
  }
}

async function settings(store: MemoryStore): Promise<ReadonlyMap<string, string>> {
  return (await store.open()).settings;
}

async function starts(store: MemoryStore): Promise<string[]> {
  return [...(await settings(store)).keys()].filter((name) => name.startsWith("starts:")).sort();
}

/** Something else is written: what has changed of the starts goes along. */
async function commit(rig: Rig): Promise<void> {
  rig.service.setting("something", "else", () => {});
  rig.service.flush();
  await settle();
}

/** Sets a rate and lets one task start; the broker is closed. */
async function oneStart(kind: "rate" | "groupRate", store = new MemoryStore()): Promise<MemoryStore> {
  const rig = await Rig.open(store);
  rig.service.configure("q", { [kind]: ONE_A_MINUTE }, () => {});
  await rig.addMany(["1", "2"], { group: "g" });
  const worker = rig.worker({ slots: 9 });
  await settle();
  assert.deepEqual(worker.bodies, ["1"]);
  await worker.finish(0);
  await rig.service.close();
  return store;
}

/** The next broker on a store whose clock is `laterMs` on; what a worker gets at once and after `passMs` each. */
async function restarted(store: MemoryStore, laterMs: number, ...passMs: readonly number[]): Promise<number[]> {
  const rig = new Rig(store);
  rig.clock.advance(laterMs);
  await rig.service.open();
  const worker = rig.worker({ slots: 9 });
  await settle();
  const counts = [worker.tasks.length];
  for (const ms of passMs) {
    await rig.pass(ms);
    counts.push(worker.tasks.length);
  }
  await rig.service.close();
  return counts;
}

for (const kind of ["rate", "groupRate"] as const) {
  test(`a ${kind} counts over a restart what was started before it`, async () => {
    assert.deepEqual(await restarted(await oneStart(kind), MINUTE_MS / 2, MINUTE_MS / 2 - 1, LATE_MS), [0, 0, 1]);
    assert.deepEqual(await restarted(await oneStart(kind), 2 * MINUTE_MS), [1]);
  });

  test(`after a restart without a history a whole window of a ${kind} counts as used`, async () => {
    for (const value of [undefined, "", "{", "null", '{"a":1}', "[0,1]"]) {
      const store = await oneStart(kind);
      for (const name of await starts(store)) await store.write([{ kind: "set", name, value }]);
      assert.deepEqual(await restarted(store, 10 * MINUTE_MS, MINUTE_MS - 1, LATE_MS), [0, 0, 1], String(value));
    }
  });
}

test("a rate that was set and never used is not used up after a restart", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { rate: ONE_A_MINUTE, groupRate: ONE_A_MINUTE }, () => {});
  await rig.add("1");
  await rig.service.close();
  assert.deepEqual(await restarted(store, 1000), [1]);
});

test("settings of starts that belong to nothing are taken away, and do not fail the start", async () => {
  const store = await oneStart("rate");
  for (const name of ["starts:", "starts:[1]", 'starts:["none"]', 'starts:["q","g"]', 'starts:["q","g","h"]']) {
    await store.write([{ kind: "set", name, value: "[0]" }]);
  }
  const rig = await Rig.open(store);
  await commit(rig);
  assert.deepEqual(await starts(store), ['starts:["q"]']);
});

test("a task is given out under a rate only when its start is on disk, and counts from then", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { rate: { count: 2, perMs: 1000 } }, () => {});
  await rig.addMany(["1", "2", "3", "4"]);
  store.stop();
  const worker = rig.worker({ slots: 9 });
  await settle();
  assert.deepEqual(worker.bodies, []);
  await rig.pass(900);
  store.go();
  await settle();
  assert.deepEqual(worker.bodies, ["1", "2"]);
  await rig.pass(999);
  assert.deepEqual(worker.bodies, ["1", "2"]);
  await rig.pass(10);
  assert.deepEqual(worker.bodies, ["1", "2", "3", "4"]);
});

test("a start that was being written when the broker died counts from the restart", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { rate: ONE_A_MINUTE }, () => {});
  await rig.addMany(["1", "2"]);
  const worker = rig.worker({ slots: 9 });
  await settle();
  assert.deepEqual(worker.bodies, ["1"]);
  // That it was given out is not on disk yet: only that it would be.
  assert.match((await settings(store)).get('starts:["q"]')!, /^\[1\]$/);
  assert.deepEqual(await restarted(store, MINUTE_MS / 2, MINUTE_MS - 1, LATE_MS), [0, 0, 1]);
});

test("a worker that leaves while the start of its task is written gets nothing, and the start counts", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { groupRate: ONE_A_MINUTE }, () => {});
  await rig.add("1", { group: "g" });
  store.stop();
  const first = rig.worker();
  await settle();
  rig.service.leave(first.consumer, { lost: true });
  store.go();
  await settle();
  const second = rig.worker();
  await settle();
  assert.deepEqual([first.bodies, second.bodies], [[], []]);
  await rig.pass(MINUTE_MS + LATE_MS);
  assert.deepEqual(second.bodies, ["1"]);
});

test("the limit of a group lives as long as its window, not as long as its last task", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { groupRate: ONE_A_MINUTE }, () => {});
  const worker = rig.worker({ slots: 9 });
  for (let task = 0; task < 5; task += 1) {
    await rig.add(`${task}`, { group: "acme", keepMs: 100 });
    await settle();
    if (task === 0) await worker.finish(0);
    await rig.pass(1000);
  }
  assert.deepEqual(worker.bodies, ["0"]);
  await rig.pass(MINUTE_MS - 5000 + LATE_MS);
  assert.deepEqual(worker.bodies, ["0", "1"]);
});

test("groups whose windows are over leave nothing behind, in memory or on disk", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { groupRate: ONE_A_MINUTE }, () => {});
  const worker = rig.worker({ slots: 900 });
  for (let task = 0; task < 300; task += 1) await rig.add("x", { group: `customer ${task}`, keepMs: 0 });
  await settle();
  for (let task = 0; task < 300; task += 1) await worker.finish(task);
  await rig.pass(1000);
  const { ready } = rig.service.stateMachine.findQueue("q")!;
  assert.equal([...ready.groups()].length, 300);
  assert.equal((await starts(store)).length, 301);
  await rig.pass(MINUTE_MS);
  await commit(rig);
  assert.deepEqual([[...ready.groups()], await starts(store)], [[], ['starts:["q"]']]);
});

test("a rate that was taken away and set again begins anew", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  const worker = rig.worker({ slots: 9 });
  const set = (rate: typeof ONE_A_MINUTE | null): void => rig.service.configure("q", { rate, groupRate: rate }, () => {});
  set(ONE_A_MINUTE);
  await rig.addMany(["1", "2", "3"]);
  await settle();
  assert.deepEqual(worker.bodies, ["1"]);
  set(null);
  rig.service.flush();
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["1", "2", "3"]);
  await commit(rig);
  assert.deepEqual(await starts(store), []);
  set(ONE_A_MINUTE);
  await rig.addMany(["4", "5"]);
  await settle();
  assert.deepEqual(worker.bodies, ["1", "2", "3", "4"]);
});

test("under a rate no worker is given more than it works on at once: what it has not begun would start later", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { rate: { count: 100, perMs: 1000 } }, () => {});
  await rig.addMany(["1", "2", "3"]);
  const worker = rig.worker({ slots: 1, prefetch: 5 });
  await settle();
  assert.deepEqual(worker.bodies, ["1"]);
});

test("the time that an attempt may take begins when the task is given out, however long its start takes to be written", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { rate: ONE_A_MINUTE }, () => {});
  await rig.add("1", { timeoutMs: 500 });
  store.stop();
  const worker = rig.worker();
  await rig.pass(2000);
  store.go();
  await settle();
  await rig.pass(499);
  assert.deepEqual([worker.bodies, worker.revoked], [["1"], []]);
  await rig.pass(1);
  assert.deepEqual(worker.revoked, ["1 timeout"]);
});

test("a restart soon after one without a history does not know more than the first", async () => {
  for (const kind of ["rate", "groupRate"] as const) {
    const store = await oneStart(kind);
    for (const name of await starts(store)) await store.write([{ kind: "set", name, value: undefined }]);
    const rig = await Rig.open(store);
    rig.service.configure("q", { [kind]: { ...ONE_A_MINUTE, count: 2 } }, () => {});
    rig.service.flush();
    await settle();
    await rig.service.close();
    assert.deepEqual(await restarted(store, 1000, MINUTE_MS - 2000), [0, 0], kind);
  }
});

test("a start that is being written while others of its group were given out holds up nothing", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  rig.service.configure("q", { rate: { count: 5, perMs: 1000 } }, () => {});
  await rig.addMany(["1", "2"], { group: "g", keepMs: 0 });
  store.stop();
  const first = rig.worker();
  await settle();
  const second = rig.worker();
  store.go();
  store.stop();
  await settle();
  assert.deepEqual([first.bodies, second.bodies], [["1"], []]);
  await rig.pass(100);
  store.go();
  await settle();
  assert.deepEqual(second.bodies, ["2"]);
  for (const worker of [first, second]) await worker.finish(0);
  await rig.pass(5000);
  assert.deepEqual([...rig.service.stateMachine.findQueue("q")!.ready.groups()], []);
});
