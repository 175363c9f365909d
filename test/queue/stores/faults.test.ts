import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { Broker, queue, worker } from "../../../src/queue/index.ts";
import { codeOf } from "../../../src/core/errors.ts";
import { SqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { StoredTask, StoreOp } from "../../../src/store/store.ts";
import { requires } from "../../support/requires.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holdfast-faults-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Counters of the next writes, syncs and reads that fail. */
function faults(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(12));
}
const [WRITE, SYNC, READ] = [0, 1, 2];

for (const [point, at] of [
  ["write", WRITE!],
  ["fsync", SYNC!],
] as const) {
  test(`when a ${point} fails new tasks are refused, results are kept back and not lost, and all goes on when it clears`, async (t) => {
    const failing = faults();
    const data = await folder(t);
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", store: new SqliteStore({ folder: data, faults: failing }) });
    await broker.listen();
    t.after(() => broker.close());
    const jobs = queue<string, string>("jobs", { url: broker.address });
    t.after(() => jobs.close());
    const { promise: go, resolve: finish } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const runner = worker(jobs, async (text) => (begin(), await go, text), { signals: [] });
    const call = jobs.call("kept");
    await begun;
    Atomics.store(failing, at, 1000);
    await assert.rejects(jobs.add("refused"), { code: "QUEUE_STORE_UNAVAILABLE" });
    await assert.rejects(jobs.add("refused at once"), { code: "QUEUE_STORE_UNAVAILABLE", message: /injected/ });
    assert.match(broker.stats().storeTrouble!, /injected/);
    let settled = false;
    void call.finally(() => (settled = true));
    finish();
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(settled, false, "a result is not told before it is on disk");
    Atomics.store(failing, at, 0);
    assert.equal(await call, "kept");
    assert.equal(broker.stats().storeTrouble, undefined);
    assert.equal(await jobs.call("accepted again"), "accepted again");
    await runner.close();
  });
}

test("when a body cannot be read its task waits and goes when it can", async (t) => {
  const failing = faults();
  const data = await folder(t);
  const store = (): SqliteStore => new SqliteStore({ folder: data, faults: failing });
  const first = new Broker({ listen: "tcp://127.0.0.1:0", store: store() });
  await first.listen();
  const before = queue("jobs", { url: first.address });
  const task = await before.add("body on disk");
  await before.close();
  await first.close();
  const second = new Broker({ listen: "tcp://127.0.0.1:0", store: store() });
  await second.listen();
  t.after(() => second.close());
  Atomics.store(failing, READ!, 1);
  const jobs = queue<string, string>("jobs", { url: second.address });
  t.after(() => jobs.close());
  const runner = worker(jobs, (text) => text, { signals: [] });
  assert.equal(await jobs.task(task.id).result(), "body on disk");
  await runner.close();
});

test(
  "a full disk refuses new tasks, loses none that was accepted, and accepts again when there is room",
  requires("root"),
  async (t) => {
    const data = await folder(t);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", data]);
    try {
      await fillAndFree(data);
    } finally {
      execFileSync("umount", ["--lazy", data]);
    }
  },
);

async function fillAndFree(data: string): Promise<void> {
  writeFileSync(join(data, "ballast"), Buffer.alloc(4 * 1024 ** 2));
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data, reserve: "1m" });
  await broker.listen();
  const jobs = queue<string, number>("jobs", { url: broker.address });
  const accepted: string[] = [];
  const body = "x".repeat(20_000);
  const fill = async (): Promise<void> => {
    for (;;) accepted.push((await jobs.add(body + accepted.length)).id);
  };
  await assert.rejects(fill(), { code: "QUEUE_STORE_UNAVAILABLE" });
  assert.ok(accepted.length > 20, `${accepted.length} were accepted`);
  rmSync(join(data, "ballast"));
  const runner = worker(jobs, (text) => Number(text.slice(body.length)), { signals: [] });
  const results = await Promise.all(accepted.map((id) => jobs.task(id).result({ timeout: "20s" })));
  assert.deepEqual(
    results,
    results.map((_, index) => index),
  );
  const deadlineMs = performance.now() + 20_000;
  const again = async (): Promise<unknown> =>
    jobs.add("accepted again").catch(async (error: unknown) => {
      if (performance.now() > deadlineMs) throw error;
      await sleep(50);
      return again();
    });
  await again();
  await runner.close();
  await jobs.close();
  await broker.close();
}

async function damageOf(store: SqliteStore): Promise<string> {
  await store.open();
  const tasks: StoredTask[] = [];
  for await (const portion of store.tasks()) tasks.push(...portion);
  assert.equal(tasks.length, 2000, "every task is there or the damage is reported");
  const bodies = await store.read(tasks.map(({ id }) => id));
  return tasks.some(({ damaged }) => damaged) || bodies.includes(undefined) ? "of a task" : "none";
}

function add(id: number): StoreOp {
  return { kind: "add", id, head: bytes(`head ${id}`), state: bytes("state"), body: bytes(`body ${id}`.repeat(50)) };
}

test("a damaged file is reported and not passed over", async (t) => {
  const data = await folder(t);
  const store = new SqliteStore({ folder: data });
  await store.open();
  await store.write(Array.from({ length: 2000 }, (_, index) => add(index + 1)));
  await store.close();
  const file = join(data, "queue.db");
  const size = statSync(file).size;
  const whole = readFileSync(file);
  for (const at of [0, 100, 20, Math.floor(size / 2), Math.floor(size / 3), size - 200]) {
    const damaged = Buffer.from(whole);
    damaged.fill(0x5a, at, at + 64);
    writeFileSync(file, damaged);
    const reopened = new SqliteStore({ folder: data });
    const reported = await damageOf(reopened).catch(codeOf);
    await reopened.close().catch(() => {});
    assert.ok(reported !== "none", `damage at byte ${at} of ${size} is ${reported}`);
  }
});

