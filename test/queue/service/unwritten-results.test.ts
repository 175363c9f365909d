/** Results that are not on disk yet: nobody is told the body in their place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { Rig, settle, text } from "./task-service-rig.ts";

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
