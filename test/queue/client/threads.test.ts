/** Handlers in threads: what one does to its thread, only its own task is charged with. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Broker, bytesCodec, queue, type Queue, worker, type WorkerOptions } from "../../../src/queue/index.ts";
import type { Told } from "./handler-child.ts";

const HANDLER = new URL("./handler-child.ts", import.meta.url);

interface Rig {
  readonly broker: Broker;
  readonly tasks: Queue<Told>;
  readonly errors: string[];
}

async function start(t: TestContext, options: WorkerOptions = {}, module = HANDLER): Promise<Rig> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const tasks = queue<Told>("q", { broker });
  const errors: string[] = [];
  const onError = (error: unknown): void => void errors.push((error as Error).message);
  const running = worker(tasks, module, { signals: [], drain: 0, onError, ...options });
  t.after(async () => {
    await running.close();
    await tasks.close();
    await broker.close();
  });
  return { broker, tasks, errors };
}

test("tasks of a module run in as many threads as asked for, side by side, and none in the worker's own", async (t) => {
  const { tasks } = await start(t, { threads: 3 });
  // The first that has loaded its module works alone until the others have.
  const ids = new Set<unknown>();
  for (let round = 0; ids.size < 3 && round < 100; round += 1) {
    for (const id of await Promise.all(Array.from({ length: 3 }, () => tasks.call({ do: "thread", ms: 50 })))) ids.add(id);
  }
  assert.equal(ids.size, 3);
  assert.ok(!ids.has(0));
});

test("a handler that computes in a thread leaves the worker's event loop to others", async (t) => {
  const { tasks } = await start(t);
  let ticks = 0;
  const ticking = setInterval(() => (ticks += 1), 10);
  t.after(() => clearInterval(ticking));
  assert.equal(await tasks.call({ do: "compute", ms: 500 }), "computed");
  assert.ok(ticks > 10, `${ticks} ticks`);
});

test("progress, partial results, attempts, errors and GiveUp mean in a thread what they mean without one", async (t) => {
  const { tasks, errors } = await start(t);
  const telling = await tasks.add({ do: "tell" });
  assert.equal(await telling.result(), "whole");
  assert.equal(await tasks.call({ do: "fail" }, { backoff: 1 }), 2);
  const failed = await tasks.add({ do: "give up" });
  await assert.rejects(failed.result(), { code: "QUEUE_TASK_DEAD", message: /GiveUp: no use[^]*handler-child\.ts/ });
  await assert.rejects(tasks.call({ do: "strange result" }, { attempts: 1 }), { message: /could not be cloned/ });
  assert.deepEqual(errors.slice(0, 2), ["once", "no use"]);
});

for (const [how, sentence] of [
  ["throw later", "the handler's thread has ended: later"],
  ["exit", "the handler's thread has ended: exit code 7"],
  ["eat", /the handler's thread has ended: .*memory limit/],
] as const) {
  test(`a handler that ends its thread (${how}) fails its own attempt only: what runs beside it goes on`, async (t) => {
    const { tasks, errors } = await start(t, { threads: 2, threadMemory: "64m" });
    const beside = tasks.call({ do: "thread", ms: 1000 });
    const ends = tasks.call({ do: how }, { attempts: 2, backoff: 1 });
    await assert.rejects(ends, { code: "QUEUE_TASK_DEAD" });
    assert.equal(typeof (await beside), "number");
    assert.equal(typeof (await tasks.call({ do: "thread", ms: 1 })), "number");
    assert.equal(errors.length, 2);
    for (const error of errors) assert.match(error, typeof sentence === "string" ? new RegExp(`^${sentence}$`) : sentence);
  });
}

test("a handler that spins for ever is ended with its thread at attemptTimeout, and the next task runs", async (t) => {
  const { tasks, errors } = await start(t);
  const spinning = tasks.call({ do: "spin" }, { attempts: 1, attemptTimeout: 300 });
  const next = tasks.call({ do: "thread", ms: 1 });
  await assert.rejects(spinning, { code: "QUEUE_TASK_DEAD", message: /no result within 300 ms/ });
  assert.equal(typeof (await next), "number");
  assert.deepEqual(errors, ["the handler did not end within 1000 ms of its signal: its thread was ended"]);
});

test("a handler that heeds its signal keeps its thread", async (t) => {
  const { tasks } = await start(t);
  const before = await tasks.call({ do: "thread", ms: 1 });
  const task = await tasks.add({ do: "heed" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await task.cancel();
  assert.equal(await tasks.call({ do: "thread", ms: 1 }), before);
});

test("what ran beside a handler that had to be ended is given back and not charged", async (t) => {
  const { tasks, broker, errors } = await start(t, { threads: 1, concurrency: 2 });
  const spinning = await tasks.add({ do: "spin" }, { attempts: 1, attemptTimeout: 1000, delay: 300 });
  const beside = tasks.call({ do: "thread", ms: 1500 }, { attempts: 1 });
  await assert.rejects(spinning.result(), { code: "QUEUE_TASK_DEAD" });
  assert.equal(typeof (await beside), "number");
  assert.deepEqual([broker.stats().queues[0]!.failures, errors.length], [1, 1]);
});

test("bytes go to a thread and back as they are, without the memory that they lie in", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const source = "export default (body) => Buffer.from([body.buffer.byteLength === body.length ? 1 : 0, ...body]);";
  const bodies = queue<Uint8Array, Uint8Array>("q", { url: broker.address, codec: bytesCodec });
  const running = worker(bodies, new URL(`data:text/javascript,${encodeURIComponent(source)}`), { signals: [] });
  t.after(async () => {
    await running.close();
    await bodies.close();
    await broker.close();
  });
  assert.deepEqual([...(await bodies.call(Buffer.from("abc")))], [1, 97, 98, 99]);
});

test("a module that cannot be loaded, or exports no handler, ends the program and takes no task", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const tasks = queue<string>("q", { broker });
  t.after(async () => {
    await tasks.close();
    await broker.close();
  });
  await tasks.add("x");
  for (const [module, reason] of [
    ["file:///no/such/module.js", /Cannot use the handler file:\/\/\/no\/such\/module\.js: Cannot find module/],
    ["data:text/javascript,export default 7", /its default export is no function/],
  ] as const) {
    const source = `
      import { queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};
      worker(queue("q", { url: ${JSON.stringify(broker.address)} }), new URL(${JSON.stringify(module)}), { threads: 2 });`;
    const args = ["--conditions=holdfast-source", "--input-type=module", "--eval", source];
    const { promise, resolve } = Promise.withResolvers<{ code: number | null; stderr: string }>();
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => (stderr += part));
    child.once("close", (code) => resolve({ code, stderr }));
    const end = await promise;
    assert.equal(end.code, 1);
    assert.match(end.stderr, reason);
  }
  assert.equal(broker.stats().queues[0]!.states.waiting, 1);
  assert.throws(() => worker(tasks, () => {}, { threads: 2 }), { code: "QUEUE_OPTIONS_INVALID" });
});
