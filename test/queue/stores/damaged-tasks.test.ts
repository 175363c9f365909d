/** One bit of one task is not what was written. Only that task is affected, and whoever must know is told. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import { Broker, queue, QueueClient, type TaskInfo, worker } from "../../../src/queue/index.ts";

const TASKS = 40;
const DAMAGED = 7;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holdfast-damage-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

interface Started {
  readonly broker: Broker;
  readonly events: { readonly event: string; readonly facts: Readonly<Record<string, unknown>> }[];
}

async function start(t: TestContext, data: string): Promise<Started> {
  const events: Started["events"] = [];
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data, log: (event, facts) => void events.push({ event, facts }) });
  await broker.listen();
  t.after(() => broker.close());
  return { broker, events };
}

/** Turns one bit of one column; in the head that of its creation. */
function flip(data: string, column: "head" | "state" | "body", id: number): void {
  const database = new DatabaseSync(join(data, "queue.db"));
  const row = database.prepare(`SELECT ${column} AS bytes FROM task WHERE id = ?`).get(id) as { bytes: Uint8Array };
  row.bytes[5 % row.bytes.length]! ^= 4;
  database.prepare(`UPDATE task SET ${column} = ? WHERE id = ?`).run(row.bytes, id);
  database.close();
}

for (const column of ["head", "state", "body"] as const) {
  test(`a bit turned in the ${column} of a task makes that task dead, and all others run`, async (t) => {
    const data = await folder(t);
    const first = await start(t, data);
    const before = queue<number>("jobs", { url: first.broker.address });
    const tasks = await before.addMany(Array.from({ length: TASKS }, (_, index) => index + 1));
    await before.close();
    await first.broker.close();
    flip(data, column, DAMAGED);

    const { broker, events } = await start(t, data);
    const jobs = queue<number, number>("jobs", { url: broker.address });
    t.after(() => jobs.close());
    const ran: number[] = [];
    const runner = worker(jobs, (number) => (ran.push(number), number), { concurrency: 4, signals: [] });
    t.after(() => runner.close());
    const results = await Promise.allSettled(tasks.map(({ id }) => jobs.task(id).result({ timeout: "10s" })));
    const failed = results.flatMap((result, index) =>
      result.status === "rejected" ? [[index + 1, (result.reason as { code: string }).code]] : [],
    );
    assert.deepEqual(failed, [[DAMAGED, "QUEUE_TASK_DAMAGED"]]);
    assert.deepEqual(
      ran.sort((a, b) => a - b),
      Array.from({ length: TASKS }, (_, index) => index + 1).filter((number) => number !== DAMAGED),
    );
    const damage = events.filter(({ event }) => event === "queue.task-damaged");
    assert.deepEqual(
      damage.map(({ facts }) => [String(facts["task"]).split("-").at(-1), facts["queue"]]),
      [[`${DAMAGED}`, "jobs"]],
    );
    const client = new QueueClient({ url: broker.address });
    t.after(() => client.close());
    const dead: TaskInfo[] = [];
    for await (const task of queue("jobs", { client }).tasks({ state: "dead" })) dead.push(task);
    assert.deepEqual(
      dead.map(({ id, reason }) => [id, reason]),
      [[tasks[DAMAGED - 1]!.id, "damaged"]],
    );
  });
}

test("a task of which not even the queue can be read is found in a queue of its own", async (t) => {
  const data = await folder(t);
  const first = await start(t, data);
  const before = queue<number>("jobs", { url: first.broker.address });
  const [task] = await before.addMany([1, 2]);
  await before.close();
  await first.broker.close();
  const database = new DatabaseSync(join(data, "queue.db"));
  database.exec("UPDATE task SET head = zeroblob(length(head)) WHERE id = 1");
  database.close();
  const { broker } = await start(t, data);
  const jobs = queue<number>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  await assert.rejects(jobs.task(task!.id).result(), { code: "QUEUE_TASK_DAMAGED" });
  assert.deepEqual(
    broker.stats().queues.map(({ name, states }) => [name, states.waiting, states.dead]),
    [
      ["jobs", 1, 0],
      ["damaged", 0, 1],
    ],
  );
});

test("a damaged task stays dead over restarts, is told of once, and cannot be retried", async (t) => {
  const data = await folder(t);
  const first = await start(t, data);
  const before = queue<number>("jobs", { url: first.broker.address });
  const tasks = await before.addMany([1, 2]);
  await before.close();
  await first.broker.close();
  flip(data, "head", 1);
  const second = await start(t, data);
  assert.equal(second.events.filter(({ event }) => event === "queue.task-damaged").length, 1);
  await second.broker.close();
  const { broker, events } = await start(t, data);
  assert.equal(events.filter(({ event }) => event === "queue.task-damaged").length, 0);
  const jobs = queue<number>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  await assert.rejects(jobs.task(tasks[0]!.id).result(), {
    code: "QUEUE_TASK_DAMAGED",
    message: /its head .* is not what was/,
  });
  const client = new QueueClient({ url: broker.address });
  t.after(() => client.close());
  await assert.rejects(client.ask("RETRY", [Buffer.from(tasks[0]!.id)], { timeoutMs: 5000 }), { code: "QUEUE_TASK_DAMAGED" });
});

test("a result that is not what was written is never handed out", async (t) => {
  const data = await folder(t);
  const first = await start(t, data);
  const before = queue<string, string>("jobs", { url: first.broker.address });
  const runner = worker(before, (word) => word.repeat(10), { signals: [] });
  const task = await before.add("word");
  assert.equal(await task.result(), "word".repeat(10));
  await runner.close();
  await before.close();
  await first.broker.close();
  flip(data, "body", 1);
  const { broker } = await start(t, data);
  const jobs = queue<string, string>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  await assert.rejects(jobs.task(task.id).result(), { code: "QUEUE_TASK_DAMAGED", message: /its result/ });
  await assert.rejects(jobs.task(task.id).result(), { code: "QUEUE_TASK_DAMAGED" });
});

/** What a column may turn into when its type is damaged: SQLite keeps the type of each value in its row. */
const OTHER_TYPES: Readonly<Record<string, string>> = {
  "a number past its size": "head_sum = 1 << 40",
  "a negative number": "state_sum = -1",
  "a text": "head_sum = 'x'",
  "a fraction": "state_sum = 0.5",
  "a head that is a text": "head = 'ÄÖ'",
  "a state that is a number": "state = 17",
  "a head without bytes": "head = x''",
};

for (const [what, change] of Object.entries(OTHER_TYPES)) {
  test(`${what} in the place of a column damages that task alone, and no task before or after it is lost`, async (t) => {
    const data = await folder(t);
    const first = await start(t, data);
    const before = queue<number>("jobs", { url: first.broker.address });
    await before.addMany(Array.from({ length: TASKS }, (_, index) => index + 1));
    await before.close();
    await first.broker.close();
    const database = new DatabaseSync(join(data, "queue.db"));
    database.exec(`UPDATE task SET ${change} WHERE id = ${DAMAGED}`);
    database.close();

    const { broker } = await start(t, data);
    const jobs = queue<number>("jobs", { url: broker.address });
    t.after(() => jobs.close());
    const { waiting, dead } = await jobs.counts();
    const unknown = await queue("damaged", { client: jobs.client }).counts();
    assert.equal(waiting, TASKS - 1);
    assert.equal(dead + unknown.dead, 1);
  });
}
