import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { GiveUp, queue, worker, type BatchHandler, type BatchWorkerOptions, type Queue } from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";

async function made(
  t: TestContext,
  handler: BatchHandler<number, number>,
  options: BatchWorkerOptions,
): Promise<{ broker: TestBroker; numbers: Queue<number, number>; close: () => Promise<void> }> {
  const broker = await testBroker();
  const numbers = queue<number, number>("numbers", { client: broker.connect() });
  const running = worker(numbers, handler, { signals: [], onError: () => {}, ...options });
  t.after(async () => {
    await running.close();
    await broker.close();
  });
  return { broker, numbers, close: () => running.close() };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

test("a full batch is handed over at once, a smaller one when its first task has waited, and each task has its own result", async (t) => {
  const sizes: number[] = [];
  const { broker, numbers } = await made(
    t,
    (batch) => {
      sizes.push(batch.length);
      return batch.map((n) => 2 * n);
    },
    { batch: { size: 100, wait: "50ms" } },
  );
  const tasks = await numbers.addMany(range(250));
  await broker.idle();
  assert.deepEqual(sizes, [100, 100]);
  await broker.clock.advance(49);
  assert.deepEqual(sizes, [100, 100]);
  await broker.clock.advance(1);
  assert.deepEqual(sizes, [100, 100, 50]);
  assert.deepEqual(
    await Promise.all(tasks.map((task) => task.result())),
    range(250).map((n) => 2 * n),
  );
});

test("of a batch one task fails, one gives up, one is late, and the others are completed", async (t) => {
  const { broker, numbers } = await made(
    t,
    (batch, tasks) =>
      batch.map((n, index) => {
        if (n === 1 && tasks[index]!.attempt === 1) return new Error("not yet");
        if (n === 2) return new GiveUp("never");
        if (n === 3) return Promise.reject(new Error("always"));
        return n === 4 ? Promise.resolve(44) : n;
      }),
    { batch: { size: 5, wait: 0 } },
  );
  const tasks = await numbers.addMany(range(5), { attempts: 2 });
  const results = Promise.allSettled(tasks.map((task) => task.result({ timeout: "1h" })));
  await broker.clock.advance("1m");
  const [zero, one, two, three, four] = await results;
  assert.deepEqual(
    [zero, one, four].map((each) => each!.status === "fulfilled" && each!.value),
    [0, 1, 44],
  );
  for (const [outcome, why] of [
    [two, /never/],
    [three, /always/],
  ] as const) {
    assert.ok(outcome?.status === "rejected");
    assert.equal((outcome.reason as { code: string }).code, "QUEUE_TASK_DEAD");
    assert.match((outcome.reason as Error).message, why);
  }
});

test("a handler that throws, or does not return one outcome a task, has failed for all of them; one that returns nothing for none", async (t) => {
  let run = 0;
  const seen: string[] = [];
  const { broker, numbers } = await made(
    t,
    () => {
      run += 1;
      if (run === 1) throw new Error("the database is away");
      if (run === 2) return [1, 2, 3, 4];
      return undefined;
    },
    {
      batch: { size: 3, wait: 0 },
      onError: (error) => seen.push((error as { code?: string }).code ?? (error as Error).message),
    },
  );
  const tasks = await numbers.addMany([1, 2, 3], { backoff: "1s", backoffMax: "1s" });
  const results = Promise.all(tasks.map((task) => task.result({ timeout: "1h" })));
  for (const _ of range(100)) await broker.clock.advance("100ms");
  assert.deepEqual(await results, [undefined, undefined, undefined]);
  assert.equal(seen.filter((why) => why === "the database is away").length, 3);
  assert.ok(seen.includes("QUEUE_BATCH_INVALID"), seen.join());
});

test("as many batches run at once as concurrency says, and no more", async (t) => {
  let running = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const { broker, numbers } = await made(
    t,
    async (batch) => {
      most = Math.max(most, (running += 1));
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
      return [...batch];
    },
    { batch: { size: 2, wait: 0 }, concurrency: 2 },
  );
  const results = numbers.addMany(range(10)).then((tasks) => Promise.all(tasks.map((task) => task.result({ timeout: "1h" }))));
  while (ends.length < 5) {
    await broker.idle();
    for (const end of ends) end();
  }
  assert.deepEqual(await results, range(10));
  assert.equal(most, 2);
});

test("a worker that closes runs what it has gathered", async (t) => {
  const { broker, numbers, close } = await made(t, (batch) => [...batch], { batch: { size: 10, wait: "1h" } });
  const result = numbers.call(7);
  await broker.idle();
  await close();
  assert.equal(await result, 7);
});

test("batches that cannot be are refused when the worker is started", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const numbers = queue<number, number>("numbers", { client: broker.connect() });
  for (const batch of [{}, { size: 0 }, { size: 1001 }, { size: 10, wait: true }, { size: 10, timeout: 5 }, 5])
    assert.throws(() => worker(numbers, () => {}, { batch } as unknown as BatchWorkerOptions), {
      code: "QUEUE_OPTIONS_INVALID",
    });
  assert.throws(() => worker(numbers, () => {}, { batch: { size: 10, wait: "soon" } }), { code: "UNIT_INVALID" });
  assert.throws(() => worker(numbers, () => {}, { batch: { size: 100 }, concurrency: 11 }), { code: "QUEUE_OPTIONS_INVALID" });
  const module = new URL("./handler-child.ts", import.meta.url) as unknown as BatchHandler<number, number>;
  assert.throws(() => worker(numbers, module, { batch: { size: 10 } }), { code: "QUEUE_OPTIONS_INVALID" });
  const threads = { batch: { size: 10 }, threads: 2 } as BatchWorkerOptions;
  assert.throws(() => worker(numbers, () => {}, threads), { code: "QUEUE_OPTIONS_INVALID" });
});

