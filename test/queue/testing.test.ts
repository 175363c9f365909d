import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { queue, worker, type Queue, type Worker } from "../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../src/queue/testing.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const BEGIN = Date.parse("2026-01-01T00:00:00Z");

async function made(t: TestContext, options = {}): Promise<TestBroker> {
  const broker = await testBroker(options);
  t.after(() => broker.close());
  return broker;
}

/** Notes when each task was run. */
function noting(
  t: TestContext,
  broker: TestBroker,
  tasks: Queue<string, string>,
  handle: (body: string, attempt: number) => string | Promise<string> = (body) => body,
): { runs: [string, number][]; running: Worker<string, string> } {
  const runs: [string, number][] = [];
  const running = worker(
    tasks,
    (body, { attempt }) => {
      runs.push([body, broker.clock.date.getTime() - BEGIN]);
      return handle(body, attempt);
    },
    { concurrency: 10, signals: [], onError: () => {} },
  );
  t.after(() => running.close());
  return { runs, running };
}

test("a workflow of three days runs in order, each part at its time, while hardly any passes", async (t) => {
  const broker = await made(t);
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const { runs } = noting(t, broker, tasks, (body, attempt) => {
    if (body === "charge" && attempt < 4) throw new Error("the bank is closed");
    return body;
  });
  await tasks.schedules.upsert("nightly", { cron: "0 3 * * *", body: "report" });
  const reminder = await tasks.add("reminder", { delay: "2d" });
  const goodbye = tasks.call("goodbye", { runAt: new Date(BEGIN + 3 * DAY), timeout: "4d" });
  const charge = await tasks.add("charge", { backoff: "1h", backoffMax: "1d" });
  const before = process.cpuUsage();
  await broker.clock.advance("3d");
  const { user } = process.cpuUsage(before);

  assert.equal(broker.clock.date.getTime(), BEGIN + 3 * DAY);
  assert.equal(await goodbye, "goodbye");
  const [first, second, third, fourth] = runs.filter(([body]) => body === "charge").map(([, ms]) => ms);
  assert.equal(first, 0);
  for (const [pauseMs, most] of [
    [second! - first, HOUR],
    [third! - second!, 2 * HOUR],
    [fourth! - third!, 4 * HOUR],
  ] as const)
    assert.ok(pauseMs >= most / 2 && pauseMs <= most, `${pauseMs} of ${most}`);
  assert.deepEqual(
    runs.filter(([body]) => body !== "charge"),
    [
      ["report", 3 * HOUR],
      ["report", DAY + 3 * HOUR],
      ["reminder", 2 * DAY],
      ["report", 2 * DAY + 3 * HOUR],
      ["goodbye", 3 * DAY],
    ],
  );
  assert.equal((await tasks.get(reminder.id))?.state, undefined, "forgotten after its ten minutes");
  assert.equal((await tasks.get(charge.id))?.state, undefined);
  // 150 ms on the machine it was written on; as a tenth of a real second a day it is still no wait.
  assert.ok(user < 10_000_000, `${user} µs of CPU`);
});

test("a queue's rate and concurrency hold by the test's clock", async (t) => {
  const broker = await made(t);
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  await tasks.configure({ rate: { count: 2, perMs: HOUR } });
  const { runs } = noting(t, broker, tasks);
  await tasks.addMany(["1", "2", "3", "4", "5"]);
  await broker.idle();
  assert.deepEqual(
    runs.map(([body]) => body),
    ["1", "2"],
  );
  await broker.clock.advance("59m");
  assert.equal(runs.length, 2);
  await broker.clock.advance("2m");
  assert.equal(runs.length, 4);
  await broker.clock.advance("2h");
  assert.equal(runs.length, 5);
});

test("an attempt that never ends is stopped at its attemptTimeout, and the next one runs", async (t) => {
  const broker = await made(t);
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const stopped: number[] = [];
  const running = worker(
    tasks,
    (_body, { attempt, signal }) => {
      if (attempt > 1) return `attempt ${attempt}`;
      signal.addEventListener("abort", () => stopped.push(broker.clock.date.getTime() - BEGIN));
      return new Promise<string>(() => {});
    },
    { signals: [], onError: () => {}, drain: 0 },
  );
  t.after(() => running.close());
  const other = worker(tasks, () => "other", { signals: [], drain: 0 });
  t.after(() => other.close());
  const result = tasks.call("hang", { attemptTimeout: "1h", timeout: "1d" });
  await broker.clock.advance("2h");
  assert.match(await result, /^(other|attempt 2)$/);
  for (const at of stopped) assert.equal(at, HOUR);
});

