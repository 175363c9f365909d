import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Broker, queue, RetryAfter, worker, type Handler, type Queue, type WorkerOptions } from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";
import { Dealer } from "../../../src/zmq/index.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;

interface Rig {
  readonly broker: TestBroker;
  readonly words: Queue<string, string>;
  /** Ms since the beginning and the attempt's number, of each run. */
  readonly runs: (readonly [number, number])[];
}

async function made(t: TestContext, handler: Handler<string, string>, options: WorkerOptions = {}): Promise<Rig> {
  const broker = await testBroker();
  const begin = broker.clock.date.getTime();
  const words = queue<string, string>("words", { client: broker.connect() });
  const runs: (readonly [number, number])[] = [];
  const noted: Handler<string, string> = (word, context) => {
    runs.push([broker.clock.date.getTime() - begin, context.attempt]);
    return handler(word, context);
  };
  const running = worker(words, noted, { signals: [], onError: () => {}, ...options });
  t.after(async () => {
    await running.close();
    await broker.close();
  });
  return { broker, words, runs };
}

test("a task whose handler says 'again after 30 s' runs again after 30 s, as often as it says so, and has all its attempts left", async (t) => {
  let away = 10;
  const told: unknown[] = [];
  const { broker, words, runs } = await made(
    t,
    () => {
      away -= 1;
      if (away >= 0) throw new RetryAfter("30s", "the service asks for a pause");
      return "done";
    },
    { onError: (error) => told.push(error) },
  );
  const task = await words.add("x", { attempts: 1, keep: "1h" });
  await broker.idle();
  const { state, failedAttempts, waits } = (await words.get(task.id)) as unknown as Record<string, unknown>;
  assert.equal(state, "retrying");
  assert.equal(failedAttempts ?? 0, 0, String(waits));
  await broker.clock.advance("10m");
  assert.deepEqual(
    runs,
    Array.from({ length: 11 }, (_, index) => [index * 30 * SECOND, 1]),
  );
  const ended = (await words.get(task.id))!;
  assert.equal(ended.result, "done");
  assert.deepEqual(ended.errors, []);
  assert.deepEqual(told, [], "it is no error");
});

test("a task that is put off ends at its expiry, and attempts before and after count", async (t) => {
  const { broker, words, runs } = await made(t, (_word, { attempt }) => {
    if (attempt === 1) throw new Error("no");
    throw new RetryAfter("10m");
  });
  const task = await words.add("x", { attempts: 3, backoff: "1s", expire: "1h" });
  await broker.clock.advance("2h");
  const { state, reason } = (await words.get(task.id))!;
  assert.deepEqual([state, reason], ["dead", "expired"]);
  assert.equal(runs.filter(([, attempt]) => attempt === 2).length, 6);
  assert.ok(runs.every(([, attempt]) => attempt <= 2));
});

