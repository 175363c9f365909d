import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker, queue, worker } from "../../../src/queue/index.ts";

test("a call under a key whose result had to make room is told so, and nothing runs a second time", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, resultBytes: "8k" });
  await broker.listen();
  t.after(() => broker.close());
  const reports = queue<string, string>("reports", { url: broker.address });
  t.after(() => reports.close());
  const runs: string[] = [];
  const running = worker(reports, (name) => {
    runs.push(name);
    return name.repeat(1000);
  });
  t.after(() => running.close());
  assert.equal((await reports.call("may", { key: "report of May" })).length, 3000);
  for (let filler = 0; filler < 10; filler += 1) await reports.call("xxx");
  await assert.rejects(reports.call("may", { key: "report of May" }), {
    code: "QUEUE_RESULT_EVICTED",
    message: /is completed, but its result had to make room/,
  });
  const task = await reports.add("may", { key: "report of May" });
  await assert.rejects(task.result(), { code: "QUEUE_RESULT_EVICTED" });
  assert.equal(runs.filter((name) => name === "may").length, 1);
});

test("an import that has grown is refused under its key, and the same again is answered with the same tasks", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const imports = queue<string, string>("imports", { url: broker.address });
  t.after(() => imports.close());
  const ids = async (names: readonly string[]): Promise<string[]> =>
    (await imports.addMany(names, { key: "import" })).map(({ id }) => id);
  const first = await ids(["a", "b"]);
  assert.deepEqual(await ids(["a", "b"]), first);
  await assert.rejects(ids(["a", "b", "c"]), { code: "QUEUE_KEY_CONFLICT" });
});
