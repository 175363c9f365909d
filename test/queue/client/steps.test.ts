/** Handlers with durable steps, over a broker whose clock the test moves: what runs again, what does not, and what ends a run. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { type Handler, type Queue, queue, worker, type WorkerOptions } from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";

interface Made {
  readonly broker: TestBroker;
  readonly tasks: Queue<string>;
  readonly errors: unknown[];
  start(handler: Handler<string, unknown> | URL, options?: WorkerOptions): { close(): Promise<void> };
}

async function made(t: TestContext): Promise<Made> {
  const broker = await testBroker();
  const tasks = queue<string>("tasks", { client: broker.connect() });
  const errors: unknown[] = [];
  const workers: { close(): Promise<void> }[] = [];
  t.after(async () => {
    await Promise.all(workers.map((each) => each.close()));
    await broker.close();
  });
  const start: Made["start"] = (handler, options = {}) => {
    const running = worker(tasks, handler as Handler<string, unknown>, {
      signals: [],
      onError: (error) => void errors.push(error),
      ...options,
    });
    workers.push(running);
    return running;
  };
  return { broker, tasks, errors, start };
}

test("a step that is on record is not run again when the attempt fails after it", async (t) => {
  const { tasks, start, broker } = await made(t);
  const ran: string[] = [];
  start(async (body, task) => {
    ran.push(`run ${task.attempt}`);
    const charged = await task.step("charge", () => {
      ran.push("charge");
      return { receipt: 7 };
    });
    const nothing = await task.step("log", () => void ran.push("log"));
    assert.equal(nothing, undefined);
    if (task.attempt < 3) throw new Error("the mail server is away");
    return `${body} ${charged.receipt}`;
  });
  const result = tasks.call("order", { backoff: "1h", timeout: "2d" });
  await broker.clock.advance("1d");
  assert.equal(await result, "order 7");
  assert.deepEqual(ran, ["run 1", "charge", "log", "run 2", "run 3"]);
});

test("a step that fails is not on record: the next attempt runs it again", async (t) => {
  const { tasks, start, broker } = await made(t);
  let tries = 0;
  start((_body, task) =>
    task.step("charge", () => {
      tries += 1;
      if (tries < 3) throw new Error("declined");
      return tries;
    }),
  );
  const result = tasks.call("order", { timeout: "1d" });
  await broker.clock.advance("1h");
  assert.equal(await result, 3);
});

test("a workflow of three days sleeps, waits for an approval and calls another queue, with one attempt and the worker's place free", async (t) => {
  const { tasks, start, broker } = await made(t);
  const mails = queue<string, string>("mails", { client: broker.connect() });
  const mailing = worker(mails, (to) => `sent to ${to}`, { signals: [] });
  t.after(() => mailing.close());
  const attempts: number[] = [];
  const running = start(
    async (body, task) => {
      attempts.push(task.attempt);
      if (body === "short") return "done at once";
      await task.sleep("1d");
      const approved = await task.waitFor("approved", { timeout: "7d" });
      const mail = await task.call(mails, "ada@example.org");
      return { approved, mail };
    },
    { concurrency: 1 },
  );
  const task = await tasks.add("long");
  await broker.idle();
  assert.equal((await tasks.get(task.id))!.state, "delayed");
  assert.equal(await tasks.call("short"), "done at once");
  await broker.clock.advance("1d");
  assert.equal((await tasks.get(task.id))!.state, "blocked");
  await broker.clock.advance("2d");
  assert.equal(await tasks.signal(task.id, "approved", { by: "Ada" }), true);
  await broker.clock.advance("1s");
  assert.deepEqual(await task.result(), { approved: { by: "Ada" }, mail: "sent to ada@example.org" });
  assert.deepEqual([...new Set(attempts)], [1]);
  assert.equal(running !== undefined && attempts.length, 5);
});

test("a signal that comes before its waitFor is kept; the second of a name does not count; one to an ended task is refused", async (t) => {
  const { tasks, start, broker } = await made(t);
  const task = await tasks.add("order");
  assert.equal(await tasks.signal(task.id, "approved", "first"), true);
  assert.equal(await tasks.signal(task.id, "approved", "second"), false);
  start((_body, context) => context.waitFor("approved"));
  await broker.clock.advance("1s");
  assert.equal(await task.result(), "first");
  await assert.rejects(tasks.signal(task.id, "approved"), { code: "QUEUE_TASK_STATE" });
  await assert.rejects(tasks.signal(task.id.replace(/\d+$/, "999"), "approved"), { code: "QUEUE_TASK_UNKNOWN" });
  await assert.rejects(tasks.signal(task.id, "x".repeat(256)), { code: "QUEUE_OPTIONS_INVALID" });
});

test("a waitFor whose time is over resolves to undefined, in each later run too, though the signal came meanwhile", async (t) => {
  const { tasks, start, broker } = await made(t);
  const seen: unknown[] = [];
  start(async (_body, task) => {
    seen.push(await task.waitFor("approved", { timeout: "1h" }));
    if (seen.length === 1) throw new Error("again");
    return "over";
  });
  const task = await tasks.add("order", { backoff: "1h", keep: "30d" });
  await broker.clock.advance("61m");
  assert.deepEqual(seen, [undefined]);
  assert.equal(await tasks.signal(task.id, "approved", "late"), true);
  await broker.clock.advance("2h");
  assert.equal(await task.result(), "over");
  assert.deepEqual(seen, [undefined, undefined]);
});

test("the end of a called task that is dead, or was cancelled, is an error of the call", async (t) => {
  const { tasks, start, broker } = await made(t);
  const mails = queue<string, string>("mails", { client: broker.connect() });
  start(async (_body, task) => {
    try {
      return await task.call("mails", "x", { attempts: 1 });
    } catch (error) {
      if ((error as Error).name === "RunEnded") throw error;
      return `${codeOf(error)}: ${(error as Error).message.split("\n")[0]}`;
    }
  });
  const cancelled = await tasks.add("one");
  await broker.idle();
  assert.equal(await mails.cancel({}), 1);
  await broker.clock.advance("1s");
  assert.match((await cancelled.result()) as string, /^QUEUE_TASK_CANCELLED/);
  const mailing = worker(
    mails,
    () => {
      throw new Error("no such address");
    },
    { signals: [], onError: () => {} },
  );
  t.after(() => mailing.close());
  const dead = await tasks.add("two");
  await broker.clock.advance("1s");
  assert.match((await dead.result()) as string, /^QUEUE_TASK_DEAD: .*no such address/);
});

test("a handler whose steps are renamed, reordered or left out fails with a coded error, and goes on with the old one", async (t) => {
  const { tasks, start, broker, errors } = await made(t);
  const first = start(async (_body, task) => {
    await task.step("charge", () => 1);
    await task.step("pack", () => 2);
    await task.sleep("1h");
    return "old";
  });
  const task = await tasks.add("order", { attempts: 10, backoff: "1h", keep: "30d" });
  await broker.idle();
  await first.close();
  const changed: Handler<string, unknown>[] = [
    (_body, context) => context.step("bill", () => 1),
    async (_body, context) => {
      await context.step("pack", () => 2);
      await context.step("charge", () => 1);
    },
    (_body, context) => context.step("charge", () => 1),
    async (_body, context) => {
      await context.sleep("1h");
    },
  ];
  for (const handler of changed) {
    const running = start(handler);
    await broker.clock.advance("13h");
    await running.close();
  }
  assert.ok(errors.length >= changed.length, `${errors.length} errors`);
  assert.deepEqual([...new Set(errors.map(codeOf))], ["QUEUE_STEPS_CHANGED"]);
  await tasks.retry({ state: "dead" });
  start(async (_body, context) => {
    const sum = (await context.step("charge", () => 10)) + (await context.step("pack", () => 20));
    await context.sleep("1h");
    return sum;
  });
  await broker.clock.advance("13h");
  assert.equal(await task.result(), 3);
});

test("a name twice in one run, a result that is too large and a handler that goes on after its end are coded errors", async (t) => {
  const { tasks, start, broker, errors } = await made(t);
  start(async (body, task) => {
    if (body === "twice") {
      await task.step("charge", () => 1);
      await task.step("charge", () => 2);
    } else if (body === "large") await task.step("charge", () => "x".repeat(17 * 1024 ** 2));
    else {
      await task.sleep("1h").catch(() => {});
      if (body === "step") await task.step("charge", () => 1);
      return "went on";
    }
    return "";
  });
  for (const body of ["twice", "large"]) await tasks.add(body, { attempts: 1 });
  const swallowing = await tasks.add("returns", { keep: "1d" });
  const stepping = await tasks.add("step", { keep: "1d" });
  await broker.clock.advance("1s");
  assert.deepEqual(errors.map(codeOf).sort(), [
    "QUEUE_BODY_TOO_LARGE",
    "QUEUE_RUN_ENDED",
    "QUEUE_RUN_ENDED",
    "QUEUE_STEP_INVALID",
  ]);
  const dead: string[] = [];
  for await (const { id } of tasks.tasks({ state: "dead" })) dead.push(id);
  assert.equal(dead.length, 2);
  assert.deepEqual((await tasks.get(dead[1]!))!.steps, undefined, "nothing of the large one is kept");
  assert.equal((await tasks.get(swallowing.id))!.state, "delayed");
  await broker.clock.advance("2h");
  assert.equal(await swallowing.result(), "went on");
  assert.equal(await stepping.result(), "went on");
});

test("steps that were begun together are found by their places, whichever was done first", async (t) => {
  const { tasks, start, broker } = await made(t);
  const ran: string[] = [];
  let fails = true;
  start(async (_body, task) => {
    const part = (name: string): Promise<string> =>
      task.step(name, async () => {
        ran.push(name);
        if (name === "a" && fails) {
          fails = false;
          await new Promise((resolve) => setTimeout(resolve, 5));
          throw new Error("a fails once");
        }
        return name;
      });
    return (await Promise.all(["a", "b", "c"].map(part))).join("");
  });
  const result = tasks.call("x", { timeout: "1d" });
  await broker.clock.advance("1h");
  assert.equal(await result, "abc");
  assert.deepEqual(ran, ["a", "b", "c", "a"]);
});

test("steps are on record for a handler in a thread too", async (t) => {
  const { tasks, start, broker } = await made(t);
  start(new URL("handler-child.ts", import.meta.url));
  const task = await tasks.add({ do: "steps" } as never);
  for await (const { state } of tasks.tasks()) assert.notEqual(state, "dead");
  while ((await tasks.get(task.id))!.state !== "blocked") await new Promise((resolve) => setTimeout(resolve, 5));
  await tasks.signal(task.id, "go", { n: 5 });
  await broker.clock.advance("1s");
  assert.deepEqual(await task.result(), { step: 2, signal: { n: 5 }, runs: 1 });
});
