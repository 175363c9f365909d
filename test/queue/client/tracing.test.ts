import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, beforeEach, test, type TestContext } from "node:test";
import { context, trace, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import * as sdk from "@opentelemetry/sdk-trace";
import {
  Broker,
  flow,
  GiveUp,
  outboxRelay,
  outboxTable,
  type Queue,
  queue,
  RetryAfter,
  type SqlDatabase,
  worker,
} from "../../../src/queue/index.ts";
import { Holdfast } from "../../support/holdfast.ts";
import { Router } from "../../../src/zmq/index.ts";

const exporter = new sdk.InMemorySpanExporter();
let broker: Broker;

before(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(new sdk.TracerProvider({ spanProcessors: [new sdk.SimpleSpanProcessor({ exporter })] }));
  broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [] });
  await broker.listen();
});
after(async () => {
  await broker.close();
  trace.disable();
  context.disable();
});
beforeEach(() => exporter.reset());

function opened(t: TestContext): Queue<string, string> {
  const mails = queue<string, string>(`mails-${t.name.length}`, { url: broker.address });
  t.after(() => mails.close());
  return mails;
}

/** What ended, as "NAME < PARENT", and all that is of one trace. */
function spans(): { readonly tree: string[]; readonly traces: number; of(name: string): sdk.ReadableSpan[] } {
  const all = exporter.getFinishedSpans();
  const names = new Map(all.map((span) => [span.spanContext().spanId, span.name.split(" ")[0]]));
  const tree = all.map(({ name, parentSpanContext }) => {
    const parent = parentSpanContext && (names.get(parentSpanContext.spanId) ?? "?");
    return parent === undefined ? name.split(" ")[0]! : `${name.split(" ")[0]} < ${parent}`;
  });
  return {
    tree: tree.sort(),
    traces: new Set(all.map((span) => span.spanContext().traceId)).size,
    of: (name) => all.filter((span) => span.name.startsWith(name)),
  };
}

test("what a producer sends, its wait at the broker, each attempt and what a handler does are one trace", async (t) => {
  const mails = opened(t);
  const tracer = trace.getTracer("application");
  await tracer.startActiveSpan("request", async (request) => {
    const task = await mails.add("ada", { backoff: 0 });
    await sleep(60);
    const running = worker(
      mails,
      async (to, { attempt }) => {
        await sleep(1);
        tracer.startSpan("smtp").end();
        if (attempt === 1) throw new TypeError("mailbox full");
        return to;
      },
      { signals: [], onError: () => {} },
    );
    assert.equal(await task.result(), "ada");
    await running.close();
    request.end();
    const { tree, traces, of } = spans();
    assert.deepEqual(tree, [
      "process < send",
      "process < send",
      "request",
      "send < request",
      "smtp < process",
      "smtp < process",
      "wait < send",
      "wait < send",
    ]);
    assert.equal(traces, 1);
    const [send] = of("send");
    assert.equal(send!.kind, SpanKind.PRODUCER);
    assert.deepEqual(send!.attributes, {
      "messaging.system": "holdfast",
      "messaging.destination.name": mails.name,
      "messaging.operation.type": "send",
      "messaging.message.id": task.id,
    });
    const [first, second] = of("process");
    assert.equal(first!.kind, SpanKind.CONSUMER);
    assert.equal(first!.attributes["messaging.message.id"], task.id);
    assert.deepEqual([first!.attributes["holdfast.queue.attempt"], second!.attributes["holdfast.queue.attempt"]], [1, 2]);
    assert.deepEqual(first!.status, { code: SpanStatusCode.ERROR, message: "mailbox full" });
    assert.equal(first!.attributes["error.type"], "TypeError");
    assert.equal(second!.status.code, SpanStatusCode.UNSET);
    const [seconds, nanos] = of("wait")[0]!.duration;
    assert.ok(seconds * 1000 + nanos / 1e6 >= 50);
  });
});

