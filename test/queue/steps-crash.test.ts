/** Handlers with steps, on a real disk, while their worker's process and the broker are killed with kill -9. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { queue, type Task } from "../../src/queue/index.ts";

const WORDS = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "holdfast-compile-cache") };

/** The file to run, and what it is called with. */
function run(file: string, ...words: readonly string[]): ChildProcess {
  const stdio = ["ignore", "pipe", "ignore"] as const;
  return spawn(process.execPath, [...WORDS, join(import.meta.dirname, file), ...words], { env, stdio: [...stdio] });
}

async function startBroker(data: string, listen: string): Promise<{ broker: ChildProcess; address: string }> {
  const broker = run("../../src/cli/main.ts", "queue", "serve", "--data", data, "--listen", listen);
  const [chunk] = (await once(broker.stdout!, "data")) as [Buffer];
  return { broker, address: /^queue (\S+)/.exec(chunk.toString())![1]! };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

const KILLS = 8;
const TASKS = 24;

test("kill -9 of worker and broker: no step that a run was told of comes to anything else later, and each workflow ends", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-steps-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  let { broker, address } = await startBroker(data, "tcp://127.0.0.1:0");
  t.after(() => broker.kill("SIGKILL"));
  const told = new Map<string, string>();
  const wrong: string[] = [];
  const hire = (): ChildProcess => {
    const child = run("support/steps-child.ts", address);
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const [n, step, ...came] = line.split(" ");
      const place = `${n} ${step}`;
      const before = told.get(place);
      if (before !== undefined && before !== came.join(" ")) wrong.push(`${place}: ${before}, then ${came.join(" ")}`);
      told.set(place, came.join(" "));
    });
    return child;
  };
  let child = hire();
  t.after(() => child.kill("SIGKILL"));
  const orders = queue<number, string>("orders", { url: address });
  t.after(() => orders.close());
  const added: Promise<Task<string>[]> = (async () => {
    const tasks: Task<string>[] = [];
    for (let n = 0; n < TASKS; n += 1) {
      const task = await orders.add(n, { keep: "1h", attempts: 1000, backoff: 10, timeout: "60s" });
      tasks.push(task);
      void sleep(n * 7).then(() => orders.signal(task.id, "approved", `yes ${n}`, { timeout: "60s" }));
      await sleep(20);
    }
    return tasks;
  })();
  for (let count = 0; count < KILLS; count += 1) {
    // A worker has begun by then; the moment differs each time.
    for (const enough = told.size + 4; told.size < Math.min(enough, TASKS);) await sleep(5);
    await sleep((count * 37) % 100);
    if (count % 2 === 0) {
      await kill(child);
      child = hire();
    } else {
      await kill(broker);
      ({ broker } = await startBroker(data, address));
    }
  }
  const tasks = await added;
  const results = await Promise.all(tasks.map((task) => task.result({ timeout: "60s" })));
  assert.deepEqual(wrong, []);
  for (const [n, result] of results.entries()) {
    const steps = ["charge", "pack", "ship"].map((step) => told.get(`${n} ${step}`));
    assert.equal(result, [steps[0], steps[1], `yes ${n}`, `label ${n}`, steps[2]].join("; "));
  }
});
