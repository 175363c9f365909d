import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Broker, type BrokerOptions, bytesCodec, GiveUp, queue, worker } from "../../src/queue/index.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { Dealer } from "../../src/zmq/index.ts";

async function open(t: TestContext, options: BrokerOptions = {}): Promise<Broker> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, ...options });
  await broker.listen();
  t.after(() => broker.close());
  return broker;
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holdfast-broker-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("a call gets its result over the network", async (t) => {
  const broker = await open(t);
  const sums = queue<number[], number>("sums", { url: broker.address });
  t.after(() => sums.close());
  const adder = worker(sums, (numbers) => numbers.reduce((a, b) => a + b, 0), { concurrency: 4, signals: [] });
  assert.equal(await sums.call([1, 2, 3]), 6);
  const results = await Promise.all(Array.from({ length: 100 }, (_, index) => sums.call([index, 1])));
  assert.deepEqual(
    results,
    results.map((_, index) => index + 1),
  );
  await adder.close();
});

test("the same calls work in one process without a network", async (t) => {
  const broker = await open(t);
  const sums = queue<number[], number>("sums", { broker });
  t.after(() => sums.close());
  const adder = worker(sums, (numbers) => numbers.reduce((a, b) => a + b, 0), { signals: [] });
  assert.equal(await sums.call([1, 2, 3]), 6);
  const tasks = await sums.addMany([[1], [2], [3]]);
  assert.deepEqual(await Promise.all(tasks.map((task) => task.result())), [1, 2, 3]);
  await adder.close();
});

test("small and large bodies, in one turn and mixed, get their own results", async (t) => {
  const broker = await open(t);
  const echo = queue<string, string>("echo", { url: broker.address });
  t.after(() => echo.close());
  const echoer = worker(echo, (text) => text, { concurrency: 8, signals: [] });
  const sizes = [1, 16_000, 16_383, 16_384, 16_385, 100_000, 2_000_000, 1];
  const bodies = Array.from({ length: 64 }, (_, index) => `${index} `.padEnd(sizes[index % sizes.length]!, "x"));
  assert.deepEqual(await Promise.all(bodies.map((body) => echo.call(body))), bodies);
  await echoer.close();
});

test("with sync 'always' nothing is sent in batches, and calls work as before", async (t) => {
  const broker = await open(t, { data: await folder(t), sync: "always" });
  const sums = queue<number[], number>("sums", { url: broker.address });
  t.after(() => sums.close());
  const adder = worker(sums, (numbers) => numbers.reduce((a, b) => a + b, 0), { concurrency: 4, signals: [] });
  const results = await Promise.all(Array.from({ length: 20 }, (_, index) => sums.call([index, 1])));
  assert.deepEqual(
    results,
    results.map((_, index) => index + 1),
  );
  assert.ok(broker.stats().commits >= 40, "a commit for each task and each result");
  await adder.close();
});

test("tasks of two brokers that bear the same number and the same lease are not taken for each other by one worker", async (t) => {
  const first = await open(t);
  const port = first.address.split(":").at(-1)!;
  const second = await open(t, { listen: `tcp://127.0.0.2:${port}` });
  const alone = [first, second].map((broker) => queue<string, string>("same", { url: broker.address }));
  const both = queue<string, string>("same", {
    url: `tcp://brokers.test:${port}`,
    lookup: async () => ["127.0.0.1", "127.0.0.2"],
  });
  t.after(() => Promise.all([both, ...alone].map((each) => each.close())));
  const met = Promise.withResolvers<void>();
  const begun = new Set<string>();
  const worked = async (name: string): Promise<string> => {
    if (begun.add(name).size === 2) met.resolve();
    await met.promise;
    return `did ${name}`;
  };
  const running = worker(both, worked, { concurrency: 2, signals: [] });
  const calls = alone.map((each, index) => each.call(`task of broker ${index}`));
  assert.deepEqual(await Promise.all(calls), ["did task of broker 0", "did task of broker 1"]);
  await running.close();
});

test("a call survives a restart of the broker", async (t) => {
  const data = await folder(t);
  const first = await open(t, { data });
  const { address } = first;
  const echo = queue<string, string>("echo", { url: address });
  t.after(() => echo.close());
  const before = echo.call("waits");
  const task = await echo.add("waits too");
  await first.close();
  await open(t, { data, listen: address });
  const during = echo.call("came later");
  const echoer = worker(echo, (text) => text, { signals: [] });
  assert.deepEqual(await Promise.all([before, during, task.result()]), ["waits", "came later", "waits too"]);
  await echoer.close();
});