test("in threads a RetryAfter is one too", async (t) => {
  const broker = await testBroker();
  const words = queue<number, string>("words", { client: broker.connect() });
  const code = `
    import { RetryAfter } from ${JSON.stringify(new URL("../../../src/queue/client/handler.ts", import.meta.url).href)};
    let asked = 0;
    export default (_n, { attempt }) => { if ((asked += 1) < 3) throw new RetryAfter("1h"); return "attempt " + attempt; };`;
  const running = worker(words, new URL(`data:text/javascript,${encodeURIComponent(code)}`), { signals: [] });
  t.after(async () => {
    await running.close();
    await broker.close();
  });
  const result = words.call(1, { attempts: 1, timeout: "1d" });
  while (broker.stats().queues[0]?.states.retrying !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await broker.clock.advance("2h");
  assert.equal(await result, "attempt 1");
});

test("a pause without an attempt is kept over a restart of the broker", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-retry-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const open = async (): Promise<Broker> => {
    const broker = new Broker({ listen: [], data: folder, signals: [] });
    await broker.listen();
    return broker;
  };
  const first = await open();
  const before = queue<string, string>("words", { broker: first });
  const running = worker(before, () => Promise.reject(new RetryAfter("1h")), { signals: [] });
  const { id } = await before.add("x");
  while ((await before.counts()).retrying !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await running.close();
  await before.close();
  await first.close();

  const second = await open();
  const after = queue<string, string>("words", { broker: second });
  t.after(async () => {
    await after.close();
    await second.close();
  });
  const { state, atMs } = (await after.get(id))!;
  assert.equal(state, "retrying");
  const leftMs = atMs! - Date.now();
  assert.ok(leftMs > HOUR - 60 * SECOND && leftMs <= HOUR, `${leftMs}`);
});

for (const [what, backoff, expected] of [
  ["a fixed time", "10s", [0, 10, 20, 30, 40]],
  ["a list, whose last goes for all that follow", ["1s", "5s", "1m"], [0, 1, 6, 66, 126]],
  ["a function", (attempt: number, error: unknown) => attempt * Number((error as Error).message), [0, 2, 6, 12, 20]],
] as const)
  test(`the pause between attempts is ${what} if the worker says so`, async (t) => {
    const { broker, words, runs } = await made(t, () => Promise.reject(new Error("2000")), { backoff });
    await words.add("x", { attempts: 5, backoff: "1h" });
    await broker.clock.advance("1h");
    assert.deepEqual(
      runs,
      expected.map((second, index) => [second * SECOND, index + 1]),
    );
  });

test("a function of pauses that says nothing, fails or says nonsense leaves it to the task", async (t) => {
  const says: (() => number | string | undefined)[] = [
    () => undefined,
    () => {
      throw new Error("no idea");
    },
    () => "soon",
    () => -1,
  ];
  const told: string[] = [];
  const { broker, words, runs } = await made(t, () => Promise.reject(new Error("no")), {
    backoff: (attempt) => says[attempt - 1]?.(),
    log: (event) => told.push(event),
  });
  await words.add("x", { attempts: 5, backoff: "1s", backoffMax: "1s" });
  await broker.clock.advance("1h");
  assert.equal(runs.length, 5);
  assert.ok(runs.at(-1)![0] <= 4 * SECOND);
  assert.equal(told.filter((event) => event === "queue.program-error").length, 3);
});

test("pauses that are no times are refused when they are said", async (t) => {
  const broker = await testBroker();
  t.after(() => broker.close());
  const words = queue<string, string>("words", { client: broker.connect() });
  assert.throws(() => new RetryAfter("soon"), { code: "UNIT_INVALID" });
  assert.throws(() => worker(words, () => "", { backoff: ["1s", "soon"] }), { code: "UNIT_INVALID" });
  assert.throws(() => worker(words, () => "", { backoff: [] }), { code: "QUEUE_OPTIONS_INVALID" });
  assert.throws(() => worker(words, () => "", { backoff: {} as unknown as string }), { code: "QUEUE_OPTIONS_INVALID" });
});

test("what a client of another language says of each task and of pauses is checked as what ours says", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [] });
  await broker.listen();
  const peer = new Dealer({ linger: 0 });
  t.after(async () => {
    await peer.close();
    await broker.close();
  });
  peer.connect(broker.address);
  const ask = async (...frames: string[]): Promise<string[]> => {
    await peer.send(["HQ1", ...frames]);
    return (await peer.receive()).map(String);
  };
  for (const [options, code] of [
    ['{"each":{}}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{}]}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{},7]}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{},{"key":"k"}]}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{},{"each":[]}]}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{},{"delayMs":-1}]}', "QUEUE_OPTIONS_INVALID"],
    ['{"each":[{},', "QUEUE_PROTOCOL"],
    [`{"each":[{},{"group":"${"g".repeat(1024 ** 2)}"}]}`, "QUEUE_PROTOCOL"],
  ] as const)
    assert.deepEqual(
      (await ask("ADD", "1", "words", options, "a", "b")).slice(1, 4),
      ["REFUSED", "1", code],
      options.slice(0, 40),
    );
  const [, added, , first, second] = await ask("ADD", "2", "words", '{"priority":1,"each":[{},{"priority":7}]}', "a", "b");
  assert.equal(added, "ADDED");
  const [, task, lease, body, , , , id] = await ask("WORK", "words", "1");
  assert.deepEqual([task, body, id], ["TASK", "b", second]);
  for (const pause of ["", "soon", "-1", "9000000000001"])
    assert.deepEqual((await ask("FAIL", lease!, "no", "again", pause)).slice(1, 2), ["REFUSED"], pause);
  await peer.send(["HQ1", "FAIL", lease!, "no", "again", "9000000000000"]);
  const said = [(await peer.receive()).map(String), (await peer.receive()).map(String)];
  assert.deepEqual(said.map(([, verb]) => verb).sort(), ["KEPT", "TASK"]);
  const other = said.find(([, verb]) => verb === "TASK")!;
  assert.equal(other[7], first);
  await peer.send(["HQ1", "FAIL", other[2]!, "no", "after", "3600000"]);
  assert.deepEqual((await peer.receive()).map(String).slice(1), ["KEPT", other[2]]);
  const queues = broker.stats().queues.find(({ name }) => name === "words")!;
  assert.deepEqual([queues.states.retrying, queues.failures], [2, 1]);
});
