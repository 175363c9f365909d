/** What happens to a queue's tasks, as programs hear of it: at real brokers that go away, come back and are killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createInterface } from "node:readline";
import {
  Broker,
  type EventGap,
  type HeardEvent,
  queue,
  type Queue,
  type QueueEventName,
  QueueClient,
  worker,
} from "../../../src/queue/index.ts";
import { testBroker } from "../../../src/queue/testing.ts";

async function jobsAt(
  context: TestContext,
  options: ConstructorParameters<typeof Broker>[0] = {},
): Promise<Queue<number, string>> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false, ...options });
  await broker.listen();
  const jobs = queue<number, string>("jobs", { url: broker.address, log: false });
  context.after(async () => {
    await jobs.close();
    await broker.close();
  });
  return jobs;
}

/** The first so many events. */
async function heard(events: AsyncIterable<HeardEvent | EventGap>, count: number): Promise<(HeardEvent | EventGap)[]> {
  const found: (HeardEvent | EventGap)[] = [];
  for await (const event of events) {
    found.push(event);
    if (found.length === count) break;
  }
  return found;
}

const CLI = [
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../../src/cli/main.ts"),
];

const words = (events: readonly (HeardEvent | EventGap)[]): string[] =>
  events.map((each) => (each.event === "gap" ? "gap" : `${each.event} ${each.id.split("-")[1]}`));

const working = (jobs: Queue<number, string>) => {
  return worker(jobs, (n) => (n < 0 ? Promise.reject(new Error("negative")) : `${n}`), {
    signals: [],
    onError: () => {},
    log: false,
  });
};

test("a function is called with what happens to all tasks of a queue, whoever added and whoever does them", async (context) => {
  const jobs = await jobsAt(context);
  const told = new Map<QueueEventName, string[]>();
  const dead = Promise.withResolvers<void>();
  const listen = (name: QueueEventName) => {
    told.set(name, []);
    return jobs.on(name, (event) => {
      told.get(name)!.push([event.id.split("-")[1], event.attempt, event.reason, event.error].filter(Boolean).join(" "));
      if (name === "dead") dead.resolve();
    });
  };
  const listening = (["waiting", "active", "completed", "failed", "retrying", "dead"] as const).map(listen);
  await Promise.all(listening.map(({ ready }) => ready));
  const other = queue<number, string>("other", { client: jobs.client });
  await other.add(1);
  const running = working(jobs);
  assert.equal(await jobs.call(1), "1");
  await assert.rejects(jobs.call(-1, { attempts: 2, backoff: 1 }), { code: "QUEUE_TASK_DEAD" });
  await dead.promise;
  await running.close();
  assert.deepEqual(told.get("completed"), ["2"]);
  assert.deepEqual(told.get("failed"), ["3 1 Error: negative", "3 2 Error: negative"]);
  assert.deepEqual(told.get("retrying"), ["3"]);
  assert.deepEqual(told.get("dead"), ["3 attempts Error: negative"]);
  assert.deepEqual(told.get("active"), ["2 1", "3 1", "3 2"]);
  assert.deepEqual(told.get("waiting")!.slice(0, 2), ["2", "3"]);
  for (const each of listening) each.stop();
});

test("progress is heard while it is said, with its value, and is not told later", async (context) => {
  const jobs = await jobsAt(context);
  const values: unknown[] = [];
  const all = Promise.withResolvers<void>();
  const listening = jobs.on("progress", ({ progress }) => {
    values.push(progress);
    if (values.length === 2) all.resolve();
  });
  await listening.ready;
  const running = worker(jobs, (_, task) => {
    task.progress({ percent: 50 });
    task.progress("nearly");
    return "";
  });
  await jobs.call(1);
  await all.promise;
  assert.deepEqual(values, [{ percent: 50 }, "nearly"]);
  listening.stop();
  await running.close();
  const later = await heard(jobs.events({ events: ["waiting", "progress", "active", "completed"], after: "oldest" }), 2);
  assert.deepEqual(words(later).slice(0, 1), ["waiting 1"]);
});

test("events that one took are not told again after its cursor, and those it has missed are", async (context) => {
  const jobs = await jobsAt(context);
  await jobs.addMany([1, 2, 3]);
  const running = working(jobs);
  const first = await heard(jobs.events({ events: ["completed"], after: "oldest" }), 2);
  const after = first.at(-1)!.cursor;
  assert.deepEqual(words(await heard(jobs.events({ events: ["completed"], after }), 1)), ["completed 3"]);
  await running.close();
});

