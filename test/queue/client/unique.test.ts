/** What docs/queue.md says under "Bursts". */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { queue, type Queue, worker } from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";

async function made(t: TestContext): Promise<{ broker: TestBroker; digests: Queue<number, number> }> {
  const broker = await testBroker();
  t.after(() => broker.close());
  return { broker, digests: queue("digests", { client: broker.connect() }) };
}

test("with uniqueWhile a key is its task's until that has begun, or has ended", async (t) => {
  const { broker, digests } = await made(t);
  const both = [
    { key: "a", uniqueWhile: "active" },
    { key: "w", uniqueWhile: "waiting" },
  ] as const;
  const first = await Promise.all(both.map((asked) => digests.add(1, asked)));
  const ids = async (n: number): Promise<boolean[]> =>
    (await Promise.all(both.map((asked) => digests.add(n, asked)))).map(({ id }, at) => id === first[at]!.id);
  assert.deepEqual(await ids(2), [true, true], "while they wait");
  const ends: (() => void)[] = [];
  const handler = (n: number): Promise<number> => new Promise<number>((resolve) => ends.push(() => resolve(n)));
  const running = worker(digests, handler, { signals: [], concurrency: 9 });
  t.after(() => running.close());
  await broker.idle();
  assert.deepEqual(await ids(3), [true, false], "while they run");
  await broker.idle();
  for (const end of ends) end();
  await broker.idle();
  assert.deepEqual(await ids(4), [false, false]);
  await broker.idle();
  for (const end of ends) end();
  await broker.idle();
});

test("with throttle a task is added once in the time that it says, the first wins", async (t) => {
  const { broker, digests } = await made(t);
  const runs: number[] = [];
  const running = worker(digests, (n) => runs.push(n), { signals: [] });
  t.after(() => running.close());
  for (let second = 0; second < 180; second += 10) {
    await digests.add(second, { throttle: { key: "user-7", wait: "1m" }, keep: 0 });
    await broker.clock.advance("10s");
  }
  assert.deepEqual(runs, [0, 60, 120]);
});

test("with debounce the last wins, when nothing has come for the time that it says; all of them get its result", async (t) => {
  const { broker, digests } = await made(t);
  const runs: [number, number][] = [];
  const begin = broker.clock.date.getTime();
  const handler = (n: number): number => {
    runs.push([n, broker.clock.date.getTime() - begin]);
    return n;
  };
  const running = worker(digests, handler, { signals: [] });
  t.after(() => running.close());
  const calls: Promise<number>[] = [];
  for (let n = 1; n <= 5; n += 1) {
    calls.push(digests.call(n, { debounce: { key: "user-7", wait: "5s" } }));
    await broker.clock.advance("1s");
  }
  await broker.clock.advance("1m");
  assert.deepEqual(runs, [[5, 9000]]);
  assert.deepEqual(await Promise.all(calls), [5, 5, 5, 5, 5]);
});

test("each of many has a key of its own: those of one key are one task, and the last wins", async (t) => {
  const { broker, digests } = await made(t);
  const users = [7, 8, 7];
  const each = (_: number, at: number): object => ({ debounce: { key: `user-${users[at]!}`, wait: "5s" } });
  const tasks = await digests.addMany([1, 2, 3], { attempts: 1, each });
  assert.deepEqual([tasks[0]!.id === tasks[2]!.id, tasks[0]!.id === tasks[1]!.id], [true, false]);
  const running = worker(digests, (n) => n, { signals: [] });
  t.after(() => running.close());
  await broker.clock.advance("5s");
  assert.deepEqual(await Promise.all(tasks.map((task) => task.result())), [3, 2, 3]);
  await assert.rejects(digests.addMany([1, 2], { debounce: { key: "k", wait: 1 } }), { code: "QUEUE_OPTIONS_INVALID" });
  await assert.rejects(digests.addMany([1, 2], { each: (n) => (n === 1 ? { key: "k" } : {}) }), {
    code: "QUEUE_OPTIONS_INVALID",
  });
});
