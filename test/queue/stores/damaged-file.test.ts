/**
 * Bytes of a store's files go wrong at random: a bit turned, a block zeroed, a file cut. Then the broker serves every task that is
 * whole, and says of every other that it is damaged; or it refuses the store. It never passes damage over, and never hangs.
 * `SEED=17 npm test -- damaged-file` runs that one; `ROUNDS=300` runs so many.
 */
import { errorFact } from "../../store/errors-as-facts.ts";
import assert from "node:assert/strict";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { type Random, seeded } from "../../../src/core/random.ts";
import { Broker, checkStore, eachTask, QueueClient } from "../../../src/queue/index.ts";
import { SqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { StoreOp } from "../../../src/store/store.ts";
import { FLAG_DAMAGED } from "../../../src/queue/tasks/task-columns.ts";
import { POLICY_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import { decodeState, encodeHead, encodeState } from "../../../src/queue/tasks/task-record.ts";

const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["ROUNDS"] ?? 40) }, (_, index) => index + 1) : [Number(only)];

const FILES = ["queue.db", "queue.db-wal", "queue.db-acknowledged"];
/** 5 s: what a start may take, whatever the damage. */
const START_MS = 5000;

interface Task {
  readonly head: Uint8Array;
  readonly state: Uint8Array;
  readonly body: Uint8Array;
}

/** Tasks of several queues, small and large, some with results and errors. */
function ops(random: Random, from: number, to: number): StoreOp[] {
  return Array.from({ length: to - from }, (_, index): StoreOp => {
    const id = from + index;
    const bytes = random() < 0.05 ? 9000 : Math.floor(random() * 600);
    const head = encodeHead({
      queue: `queue ${id % 5}`,
      group: "",
      key: id % 7 === 0 ? `key ${id}` : "",
      priority: 0,
      createdMs: 1e12 + id,
      expiresMs: Infinity,
      after: [],
      policy: POLICY_DEFAULT,
    });
    return { kind: "add", id, head, state: state("waiting", bytes), body: new Uint8Array(bytes).fill(id) };
  });
}

function state(name: "waiting" | "completed", bytes: number): Uint8Array {
  const sizes = { bodyBytes: name === "waiting" ? bytes : 0, resultBytes: name === "waiting" ? 0 : bytes };
  return encodeState({ state: name, flags: 0, atMs: Date.now(), token: 0, attempts: 0, lost: 0, ...sizes });
}

/** A store as a clean end leaves it, or (`torn`) as `kill -9` does, with its log. */
async function makeStore(folder: string, random: Random, torn: string): Promise<ReadonlyMap<number, Task>> {
  const store = new SqliteStore({ folder });
  const tasks = new Map<number, Task>();
  await store.open();
  const write = async (batch: readonly StoreOp[]): Promise<void> => {
    await store.write(batch);
    for (const op of batch) {
      if (op.kind === "add") tasks.set(op.id, op);
      else if (op.kind === "end") tasks.set(op.id, { ...tasks.get(op.id)!, state: op.state, body: op.result });
      else if (op.kind === "remove") tasks.delete(op.id);
    }
  };
  await write([{ kind: "set", name: "broker", value: "3f9a01c2" }]);
  await write(ops(random, 1, 300));
  await write(Array.from({ length: 40 }, (_, index) => ({ kind: "remove", id: 3 + index * 5 })));
  await write(
    Array.from({ length: 60 }, (_, index) => index * 4 + 1)
      .filter((id) => tasks.has(id))
      .flatMap((id): StoreOp[] => [
        { kind: "fact", id, fact: errorFact("an error") },
        { kind: "end", id, state: state("completed", 100), result: new Uint8Array(100).fill(id + 1) },
      ]),
  );
  for (let from = 300; from < 400; from += 20) await write(ops(random, from, from + 20));
  for (const name of FILES) copyFileSync(join(folder, name), join(torn, name));
  await store.close();
  return tasks;
}

interface Damage {
  /** For the message of a failure. */
  readonly text: string;
  /** Tasks that it can have harmed at most: those of one page, or of two. */
  readonly harmedMax: number;
  /** What the log said last of some tasks is gone: they are as they were before. */
  readonly mayBeOlder: boolean;
}

/** Tasks in one page, at most. */
const PAGE_TASKS = 45;

function damage(folder: string, random: Random): Damage {
  const names = FILES.filter((name) => existsSync(join(folder, name)) && statSync(join(folder, name)).size > 0);
  const name = names[Math.floor(random() ** 2 * names.length)]!;
  const file = join(folder, name);
  const bytes = readFileSync(file);
  const at = random() < 0.2 ? Math.floor(random() * 100) : Math.floor(random() * bytes.length);
  const kind = random();
  const mayBeOlder = name === "queue.db-wal";
  if (kind < 0.7) {
    const bit = 1 << Math.floor(random() * 8);
    bytes[at % bytes.length]! ^= bit;
    writeFileSync(file, bytes);
    return { text: `bit ${bit} of byte ${at} of ${name} (${bytes.length} bytes)`, harmedMax: PAGE_TASKS, mayBeOlder: false };
  }
  if (kind < 0.9) {
    const size = random() < 0.5 ? 512 : 4096;
    const start = at - (at % size);
    bytes.fill(0, start, Math.min(start + size, bytes.length));
    writeFileSync(file, bytes);
    return {
      text: `${size} bytes zeroed from ${start} of ${name} (${bytes.length} bytes)`,
      harmedMax: 2 * PAGE_TASKS,
      mayBeOlder,
    };
  }
  writeFileSync(file, bytes.subarray(0, at));
  return { text: `${name} cut to ${at} of ${bytes.length} bytes`, harmedMax: Infinity, mayBeOlder };
}