test("what happened while nobody listened and the broker was killed is heard from the cursor on", async () => {
  const data = mkdtempSync(join(tmpdir(), "holdfast-events-"));
  const serve = async (port: number): Promise<{ url: string; kill(): Promise<void> }> => {
    const words = ["queue", "serve", "--listen", `tcp://127.0.0.1:${port}`, "--data", data, "--log", "json"];
    const child = spawn(process.execPath, [...CLI, ...words], { stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface(child.stderr)) {
      const { event, address } = JSON.parse(line) as { event: string; address: string };
      if (event !== "queue.listening") continue;
      const kill = async (): Promise<void> => {
        child.kill("SIGKILL");
        await once(child, "exit");
      };
      return { url: address, kill };
    }
    throw new Error("the broker did not start");
  };
  const first = await serve(0);
  const jobs = queue<number, string>("jobs", { url: first.url, log: false });
  const running = working(jobs);
  try {
    const going = jobs.events({ events: ["completed"] });
    const next = going.next();
    await jobs.call(1, { timeout: "30s" });
    // Whether it is the first or came before the listener was there: from here on it is known where.
    const [event] = await Promise.race([
      next.then(({ value }) => [value as HeardEvent]),
      heard(jobs.events({ events: ["completed"], after: "oldest" }), 1),
    ]);
    const after = event!.cursor;
    await going.return?.();
    await Promise.all([2, 3, 4].map((n) => jobs.call(n, { timeout: "30s" })));
    await first.kill();
    const second = await serve(Number(new URL(first.url).port));
    try {
      await jobs.call(5, { timeout: "30s" });
      const events = await heard(jobs.events({ events: ["completed"], after }), 4);
      assert.deepEqual(words(events).sort(), ["completed 2", "completed 3", "completed 4", "completed 5"]);
    } finally {
      await running.close();
      await jobs.close();
      await second.kill();
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});

test("a listener goes on over a broken connection, and hears each event once", async (context) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false });
  await broker.listen();
  const client = new QueueClient({ broker, log: false });
  const listeners = new QueueClient({ url: broker.address, log: false });
  const jobs = queue<number, string>("jobs", { client });
  const told: string[] = [];
  const last = Promise.withResolvers<void>();
  const listening = queue<number>("jobs", { client: listeners }).on("completed", ({ id }) => {
    told.push(id);
    if (told.length === 40) last.resolve();
  });
  await listening.ready;
  const running = working(jobs);
  context.after(async () => {
    listening.stop();
    await running.close();
    await client.close();
    await listeners.close();
    await broker.close();
  });
  const tasks = [];
  for (let n = 0; n < 40; n += 1) {
    const task = await jobs.add(n);
    tasks.push(task.id);
    await task.result();
    if (n % 10 === 5) for (const { connection } of listeners.links()) connection.reset();
  }
  await last.promise;
  assert.deepEqual(told, tasks);
});

test("with a cursor that is none listening is refused, with one of another broker a gap is told", async (context) => {
  const jobs = await jobsAt(context);
  await jobs.add(1);
  await assert.rejects(heard(jobs.events({ after: "yesterday" }), 1), {
    code: "QUEUE_OPTIONS_INVALID",
    message: /is no cursor/,
  });
  assert.throws(() => jobs.on("done" as "completed", () => {}), {
    code: "QUEUE_OPTIONS_INVALID",
    message: /is a list of waiting/,
  });
  assert.deepEqual(words(await heard(jobs.events({ after: "0badc0de:1.7" }), 2)), ["gap", "waiting 1"]);
  const gap = Promise.withResolvers<string>();
  const listening = jobs.on("completed", () => {}, { after: "0badc0de:1.7", onGap: ({ cursor }) => gap.resolve(cursor) });
  assert.match(await gap.promise, /./);
  listening.stop();
});

test("what a listener throws harms neither it nor the queue", async (context) => {
  const errors: string[] = [];
  const broker = new Broker({ listen: [], data: false, log: false });
  await broker.listen();
  const client = new QueueClient({ broker, log: (event) => void errors.push(event) });
  const jobs = queue<number, string>("jobs", { client });
  const second = Promise.withResolvers<void>();
  let count = 0;
  const listening = jobs.on("waiting", () => {
    count += 1;
    if (count === 2) second.resolve();
    throw new Error("my own fault");
  });
  await listening.ready;
  context.after(async () => {
    listening.stop();
    await client.close();
    await broker.close();
  });
  await jobs.addMany([1, 2]);
  await second.promise;
  await new Promise((resolve) => void setImmediate(resolve));
  assert.deepEqual(
    errors.filter((event) => event === "queue.listener-failed"),
    ["queue.listener-failed", "queue.listener-failed"],
  );
});

test("in a test's broker three days of events are heard in milliseconds", async () => {
  const broker = await testBroker();
  const jobs = queue<number, string>("jobs", { client: broker.connect() });
  const told: string[] = [];
  const listening = jobs.on("completed", ({ id }) => void told.push(id));
  await listening.ready;
  const running = working(jobs);
  const ids = [];
  for (const n of [1, 2, 3]) ids.push((await jobs.add(n, { delay: `${n}d` })).id);
  await broker.clock.advance("3d");
  await broker.clock.advance("1s");
  assert.deepEqual(told, ids);
  listening.stop();
  await running.close();
  await broker.close();
});
