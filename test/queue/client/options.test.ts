import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../../src/core/errors.ts";
import { ADD, QUEUE, SETTINGS, WORKER } from "../../../src/queue/client/options.ts";
import { type AddOptions, Broker, queue, QueueClient, worker, type WorkerOptions } from "../../../src/queue/index.ts";

const NOBODY = { url: "tcp://127.0.0.1:1", log: false } as const;

/** The sentence that a submission with these options is refused with, before anything is sent. */
async function refusal(options: object): Promise<string> {
  const tasks = queue("q", NOBODY);
  try {
    await tasks.add("x", { timeout: 1, ...options } as AddOptions);
    return "taken";
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.code, /^(QUEUE_OPTIONS_INVALID|UNIT_INVALID)$/);
    return error.message;
  } finally {
    await tasks.close();
  }
}

test("options of BullMQ are refused with what to write instead", async () => {
  assert.match(await refusal({ jobId: "7" }), /^Cannot submit: there is no option 'jobId'; write 'key'/);
  assert.match(await refusal({ removeOnComplete: true }), /'removeOnComplete'; write 'keep'/);
  assert.match(await refusal({ repeat: { pattern: "* * * * *" } }), /'repeat'; .*schedules\.upsert\(name/);
  assert.match(await refusal({ lifo: true }), /'lifo'; the highest 'priority' goes first/);
  assert.match(
    await refusal({ backoff: { type: "exponential", delay: 1000 } }),
    /option 'backoff' is a time such as "5s", or milliseconds.*BullMQ's.*; it was \{"type":"exponential","delay":1000\}$/,
  );
  assert.match(await refusal({ priority: 2_097_152 }), /'priority' is a whole number from 0 to 255; 255 goes first/);
});

test("a value of another kind is refused with what it should be and what it was", async () => {
  assert.match(await refusal({ runAt: "2030-01-01" }), /'runAt' is a Date, such as new Date\(.*; it was "2030-01-01"$/);
  assert.match(await refusal({ runAt: 5 }), /'runAt' is a Date/);
  assert.match(await refusal({ runAt: new Date("soon") }), /'runAt' is a Date.*; it was the Date Invalid Date$/);
  assert.match(await refusal({ delay: new Date(0) }), /'delay' is a time such as "5s", or milliseconds; a moment is 'runAt'/);
  assert.match(await refusal({ attempts: "3" }), /'attempts' is a whole number from 1 to 65535; it was "3"$/);
  assert.match(await refusal({ attempts: 0 }), /'attempts'/);
  assert.match(await refusal({ priority: 1.5 }), /'priority'/);
  assert.match(await refusal({ backoff: [] }), /'backoff' is a time such as "5s".*, or a list of such times/);
  assert.match(await refusal({ backoff: ["soon"] }), /backoff: 'soon'/);
  assert.match(await refusal({ throttle: "1m" }), /'throttle' is \{ key, wait \}/);
  assert.match(await refusal({ debounce: { key: "k", wait: "1m", max: 5 } }), /'debounce' is \{ key, wait \}/);
  assert.match(await refusal({ debounce: { key: "k", wait: "soon" } }), /debounce\.wait/);
  assert.match(await refusal({ key: "k", debounce: { key: "l", wait: 1 } }), /'key' is not said beside them$/);
  assert.match(await refusal({ uniqueWhile: "always", key: "k" }), /'uniqueWhile' is "waiting" or "active"/);
  assert.match(await refusal({ key: 7 }), /'key' is text of 1 to 255 bytes; it was 7$/);
  assert.match(await refusal({ group: "" }), /'group' is text/);
  assert.match(await refusal({ key: "é".repeat(128) }), /'key' is text of 1 to 255 bytes; it was "é{59}…$/);
  assert.match(await refusal({ after: "b-1" }), /'after' is a list of tasks or of their ids; it was "b-1"$/);
  assert.match(await refusal({ after: [{}] }), /'after'/);
  assert.match(await refusal({ whenFull: true }), /'whenFull' is "refuse" or "wait"; it was true$/);
  assert.match(await refusal({ signal: {} }), /'signal' is an AbortSignal/);
  assert.match(await refusal({ timeout: [5] }), /'timeout'/);
  assert.match(await refusal({ keep: "a while" }), /Cannot read keep/);
  const round: Record<string, unknown> = {};
  round["itself"] = round;
  assert.match(await refusal({ priority: round }), /it was an object$/);
  assert.match(await refusal({ priority: 5n }), /it was a bigint$/);
});

test("a name that does not exist is refused with the one that it is like", async () => {
  assert.match(await refusal({ prioritty: 1 }), /there is no option 'prioritty'; is it 'priority'\?$/);
  assert.match(await refusal({ to: "ada@example.org" }), /no option 'to'; it is add\(payload, options\)/);
  assert.match(await refusal({ __proto__: null, constructor: 1 }), /no option 'constructor'/);
  assert.match(await refusal({ jobId: undefined, lifo: true }), /no option 'lifo'/, "undefined is as if it were not there");
});

test("what is right is taken: the deadline is all that fails", async () => {
  const tasks = queue("q", NOBODY);
  const options: AddOptions = {
    priority: 255,
    delay: "5s",
    runAt: new Date(),
    attempts: 1,
    backoff: 0,
    backoffMax: "1h",
    attemptTimeout: 10,
    expire: "1d",
    keep: 5.5,
    key: "k",
    uniqueWhile: "active",
    group: "g",
    after: ["b-1", { id: "b-2" }],
    whenFull: "wait",
    timeout: 1,
    signal: new AbortController().signal,
  };
  await assert.rejects(tasks.add("x", options), { code: "QUEUE_UNREACHABLE" });
  await tasks.close();
});

test("options of workers, queues, clients, brokers, waits and settings are checked as well", async (t) => {
  const tasks = queue("q", NOBODY);
  t.after(() => tasks.close());
  const start = (options: object): unknown => worker(tasks, () => "", { signals: [], ...options } as WorkerOptions);
  const invalid = (message: RegExp): { code: string; message: RegExp } => ({ code: "QUEUE_OPTIONS_INVALID", message });
  assert.throws(() => start({ lockDuration: 30_000 }), invalid(/'lockDuration'; a task is its worker's for as long as/));
  assert.throws(() => start({ limiter: { max: 1, duration: 1 } }), invalid(/'limiter'; .*configure\(\{ rate/));
  assert.throws(() => start({ concurrency: "5" }), invalid(/'concurrency' is a whole number from 1 to 1000; it was "5"$/));
  assert.throws(() => start({ concurency: 5 }), invalid(/is it 'concurrency'\?$/));
  assert.throws(() => worker("q" as never, () => ""), invalid(/what comes first is a queue/));
  assert.throws(() => queue("q", { connection: {} } as never), invalid(/'connection'; write 'url'/));
  assert.throws(() => queue("q", { codec: JSON } as never), invalid(/'codec' has the functions encode and decode/));
  assert.throws(() => new QueueClient({ host: "localhost" } as never), invalid(/no option 'host'/));
  assert.throws(() => new Broker({ port: 5555 } as never), invalid(/^Cannot make the broker: there is no option 'port'/));
  assert.throws(() => new Broker({ log: "loud" } as never), invalid(/'log' is false, a function, or a level/));
  await assert.rejects(
    tasks.configure({ globalConcurrency: 1 } as never),
    invalid(/'globalConcurrency'; write 'concurrency'$/),
  );
  await assert.rejects(tasks.task("b-1").result({ timout: 5 } as never), invalid(/^Cannot wait: .*is it 'timeout'\?$/));
  await assert.rejects(tasks.task("b-1").cancel({ ttl: 5 } as never), invalid(/write 'timeout'$/));
});

test("no word of BullMQ that is explained is an option here", () => {
  for (const { bullmq, known } of [ADD, QUEUE, WORKER, SETTINGS])
    for (const word of Object.keys(bullmq)) assert.ok(!Object.hasOwn(known, word), `${word} exists`);
});
