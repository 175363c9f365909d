/** A queue's tasks, counts and schedules as a program finds and changes them, at a real broker. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GiveUp, Broker, queue, type Queue, QueueClient, type TaskInfo, worker } from "../../../src/queue/index.ts";
import type { LogFacts } from "../../../src/core/log.ts";

let broker: Broker;
let client: QueueClient;
const told: LogFacts[] = [];

before(async () => {
  const log = (event: string, facts: LogFacts): void => void (event === "queue.operation" && told.push(facts));
  broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log });
  await broker.listen();
  client = new QueueClient({ url: broker.address, log: false });
});

after(async () => {
  await client.close();
  await broker.close();
});

let queues = 0;

/** A queue that no other test uses. */
function fresh<P = { n: number }, R = string>(): Queue<P, R> {
  queues += 1;
  return queue<P, R>(`q${queues}`, { client });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const idsOf = async (tasks: AsyncIterable<TaskInfo>): Promise<string[]> => (await all(tasks)).map(({ id }) => id);

/** Tasks that died, each of its own error. */
async function dead(jobs: Queue<{ n: number }, string>, errors: readonly string[]): Promise<string[]> {
  const tasks = await jobs.addMany(errors.map((_, n) => ({ n })));
  const working = worker(jobs, ({ n }) => Promise.reject(new GiveUp(errors[n]!)), { signals: [], onError: () => {} });
  await Promise.allSettled(tasks.map((task) => task.result()));
  await working.close();
  return tasks.map(({ id }) => id);
}

test("tasks are listed by state, group, key, time and error, from any place on, and counted", async () => {
  const jobs = fresh();
  const plain = await jobs.addMany(Array.from({ length: 250 }, (_, n) => ({ n })));
  const grouped = await jobs.add({ n: 1 }, { group: "eu" });
  const keyed = await jobs.add({ n: 2 }, { key: "order 2", delay: "1h" });
  const ids = [...plain, grouped, keyed].map(({ id }) => id);
  assert.deepEqual(await idsOf(jobs.tasks()), ids);
  assert.deepEqual(await idsOf(jobs.tasks({ after: ids[99], limit: 3 })), ids.slice(100, 103));
  assert.deepEqual(await idsOf(jobs.tasks({ group: "eu" })), [grouped.id]);
  assert.deepEqual(await idsOf(jobs.tasks({ key: "order 2" })), [keyed.id]);
  assert.deepEqual(await idsOf(jobs.tasks({ key: "order 3" })), []);
  assert.deepEqual(await idsOf(jobs.tasks({ state: "delayed" })), [keyed.id]);
  assert.deepEqual(await idsOf(jobs.tasks({ from: new Date(Date.now() + 60_000) })), []);
  assert.equal((await idsOf(jobs.tasks({ until: new Date(Date.now() + 60_000) }))).length, 252);
  const { waiting, delayed, dead: died } = await jobs.counts();
  assert.deepEqual([waiting, delayed, died], [251, 1, 0]);
  assert.equal((await client.queues()).find(({ name }) => name === jobs.name)!.states.waiting, 251);
  await assert.rejects(all(jobs.tasks({ state: "gone" as "dead" })), {
    code: "QUEUE_OPTIONS_INVALID",
    message: /'state' is one of/,
  });
});

test("a search by a field of the body says how far it is, and misses none", async () => {
  const jobs = fresh<{ customer: { id: number | string }; n: number }>();
  const tasks = await jobs.addMany(Array.from({ length: 1000 }, (_, n) => ({ customer: { id: n % 100 }, n })));
  const text = await jobs.add({ customer: { id: "42" }, n: -1 });
  const wanted = tasks.filter((_, n) => n % 100 === 42).map(({ id }) => id);
  const steps: [number, number][] = [];
  const onSearched = (read: number, of: number): void => void steps.push([read, of]);
  assert.deepEqual(await idsOf(jobs.tasks({ where: { "customer.id": 42 }, onSearched })), [...wanted, text.id]);
  assert.deepEqual(steps.at(-1), [1001, 1001]);
  assert.deepEqual(await idsOf(jobs.tasks({ where: { "customer.id": 42 }, limit: 3 })), wanted.slice(0, 3));
  assert.deepEqual(await idsOf(jobs.tasks({ where: { "customer.id": 42 }, limit: 3, after: wanted[2] })), wanted.slice(3, 6));
  assert.deepEqual(await idsOf(jobs.tasks({ where: { "customer.id": 42, n: 142 } })), [tasks[142]!.id]);
  assert.deepEqual(await idsOf(jobs.tasks({ where: { "customer.toString": 1 } })), []);
});

test("one task is told with its payload, its errors, and its result when it is completed", async () => {
  const jobs = fresh();
  const [died] = await dead(jobs, ["no card"]);
  const task = (await jobs.get(died!))!;
  assert.deepEqual([task.state, task.reason, task.payload], ["dead", "final", { n: 0 }]);
  assert.deepEqual(
    task.errors.map(({ error, attempt }) => [error.split("\n")[0], attempt]),
    [["GiveUp: no card", 1]],
  );
  const working = worker(jobs, ({ n }) => Promise.resolve(`did ${n}`), { signals: [] });
  const done = await jobs.add({ n: 7 });
  await done.result();
  await working.close();
  const completed = (await jobs.get(done.id))!;
  assert.deepEqual([completed.state, completed.result, completed.payload], ["completed", "did 7", undefined]);
  assert.equal(await jobs.get(`${broker.id}-999999999`), undefined);
});

test("dead tasks are retried one by one or by their error, and removed", async () => {
  const jobs = fresh();
  const ids = await dead(jobs, ["no card 1", "timeout", "no card 2", "no card 3"]);
  const [kind] = await jobs.errors();
  assert.deepEqual([kind!.text, kind!.count], ["GiveUp: no card …", 3]);
  assert.equal(await jobs.retry({ error: kind!.error }), 3);
  assert.deepEqual(await idsOf(jobs.tasks({ state: "dead" })), [ids[1]]);
  await assert.rejects(jobs.retry(ids[0]!), { code: "QUEUE_TASK_STATE" });
  await assert.rejects(jobs.remove(ids[0]!), { code: "QUEUE_TASK_STATE", message: /cancel it first/ });
  assert.equal(await jobs.remove(ids[1]!), 1);
  await assert.rejects(jobs.remove(ids[1]!), { code: "QUEUE_TASK_UNKNOWN" });
  await assert.rejects(jobs.remove({}), { code: "QUEUE_OPTIONS_INVALID" });
  assert.equal(await jobs.cancel({}), 3);
  assert.equal(await jobs.remove({ state: "cancelled" }), 3);
  assert.deepEqual(await idsOf(jobs.tasks()), []);
});

test("what waits for its time is promoted, and what waits is drained, with what waits for it", async () => {
  const jobs = fresh();
  const later = await jobs.add({ n: 1 }, { delay: "1h" });
  const child = await jobs.add({ n: 2 }, { after: [later] });
  await assert.rejects(jobs.promote(child.id), { code: "QUEUE_TASK_STATE", message: /blocked/ });
  assert.equal(await jobs.promote(later.id), 1);
  assert.equal((await jobs.get(later.id))!.state, "waiting");
  const far = await jobs.add({ n: 3 }, { runAt: new Date(Date.now() + 3_600_000) });
  assert.equal(await jobs.promote({}), 1, "those that can be");
  assert.equal((await jobs.get(far.id))!.state, "waiting");
  await jobs.add({ n: 4 }, { delay: "1h" });
  assert.equal(await jobs.drain({ delayed: true }), 4);
  assert.deepEqual(await idsOf(jobs.tasks()), []);
});

test("a paused queue gives nothing out until it is resumed, and the log says who did it", async () => {
  const jobs = fresh();
  await jobs.pause();
  await jobs.add({ n: 1 });
  let ran = 0;
  const working = worker(jobs, () => Promise.resolve(String((ran += 1))), { signals: [] });
  const [task] = await all(jobs.tasks());
  assert.equal((await jobs.get(task!.id))!.waits, "its queue is paused");
  assert.equal(ran, 0);
  await jobs.resume();
  assert.equal(await jobs.task(task!.id).result(), "1");
  assert.deepEqual(
    (await client.workers()).filter((each) => each.queue === jobs.name).map(({ slots }) => slots),
    [1],
  );
  await working.close();
  const mine = told.filter(({ asked }) => asked === JSON.stringify({ queue: jobs.name }));
  assert.deepEqual(
    mine.map(({ operation }) => operation),
    ["pause", "resume"],
  );
  assert.ok(mine.every(({ peer }) => typeof peer === "string" && peer !== ""));
});

test("schedules are made, replaced, listed with their next runs, and removed", async () => {
  const jobs = fresh();
  const first = await jobs.schedules.upsert("nightly", { cron: "0 3 * * *", body: { n: 1 }, timeZone: "Europe/Berlin" });
  assert.ok(first > new Date());
  await jobs.schedules.upsert("nightly", { cron: "0 4 * * *", body: { n: 2 }, attempts: 2 });
  const [schedule, ...others] = await jobs.schedules.list();
  assert.deepEqual(others, []);
  assert.deepEqual([schedule!.name, schedule!.expression, schedule!.options], ["nightly", "0 4 * * *", { attempts: 2 }]);
  const runs = await jobs.schedules.next("nightly", 3);
  assert.deepEqual(
    runs.map((run) => run.getUTCHours()),
    [4, 4, 4],
  );
  assert.equal(runs[2]!.getTime() - runs[1]!.getTime(), 86_400_000);
  await assert.rejects(jobs.schedules.upsert("never", { cron: "0 0 30 2 *", body: { n: 1 } }), {
    code: "QUEUE_OPTIONS_INVALID",
  });
  assert.equal(await jobs.schedules.remove("nightly"), true);
  assert.equal(await jobs.schedules.remove("nightly"), false);
  assert.deepEqual(await jobs.schedules.next("nightly"), []);
});

test("a task that has not begun is changed, and a worker gets what it was changed to", async () => {
  const jobs = fresh();
  await jobs.pause();
  const tasks = await jobs.addMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const [first, second, third] = tasks.map(({ id }) => id) as [string, string, string];
  await Promise.all([jobs.update(second, { priority: 9 }), jobs.update(second, { body: { n: 20 } })]);
  await jobs.update(third, { delay: "1h" });
  const later = await jobs.add({ n: 4 }, { delay: "1h" });
  await jobs.update(later.id, { delay: 0, body: { n: 40 } });
  const told = (await jobs.get(second))!;
  assert.deepEqual([told.priority, told.payload, told.state], [9, { n: 20 }, "waiting"]);
  assert.equal((await jobs.get(third))!.state, "delayed");
  const ran: number[] = [];
  const working = worker(jobs, ({ n }) => Promise.resolve(String(ran.push(n))), { signals: [] });
  await jobs.resume();
  await Promise.all([first, second, later.id].map((id) => jobs.task(id).result()));
  assert.deepEqual(ran, [20, 1, 40]);
  await assert.rejects(jobs.update(first, { priority: 1 }), { code: "QUEUE_TASK_STATE" });
  await assert.rejects(jobs.update(third, {}), { code: "QUEUE_OPTIONS_INVALID" });
  await assert.rejects(jobs.update(third, { priority: 256 }), { code: "QUEUE_OPTIONS_INVALID" });
  await working.close();
});
