/** `holdfast queue check`, as an operator meets it: a broker refuses a damaged store, and what is whole is salvaged. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Broker, checkStore, queue, worker } from "../../../src/queue/index.ts";
import { Holdfast } from "../../support/holdfast.ts";

const PAGE = 4096;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holdfast-check-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function start(data: string, listen = "tcp://127.0.0.1:0"): Promise<Broker> {
  const broker = new Broker({ listen, data, log: false });
  await broker.listen();
  return broker;
}

/** 200 tasks of two queues, and a broker's end. @returns their ids */
async function fill(data: string): Promise<readonly string[]> {
  const broker = await start(data);
  const ids: string[] = [];
  for (const name of ["orders", "mails"]) {
    const jobs = queue<string>(name, { url: broker.address, log: false });
    const tasks = await jobs.addMany(Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(500)}`));
    ids.push(...tasks.map(({ id }) => id));
    await jobs.close();
  }
  await broker.close();
  return ids;
}

/** The leaf in the middle of the file is zeros. */
function zeroPage(data: string): void {
  const file = join(data, "queue.db");
  const bytes = readFileSync(file);
  let page = Math.floor(bytes.length / PAGE / 2);
  while (bytes[page * PAGE] !== 0x0d) page += 1;
  bytes.fill(0, page * PAGE, (page + 1) * PAGE);
  writeFileSync(file, bytes);
}

test("a broker names the command that salvages its store, and that brings back all but what lay in a zeroed page", async (t) => {
  const data = await folder(t);
  const ids = await fill(data);
  zeroPage(data);
  const serve = new Holdfast(["queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", data]);
  const refused = await serve.ended();
  assert.equal(refused.code, 1);
  assert.ok(refused.stderr.includes(`holdfast queue check ${data}`), refused.stderr);

  const checked = await new Holdfast(["queue", "check", data]).ended();
  assert.equal(checked.code, 1);
  assert.match(checked.stdout, /^mails +100 +0$/m);
  assert.match(checked.stdout, /^1 pages of the file hold nothing that can be read/m);
  assert.match(checked.stdout, /^a broker refused this store: /m);

  const salvaged = await new Holdfast(["queue", "check", data, "--salvage", "--json"]).ended();
  assert.equal(salvaged.code, 0);
  const { queues, kept } = JSON.parse(salvaged.stdout) as { queues: { name: string; whole: number }[]; kept: string };
  assert.ok(existsSync(kept));
  assert.equal(readFileSync(kept).length % PAGE, 0);
  const brought = queues.reduce((sum, { whole }) => sum + whole, 0);
  assert.ok(brought >= 190 && brought < 200, `${brought} tasks`);

  const broker = await start(data);
  t.after(() => broker.close());
  const orders = queue<string, number>("orders", { url: broker.address, log: false });
  const mails = queue<string, number>("mails", { url: broker.address, log: false });
  const runners = [orders, mails].map((jobs) => worker(jobs, (body) => body.length, { concurrency: 50, signals: [] }));
  t.after(() => Promise.all([...runners.map((runner) => runner.close()), orders.close(), mails.close()]));
  const results = await Promise.allSettled(ids.map((id) => orders.task(id).result({ timeout: "10s" })));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, brought);
  // Numbers are not given again, also not those of tasks that are lost.
  const next = await orders.add("next");
  assert.ok(Number(next.id.split("-").at(-1)) > 200);
  assert.equal(next.id.split("-")[0], ids[0]!.split("-")[0]);
});

test("a store that is whole is whole, and ends with 0", async (t) => {
  const data = await folder(t);
  await fill(data);
  const { code, stdout } = await new Holdfast(["queue", "check", data]).ended();
  assert.equal(code, 0, stdout);
  assert.match(stdout, /all of it is whole/);
});

test("a store in use is not checked", async (t) => {
  const data = await folder(t);
  const broker = await start(data);
  t.after(() => broker.close());
  await assert.rejects(checkStore(data), { code: "QUEUE_STORE_LOCKED" });
  await assert.rejects(checkStore(join(data, "elsewhere")), { code: "QUEUE_STORE_UNAVAILABLE" });
});

test("a salvage that was cut off is finished by the next, and until then no broker starts empty", async (t) => {
  const data = await folder(t);
  await fill(data);
  const whole = await checkStore(data, { salvage: true });
  assert.equal(whole.kept, join(data, "queue.db.damaged-1"));
  // As after a power cut between two of the renames: the old database is aside, the fresh one not yet in its place.
  mkdirSync(join(data, "salvaged"));
  for (const name of ["queue.db", "queue.db-acknowledged"]) renameSync(join(data, name), join(data, "salvaged", name));
  renameSync(join(data, "queue.db.damaged-1"), join(data, "queue.db"));
  const count = readFileSync(join(data, "salvaged", "queue.db-acknowledged"));
  writeFileSync(join(data, "queue.db-acknowledged"), count);
  renameSync(join(data, "queue.db"), join(data, "queue.db.damaged-1"));
  await assert.rejects(start(data), { code: "QUEUE_STORE_CORRUPT", message: /it is gone/ });
  await assert.rejects(checkStore(data), { code: "QUEUE_STORE_UNAVAILABLE", message: /cut off/ });
  const finished = await checkStore(data, { salvage: true });
  assert.deepEqual(
    finished.queues.map(({ name, whole: count_ }) => [name, count_]),
    [
      ["mails", 100],
      ["orders", 100],
    ],
  );
  assert.ok(!existsSync(join(data, "salvaged")));
});