async function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${START_MS} ms`)), START_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** @returns the ids of the tasks that it says are damaged; undefined: it refuses the store */
async function readStore(
  folder: string,
  expected: ReadonlyMap<number, Task>,
  { missing = false } = {},
): Promise<ReadonlySet<number> | undefined> {
  const store = new SqliteStore({ folder });
  try {
    await within(store.open());
  } catch (error) {
    assert.equal(codeOf(error), "QUEUE_STORE_CORRUPT", String(error));
    assert.match(String(error), /holdfast queue check/);
    return undefined;
  }
  try {
    return await damagedIn(store, expected, missing);
  } finally {
    await store.close();
  }
}

async function damagedIn(store: SqliteStore, expected: ReadonlyMap<number, Task>, missing: boolean): Promise<Set<number>> {
  const damaged = new Set<number>();
  for await (const portion of store.tasks()) {
    for (const task of portion) {
      const { head, state: record } = expected.get(task.id) ?? {};
      if (task.damaged || (missing && decodeState(task.state).flags & FLAG_DAMAGED)) damaged.add(task.id);
      else assert.deepEqual([task.head, task.state].map(hex), [head!, record!].map(hex), `task ${task.id} is another`);
    }
  }
  const bodies = await store.read([...expected.keys()]);
  [...expected].forEach(([id, { body }], index) => {
    if (damaged.has(id)) return;
    if (bodies[index]) assert.equal(hex(bodies[index]), hex(body), `the body of task ${id} is another`);
    else damaged.add(id);
  });
  await store.write([{ kind: "set", name: "after", value: "1" }]);
  return damaged;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** @returns the ids that the broker lists as dead and damaged, and those that it lists as anything else */
async function readBroker(folder: string): Promise<{ damaged: Set<number>; others: Set<number> }> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: folder, log: false });
  await within(broker.listen());
  const client = new QueueClient({ url: broker.address, log: false });
  const damaged = new Set<number>();
  const others = new Set<number>();
  for await (const { id, state: now, reason } of eachTask(client, undefined, {}, { timeoutMs: START_MS })) {
    const number = Number(id.split("-").at(-1));
    if (now === "dead" && reason === "damaged") damaged.add(number);
    else others.add(number);
  }
  await client.close();
  await broker.close();
  return { damaged, others };
}

/** Every task that a salvage brings is what was written, or said to be damaged; no more are missing than can have been harmed. */
async function salvage(folder: string, expected: ReadonlyMap<number, Task>, { harmedMax, mayBeOlder }: Damage): Promise<void> {
  const before = await checkStore(folder);
  const after = await checkStore(folder, { salvage: true });
  assert.deepEqual({ ...after, kept: undefined }, before, "a check says what a salvage does");
  assert.ok(existsSync(after.kept!));
  const { refused, queues, unknown } = await checkStore(folder);
  assert.equal(refused, undefined);
  assert.equal(unknown, 0);
  if (mayBeOlder) return;
  const damaged = (await readStore(folder, expected, { missing: true }))!;
  assert.ok(damaged.size <= harmedMax, `${damaged.size} tasks are damaged or missing, of ${expected.size}`);
  const brought = queues.reduce((sum, queue) => sum + queue.whole, 0);
  assert.equal(brought, expected.size - damaged.size);
}

test("whatever goes wrong in a store's files, whole tasks are served and damage is told, or the store is refused", async () => {
  const root = mkdtempSync(join(tmpdir(), "holdfast-damaged-"));
  let refused = 0;
  let harmed = 0;
  try {
    const [clean, torn, work] = ["clean", "torn", "work"].map((name) => join(root, name)) as [string, string, string];
    for (const folder of [clean, torn]) mkdirSync(folder);
    const expected = await makeStore(clean, seeded(1), torn);
    for (const seed of seeds) {
      const random = seeded(seed);
      mkdirSync(work);
      const from = random() < 0.5 ? clean : torn;
      for (const name of FILES) if (existsSync(join(from, name))) copyFileSync(join(from, name), join(work, name));
      const done = damage(work, random);
      const copy = join(root, "copy");
      cpSync(work, copy, { recursive: true });
      try {
        await salvage(copy, expected, done);
        const damaged = await readStore(work, expected);
        if (damaged === undefined) refused += 1;
        else {
          if (damaged.size > 0) harmed += 1;
          const listed = await readBroker(work);
          const missing = [...expected.keys()].filter((id) => !damaged.has(id) && !listed.others.has(id));
          assert.deepEqual(missing, [], "whole tasks are served");
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${done.text}: ${String(error)}`, { cause: error });
      }
      for (const folder of [work, copy]) rmSync(folder, { recursive: true });
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  console.log(`of ${seeds.length} damaged stores ${refused} were refused, and ${harmed} started with damaged tasks`);
});