test("each of many tasks has options of its own, on top of those of all; they are taken in together or not at all", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const numbers = queue<number, number>("numbers", { client: broker.connect() });
  const [first] = await numbers.addMany([0], { each: () => ({ priority: 3, delay: "1h" }) });
  const tasks = await numbers.addMany([1, 2, 3], {
    attempts: 7,
    group: "all",
    each: (n, index) => ({
      priority: n,
      ...(index === 1 && { delay: "2d", group: "late" }),
      ...(n === 3 && { after: [first!] }),
    }),
  });
  const known = await Promise.all([first!, ...tasks].map(({ id }) => numbers.get(id)));
  assert.deepEqual(
    known.map((task) => [task!.payload, task!.state, task!.priority, task!.group, task!.attempts]),
    [
      [0, "delayed", 3, undefined, 5],
      [1, "waiting", 1, "all", 7],
      [2, "delayed", 2, "late", 7],
      [3, "blocked", 3, "all", 7],
    ],
  );
  for (const each of [
    (n: number) => ({ priority: n === 2 ? 256 : 0 }),
    (n: number) => (n === 2 ? { key: "k" } : {}) as object,
    (n: number) => (n === 2 ? { timeout: "1s" } : {}) as object,
  ])
    await assert.rejects(numbers.addMany([1, 2, 3], { each }), { code: "QUEUE_OPTIONS_INVALID" });
  const unknown = `${broker.stats().id}-99`;
  await assert.rejects(numbers.addMany([1, 2], { each: (n) => ({ after: n === 2 ? [unknown] : [] }) }), {
    code: "QUEUE_TASK_UNKNOWN",
  });
  assert.equal(
    Object.values(await numbers.counts()).reduce((a, b) => a + b),
    4,
  );
});

test("many tasks with options of their own are one submission under a key", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const numbers = queue<number, number>("numbers", { client: broker.connect() });
  const options = { key: "import", each: (n: number) => ({ priority: n }) };
  const ids = (await numbers.addMany([1, 2, 3], options)).map(({ id }) => id);
  assert.deepEqual(
    (await numbers.addMany([1, 2, 3], options)).map(({ id }) => id),
    ids,
  );
  await assert.rejects(numbers.addMany([1, 2, 4], options), { code: "QUEUE_KEY_CONFLICT" });
  assert.equal((await numbers.counts()).waiting, 3);
});

test("ten thousand tasks with a delay of their own each go in one submission", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const numbers = queue<number, number>("numbers", { client: broker.connect() });
  await numbers.addMany(range(10_000), {
    each: (n) => ({ delay: 1000 + n, priority: n % 200, group: `customer-${n}`, attempts: 3 }),
  });
  assert.equal((await numbers.counts()).delayed, 10_000);
});
