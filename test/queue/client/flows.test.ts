/** Flows: graphs of tasks that are added in one commit, hand their results on, and are looked after as one thing. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  Broker,
  flow,
  type FlowGraph,
  type Handler,
  type Queue,
  QueueClient,
  queue,
  worker,
} from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";

async function made(t: TestContext): Promise<{ broker: TestBroker; client: QueueClient }> {
  const broker = await testBroker();
  t.after(() => broker.close());
  return { broker, client: broker.connect() };
}

function staff(t: TestContext, tasks: Queue<string>, handler: Handler<string, unknown>): void {
  const running = worker(tasks, handler, { signals: [], concurrency: 50, onError: () => {} });
  t.after(() => running.close());
}

test("the tasks of a diamond run in order, over queues, and read the results of those that they waited for", async (t) => {
  const { broker, client } = await made(t);
  const cuts = queue<string>("cuts", { client });
  const joins = queue<string>("joins", { client });
  staff(t, cuts, async (body, task) => {
    const parents = await task.parents();
    return [...parents.map(({ result }) => String(result)), body].join(">");
  });
  staff(t, joins, async (body, task) => ({
    body,
    parents: (await task.parents()).map(({ state, result }) => [state, result]),
  }));
  const { tasks } = await flow({
    join: { queue: joins, body: "join", after: ["right", "left"] },
    left: { queue: cuts, body: "left", after: ["root"] },
    right: { queue: cuts, body: "right", after: ["root"], priority: 3 },
    root: { queue: cuts, body: "root", keep: 0 },
  });
  await broker.clock.advance("1s");
  assert.deepEqual(await tasks.join.result(), {
    body: "join",
    parents: [
      ["completed", "root>right"],
      ["completed", "root>left"],
    ],
  });
  assert.equal((await cuts.get(tasks.root.id)) === undefined, true, "and then what was to be kept for no time is gone");
});

test("a cycle, a parent that there is not, one named twice and too many tasks are refused, and nothing is added", async (t) => {
  const { client, broker } = await made(t);
  const tasks = queue<string>("q", { client });
  const refused: [FlowGraph, string][] = [
    [{ a: { queue: tasks, after: ["b"] }, b: { queue: tasks, after: ["a"] } }, "QUEUE_FLOW_INVALID"],
    [{ a: { queue: tasks, after: ["a"] } }, "QUEUE_FLOW_INVALID"],
    [{ root: { queue: tasks }, a: { queue: tasks, after: ["root", "root"] } }, "QUEUE_FLOW_INVALID"],
    [{ a: { queue: tasks, after: ["none"] } }, "QUEUE_FLOW_INVALID"],
    [{}, "QUEUE_FLOW_INVALID"],
    [Object.fromEntries(Array.from({ length: 10_001 }, (_, at) => [`t${at}`, { queue: tasks }])), "QUEUE_TOO_MANY"],
    [{ a: { queue: tasks }, b: { queue: tasks, body: "x".repeat(17 * 1024 ** 2) } }, "QUEUE_BODY_TOO_LARGE"],
    [{ a: { queue: tasks }, b: { queue: queue("x".repeat(300), { client }) } }, "QUEUE_NAME_INVALID"],
  ];
  for (const [graph, code] of refused) await assert.rejects(flow(graph), { code });
  assert.equal(broker.stats().tasks, 0);
});

test("a flow is one thing to look at, to cancel and to retry", async (t) => {
  const { broker, client } = await made(t);
  const tasks = queue<string>("q", { client });
  const graph = {
    root: { queue: tasks, body: "root", attempts: 1, keep: "30d" },
    child: { queue: tasks, body: "child", after: ["root"], keep: "30d" },
    grandchild: { queue: tasks, body: "grandchild", after: ["child"], keep: "30d" },
  } as const;
  const cancelled = await flow(graph);
  assert.deepEqual((await cancelled.get()).states, { waiting: 1, blocked: 2 });
  assert.equal(await cancelled.cancel(), 3);
  assert.deepEqual((await cancelled.get()).states, { cancelled: 3 });
  let fails = true;
  staff(t, tasks, async (body, task) => {
    if (fails) throw new Error("down");
    return `${body} after ${(await task.parents()).map(({ result }) => String(result)).join()}`;
  });
  const retried = await flow(graph);
  await broker.clock.advance("1s");
  assert.deepEqual((await retried.get()).states, { dead: 3 });
  fails = false;
  assert.equal(await retried.retry(), 3);
  await broker.clock.advance("1m");
  const { states, count, tasks: told } = await retried.get();
  assert.deepEqual([states, count], [{ completed: 3 }, 3]);
  assert.deepEqual(told[2]!.after, [retried.tasks.child.id]);
  assert.equal(await retried.tasks.grandchild.result(), "grandchild after child after root after ");
  assert.equal((await tasks.get(retried.tasks.child.id))!.flow, 3);
});

test("flows of a thousand in a row and of ten thousand side by side end, and so does one that joins ten thousand", async (t) => {
  const { broker, client } = await made(t);
  const tasks = queue<string>("q", { client });
  staff(t, tasks, () => 1);
  const deep = await flow(
    Object.fromEntries(
      Array.from({ length: 1000 }, (_, at) => [`t${at}`, { queue: tasks, ...(at > 0 && { after: [`t${at - 1}`] }) }]),
    ),
  );
  const leaves = Array.from({ length: 9998 }, (_, at) => `leaf ${at}`);
  const wide = await flow(
    Object.fromEntries([
      ["root", { queue: tasks }],
      ...leaves.map((name) => [name, { queue: tasks, after: ["root"] }] as const),
      ["join", { queue: tasks, after: leaves }],
    ]),
    { timeout: "1m" },
  );
  await broker.clock.advance("1m");
  assert.deepEqual((await deep.get()).states, { completed: 1000 });
  assert.deepEqual((await wide.get({ timeout: "1m" })).states, { completed: 10_000 });
});

test("the results that a task of a flow may ask for stay over a restart, while it runs and until it has ended", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-flows-"));
  t.after(() => rm(folder, { recursive: true }));
  const open = async (listen: string): Promise<Broker> => {
    const broker = new Broker({ listen, data: folder, signals: [], log: false });
    await broker.listen();
    return broker;
  };
  let broker = await open("tcp://127.0.0.1:0");
  const url = broker.address;
  const client = new QueueClient({ url, log: false });
  t.after(async () => {
    await client.close();
    await broker.close();
  });
  const roots = queue<string>("roots", { client });
  const children = queue<string>("children", { client });
  staff(t, roots, (body) => `did ${body}`);
  const { tasks } = await flow({
    root: { queue: roots, body: "root", keep: 0 },
    child: { queue: children, after: ["root"] },
  });
  await tasks.root.result();
  await broker.close();
  broker = await open(url);
  let runs = 0;
  staff(t, children, async (_body, task) => {
    runs += 1;
    const [parent] = await task.parents();
    if (runs === 1) throw new Error("once");
    return parent?.result;
  });
  assert.equal(await tasks.child.result(), "did root");
  assert.equal(runs, 2);
});