test("a call is sent until its result is there, and says how it ended; a task that is put off has not failed", async (t) => {
  const mails = opened(t);
  let asked = 0;
  const running = worker(
    mails,
    (to) => {
      if (to === "nobody") throw new GiveUp("no address");
      if ((asked += 1) === 1) throw new RetryAfter(1);
      return to;
    },
    { signals: [], onError: () => {} },
  );
  t.after(() => running.close());
  await mails.call("ada");
  assert.deepEqual(
    spans()
      .of("process")
      .map(({ status }) => status.code),
    [SpanStatusCode.UNSET, SpanStatusCode.UNSET],
  );
  exporter.reset();
  await assert.rejects(mails.call("nobody"), { code: "QUEUE_TASK_DEAD" });
  assert.equal(spans().of("send")[0]!.status.code, SpanStatusCode.ERROR);
  exporter.reset();
  await assert.rejects(mails.add("x", { after: [`${broker.id}-999999`] }), { code: "QUEUE_TASK_UNKNOWN" });
  assert.equal(spans().of("send")[0]!.attributes["error.type"], "QUEUE_TASK_UNKNOWN");
});

test("many tasks of one submission are one send, and each has its wait and its attempt", async (t) => {
  const mails = opened(t);
  const running = worker(mails, (to) => to, { signals: [], concurrency: 3 });
  t.after(() => running.close());
  const tasks = await mails.addMany(["a", "b", "c"], { each: (to) => ({ priority: to === "c" ? 9 : 0 }) });
  await Promise.all(tasks.map((task) => task.result()));
  const { tree, traces, of } = spans();
  assert.deepEqual(tree, [
    ...Array.from({ length: 3 }, () => "process < send"),
    "send",
    ...Array.from({ length: 3 }, () => "wait < send"),
  ]);
  assert.equal(traces, 1);
  assert.equal(of("send")[0]!.attributes["messaging.batch.message_count"], 3);
});

test("a task of the outbox belongs to the trace in which it was written", async (t) => {
  const mails = opened(t);
  const database = new DatabaseSync(":memory:");
  const db: SqlDatabase = {
    query: (text, values) => ({
      rows: database.prepare(text).all(Object.fromEntries(values.map((value, index) => [`$${index + 1}`, value as string]))),
    }),
  };
  await db.query(outboxTable(), []);
  await trace.getTracer("application").startActiveSpan("order", async (order) => {
    await mails.enqueue(db, "ada");
    order.end();
  });
  await using relay = outboxRelay({ db, client: mails.client });
  await relay.wake();
  const running = worker(mails, (to) => to, { signals: [] });
  while (spans().of("process").length === 0) await sleep(5);
  await running.close();
  const { tree, traces } = spans();
  assert.deepEqual(tree, ["order", "process < order", "wait < order"]);
  assert.equal(traces, 1);
});

test("each step that is done, each run and what a handler calls are of the task's trace, and a run that waits has not failed", async (t) => {
  const mails = opened(t);
  const labels = queue<string, string>("labels", { client: mails.client });
  const labelling = worker(labels, (to) => `label of ${to}`, { signals: [] });
  let runs = 0;
  const running = worker(
    mails,
    async (to, task) => {
      const stamp = await task.step("stamp", () => "stamp");
      await task.sleep(1);
      const label = await task.call(labels, to);
      if ((runs += 1) === 1) await task.step("glue", () => Promise.reject(new RangeError("dry"))).catch(() => {});
      return `${stamp}, ${String(label)}`;
    },
    { signals: [], onError: (error) => assert.fail(String(error)) },
  );
  t.after(() => Promise.all([running.close(), labelling.close()]));
  assert.equal(await mails.call("ada"), "stamp, label of ada");
  const { tree, traces, of } = spans();
  assert.deepEqual(tree, [
    // Three runs, and that of the called task.
    "process < send",
    "process < send",
    "process < send",
    "process < send",
    "send",
    "send < process",
    "step < process",
    "step < process",
    "wait < send",
    "wait < send",
    "wait < send",
    "wait < send",
  ]);
  assert.equal(traces, 1);
  assert.deepEqual(
    [...of("process"), ...of("send")].map(({ status }) => status.code),
    Array.from({ length: 6 }, () => SpanStatusCode.UNSET),
  );
  const [stamp, glue] = ["step stamp", "step glue"].map((name) => of(name)[0]!);
  assert.deepEqual([stamp!.status.code, stamp!.attributes["holdfast.queue.step"]], [SpanStatusCode.UNSET, "stamp"]);
  assert.deepEqual([glue!.status.code, glue!.attributes["error.type"]], [SpanStatusCode.ERROR, "RangeError"]);
  // The call and what it led to: its label was made in its trace, below it.
  const call = of("send labels")[0]!;
  assert.equal(of("process labels")[0]!.parentSpanContext!.spanId, call.spanContext().spanId);
});

