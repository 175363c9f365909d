/** The trace that a task belongs to, from its adding to its end: on a clock moved by hand, over restarts of the broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Consumer } from "../../../src/queue/service/consumers.ts";
import { FollowerState } from "../../../src/queue/stores/follower-state.ts";
import { seeded } from "../../../src/core/random.ts";
import { NONE } from "../../../src/queue/tasks/task-columns.ts";
import { SPEC_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { decodeHead } from "../../../src/queue/tasks/task-record.ts";
import { bytes, Rig, settle } from "./task-service-rig.ts";

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

async function restart(rig: Rig): Promise<Rig> {
  await rig.service.close();
  return Rig.open(rig.store);
}

test("a task belongs to its trace over restarts of the broker, failed attempts and a retry after its death, until it ends", async () => {
  let rig = await Rig.open();
  await rig.add("traced", { traceparent: TRACE, attempts: 2, backoffMs: 10 });
  await rig.add("not");
  await rig.pass(40);
  rig = await restart(rig);
  const first = rig.worker({ slots: 2 });
  await settle();
  assert.deepEqual(
    first.tasks.map(({ trace }) => trace?.traceparent),
    [TRACE, undefined],
  );
  await first.fail(0, "no");
  await first.leave(false);
  rig = await restart(rig);
  const second = rig.worker({ slots: 2 });
  await rig.pass(20);
  assert.equal(second.tasks.at(-1)!.trace?.traceparent, TRACE, "the second attempt");
  const { id } = second.tasks.at(-1)!;
  await second.fail(second.tasks.length - 1, "no again");
  assert.equal(rig.service.stateMachine.traces.of(id), undefined, "the dead take no memory");
  assert.equal(
    rig.service.adminCommands.redrive(id, () => {}),
    undefined,
  );
  rig.service.flush();
  await rig.pass(1);
  const { trace, body } = second.tasks.at(-1)!;
  assert.deepEqual([trace?.traceparent, body], [TRACE, bytes("traced")]);
  assert.equal((await rig.service.inspect(id))!.head!.traceparent, TRACE);
});

test("what is said of a task's wait is of this run alone", async () => {
  const rig = await Rig.open();
  await rig.add("x", { traceparent: TRACE, backoffMs: 1000, delayMs: 500 });
  await rig.pass(500 + 60);
  const worker = rig.worker();
  assert.equal(worker.tasks[0]!.trace!.waitedMs, 60);
  await worker.fail(0, "no");
  await rig.pass(1000);
  assert.equal(worker.tasks[1]!.trace!.waitedMs, 0);
});

test("a task that a handler calls is of its caller's trace, or where in it the caller says", async () => {
  const rig = await Rig.open();
  await rig.add("caller", { traceparent: TRACE });
  const worker = rig.worker();
  const called = rig.worker({ queue: "labels", slots: 2 });
  const call = (consumer: Consumer, at: number, spec = SPEC_DEFAULT): void => {
    const answer = { recorded() {}, signalled() {}, suspended() {}, refused: assert.fail, lost: assert.fail };
    const lease = worker.tasks.at(-1)!;
    rig.service.steps.record(
      consumer,
      lease,
      { at, name: `${at}`, type: "call", queue: "labels", spec, body: bytes("x") },
      answer,
    );
    rig.service.flush();
  };
  call(worker.consumer, 0);
  await rig.pass(1);
  await called.finish(0);
  await rig.pass(1);
  call(worker.consumer, 1, { ...SPEC_DEFAULT, traceparent: OTHER });
  await rig.pass(1);
  assert.deepEqual(
    called.tasks.map(({ trace }) => trace?.traceparent),
    [TRACE, OTHER],
  );
});

test("more traced tasks than memory has room for keep their traces: those are read when a worker gets them", async () => {
  const rig = await Rig.open();
  const { traces } = rig.service.stateMachine;
  for (let number = 1; number <= 100_000; number += 1) traces.add(1_000_000 + number, OTHER);
  const late = await rig.add("late", { traceparent: TRACE });
  assert.equal(traces.of(late), undefined);
  const worker = rig.worker();
  await settle();
  assert.equal(worker.tasks[0]!.trace?.traceparent, TRACE);
  await worker.leave(false);
  assert.equal(traces.of(late), undefined, "it makes room again");
});

test("a broker that follows another one knows the traces of what has not ended", async () => {
  const rig = await Rig.open();
  const [waiting, done] = [await rig.add("a", { traceparent: TRACE }), await rig.add("b", { traceparent: OTHER })];
  const { store } = rig;
  const standby = new FollowerState({ random: seeded(1) });
  for await (const portion of store.tasks()) standby.take(portion);
  standby.complete();
  const head = (await store.inspect(done))!.head!;
  const ended = rig.worker({ slots: 2 });
  await ended.finish(1);
  for await (const portion of store.tasks()) for (const { id, state } of portion) standby.apply([{ kind: "state", id, state }]);
  const listener = Object.fromEntries(
    ["changed", "ended", "evicted", "revoked", "removed", "errorRecorded", "ready", "startsForgotten", "due", "broken"].map(
      (each) => [each, () => {}],
    ),
  ) as never;
  const stateMachine = standby.begin({ listener, firstToken: 1, firstId: 10 });
  assert.equal(stateMachine.traces.of(waiting)?.traceparent, TRACE);
  assert.equal(stateMachine.traces.of(done), undefined);
  assert.equal(decodeHead(head).traceparent, OTHER);
  assert.notEqual(stateMachine.find(done), NONE);
});
