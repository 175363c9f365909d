import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { BrokerCore } from "../../../src/queue/broker/broker-core.ts";
import { nextRun } from "../../../src/queue/service/calendar.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { TaskOptions } from "../../../src/queue/tasks/task-policy.ts";
import { Rig, settle, type Worker } from "./task-service-rig.ts";

/** Long enough that looks at the wall clock in between are many. */
const LATER_MS = 100_000;
const HOUR_MS = 3_600_000;

/** A worker with a task that is to run later by the wall clock. */
async function toRunLater(options: TaskOptions = {}): Promise<{ rig: Rig; worker: Worker; runAtMs: number }> {
  const rig = await Rig.open();
  const runAtMs = rig.clock.wallMs() + LATER_MS;
  await rig.add("later", { runAtMs, ...options });
  const worker = rig.worker();
  await settle();
  return { rig, worker, runAtMs };
}

test("runAt comes when the wall clock says so", async () => {
  const { rig, worker } = await toRunLater();
  await rig.pass(LATER_MS - 1);
  assert.deepEqual(worker.bodies, []);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["later"]);
});

test("when the wall clock is set forward, or the machine slept, runAt comes within a second", async () => {
  const { rig, worker } = await toRunLater();
  await rig.pass(10_000);
  rig.clock.jumpWall(2 * LATER_MS);
  await rig.pass(500);
  assert.deepEqual(worker.bodies, ["later"]);
});

test("when the wall clock is set back runAt waits for what it says now, and not longer", async () => {
  const { rig, worker } = await toRunLater();
  rig.clock.jumpWall(-LATER_MS);
  await rig.pass(2 * LATER_MS - 1);
  assert.deepEqual(worker.bodies, []);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["later"]);
});

test("a wall clock that was wrong for a while neither loses nor hastens what comes after it", async () => {
  const { rig, worker } = await toRunLater();
  rig.clock.jumpWall(-10 * LATER_MS);
  await rig.pass(LATER_MS / 2);
  rig.clock.jumpWall(10 * LATER_MS);
  await rig.pass(LATER_MS / 2 - 1);
  assert.deepEqual(worker.bodies, []);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["later"]);
});

for (const [how, jumpMs, passMs] of [
  ["forward", LATER_MS, 500],
  ["back", -LATER_MS, 2 * LATER_MS],
] as const) {
  test(`runAt holds when the wall clock was set ${how} while the broker was away`, async () => {
    const { rig, runAtMs } = await toRunLater();
    await rig.service.close();
    const again = new Rig(rig.store);
    again.clock.jumpWall(jumpMs);
    await again.service.open();
    const worker = again.worker();
    for (let passedMs = 0; worker.tasks.length === 0; passedMs += passMs / 4) {
      assert.ok(passedMs <= passMs);
      await again.pass(passMs / 4);
    }
    assert.ok(again.clock.wallMs() >= runAtMs);
  });
}

test("delay is a stretch of time, whatever the wall clock is set to", async () => {
  const rig = await Rig.open();
  await rig.add("soon", { delayMs: 1000 });
  const worker = rig.worker();
  rig.clock.jumpWall(LATER_MS);
  await rig.pass(999);
  assert.deepEqual(worker.bodies, []);
  rig.clock.jumpWall(-2 * LATER_MS);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["soon"]);
});

test("of delay and runAt the later one counts, and a runAt in the past is none", async () => {
  const rig = await Rig.open();
  const wallMs = rig.clock.wallMs();
  await rig.add("both", { runAtMs: wallMs + 1000, delayMs: 2000 });
  await rig.add("past", { runAtMs: wallMs - 1000 });
  await rig.add("past and delayed", { runAtMs: wallMs - 1000, delayMs: 3000 });
  const worker = rig.worker({ slots: 9 });
  await settle();
  assert.deepEqual(worker.bodies, ["past"]);
  await rig.pass(1999);
  assert.deepEqual(worker.bodies, ["past"]);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["past", "both"]);
  await rig.pass(1000);
  assert.deepEqual(worker.bodies, ["past", "both", "past and delayed"]);
});

test("a task that waits for others and for a time runs when both have come", async () => {
  const rig = await Rig.open();
  const parent = await rig.add("parent");
  await rig.add("child", { after: [String(parent)], runAtMs: rig.clock.wallMs() + LATER_MS });
  const worker = rig.worker();
  await worker.finish(0);
  await rig.pass(LATER_MS - 1);
  assert.deepEqual(worker.bodies, ["parent"]);
  await rig.pass(1);
  assert.deepEqual(worker.bodies, ["parent", "child"]);
});

