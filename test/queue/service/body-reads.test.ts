/** A disk that does not answer when a body is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationError } from "../../../src/core/errors.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { TaskServiceOptions } from "../../../src/queue/service/task-service.ts";
import { bytes, Rig, settle, text } from "./task-service-rig.ts";

/** Does not read some of its bodies. */
class BadDisk extends MemoryStore {
  readonly bad = new Set<number>();
  reads = 0;

  override async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.reads += 1;
    if (ids.some((id) => this.bad.has(id))) throw new OperationError("QUEUE_STORE_UNAVAILABLE", "EIO");
    return super.read(ids);
  }
}

interface Told {
  readonly event: string;
  readonly [fact: string]: unknown;
}

/** Nothing is kept in memory: every body is read. */
async function open(): Promise<{ rig: Rig; disk: BadDisk; told: Told[] }> {
  const disk = new BadDisk();
  const told: Told[] = [];
  const options: Partial<TaskServiceOptions> = {
    bodyCacheBytesMax: 0,
    log: (event, facts) => void told.push({ event, ...facts }),
  };
  return { rig: await Rig.open(disk, options), disk, told };
}

test("a body that the disk does not read holds up neither another queue nor, for long, its own", async () => {
  const { rig, disk, told } = await open();
  const [bad] = await rig.addMany(["bad", "second", "third"]);
  await rig.add("elsewhere", {}, "other");
  disk.bad.add(bad!);
  const other = rig.worker({ queue: "other" });
  const own = rig.worker();
  await settle();
  assert.deepEqual(other.bodies, ["elsewhere"]);
  await rig.pass(1000);
  assert.deepEqual(own.bodies, ["second"]);
  await own.finish(0);
  assert.deepEqual(own.bodies, ["second", "third"]);
  await own.finish(1);
  disk.bad.clear();
  await rig.pass(31_000);
  assert.deepEqual(own.bodies, ["second", "third", "bad"]);
  assert.equal(own.tasks[2]!.attempt, 1);
  assert.deepEqual(
    told
      .filter(({ event }) => event === "queue.read-failed")
      .slice(0, 3)
      .map(({ queue, task, pauseMs }) => [queue, task, pauseMs]),
    [
      ["q", bad, 100],
      ["q", bad, 200],
      ["q", bad, 400],
    ],
  );
  assert.equal(told.at(-1)!.event, "queue.read-again");
});

test("while a disk reads nothing, it is asked ever more rarely, and no task loses an attempt or its place", async () => {
  const { rig, disk } = await open();
  const ids = await rig.addMany(["a", "b", "c"]);
  for (const id of ids) disk.bad.add(id);
  const worker = rig.worker();
  await rig.pass(600_000);
  assert.ok(disk.reads < 60, `${disk.reads} reads in ten minutes`);
  disk.bad.clear();
  await rig.pass(61_000);
  for (let index = 0; index < 3; index += 1) await worker.finish(index);
  assert.deepEqual(worker.bodies.toSorted(), ["a", "b", "c"]);
  assert.deepEqual(
    worker.tasks.map(({ attempt }) => attempt),
    [1, 1, 1],
  );
});

test("whoever waits for a result that cannot be read is told so, not left to wait", async () => {
  const { rig, disk } = await open();
  const id = await rig.add("body");
  const worker = rig.worker();
  await settle();
  await worker.finish(0, "result");
  disk.bad.add(id);
  let outcome = rig.outcome(id);
  for (let tries = 0; tries < 20; tries += 1) await rig.pass(3000);
  const { state, code, bytes: message } = await outcome;
  assert.deepEqual([state, code, text(message)], ["unknown", "QUEUE_STORE_UNAVAILABLE", "EIO"]);
  disk.bad.clear();
  outcome = rig.outcome(id);
  assert.deepEqual(await outcome, { id, state: "completed", bytes: bytes("result") });
});
