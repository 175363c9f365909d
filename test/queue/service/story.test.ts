/** The story of a task, by the operation of a real broker. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Broker, type OperationAnswer, queue, QueueClient, worker } from "../../../src/queue/index.ts";
import { EVENTS_MAX, TaskEvents } from "../../../src/queue/service/task-events.ts";

async function start(
  t: TestContext,
  data: string | false,
): Promise<{ broker: Broker; client: QueueClient; stop(): Promise<void> }> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data, log: false });
  await broker.listen();
  const client = new QueueClient({ url: broker.address, log: false });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= client.close().then(() => broker.close()));
  t.after(stop);
  return { broker, client, stop };
}

const storyOf = async (client: QueueClient, id: string): Promise<OperationAnswer<"story">> =>
  (await client.operate("story", { id }, { timeoutMs: 5000 })).value;
const whats = ({ steps }: OperationAnswer<"story">): readonly string[] => steps.map(({ what }) => what);

test("a story goes from adding over the disk, each worker and its error to the result, in the order of causes", async (t) => {
  const { broker, client } = await start(t, false);
  const letters = queue<object, string>("letters", { url: broker.address, log: false });
  let tries = 0;
  const handler = (): Promise<string> =>
    (tries += 1) === 1 ? Promise.reject(new Error("the printer is out of paper")) : Promise.resolve("printed");
  const printing = worker(letters, handler, { signals: [] });
  t.after(() => Promise.all([printing.close(), letters.close()]));
  const task = await letters.add({ to: "Ada" }, { backoff: 50, priority: 7, group: "paper" });
  assert.equal(await task.result(), "printed");
  const story = await storyOf(client, task.id);
  assert.deepEqual(
    whats(story).filter((what) => what !== "begun"),
    ["added", "stored", "given", "error", "given", "completed", "completed", "outcomeStored"],
  );
  assert.match(story.steps[0]!.text, /^added to letters, priority 7, group paper$/);
  const times = story.steps.map(({ atMs }) => atMs!);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  const error = story.steps.find(({ what }) => what === "error")!;
  const given = story.steps.find(({ what }) => what === "given")!;
  assert.match(error.text, /^attempt 1 failed: .*the printer is out of paper$/);
  assert.match(error.error!, /\n +at /, "with its stack");
  assert.deepEqual([error.worker, typeof error.worker], [given.worker, "string"]);
  assert.equal(story.unknown.length, 1, "its body is gone");
});

test("a task that waits says why, one that is dead why it is, and the trace of a body is named", async (t) => {
  const { client } = await start(t, false);
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const bodies = [
    JSON.stringify({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` }),
    '{"traceparent":"00-zz"}',
    "{",
    `{"traceparent":${"1".repeat(70_000)}}`,
  ];
  const ids = await Promise.all(
    bodies.map(
      async (body) => (await client.add({ queue: "q", options: {}, bodies: [Buffer.from(body)] }, { timeoutMs: 5000 }))[0]!,
    ),
  );
  const traces = await Promise.all(ids.map(async (id) => (await storyOf(client, id)).traceId));
  assert.deepEqual(traces, [traceId, undefined, undefined, undefined]);
  const story = await storyOf(client, ids[0]!);
  assert.deepEqual(whats(story), ["added", "stored", "now"]);
  assert.equal(story.steps.at(-1)!.text, "waiting: no worker is connected to its queue");
  await client.operate("cancel", { id: ids[0]! }, { timeoutMs: 5000 });
  assert.deepEqual(whats(await storyOf(client, ids[0]!)), ["added", "stored", "cancelled", "outcomeStored"]);
  await assert.rejects(storyOf(client, `${ids[0]!.split("-")[0]}-999`), { code: "QUEUE_TASK_UNKNOWN" });
});

test("after a restart a story has what the store knows, and says what it does not", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-story-"));
  t.after(() => rm(data, { recursive: true }));
  const before = await start(t, data);
  const q = queue<string>("q", { url: before.broker.address, log: false });
  const failing = worker(q, () => Promise.reject(new Error("no")), { signals: [], onError: () => {} });
  const task = await q.add("x", { attempts: 1 });
  await assert.rejects(task.result());
  await failing.close();
  await q.close();
  await before.stop();
  const after = await start(t, data);
  const story = await storyOf(after.client, task.id);
  assert.deepEqual(whats(story), ["added", "begun", "error", "dead"]);
  const [, begun, , dead] = story.steps;
  assert.equal(dead!.text, "dead: no attempt is left");
  assert.equal(typeof begun!.worker, "string");
  assert.equal(dead!.worker, begun!.worker);
  assert.match(
    story.unknown[0]!,
    /^Before this broker began at .*: which workers had it before its newest attempt, and when those began$/,
  );
});

test("however much happens, the newest events of all tasks are remembered, and since when", () => {
  const events = new TaskEvents();
  assert.deepEqual(events.of(1), []);
  events.note(1, "stored", 10);
  for (let index = 1; index < EVENTS_MAX; index += 1) events.note(2, "begun", 10 + index, "w");
  assert.deepEqual(events.of(1), [{ kind: "stored", atMs: 10, worker: undefined }]);
  assert.equal(events.sinceMs, undefined);
  events.note(3, "lost", 9_999_999, "w");
  assert.deepEqual([events.of(1), events.sinceMs], [[], 11]);
  assert.equal(events.of(2).length, EVENTS_MAX - 1);
  assert.deepEqual(events.of(3), [{ kind: "lost", atMs: 9_999_999, worker: "w" }]);
});
