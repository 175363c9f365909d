import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "../../src/core/errors.ts";
import { queue, type Task, worker } from "../../src/queue/index.ts";

const CLI = [
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../src/cli/main.ts"),
];
const KILLS = 50;
const PRODUCERS = 16;
/** So many answers come between two kills, then a moment that differs each time. */
const ANSWERS = 50;
const momentMs = (kill: number): number => (kill * 7) % 40;

async function start(data: string, listen: string): Promise<{ broker: ChildProcess; address: string }> {
  const words = ["queue", "serve", "--data", data, "--listen", listen];
  // Compiled code is kept between starts: fifty of them are what takes the time.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "holdfast-compile-cache") };
  const broker = spawn(process.execPath, [...CLI, ...words], { env, stdio: ["ignore", "pipe", "ignore"] });
  const [chunk] = (await once(broker.stdout, "data")) as [Buffer];
  return { broker, address: /^queue (\S+)/.exec(chunk.toString())![1]! };
}

test("kill -9 of the broker fifty times under load: no acknowledged task is lost, none is done without its result", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-crash-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  let { broker, address } = await start(data, "tcp://127.0.0.1:0");
  t.after(() => broker.kill("SIGKILL"));
  const jobs = queue<number, string>("jobs", { url: address });
  t.after(() => jobs.close());
  const runs = new Map<number, number>();
  const workers = [1, 2].map(() =>
    worker(jobs, (n) => (runs.set(n, (runs.get(n) ?? 0) + 1), `did ${n}`), { concurrency: 8, prefetch: 8, signals: [] }),
  );
  t.after(() => Promise.all(workers.map((each) => each.close())));

  /** Everything that was acknowledged, with its payload. */
  const ledger: { readonly n: number; readonly task: Task<string> }[] = [];
  const called: Promise<void>[] = [];
  let count = 0;
  const answered = { count: 0 };
  const waitForAnswers = async (more: number): Promise<void> => {
    for (const enough = answered.count + more; answered.count < enough;) await sleep(5);
  };
  const load = new AbortController();
  const produce = async (): Promise<void> => {
    while (!load.signal.aborted) {
      const n = (count += 1);
      if (n % 2 === 0) called.push(jobs.call(n, { timeout: "60s" }).then((result) => assert.equal(result, `did ${n}`)));
      else ledger.push({ n, task: await jobs.add(n, { timeout: "60s", keep: "1h" }) });
      answered.count += 1;
    }
  };
  const producers = Array.from({ length: PRODUCERS }, produce);

  for (let kill = 0; kill < KILLS; kill += 1) {
    await waitForAnswers(ANSWERS);
    await sleep(momentMs(kill));
    broker.kill("SIGKILL");
    await once(broker, "exit");
    ({ broker } = await start(data, address));
  }
  load.abort();
  await Promise.all(producers);
  await Promise.all(called);
  const answers = await Promise.all(
    ledger.map(async ({ n, task }) => task.result({ timeout: "60s" }).catch((error: unknown) => `${n}: ${codeOf(error)}`)),
  );
  const wrong = answers.filter((answer, index) => answer !== `did ${ledger[index]!.n}`);
  assert.deepEqual(wrong, []);
  const twice = [...runs.values()].filter((times) => times > 1).length;
  t.diagnostic(`${ledger.length} added and ${called.length} called over ${KILLS} kills; ${twice} were run more than once`);
  assert.ok(ledger.length > KILLS);
});