test("one that waits for its time expires, is cancelled, dies, is retried and tried again as any other", async () => {
  const { rig, worker } = await toRunLater({ expireMs: 1000, attempts: 1 });
  const runAtMs = rig.clock.wallMs() + LATER_MS;
  const cancelled = await rig.add("cancelled", { runAtMs });
  const again = await rig.add("again", { runAtMs, attempts: 2, backoffMs: 1000 });
  rig.service.adminCommands.cancel(cancelled, () => {});
  await rig.pass(1000);
  const states = (): string[] =>
    [1, cancelled, again].map((id) => rig.service.stateMachine.state(rig.service.stateMachine.find(id)));
  assert.deepEqual(states(), ["dead", "cancelled", "delayed"]);
  rig.service.adminCommands.redrive(1, () => {});
  rig.service.flush();
  await settle();
  assert.deepEqual(worker.bodies, ["later"], "a retried task does not wait for its time again");
  await worker.finish(0);
  rig.clock.jumpWall(LATER_MS);
  await rig.pass(500);
  await worker.fail(1, "no");
  rig.clock.jumpWall(-10 * LATER_MS);
  await rig.pass(1000);
  assert.deepEqual(worker.bodies, ["later", "again", "again"], "a pause between attempts is a stretch of time");
});

test("a thousand tasks with times come in their order, over a restart", async () => {
  const rig = await Rig.open();
  const random = seeded(7);
  const wallMs = rig.clock.wallMs();
  const times = Array.from({ length: 1000 }, () => wallMs + 1 + Math.floor(random() * LATER_MS));
  for (const runAtMs of times) await rig.add(String(runAtMs), { runAtMs });
  await rig.service.close();
  const again = new Rig(rig.store);
  await again.service.open();
  const worker = again.worker({ slots: 1000 });
  rig.clock.jumpWall(1);
  await again.pass(LATER_MS);
  const order = worker.tasks.map(({ id }) => times[id - 1]!);
  assert.deepEqual(
    order,
    times.toSorted((a, b) => a - b),
  );
});

test("a store of 0.1, where a time is one of the queue, is read as it was meant", async () => {
  const rig = await Rig.open();
  await rig.add("0.1", { delayMs: LATER_MS });
  await rig.service.close();
  const again = new Rig(rig.store);
  await again.service.open();
  const worker = again.worker();
  again.clock.jumpWall(5 * LATER_MS);
  await again.pass(LATER_MS - 1);
  assert.deepEqual(worker.bodies, []);
  await again.pass(1);
  assert.deepEqual(worker.bodies, ["0.1"]);
});

// ---- schedules

const NOON = Date.parse("2026-03-02T12:00:00Z");

interface Scheduled {
  readonly clock: ManualClock;
  readonly service: TaskService;
  readonly cron: CronTable;
  /** Runs since it was last asked. */
  news(): number;
  /** Time passes and is noticed, step by step. */
  pass(ms: number, stepMs?: number): Promise<void>;
}

async function scheduled(
  missed: string,
  { expression = "* * * * * *", store = new MemoryStore(), wallMs = NOON } = {},
): Promise<Scheduled> {
  const clock = new ManualClock({ wallMs });
  const service = new TaskService({ store, clock, random: seeded(1) });
  const { settings } = await service.open();
  const cron = new CronTable(service, nextRun);
  let known = service.stateMachine.lastId;
  cron.restore(settings);
  if (settings.size < 2) cron.put("tick", { settings: { expression, queue: "q", missed }, body: Buffer.alloc(0) }, () => {});
  service.flush();
  await settle();
  return {
    clock,
    service,
    cron,
    news() {
      const before = known;
      known = service.stateMachine.lastId;
      return known - before;
    },
    async pass(ms, stepMs = 500) {
      for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
        clock.advance(stepMs);
        cron.tick();
        cron.tick();
        service.tick();
        await settle();
      }
    },
  };
}

