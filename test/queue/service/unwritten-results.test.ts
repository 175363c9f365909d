/** Results that are not on disk yet: nobody is told the body in their place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { SPEC_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { bytes, Rig, settle, text } from "./task-service-rig.ts";

/** A disk that takes its time. */
class SlowStore extends MemoryStore {
  gate: Promise<void> | undefined;

  override async write(ops: readonly StoreOp[]): Promise<void> {
    await this.gate;
    await super.write(ops);
  }
}

test("a task that runs before the result of its parent is on disk is told that result, not the parent's body", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  const parent = await rig.add("the body");
  const child = await rig.add("child", { after: [`${parent}`] });
  const worker = rig.worker({ slots: 2 });
  const { promise, resolve } = Promise.withResolvers<void>();
  store.gate = promise;
  await worker.finish(0, "the result");
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["the body", "child"], "it runs already");
  const told: string[] = [];
  void rig.service.flows.parents(child).then(([first]) => told.push(text(first!.bytes!)));
  void rig.service.body(parent).then((body) => told.push(text(body!)));
  await settle();
  assert.deepEqual(told, []);
  resolve();
  await settle();
  assert.deepEqual(told, ["the result", "the result"]);
});

test("a flow is retried with the task whose death is still being written: what waits for that would wait for ever", async () => {
  const store = new SlowStore();
  const rig = await Rig.open(store);
  const { service } = rig;
  const task = (body: string, after: number[] = []) => ({ queue: "q", spec: SPEC_DEFAULT, after, body: bytes(body) });
  const flow = await service.flows.add([task("first"), task("second"), task("child", [0, 1])], "");
  const [first = 0, , child = 0] = flow;
  const worker = rig.worker({ slots: 2 });
  await settle();
  await worker.fail(0, "no", true);
  await settle();
  assert.equal((await rig.outcome(child)).state, "dead");
  const { promise, resolve } = Promise.withResolvers<void>();
  store.gate = promise;
  await worker.fail(1, "no", true);
  const settled = service.flows.settled(first);
  resolve();
  await settled;
  for (const id of flow)
    assert.equal(
      service.adminCommands.redrive(id, () => {}),
      undefined,
    );
});
