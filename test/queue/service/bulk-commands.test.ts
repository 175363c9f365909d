/** Commands for all tasks that a filter lets through: what the dead died of, retry and removal by error, and undo. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorFingerprint, errorKind, showFingerprint } from "../../../src/queue/tasks/error-fingerprint.ts";
import type { EndedState } from "../../../src/queue/tasks/life-cycle.ts";
import { ID } from "../../../src/queue/tasks/task-columns.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { bytes, Rig, settle, text } from "./task-service-rig.ts";

const DECLINED = (card: number): string => `CardError: card ${card} was declined\n    at charge (/srv/pay.js:${card}:1)`;
const TIMEOUT = (ms: number): string => `Error: no answer of db-${ms}.internal within ${ms} ms`;

/** Tasks of queue `q` that died of these errors, in order. */
async function dead(rig: Rig, errors: readonly string[]): Promise<readonly number[]> {
  const worker = rig.worker({ slots: errors.length });
  const ids = await rig.addMany(errors);
  await settle();
  for (const [index, error] of errors.entries()) await worker.fail(index, error, true);
  await worker.leave(false);
  return ids;
}

const count = (rig: Rig, state: EndedState | "waiting"): number => rig.service.stateMachine.findQueue("q")!.count(state);

test("an error is known by its first line without what differs from task to task; codes differ", () => {
  assert.equal(errorFingerprint(DECLINED(1)), errorFingerprint(DECLINED(4711)));
  assert.equal(errorKind(TIMEOUT(20)), "Error: no answer of … within … ms");
  assert.equal(errorKind("GET https://a.example/7?x=1 for ann@example.org: status 503"), "GET … for … status 503");
  assert.notEqual(errorFingerprint("status 503"), errorFingerprint("status 404"));
  assert.equal(errorKind("cannot read \"a b\" of 'c d', don't know `e`"), "cannot read … of …, don't know …");
  assert.equal(errorKind("x".repeat(400)).length, 300);
  assert.match(showFingerprint(errorFingerprint("")), /^[\da-f]{8}$/);
});

test("what the dead died of is told by kind, the most frequent first, with counts, times and an example", async () => {
  const rig = await Rig.open();
  const [first] = await dead(rig, [DECLINED(1)]);
  await rig.pass(5000);
  const ids = await dead(rig, [TIMEOUT(1), DECLINED(2), DECLINED(3)]);
  const { groups, unread } = await rig.service.search.errors("q");
  assert.equal(unread, 0);
  assert.deepEqual(
    groups.map(({ text, count: of, lastMs, firstMs }) => [text, of, lastMs - firstMs]),
    [
      ["CardError: card … was declined", 3, 5000],
      ["Error: no answer of … within … ms", 1, 0],
    ],
  );
  assert.equal(groups[0]!.example, ids[2], "the newest");
  assert.ok(first);
});

test("errors of before a restart are read from the store, and filters by them find all", async () => {
  const store = new MemoryStore();
  await dead(await Rig.open(store), [DECLINED(1), TIMEOUT(1), DECLINED(2)]);
  const rig = await Rig.open(store);
  const error = errorFingerprint(DECLINED(9));
  const found = await rig.service.search.page({ error, limit: 10 }, (rows) => rows.length);
  assert.equal(found, 2);
  assert.equal((await rig.service.search.errors("q")).groups[0]!.count, 2);
});

test("all dead with this error wait again, and no others", async () => {
  const rig = await Rig.open();
  await dead(rig, [DECLINED(1), TIMEOUT(1), DECLINED(2), TIMEOUT(2), DECLINED(3)]);
  await rig.add("other queue", {}, "p");
  const { adminCommands } = rig.service;
  const filter = { queue: "q", states: ["dead"], error: errorFingerprint(DECLINED(0)) } as const;
  assert.equal(await adminCommands.each(filter, (id) => adminCommands.redrive(id, () => {}) === undefined), 3);
  assert.deepEqual([count(rig, "waiting"), count(rig, "dead")], [3, 2]);
  rig.service.stateMachine.audit();
});

test("what was removed is in no list and no count, and comes back as it was within the time given", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  const ids = await dead(rig, [DECLINED(1), TIMEOUT(1), DECLINED(2)]);
  const before = ids.map((id) => rig.service.view(rig.service.stateMachine.find(id)));
  let key = "";
  const filter = { queue: "q", states: ["dead"] as const, error: errorFingerprint(DECLINED(0)) };
  const removed = rig.service.adminCommands.purge(filter, { most: 100, undoMs: 10_000, undo: (undo) => (key = undo) });
  assert.equal(await removed, 2);
  assert.deepEqual([count(rig, "dead"), rig.service.stateMachine.find(ids[0]!)], [1, 0]);
  await rig.pass(9000);
  assert.equal(await rig.service.removedTasks.undo(key), 2);
  assert.deepEqual(
    ids.map((id) => rig.service.view(rig.service.stateMachine.find(id))),
    before,
  );
  assert.equal((await rig.service.inspect(ids[0]!))!.errors.length, 1);
  await rig.pass(20_000);
  assert.ok(await store.inspect(ids[0]!), "and stays");
  assert.equal(await rig.service.removedTasks.undo(key), undefined);
  rig.service.stateMachine.audit();
});

test("until the time is over the store has what was removed: a broker that dies has it again; then it is gone", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  const [id] = await dead(rig, [DECLINED(1)]);
  await rig.service.adminCommands.purge({ queue: "q", states: ["dead"] }, { most: 100, undoMs: 10_000 });
  const next = await Rig.open(store);
  assert.equal(next.service.stateMachine.table.f(next.service.stateMachine.find(id!), ID), id);
  await rig.pass(10_000);
  assert.equal(await store.inspect(id!), undefined);
});

test("a broker that closes in good order has removed what was removed", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  const [id] = await dead(rig, [DECLINED(1)]);
  await rig.service.adminCommands.purge({ queue: "q", states: ["dead"] }, { most: 100, undoMs: 10_000 });
  await rig.service.close();
  assert.equal(await store.inspect(id!), undefined);
});

test("more than may come back at once ends the time of what was removed first", async () => {
  const rig = await Rig.open();
  const { removedTasks, stateMachine } = rig.service;
  const keys: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    await dead(rig, Array<string>(1000).fill("no"));
    const rows = [...stateMachine.endedRows("dead")];
    keys.push(removedTasks.remove(rows, 10_000, 2000).key!);
  }
  assert.equal(await removedTasks.undo(keys[0]!), undefined);
  assert.equal(await removedTasks.undo(keys[2]!), 1000);
});

test("what was changed of a task is there after a restart, and its bytes are counted", async () => {
  const store = new MemoryStore();
  const rig = await Rig.open(store);
  const [first, second] = await rig.addMany(["one", "two"]);
  await rig.service.adminCommands.update(first!, { priority: 7, body: bytes("a longer one") });
  await rig.service.adminCommands.update(second!, { delayMs: 60_000 });
  rig.service.stateMachine.audit();
  const again = await Rig.open(store);
  again.service.stateMachine.audit();
  const view = (id: number) => again.service.view(again.service.stateMachine.find(id));
  assert.deepEqual([view(first!).priority, view(first!).bodyBytes, view(second!).state], [7, 12, "delayed"]);
  const worker = again.worker();
  await settle();
  assert.deepEqual(
    worker.tasks.map(({ body }) => text(body)),
    ["a longer one"],
  );
});
