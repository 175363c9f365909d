import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { ProtocolRouter } from "../../../src/queue/broker/protocol-router.ts";
import { type Frames, IdText } from "../../../src/queue/protocols/messages.ts";
import type { PeerConnection } from "../../../src/queue/protocols/protocol-handler.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { bytes, Rig, settle } from "./task-service-rig.ts";

type Facts = Readonly<Record<string, unknown>>;

/** A service that notes the errors that nobody expected. */
function logged(): { log: (event: string, facts: Facts) => void; errors: Facts[] } {
  const errors: Facts[] = [];
  return { errors, log: (event, facts) => event === "queue.program-error" && errors.push(facts) };
}

test("a callback that throws after a commit fails neither the commit nor what is told beside it, and is logged by name", async () => {
  const { log, errors } = logged();
  const rig = await Rig.open(undefined, { log });
  const closed: string[] = [];
  const owner = { peer: "bad", close: (reason: string) => closed.push(reason) };
  const spec = { priority: 0, group: "", key: "", dueMs: 0, expiresMs: Infinity, after: [], waitForRoom: false } as const;
  const policy = { attempts: 1, backoffMs: 0, backoffMaxMs: 0, timeoutMs: 0, keepMs: 1000, unique: 0, pausesMs: [] };
  const bad = (): never => {
    throw new TypeError("a peer's callback");
  };
  const worker = rig.worker({ slots: 2 });
  rig.service.add({ queue: "q", spec: { ...spec, policy }, bodies: [bytes("a")] }, { owner, added: bad, refused: bad });
  const id = await rig.add("b");
  const outcome = rig.outcome(id);
  rig.service.watch(id, { owner, ended: bad });
  await worker.finish(0);
  await worker.finish(1, "result");
  assert.equal((await outcome).state, "completed");
  assert.equal(await rig.add("c"), id + 1, "the store is not in trouble");
  assert.equal(rig.service.stats().storeTrouble, undefined);
  assert.equal(errors.length, 2);
  assert.equal(closed.length, 2);
  assert.equal(errors[0]!["peer"], "bad");
  assert.match(String(errors[0]!["stack"]), /guard\.test/);
});

test("a consumer whose callback throws costs only its own connection; the others of its queue get their tasks", async () => {
  const { log, errors } = logged();
  const rig = await Rig.open(undefined, { log });
  const throws = (): never => {
    throw new Error("cannot be told");
  };
  const close = (): void => rig.service.leave(bad, { lost: true });
  const port = { owner: { peer: "bad", close }, task: throws, revoked: throws, recall: throws };
  const bad = rig.service.consume("q", { slots: 1, port });
  const good = rig.worker({ slots: 2 });
  await rig.addMany(["a", "b"]);
  await settle();
  rig.service.flush();
  assert.deepEqual(good.bodies.sort(), ["a", "b"]);
  assert.equal(errors.length, 1);
});

test("what is asked for a consumer that has left does nothing", async () => {
  const rig = await Rig.open();
  const first = rig.worker();
  await rig.add("a");
  await settle();
  const lease = first.tasks[0]!;
  await first.leave(false);
  rig.service.adjust(first.consumer, { slots: 5, prefetch: 5 });
  rig.service.leave(first.consumer, { lost: true });
  assert.equal(rig.service.resume(first.consumer, lease), false);
  assert.equal(rig.service.finish(first.consumer, lease, bytes("late")), false);
  // The next has the same lease owner's number.
  const second = rig.worker();
  await settle();
  assert.equal(rig.service.finish(first.consumer, second.tasks[0]!, bytes("late")), false);
  assert.equal(rig.service.queueStats(rig.service.stateMachine.queue("q")).slots, 1);
  assert.equal(await second.finish(0), true);
});

