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

for (const signal of ["SIGTERM", "SIGINT"] as const) {
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
