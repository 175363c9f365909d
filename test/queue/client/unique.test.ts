/** What docs/queue.md says under "Bursts": with keys and updates as they are. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { queue, type Queue, worker } from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";

async function made(t: TestContext): Promise<{ broker: TestBroker; digests: Queue<number, number> }> {
  const broker = await testBroker();
  t.after(() => broker.close());
  return { broker, digests: queue("digests", { client: broker.connect() }) };
}

test("with keep: 0 a key is unique while its task waits and while it runs, and free when it has ended", async (t) => {
  const { broker, digests } = await made(t);
  const first = await digests.add(1, { key: "user-7", keep: 0 });
  assert.equal((await digests.add(2, { key: "user-7", keep: 0 })).id, first.id, "while it waits");
  const ends: (() => void)[] = [];
  const running = worker(digests, (n) => new Promise<number>((resolve) => ends.push(() => resolve(n))), { signals: [] });
  t.after(() => running.close());
  await broker.idle();
  assert.equal((await digests.add(3, { key: "user-7", keep: 0 })).id, first.id, "while it runs");
  ends[0]!();
  await broker.clock.advance("1s");
  const next = await digests.add(4, { key: "user-7", keep: 0 });
  assert.notEqual(next.id, first.id);
  await broker.idle();
  ends[1]!();
  await broker.idle();
});

test("with the minute in its key a task is added once a minute, the first wins", async (t) => {
  const { broker, digests } = await made(t);
  const runs: number[] = [];
  const running = worker(digests, (n) => runs.push(n), { signals: [] });
  t.after(() => running.close());
  for (let second = 0; second < 180; second += 10) {
    const minute = Math.floor(broker.clock.date.getTime() / 60_000);
    await digests.add(second, { key: `user-7/${minute}`, keep: "1m" });
    await broker.clock.advance("10s");
  }
  assert.deepEqual(runs, [0, 60, 120]);
});

test("add under a key and update is a debounce while the task has not begun: the last wins", async (t) => {
  const { broker, digests } = await made(t);
  const runs: [number, number][] = [];
  const begin = broker.clock.date.getTime();
  const running = worker(
    digests,
    (n) => {
      runs.push([n, broker.clock.date.getTime() - begin]);
      return n;
    },
    { signals: [] },
  );
  t.after(() => running.close());
  for (let n = 1; n <= 5; n += 1) {
    const { id } = await digests.add(n, { key: "user-7", keep: 0, delay: "5s" });
    await digests.update(id, { delay: "5s", body: n });
    await broker.clock.advance("1s");
  }
  await broker.clock.advance("1m");
  assert.deepEqual(runs, [[5, 9000]]);
});
