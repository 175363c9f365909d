/** A broker that has much to read: its port is open at once, and nobody waits without being told why. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Broker, queue, QueueClient } from "../../src/queue/index.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { StoredTask } from "../../src/store/store.ts";
import { Dealer } from "../../src/zmq/index.ts";

/** Gives its tasks out portion by portion, when the test says so. */
class SlowStore extends MemoryStore {
  readonly portions: (() => void)[] = [];
  slow = false;
  waiting = Promise.withResolvers<void>();

  override async *tasks(): AsyncIterable<readonly StoredTask[]> {
    for await (const portion of super.tasks()) {
      if (!this.slow) {
        yield portion;
        continue;
      }
      for (let at = 0; at < portion.length; at += portion.length / 4) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.portions.push(resolve);
        this.waiting.resolve();
        await promise;
        this.waiting = Promise.withResolvers();
        yield portion.slice(at, at + portion.length / 4);
      }
    }
  }

  /** The next portion is read. */
  async next(): Promise<void> {
    await this.waiting.promise;
    this.portions.shift()!();
  }
}

/** A broker that starts on a store with 100 tasks, of which none is read yet. */
async function start(t: TestContext): Promise<{ broker: Broker; store: SlowStore; ids: readonly string[] }> {
  const store = new SlowStore();
  const first = new Broker({ listen: "tcp://127.0.0.1:0", store, log: false });
  await first.listen();
  const jobs = queue<number>("jobs", { broker: first, log: false });
  const tasks = await jobs.addMany(Array.from({ length: 100 }, (_, index) => index));
  await jobs.close();
  await first.close();
  store.slow = true;
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", store, log: false });
  t.after(() => broker.close());
  await broker.open();
  return { broker, store, ids: tasks.map(({ id }) => id) };
}

test("while tasks are read the port is open, and a client's error says that the broker is starting, and how far it is", async (t) => {
  const { broker, store } = await start(t);
  assert.equal(broker.stats().starting, 0);
  const client = new QueueClient({ url: broker.address, log: false });
  t.after(() => client.close());
  await assert.rejects(client.queues({ timeout: 500 }), { code: "QUEUE_UNREACHABLE", message: /it is starting, 0 %/ });
  await store.next();
  await store.next();
  await store.waiting.promise;
  await assert.rejects(client.queues({ timeout: 500 }), { message: /it is starting, 50 %/ });
  assert.equal(broker.stats().starting, 50);
  await store.next();
  await store.next();
  await broker.ready;
  assert.equal(broker.stats().starting, undefined);
  assert.equal((await client.queues({ timeout: 5000 }))[0]!.states.waiting, 100);
});

test("what is asked while tasks are read is answered, in its order, when they are at hand", async (t) => {
  const { broker, store, ids } = await start(t);
  const jobs = queue<number, number>("jobs", { url: broker.address, log: false });
  t.after(() => jobs.close());
  const cancelled = jobs.client.cancel(ids[99]!, { timeoutMs: 10_000 });
  const added = jobs.add(7, { key: "once", after: [ids[0]!], timeout: "10s" });
  const again = jobs.add(7, { key: "once", after: [ids[0]!], timeout: "10s" });
  for (let portion = 0; portion < 4; portion += 1) await store.next();
  await cancelled;
  assert.equal((await added).id, (await again).id);
  const { states } = (await jobs.client.queues({ timeout: 5000 }))[0]!;
  assert.deepEqual([states.waiting, states.blocked, states.cancelled], [99, 1, 1]);
});

test("peers that do not ask are not told, and are answered like the others", async (t) => {
  const { broker, store } = await start(t);
  const peer = new Dealer();
  t.after(() => peer.close());
  peer.connect(broker.address);
  await peer.send(["HQ1", "HELLO", "1"]);
  await peer.send(["HQ1", "STATS", "2"]);
  for (let portion = 0; portion < 4; portion += 1) await store.next();
  const verbs = [(await peer.receive())[1]!.toString(), (await peer.receive())[1]!.toString()];
  assert.deepEqual(verbs, ["WELCOME", "DATA"]);
});

test("a peer that leaves while tasks are read leaves nothing behind", async (t) => {
  const { broker, store } = await start(t);
  const gone = new Dealer();
  gone.connect(broker.address);
  await gone.send(["HQ1", "WORK", "jobs", "50"]);
  const client = new QueueClient({ url: broker.address, log: false });
  t.after(() => client.close());
  await assert.rejects(client.queues({ timeout: 300 }), { message: /starting/ });
  await gone.close();
  await assert.rejects(client.queues({ timeout: 300 }), { message: /starting/ });
  for (let portion = 0; portion < 4; portion += 1) await store.next();
  const { states, consumers } = (await client.queues({ timeout: 5000 }))[0]!;
  assert.deepEqual([states.waiting, states.active, consumers], [100, 0, 0]);
});

test("a store that is refused closes the port again", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-starting-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const holder = new SqliteStore({ folder: data });
  await holder.open();
  t.after(() => holder.close());
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data, log: false });
  await assert.rejects(broker.open(), { code: "QUEUE_STORE_LOCKED" });
  await assert.rejects(broker.ready, { code: "QUEUE_STORE_LOCKED" });
  const next = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false });
  await next.listen();
  await next.close();
});