test("steps of a handler in a thread are of its run's span", async (t) => {
  const mails = opened(t);
  const running = worker(mails, new URL("tracing-handler.ts", import.meta.url), { signals: [], threads: 1 });
  t.after(() => running.close());
  assert.equal(await mails.call("ada"), "stamped ada");
  assert.deepEqual(spans().tree, ["process < send", "send", "step < process", "wait < send"]);
});

test("the tasks of a flow are of the trace in which it was added", async (t) => {
  const mails = opened(t);
  const running = worker(mails, (to) => to, { signals: [], concurrency: 2 });
  t.after(() => running.close());
  const { tasks } = await flow({ a: { queue: mails, body: "a" }, b: { queue: mails, body: "b", after: ["a"] } });
  assert.equal(await tasks.b.result(), "b");
  const { tree, traces } = spans();
  assert.deepEqual(tree, ["process < send", "process < send", "send", "wait < send", "wait < send"]);
  assert.equal(traces, 1);
});

test("kill -9 of the broker leaves each task in its trace: one that waits, and one between two attempts", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-traces-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const serve = async (listen: string): Promise<{ process: Holdfast; address: string }> => {
    const process = new Holdfast(["queue", "serve", "--data", data, "--listen", listen]);
    return { process, address: (await process.printed(/^queue (\S+)/m))[1]! };
  };
  const first = await serve("tcp://127.0.0.1:0");
  const mails = queue<string, string>("mails", { url: first.address });
  t.after(() => mails.close());
  const failed = Promise.withResolvers<void>();
  const handler = (to: string, { attempt }: { attempt: number }): string => {
    if (to === "fails" && attempt === 1) throw new Error("no");
    return to;
  };
  const early = worker(mails, handler, { signals: [], onError: () => failed.resolve() });
  const fails = await mails.add("fails", { backoff: 50 });
  await failed.promise;
  await early.close();
  const waits = await mails.add("waits");
  await first.process.stop("SIGKILL");
  const second = await serve(first.address);
  t.after(() => second.process.stop());
  const late = worker(mails, handler, { signals: [] });
  t.after(() => late.close());
  assert.deepEqual(await Promise.all([fails.result(), waits.result()]), ["fails", "waits"]);
  const { tree, of } = spans();
  assert.deepEqual(tree, [...three("process < send"), "send", "send", ...three("wait < send")]);
  const traceOf = (name: string, id: string): string[] =>
    of(name)
      .filter(({ attributes }) => attributes["messaging.message.id"] === id)
      .map((span) => span.spanContext().traceId);
  for (const { id } of [fails, waits]) {
    const [sent] = traceOf("send", id);
    assert.equal(new Set([...traceOf("process", id), sent]).size, 1);
    const { value } = await mails.client.operate("story", { id }, { timeoutMs: 10_000 });
    assert.equal(value.traceId, sent, "the completed task too");
  }
});

const three = (name: string): string[] => [name, name, name];

test("a broker of 0.1, which refuses the option, is sent none", async (t) => {
  const old = new Router();
  await old.bind("tcp://127.0.0.1:0");
  const mails = queue<string, string>("mails", { url: old.lastEndpoint! });
  t.after(async () => {
    await mails.close();
    await old.close();
  });
  const added = mails.add("ada", { priority: 3 });
  const [peer, , hello, request] = await old.receive();
  assert.equal(String(hello), "HELLO");
  await old.send([peer!, "HQ1", "WELCOME", request!, '{"broker":"00000001","version":1,"load":0}']);
  const [, , verb, number, , options] = await old.receive();
  assert.equal(String(verb), "ADD");
  assert.deepEqual(Object.keys(JSON.parse(String(options)) as object).sort(), ["key", "priority"]);
  await old.send([peer!, "HQ1", "ADDED", number!, "00000001-1"]);
  assert.equal((await added).id, "00000001-1");
});

test("a traceparent that is none is refused", async (t) => {
  const mails = opened(t);
  for (const traceparent of [
    "",
    "00-1-2-3",
    `00-${"0".repeat(32)}-${"1".repeat(16)}-01`,
    `ff-${"1".repeat(32)}-${"1".repeat(16)}-01`,
    7,
  ])
    await assert.rejects(
      mails.client.add(
        { queue: mails.name, options: { traceparent: traceparent as string }, bodies: [Buffer.from("1")] },
        { timeoutMs: 10_000 },
      ),
      { code: "QUEUE_OPTIONS_INVALID" },
    );
});
