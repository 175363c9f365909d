import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { Broker, queue } from "../../../src/queue/index.ts";

/** A worker as users write one: nothing about signals in it. */
const WORKER = `
  import { queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};
  const slow = queue("slow", { url: process.argv[1] });
  worker(slow, async (name, { signal }) => {
    console.log("began " + name);
    await new Promise((resolve) => {
      setTimeout(resolve, name === "endless" ? 600_000 : 300);
      signal.addEventListener("abort", resolve);
    });
    console.log("ended " + name);
    return "did " + name;
  }, { prefetch: 1, drain: "1s" });
`;

/** A program that uses the queue, and what it has printed. */
function program(t: TestContext, source: string, ...args: string[]) {
  const imports = `import { Broker, queue, worker } from ${JSON.stringify(join(import.meta.dirname, "../../../src/queue/index.ts"))};`;
  const child = spawn(
    process.execPath,
    ["--conditions=holdfast-source", "--input-type=module", "--eval", `${imports}\n${source}`, ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      child.emit("said");
    });
  }
  return {
    child,
    end: once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
    said: () => text,
    async until(words: string): Promise<void> {
      while (!text.includes(words)) await once(child, "said", { signal: AbortSignal.timeout(20_000) });
    },
  };
}

/** A broker, its queue "slow", and a process that works on it. */
async function start(t: TestContext) {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const slow = queue<string, string>("slow", { url: broker.address });
  t.after(() => slow.close());
  const child = spawn(
    process.execPath,
    ["--conditions=holdfast-source", "--input-type=module", "--eval", WORKER, broker.address],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => child.kill("SIGKILL"));
  return { broker, slow, child };
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  test(`a worker that gets ${signal} ends what it runs, gives back what it has not begun, and ends by that signal`, async (t) => {
    const { broker, slow, child } = await start(t);
    const first = slow.call("first");
    const second = await slow.add("second");
    const said = createInterface(child.stdout);
    await once(said, "line");
    const lines: string[] = [];
    said.on("line", (line) => lines.push(line));
    child.kill(signal);
    const [code, by] = (await once(child, "exit")) as [number | null, string | null];
    assert.deepEqual([code, by], [null, signal]);
    assert.equal(await first, "did first");
    assert.deepEqual(lines, ["ended first"]);
    const { states } = broker.stats().queues.find(({ name }) => name === "slow")!;
    assert.deepEqual([states.waiting, states.active, states.completed], [1, 0, 1], second.id);
  });
}

test("a worker whose handler outlasts the drain fires its signal, gives its task back, and ends by SIGTERM", async (t) => {
  const { broker, slow, child } = await start(t);
  await slow.add("endless");
  await once(createInterface(child.stdout), "line");
  child.kill("SIGTERM");
  const [code, by] = (await once(child, "exit")) as [number | null, string | null];
  assert.deepEqual([code, by], [null, "SIGTERM"]);
  const { states } = broker.stats().queues.find(({ name }) => name === "slow")!;
  assert.deepEqual([states.waiting, states.active], [1, 0]);
});

test("50 workers of one process end what they run at SIGTERM, and Node has nothing to warn of", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const source = `
    let began = 0;
    for (let number = 0; number < 50; number += 1) {
      worker(queue("q" + number, { url: process.argv[1] }), async () => {
        if ((began += 1) === 25) console.log("all began");
        await new Promise((resolve) => setTimeout(resolve, 100 + 20 * number));
        return number;
      });
    }
    console.log("ready");`;
  const { child, end, said, until } = program(t, source, broker.address);
  const queues = Array.from({ length: 50 }, (_, number) => queue<string, number>(`q${number}`, { url: broker.address }));
  t.after(() => Promise.all(queues.map((each) => each.close())));
  const calls = queues.filter((_, number) => number % 2 === 0).map((each) => each.call("x"));
  await until("all began");
  child.kill("SIGTERM");
  assert.deepEqual(await end, [null, "SIGTERM"]);
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 25 }, (_, index) => 2 * index),
  );
  assert.doesNotMatch(said(), /Warning/);
});

test("a broker closes after the workers of its process, and a submission that was on its way is answered", async (t) => {
  const source = `
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: (event) => console.log(event) });
    await broker.listen();
    const steps = queue("steps", { url: broker.address });
    const here = queue("steps", { broker });
    worker(here, async () => {
      console.log("began");
      await new Promise((resolve) => setTimeout(resolve, 300));
      steps.add("next").then(() => console.log("added"));
      return "done";
    });
    steps.call("first").then(() => console.log("called"));`;
  const { child, end, said, until } = program(t, source);
  await until("began");
  child.kill("SIGTERM");
  assert.deepEqual(await end, [null, "SIGTERM"]);
  assert.match(said(), /^queue.listening\nbegan\n(called\nadded|added\ncalled)\nqueue.closed\n$/);
});

test("a second signal ends a draining process at once", async (t) => {
  const { child, slow } = await start(t);
  await slow.add("endless");
  await once(createInterface(child.stdout), "line");
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGINT"), 100);
  assert.deepEqual(await once(child, "exit"), [null, "SIGINT"]);
});

for (const listens of ["on", "once"]) {
  test(`a program that listens to a signal itself, by process.${listens}, is told once and ends when it wants to; its SIGHUP is its own`, async (t) => {
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
    await broker.listen();
    t.after(() => broker.close());
    const source = `
    process.on("SIGHUP", () => console.log("reloaded"));
    process.${listens}("SIGTERM", () => {
      console.log("told");
      setTimeout(() => process.exit(3), 500);
    });
    worker(queue("q", { url: process.argv[1] }), async (body) => {
      console.log(body + " began");
      await new Promise((resolve) => setTimeout(resolve, 200));
    });`;
    const { child, end, said, until } = program(t, source, broker.address);
    const q = queue<string>("q", { url: broker.address });
    t.after(() => q.close());
    await q.call("first");
    child.kill("SIGHUP");
    await until("reloaded");
    const second = q.call("second");
    await until("second began");
    child.kill("SIGTERM");
    await second;
    assert.deepEqual(await end, [3, null]);
    assert.equal(said(), "first began\nreloaded\nsecond began\ntold\n");
  });
}
