import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Broker, queue, type Queue, worker } from "../../../src/queue/index.ts";

async function open(t: TestContext): Promise<{ broker: Broker; films: Queue<string, string> }> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const films = queue<string, string>("films", { url: broker.address });
  t.after(async () => {
    await films.close();
    await broker.close();
  });
  return { broker, films };
}

test("who watches a task late, from another process too, is told its last progress at once", async (t) => {
  const { broker, films } = await open(t);
  const said = Promise.withResolvers<void>();
  const end = Promise.withResolvers<string>();
  const running = worker(
    films,
    (_, { progress }) => {
      for (let percent = 0; percent <= 50; percent += 1) progress({ percent });
      said.resolve();
      return end.promise;
    },
    { signals: [] },
  );
  const task = await films.add("film");
  await said.promise;
  const other = queue<string, string>("films", { url: broker.address });
  t.after(() => other.close());
  const watching = other.task(task.id).progress({ timeout: "20s" });
  // Some that were on their way may come first.
  let last: unknown;
  do last = (await watching.next()).value;
  while ((last as { percent: number }).percent < 50);
  const later = films.task(task.id).progress({ timeout: "20s" });
  assert.deepEqual(await later.next(), { value: { percent: 50 }, done: false });
  end.resolve("done");
  assert.deepEqual(await later.next(), { value: undefined, done: true });
  assert.deepEqual(await watching.next(), { value: undefined, done: true });
  await running.close();
});

test("a reader of progress that is slow gets the newest thousand, and each part of a result", async (t) => {
  const { films } = await open(t);
  const task = await films.add("film");
  const progress = task.progress({ timeout: "20s" });
  const partials = task.partials({ timeout: "20s" });
  const first = progress.next();
  const firstPart = partials.next();
  const running = worker(
    films,
    (_, context) => {
      for (let n = 0; n < 3000; n += 1) {
        context.progress(n);
        context.partial(n);
      }
      return "done";
    },
    { signals: [] },
  );
  assert.equal(await task.result({ timeout: "20s" }), "done");
  const rest: unknown[] = [(await first).value];
  for await (const value of progress) rest.push(value);
  assert.ok(rest.length <= 1002, `${rest.length} values`);
  assert.equal(rest.at(-1), 2999);
  const parts: unknown[] = [(await firstPart).value];
  for await (const value of partials) parts.push(value);
  assert.equal(parts.length, 3000);
  await running.close();
});
