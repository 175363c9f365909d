import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lifeCyclePicture, TASK_STATES } from "../../src/queue/tasks/life-cycle.ts";
import { storedNumber, wireState } from "../../src/queue/tasks/state-words.ts";
import { Broker } from "../../src/queue/index.ts";
import { requires } from "../support/requires.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/queue-protocol.md"), "utf8");

function snippets(language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map((match) => match[1]!);
}

test("the picture of a task's life in the protocol's page is the table's", () => {
  assert.equal(snippets("mermaid")[0]!.trim(), lifeCyclePicture());
});

test("the protocol's page says how each state is written in messages and in stored rows", () => {
  const rows = [...page.matchAll(/^\| `(\w+)` +\| [^|]+ \| `(\w+)` +\| (\d) +\|$/gm)].map((match) => match.slice(1));
  const written = TASK_STATES.map((state) => {
    const stored = state === "blocked" ? "delayed" : state;
    return [state, wireState(state), `${storedNumber(stored)}`];
  });
  assert.deepEqual(rows, written);
});

test("the protocol's page names every code that a broker refuses with, and no other", () => {
  const named = new Set([...page.matchAll(/`(QUEUE_[A-Z_]+)`/g)].map((match) => match[1]!));
  const sources = [
    "service/task-service",
    "service/admin-commands",
    "service/submissions",
    "service/durable-steps",
    "protocols/step-messages",
    "service/cron",
    "tasks/task-table",
    "tasks/task-policy",
    "tasks/queue-settings",
    "protocols/native/native-handler",
    "protocols/native/outcome-subscriptions",
    "protocols/native/worker-commands",
    "protocols/native/version-0.1-verbs",
    "operations/tasks",
    "operations/queues",
    "operations/task-filter",
    "operations/run-operation",
  ].map((file) => readFileSync(join(import.meta.dirname, `../../src/queue/${file}.ts`), "utf8"));
  const refused = new Set(
    sources.flatMap((source) => [...source.matchAll(/Error\(\s*"(QUEUE_[A-Z_]+)"/g)].map((match) => match[1]!)),
  );
  refused.add("QUEUE_STORE_UNAVAILABLE");
  assert.deepEqual([...named].sort(), [...refused].sort());
});

test("the worker in 15 lines of Python, and the producer, are what they say", requires("python3-zmq"), async (t) => {
  const [workerCode, producerCode] = snippets("python") as [string, string];
  assert.ok(workerCode.trim().split("\n").length <= 15);
  const folder = await mkdtemp(join(tmpdir(), "holdfast-docs-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "worker.py"), workerCode);
  await writeFile(join(folder, "producer.py"), producerCode);
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const worker = python(join(folder, "worker.py"), broker.address);
  t.after(() => worker.kill("SIGKILL"));
  const producer = python(join(folder, "producer.py"), broker.address);
  let said = "";
  producer.stdout!.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(producer, "close")) as [number];
  assert.equal(code, 0);
  assert.equal(said, "done HELLO\n");
});

function python(file: string, address: string): ChildProcess {
  return spawn("/usr/bin/python3", [file, address], { stdio: ["ignore", "pipe", "inherit"] });
}
