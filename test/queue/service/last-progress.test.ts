import assert from "node:assert/strict";
import { test } from "node:test";
import { LastProgress } from "../../../src/queue/service/last-progress.ts";
import { bytes, Rig, text } from "./task-service-rig.ts";

/** What a watcher that comes now is told of the progress. */
function seen(rig: Rig, id: number): string[] {
  const told: string[] = [];
  rig.service.watch(id, { ended: () => {}, progress: (_id, said) => told.push(text(said)) });
  return told;
}

test("one who watches late is told the last progress, as it was said", async () => {
  const rig = await Rig.open();
  const worker = rig.worker();
  const id = await rig.add("film");
  rig.service.flush();
  const [task] = worker.tasks;
  assert.deepEqual(seen(rig, id), []);
  const buffer = Buffer.from("10%");
  rig.service.progress(worker.consumer, task!, buffer);
  buffer.fill("x");
  assert.deepEqual(seen(rig, id), ["10%"]);
  rig.service.progress(worker.consumer, task!, bytes("50%"));
  assert.deepEqual(seen(rig, id), ["50%"]);
});

test("what a lost lease said is told to nobody who comes after it", async () => {
  const rig = await Rig.open();
  const first = rig.worker();
  const id = await rig.add("film", { backoffMs: 10, backoffMaxMs: 10 });
  rig.service.flush();
  rig.service.progress(first.consumer, first.tasks[0]!, bytes("90%"));
  rig.service.fail(first.consumer, first.tasks[0]!, { error: "no" });
  rig.service.flush();
  assert.deepEqual(seen(rig, id), [], "it waits for its next attempt");
  await rig.pass(20);
  assert.equal(first.tasks.length, 2);
  assert.deepEqual(seen(rig, id), [], "the new attempt has said nothing");
  assert.equal(rig.service.progress(first.consumer, first.tasks[0]!, bytes("91%")), false);
  assert.deepEqual(seen(rig, id), []);
  rig.service.progress(first.consumer, first.tasks[1]!, bytes("5%"));
  assert.deepEqual(seen(rig, id), ["5%"]);
});

test("a million tasks' progress takes 16 MiB; what was said longest ago is forgotten first, and what is too long at once", () => {
  const last = new LastProgress();
  const half = new Uint8Array(8000);
  for (let id = 1; id <= 10_000; id += 1) last.said({ id, token: 1 }, half);
  assert.equal(last.of({ id: 1, token: 1 }), undefined);
  assert.equal(last.of({ id: 10_000, token: 1 })!.length, 8000);
  assert.equal(last.of({ id: 10_000, token: 2 }), undefined);
  const kept = Array.from({ length: 10_000 }, (_, index) => last.of({ id: index + 1, token: 1 })).filter(Boolean).length;
  assert.equal(kept, Math.floor((16 * 1024 ** 2) / 8150));
  last.said({ id: 10_000, token: 1 }, new Uint8Array(20_000));
  assert.equal(last.of({ id: 10_000, token: 1 }), undefined, "the older is not the last any more");
  last.said({ id: 5, token: 3 }, bytes("x"));
  last.forget(5);
  assert.equal(last.of({ id: 5, token: 3 }), undefined);
});