test("a worker that leaves while the lease that it lost is being taken from it is no error", async () => {
  const { log, errors } = logged();
  const rig = await Rig.open(undefined, { log });
  const consumer = rig.service.consume("q", {
    slots: 2,
    port: { task: () => {}, revoked: () => rig.service.leave(consumer, { lost: true }), recall: () => {} },
  });
  await rig.add("a", { timeoutMs: 100, attempts: 3 });
  await rig.add("b");
  await rig.pass(200);
  const states = rig.service.queueStats(rig.service.stateMachine.queue("q")).states;
  assert.equal(states.retrying, 1);
  assert.equal(states.waiting, 1);
  rig.service.stateMachine.audit();
  assert.deepEqual(errors, []);
});

/** A router with a service, and peers that remember what they were sent. */
async function routed(): Promise<
  { peer(name: string): { say(...frames: string[]): Promise<void>; said: string[]; ends: string[] } } & {
    service: TaskService;
    router: ProtocolRouter;
    errors: Facts[];
  }
> {
  const { log, errors } = logged();
  const service = new TaskService({ store: new MemoryStore(), clock: new ManualClock(), random: seeded(1), log });
  await service.open();
  const router = new ProtocolRouter({ service, ids: new IdText("b0"), cron: new CronTable(service, () => undefined) });
  return {
    service,
    router,
    errors,
    peer: (name) => {
      const said: string[] = [];
      const ends: string[] = [];
      const connection: PeerConnection = {
        peer: name,
        send: (frames: Frames) => said.push(frames.map(String).join(" ")),
        close: (reason) => ends.push(reason),
      };
      return {
        said,
        ends,
        say: async (...frames) => {
          router.receive(
            name,
            frames.map((frame) => Buffer.from(frame)),
            () => connection,
          );
          service.flush();
          await settle();
        },
      };
    },
  };
}

test("a Ready worker that leaves before its acknowledgement is on disk costs nobody anything", async () => {
  const { peer, router, service, errors } = await routed();
  const producer = peer("producer");
  await producer.say("HQ1", "ADD", "1", "default", "", "task");
  const ready = peer("ready");
  await ready.say("Ready");
  assert.deepEqual(ready.said, ["task"]);
  router.receive("ready", [Buffer.from("Ready")], () => assert.fail());
  router.gone("ready");
  service.flush();
  await settle();
  for (const number of ["2", "3"]) await producer.say("HQ1", "ADD", number, "shop", "", "task");
  assert.deepEqual(producer.said.slice(-2), ["HQ1 ADDED 2 b0-2", "HQ1 ADDED 3 b0-3"]);
  assert.deepEqual(errors, []);
});

test("an unexpected error in what a peer sent is logged with its stack and ends that peer's connection alone", async () => {
  const { peer, service, errors } = await routed();
  const [bad, good] = [peer("bad"), peer("good")];
  await bad.say("HQ1", "HELLO", "1");
  const { stats } = service;
  service.stats = () => {
    throw new TypeError("planted");
  };
  await bad.say("HQ1", "STATS", "2");
  service.stats = stats;
  assert.equal(bad.ends.length, 1);
  assert.equal(errors[0]!["peer"], "bad");
  assert.match(String(errors[0]!["stack"]), /planted/);
  await good.say("HQ1", "ADD", "1", "q", "", "task");
  assert.deepEqual(good.said, ["HQ1 ADDED 1 b0-1"]);
});

test("a call whose peer left before its commit is no longer watched", async () => {
  const { peer, router, service } = await routed();
  const caller = peer("caller");
  await caller.say("HQ1", "HELLO", "0", '{"many":1}');
  const told = caller.said.length;
  router.receive(
    "caller",
    ["HQ1", "CALL", "1", "q", "", "task"].map((frame) => Buffer.from(frame)),
    () => assert.fail(),
  );
  service.flush();
  router.gone("caller");
  await settle();
  const done = service.consume("q", {
    slots: 1,
    port: { task: (task) => service.finish(done, task, bytes("x")), revoked() {}, recall() {} },
  });
  service.flush();
  await settle();
  service.flush();
  assert.equal(caller.said.length, told);
});