test("a running task survives a restart of the broker and is not run twice", async (t) => {
  const data = await folder(t);
  const first = await open(t, { data });
  const { address } = first;
  const slow = queue<string, string>("slow", { url: address });
  t.after(() => slow.close());
  let runs = 0;
  const { promise: go, resolve: finish } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const runner = worker(
    slow,
    async (text) => {
      runs += 1;
      begin();
      await go;
      return text;
    },
    { signals: [] },
  );
  const result = slow.call("once");
  await begun;
  await new Promise((resolve) => setTimeout(resolve, 60));
  await first.close();
  const second = await open(t, { data, listen: address });
  while (second.stats().queues.find(({ name }) => name === "slow")?.consumers !== 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  finish();
  assert.equal(await result, "once");
  assert.equal(runs, 1);
  await runner.close();
});

test("a broker that closes while a task is at work has no trouble with its store, and the task stays its worker's", async (t) => {
  const data = await folder(t);
  const told: string[] = [];
  const broker = await open(t, { data, log: (event) => told.push(event) });
  const peer = new Dealer({ linger: 0 });
  t.after(() => peer.close());
  peer.connect(broker.address);
  await peer.send(["HQ1", "ADD", "1", "jobs", "", "x"]);
  await peer.receive();
  await peer.send(["HQ1", "WORK", "jobs", "1"]);
  assert.equal(String((await peer.receive())[1]), "TASK");
  await broker.close();
  assert.deepEqual(
    told.filter((event) => event === "queue.worker-lost" || event === "queue.store-trouble"),
    [],
  );
});

test("a handler that gives up makes the task dead; its error is the caller's", async (t) => {
  const broker = await open(t);
  const jobs = queue("jobs", { url: broker.address });
  t.after(() => jobs.close());
  const failing = worker(
    jobs,
    () => {
      throw new GiveUp("no such address");
    },
    { signals: [] },
  );
  await assert.rejects(jobs.call("x"), { code: "QUEUE_TASK_DEAD", message: /no such address/ });
  await failing.close();
});

test("aborting a call cancels the task and fires the handler's signal", async (t) => {
  const broker = await open(t);
  const jobs = queue("jobs", { url: broker.address });
  t.after(() => jobs.close());
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const endless = worker(
    jobs,
    async (_, { signal }) => {
      begin();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      stop();
    },
    { signals: [] },
  );
  const abort = new AbortController();
  const call = jobs.call("x", { signal: abort.signal });
  await begun;
  abort.abort();
  await assert.rejects(call, { code: "ABORTED" });
  await stopped;
  await endless.close();
});

test("progress and partial results reach the watcher", async (t) => {
  const broker = await open(t);
  const jobs = queue<string, string>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  const task = await jobs.add("x");
  const seen: unknown[] = [];
  const watching = (async () => {
    for await (const part of task.partials()) seen.push(part);
  })();
  const parts = worker(
    jobs,
    (_, { partial }) => {
      for (const part of ["a", "b", "c"]) partial(part);
      return "all";
    },
    { signals: [] },
  );
  assert.equal(await task.result(), "all");
  await watching;
  assert.deepEqual(seen, ["a", "b", "c"]);
  await parts.close();
});

test("a call without a broker is given up at its deadline", async () => {
  const nobody = queue("x", { url: "tcp://127.0.0.1:1" });
  await assert.rejects(nobody.add("x", { timeout: 50 }), { code: "QUEUE_UNREACHABLE" });
  await nobody.close();
});

test("a worker that closes gives back what it has not begun", async (t) => {
  const broker = await open(t);
  const jobs = queue<number, number>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  const { promise: go, resolve: finish } = Promise.withResolvers<void>();
  const leaving = worker(jobs, async (n) => (await go, n), { prefetch: 5, signals: [] });
  const calls = Promise.all([1, 2, 3].map((n) => jobs.call(n)));
  while (leaving.running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const closing = leaving.close();
  const heir = worker(jobs, (n) => n, { signals: [] });
  finish();
  await closing;
  assert.deepEqual(await calls, [1, 2, 3]);
  await heir.close();
});

test("clients and workers connect to all brokers behind one name, and results come back", async (t) => {
  const first = await open(t);
  const port = first.address.split(":").at(-1)!;
  const second = await open(t, { listen: `tcp://127.0.0.2:${port}` });
  const options = { url: `tcp://brokers.test:${port}`, lookup: async () => ["127.0.0.1", "127.0.0.2"] };
  const jobs = queue<number, number>("jobs", options);
  const others = queue<number, number>("jobs", options);
  t.after(() => Promise.all([jobs.close(), others.close()]));
  const welcomed = (): number => jobs.client.links().filter(({ broker }) => broker !== undefined).length;
  while (welcomed() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const tasks = await Promise.all(Array.from({ length: 20 }, (_, n) => jobs.add(n)));
  const homes = new Set(tasks.map(({ id }) => id.split("-")[0]));
  assert.deepEqual(homes, new Set([first.id, second.id]));
  const doubler = worker(others, (n) => 2 * n, { signals: [] });
  assert.deepEqual(
    await Promise.all(tasks.map((task) => task.result())),
    tasks.map((_, n) => 2 * n),
  );
  await doubler.close();
});

test("a peer that does not read what it is sent is disconnected, and no other is affected", async (t) => {
  const cuts: unknown[] = [];
  const broker = await open(t, { log: (event, facts) => event === "queue.peer-cut" && cuts.push(facts["reason"]) });
  const echo = queue<Uint8Array, Uint8Array>("echo", { broker, codec: bytesCodec });
  t.after(() => echo.close());
  const echoer = worker(echo, (body) => body, { concurrency: 16, signals: [] });
  const deaf = new Dealer({ receiveHighWaterMark: 1, linger: 0 });
  deaf.connect(broker.address);
  const body = Buffer.alloc(1024 ** 2);
  for (let request = 1; request <= 96; request += 1) await deaf.send(["HQ1", "CALL", `${request}`, "echo", "", body]);
  while (cuts.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(cuts, ["it does not read what it is sent"]);
  assert.equal((await echo.call(Buffer.from("still here"))).length, 10);
  await deaf.close();
  await echoer.close();
});

test("payloads and results are checked against their schemas at both ends", async (t) => {
  const broker = await open(t);
  const positive: StandardSchemaV1<unknown, number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof value === "number" && value > 0 ? { value } : { issues: [{ message: "is no positive number", path: ["n"] }] },
    },
  };
  const checked = queue<number, number>("numbers", { broker, payload: positive, result: positive });
  const unchecked = queue("numbers", { broker });
  t.after(() => Promise.all([checked.close(), unchecked.close()]));
  const negating = worker(checked, (n) => (n === 1 ? -1 : n), { signals: [] });
  assert.equal(await checked.call(7), 7);
  await assert.rejects(checked.call(-7), {
    code: "QUEUE_PAYLOAD_INVALID",
    message: "Cannot use payload: n: is no positive number",
  });
  await assert.rejects(unchecked.call("text", { attempts: 1 }), { code: "QUEUE_TASK_DEAD", message: /Cannot use payload/ });
  await assert.rejects(unchecked.call(1, { attempts: 1 }), { code: "QUEUE_TASK_DEAD", message: /Cannot use result/ });
  await negating.close();
});

test("what no message can carry is refused at once, whether task, tasks or result, and the connection stays", async (t) => {
  const broker = await open(t);
  const big = queue<Uint8Array, Uint8Array>("big", { url: broker.address, codec: bytesCodec });
  t.after(() => big.close());
  const parts = Array.from({ length: 32 }, () => new Uint8Array(4 * 1024 ** 2));
  await assert.rejects(big.add(new Uint8Array(128 * 1024 ** 2)), { code: "QUEUE_BODY_TOO_LARGE" });
  await assert.rejects(big.addMany(parts), { code: "QUEUE_BODY_TOO_LARGE", message: /134217728 bytes at once/ });
  const answers = [new Uint8Array(128 * 1024 ** 2), new Uint8Array(16 * 1024 ** 2 + 1)];
  const working = worker(big, ([which]) => answers[which!] ?? new Uint8Array(1), { signals: [] });
  const code = "QUEUE_TASK_DEAD";
  await assert.rejects(big.call(Uint8Array.of(0), { attempts: 1 }), { code, message: /Cannot send 134217728 bytes/ });
  await assert.rejects(big.call(Uint8Array.of(1), { attempts: 1 }), {
    code,
    message: /Cannot store a result of 16777217 bytes/,
  });
  assert.equal((await big.call(Uint8Array.of(2))).length, 1);
  await working.close();
});

test("a bound on bodies that no message could carry is refused", () => {
  assert.throws(() => new Broker({ data: false, maxBody: "128m" }), { code: "QUEUE_OPTIONS_INVALID" });
});

test("a broker that is closed while it reads its tasks ends at once: it does not read the rest", async (t) => {
  const store = new MemoryStore();
  const first = await open(t, { store });
  const q = queue<number>("q", { broker: first });
  await q.addMany(Array.from({ length: 5000 }, (_, index) => index));
  await q.close();
  await first.close();
  const tasks = store.tasks.bind(store);
  let portions = 0;
  const reads = Promise.withResolvers<void>();
  store.tasks = async function* () {
    for await (const portion of tasks()) {
      portions += 1;
      yield portion;
      reads.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  let closed = 0;
  store.close = async () => void (closed += 1);
  const second = new Broker({ listen: "tcp://127.0.0.1:0", store });
  const stop = new AbortController();
  const listening = second.listen({ signal: stop.signal });
  await reads.promise;
  stop.abort();
  await assert.rejects(listening, { code: "CLOSED" });
  assert.deepEqual([portions, closed], [2, 1]);
  await assert.rejects(second.listen(), { code: "CLOSED" });
  await assert.rejects(new Broker({ data: false }).listen({ signal: AbortSignal.abort() }), { code: "CLOSED" });
});