for (const [missed, madeUp] of [
  ["skip", 1],
  ["latest", 1],
  ["all", 10],
] as const) {
  test(`'${missed}' holds when the broker was stopped for ten seconds of a task a second`, async () => {
    const { clock, pass, news } = await scheduled(missed);
    await pass(3000);
    assert.equal(news(), 3);
    clock.advance(9500);
    await pass(500);
    // Of those missed; the newest is on time.
    assert.equal(news(), madeUp);
    await pass(5000);
    assert.equal(news(), 5);
  });

  test(`'${missed}' holds when the machine slept, or the wall clock was set forward, for ten seconds of a task a second`, async () => {
    const { clock, pass, news } = await scheduled(missed);
    await pass(3000);
    assert.equal(news(), 3);
    clock.jumpWall(9500);
    await pass(500);
    assert.equal(news(), madeUp);
    await pass(5000);
    assert.equal(news(), 5);
  });
}

for (const [missed, madeUp] of [
  ["skip", 0],
  ["latest", 1],
  ["all", 2],
] as const) {
  test(`'${missed}' makes up for ${madeUp} of two runs that came while nobody was there, not even a second`, async () => {
    const { clock, pass, news } = await scheduled(missed, { expression: "0 * * * *" });
    clock.jumpWall(2.5 * HOUR_MS);
    await pass(1000);
    assert.equal(news(), madeUp);
    await pass(1000);
    assert.equal(news(), 0);
  });
}

test("a run that comes a little late is none that was missed", async () => {
  const { clock, pass, news } = await scheduled("skip", { expression: "0 * * * *" });
  clock.advance(HOUR_MS + 3000);
  await pass(500);
  assert.equal(news(), 1);
});

test("years of missed runs are counted at once: the latest hundred, the latest or none", async () => {
  for (const [missed, madeUp] of [
    ["all", 100],
    ["latest", 1],
    ["skip", 1],
  ] as const) {
    const { clock, pass, news } = await scheduled(missed);
    clock.jumpWall(10 * 365 * 24 * HOUR_MS);
    await pass(500);
    assert.equal(news(), madeUp, missed);
  }
});

for (const backMs of [HOUR_MS, 365 * 24 * HOUR_MS]) {
  test(`when the wall clock is set back by ${backMs} ms a schedule goes on from what it says now`, async () => {
    const { clock, pass, news } = await scheduled("latest");
    clock.jumpWall(backMs);
    await pass(5000);
    news();
    clock.jumpWall(-backMs);
    await pass(5000);
    assert.equal(news(), 5);
  });
}

test("a run whose time comes again is not made again", async () => {
  const { clock, pass, news } = await scheduled("latest", { expression: "0 2 * * *", wallMs: NOON + 14 * HOUR_MS - 1000 });
  await pass(2000);
  assert.equal(news(), 1);
  clock.jumpWall(-HOUR_MS);
  await pass(HOUR_MS + 5000, 5000);
  assert.equal(news(), 0);
  await pass(24 * HOUR_MS, HOUR_MS);
  assert.equal(news(), 1);
});

test("a schedule goes on when the wall clock was set back while the broker was away", async () => {
  const store = new MemoryStore();
  const before = await scheduled("latest", { store, wallMs: NOON + 365 * 24 * HOUR_MS });
  await before.pass(3000);
  await before.service.close();
  const after = await scheduled("latest", { store });
  assert.equal(after.news(), 0);
  await after.pass(5000);
  assert.equal(after.news(), 5);
});

test("a schedule that cannot be read does not run, and all others do", async () => {
  const store = new MemoryStore();
  const before = await scheduled("latest", { store });
  await before.service.close();
  for (const value of ["{", "null", '{"settings":null}'])
    await store.write([{ kind: "set", name: `cron:bad ${value}`, value }]);
  const after = await scheduled("latest", { store });
  await after.pass(3000);
  assert.equal(after.news(), 3);
});

// ---- peers

test("a worker is not lost because its broker was stopped: what it said meanwhile is read first", async () => {
  const clock = new ManualClock();
  const core = new BrokerCore({
    store: new MemoryStore(),
    clock,
    random: seeded(1),
    nextRun,
    newId: () => "b0",
    log: () => {},
  });
  await core.open();
  const say = (...words: string[]): void => {
    core.receive(
      "w",
      ["HQ1", ...words].map((word) => Buffer.from(word)),
      () => ({ send: () => {}, close: () => {} }),
    );
    core.flush();
  };
  say("WORK", "q", "1", "0", "200");
  for (let beat = 0; beat < 20; beat += 1) {
    clock.advance(200);
    say("BEAT");
  }
  const readAll = clock.holdInput();
  clock.advance(10_000);
  say("BEAT");
  readAll();
  assert.equal(core.stats().workers.length, 1);
  clock.advance(2000);
  assert.equal(core.stats().workers.length, 0, "but one that is silent is");
  await core.close();
});