test("a page that goes bad while a store is open harms only the tasks in it", async (t) => {
  const data = await folder(t);
  const store = new SqliteStore({ folder: data });
  await store.open();
  await store.write(Array.from({ length: 2000 }, (_, index) => add(index + 1)));
  await store.close();
  const reopened = new SqliteStore({ folder: data });
  await reopened.open();
  t.after(() => reopened.close());
  const file = join(data, "queue.db");
  const bytes = readFileSync(file);
  const page = Math.floor(bytes.length / 4096 / 2);
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, Buffer.alloc(4096), 0, 4096, page * 4096);
  closeSync(descriptor);
  const bodies = await reopened.read(Array.from({ length: 2000 }, (_, index) => index + 1));
  const lost = bodies.filter((body) => body === undefined).length;
  assert.ok(lost > 0 && lost < 30, `${lost} of 2000 cannot be read`);
});

test("a log that is damaged, cut or gone is reported when acknowledged commits are missing, and left as it is", async (t) => {
  const data = await folder(t);
  const store = new SqliteStore({ folder: data });
  await store.open();
  for (let id = 1; id <= 10; id += 1) await store.write([add(id)]);
  const names = ["queue.db", "queue.db-wal", "queue.db-acknowledged"];
  const copies = await Promise.all([1, 2, 3, 4, 5].map(() => folder(t)));
  for (const copy of copies) for (const name of names) copyFileSync(join(data, name), join(copy, name));
  await store.close();
  const [whole, middle, end, cut, gone] = copies as [string, string, string, string, string];
  const log = (copy: string): string => join(copy, "queue.db-wal");
  const { size } = statSync(log(whole));
  for (const [copy, at] of [
    [middle, Math.floor(size / 2)],
    [end, size - 100],
  ] as const) {
    const bytes = readFileSync(log(copy));
    bytes[at]! ^= 1;
    writeFileSync(log(copy), bytes);
  }
  truncateSync(log(cut), size - 100);
  rmSync(log(gone));
  for (const copy of [middle, end, cut, gone]) {
    const before = names.map((name) => statSync(join(copy, name), { throwIfNoEntry: false })?.size ?? 0);
    await assert.rejects(new SqliteStore({ folder: copy }).open(), {
      code: "QUEUE_STORE_CORRUPT",
      message: /acknowledged commits are missing.*holdfast queue check/,
    });
    assert.deepEqual(
      names.map((name) => statSync(join(copy, name), { throwIfNoEntry: false })?.size ?? 0),
      before,
    );
  }
  const recovered = new SqliteStore({ folder: whole });
  assert.equal((await recovered.open()).lastId, 10);
  await recovered.close();
});

test("a commit that was cut off before it was acknowledged is dropped, and the rest goes on", async (t) => {
  const data = await folder(t);
  const store = new SqliteStore({ folder: data });
  await store.open();
  for (let id = 1; id <= 10; id += 1) await store.write([add(id)]);
  const torn = await folder(t);
  copyFileSync(join(data, "queue.db-acknowledged"), join(torn, "queue.db-acknowledged"));
  await store.write([add(11)]);
  for (const name of ["queue.db", "queue.db-wal"]) copyFileSync(join(data, name), join(torn, name));
  await store.close();
  truncateSync(join(torn, "queue.db-wal"), statSync(join(torn, "queue.db-wal")).size - 100);
  const recovered = new SqliteStore({ folder: torn });
  assert.equal((await recovered.open()).lastId, 10);
  await recovered.close();
});

test("a folder that cannot be made is an error that says so", async (t) => {
  const data = await folder(t);
  writeFileSync(join(data, "file"), "");
  await assert.rejects(new SqliteStore({ folder: join(data, "file", "sub") }).open(), {
    code: "QUEUE_STORE_UNAVAILABLE",
    message: /Cannot make the folder/,
  });
});

test("when its files are removed beneath it a broker acknowledges nothing more, and says why", async (t) => {
  const data = await folder(t);
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data, reserve: "1m" });
  await broker.listen();
  t.after(() => broker.close());
  const jobs = queue<string>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  await jobs.add("kept");
  rmSync(data, { recursive: true });
  const code = "QUEUE_STORE_UNAVAILABLE";
  await assert.rejects(jobs.add("into nothing"), { code, message: /queue\.db was removed or replaced while in use/ });
  // Nor into files of the same names that are not its own.
  const other = new SqliteStore({ folder: data });
  await other.open();
  t.after(() => other.close());
  await assert.rejects(jobs.add("into another's"), { code });
});

test("reading all tasks of a store lets timers run between two portions", async (t) => {
  const store = new SqliteStore({ folder: await folder(t), sync: "none" });
  t.after(() => store.close());
  await store.open();
  const record = bytes("anything");
  const task = (id: number): StoreOp => ({ kind: "add", id, head: record, state: record, body: record });
  await store.write(Array.from({ length: 40_000 }, (_, index) => task(index + 1)));
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 1);
  t.after(() => clearInterval(turning));
  const seen: number[] = [];
  for await (const _ of store.tasks()) {
    seen.push(turns);
    // Slower than the store's thread: its next portion is there already.
    for (const endMs = performance.now() + 20; performance.now() < endMs;);
  }
  assert.ok(seen.length >= 9, `${seen.length} portions`);
  const stood = seen.filter((turn, index) => index >= 2 && turn === seen[index - 2]);
  assert.deepEqual(stood, [], `turns before each portion: ${seen.join(" ")}`);
});