test("time stands still while a handler asks something outside of the process", async (t) => {
  const broker = await made(t);
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const { runs } = noting(t, broker, tasks, async (body) => {
    await pause(20);
    return `${body} at ${(broker.clock.date.getTime() - BEGIN) / HOUR} h`;
  });
  const results = ["1h", "2h", "3h"].map((delay) => tasks.call("done", { delay, timeout: "1d" }));
  await broker.clock.advance("1d");
  assert.deepEqual(await Promise.all(results), ["done at 1 h", "done at 2 h", "done at 3 h"]);
  assert.equal(runs.length, 3);
});

test("what a caller does when its deadline has come happens at that time", async (t) => {
  const broker = await made(t);
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const late = tasks.call("nobody works", { timeout: "1h" }).catch(async ({ code }: { code: string }) => {
    const task = await tasks.add("late");
    return [code, (await tasks.get(task.id))!.createdMs - BEGIN];
  });
  await broker.clock.advance("1d");
  assert.deepEqual(await late, ["QUEUE_UNREACHABLE", HOUR]);
});

test("queues of several clients are one broker's, and calls between them are done in no time", async (t) => {
  const broker = await made(t, { now: new Date("2030-05-01T12:00:00Z") });
  const inner = queue<number, number>("inner", { client: broker.connect() });
  const outer = queue<number, number>("outer", { client: broker.connect() });
  const doubling = worker(inner, (n) => 2 * n, { signals: [] });
  const adding = worker(outer, async (n) => (await queue<number, number>("inner", { client: inner.client }).call(n)) + 1, {
    signals: [],
  });
  t.after(() => Promise.all([doubling.close(), adding.close()]));
  assert.equal(await outer.call(20), 41);
  assert.equal(broker.clock.date.toISOString(), "2030-05-01T12:00:00.000Z");
  await broker.clock.advanceTo(new Date("2030-05-01T13:00:00Z"));
  assert.equal(broker.clock.date.toISOString(), "2030-05-01T13:00:00.000Z");
  assert.equal(broker.stats().queues.find(({ name }) => name === "outer")!.finished, 1);
});

test("what is pending when the broker closes is rejected, and it may be closed twice", async () => {
  const broker = await testBroker();
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const pending = assert.rejects(tasks.call("never"), { code: "CLOSED" });
  await broker.idle();
  await broker.close();
  await broker.close();
  await pending;
  assert.throws(() => queue("tasks", { client: broker.connect() }), { code: "CLOSED" });
});

test("a clock does not go back, and what is no time and no option is refused", async (t) => {
  const broker = await made(t);
  await assert.rejects(broker.clock.advance("soon"), { code: "UNIT_INVALID" });
  await assert.rejects(broker.clock.advance(-1), { code: "UNIT_INVALID" });
  await assert.rejects(broker.clock.advanceTo(new Date(BEGIN - 1)), { code: "QUEUE_OPTIONS_INVALID" });
  await assert.rejects(broker.clock.advanceTo(new Date("never")), { code: "QUEUE_OPTIONS_INVALID" });
  await assert.rejects(testBroker({ now: new Date("never") }), { code: "QUEUE_OPTIONS_INVALID" });
  await assert.rejects(testBroker({ listen: "tcp://127.0.0.1:0" } as object), { code: "QUEUE_OPTIONS_INVALID" });
  assert.equal(broker.clock.date.getTime(), BEGIN);
});

test("events are told in their order as the clock is moved, from a cursor on too", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const tasks = queue<string, string>("tasks", { client: broker.connect() });
  const heard: string[] = [];
  const listening = (["delayed", "waiting", "failed", "completed"] as const).map((event) =>
    tasks.on(event, ({ id }) => void heard.push(`${event} ${id}`)),
  );
  await Promise.all(listening.map(({ ready }) => ready));
  let isFirst = true;
  const running = worker(
    tasks,
    () => {
      if (!isFirst) return "done";
      isFirst = false;
      throw new Error("no");
    },
    { signals: [], log: false },
  );
  t.after(() => running.close());
  const { id } = await tasks.add("a", { delay: "3d", backoff: ["1h"] });
  await broker.clock.advance("3d");
  await broker.clock.advance("1h");
  await broker.clock.advance("1m");
  assert.deepEqual(
    heard.filter((each) => !each.startsWith("waiting")),
    [`delayed ${id}`, `failed ${id}`, `completed ${id}`],
  );
  for (const each of listening) each.stop();
  // They are kept for an hour: the first, of three days ago, is no longer there.
  const again: string[] = [];
  for await (const { event } of tasks.events({ after: "oldest" })) {
    again.push(event);
    if (event === "completed") break;
  }
  assert.deepEqual(
    again.filter((event) => event !== "waiting"),
    ["failed", "retrying", "completed"],
  );
});
