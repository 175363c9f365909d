import { errorFact } from "../../store/errors-as-facts.ts";
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Broker, giveUpMove, makeStore, moveQueue, type MoveOptions, queue, worker } from "../../../src/queue/index.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { epochsOf, refuseMoved } from "../../../src/queue/stores/move.ts";
import { encodeHead, encodeState } from "../../../src/queue/tasks/task-record.ts";
import { POLICY_DEFAULT } from "../../../src/queue/tasks/task-policy.ts";
import type { Store, StoredTask, StoreOp, StoreOpening } from "../../../src/store/store.ts";
import { FLAG_ERRORS } from "../../../src/queue/tasks/task-columns.ts";
import { Holdfast } from "../../support/holdfast.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";
import { wholeStore } from "./whole-store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A move between two stores that are held in memory, or look so. */
function between(from: Store, to: Store, newId = "move-1"): MoveOptions {
  return { from: { make: () => from, name: "sqlite:here" }, to: { make: () => to, name: "sqlite:there" }, newId };
}

/** Waiting tasks, every third with an error; the last two numbers are of tasks that are gone. */
function tasks(count: number): StoreOp[] {
  const head = { queue: "q", group: "", key: "", priority: 3, createdMs: 1, expiresMs: Infinity, after: [] };
  const record = { state: "waiting", atMs: 0, token: 0, attempts: 1, lost: 0, resultBytes: 0 } as const;
  const ops: StoreOp[] = [];
  for (let id = 1; id <= count + 2; id += 1) {
    const body = bytes(`body ${id}`);
    const noted = id % 3 === 0;
    const state = encodeState({ ...record, flags: noted ? FLAG_ERRORS : 0, bodyBytes: body.length });
    ops.push({ kind: "add", id, head: encodeHead({ ...head, policy: POLICY_DEFAULT }), state, body });
    if (noted) ops.push({ kind: "fact", id, fact: errorFact(`error of ${id}`) });
  }
  return [...ops, { kind: "remove", id: count + 1 }, { kind: "remove", id: count + 2 }];
}

async function filled(store: Store, count: number): Promise<void> {
  await store.open();
  await store.write([...tasks(count), { kind: "set", name: "broker", value: "0a0b0c0d" }]);
  await store.write([{ kind: "set", name: "queue:q", value: '{"paused":true}' }]);
  await store.close();
}

test("a moved queue has its ids, results, errors, keys, settings and schedules, and goes on in the other store", async (t) => {
  const [here, there] = [new MemoryStore(), new MemoryStore()];
  const first = new Broker({ listen: "tcp://127.0.0.1:0", store: here });
  await first.listen();
  const before = queue<string, string>("q", { broker: first });
  const done = await before.add("did");
  const dead = await before.add("fails", { attempts: 1 });
  const working = worker(before, (text) => (text === "fails" ? Promise.reject(new Error("no way")) : `${text} it`), {
    signals: [],
  });
  assert.equal(await done.result(), "did it");
  await assert.rejects(dead.result(), { code: "QUEUE_TASK_DEAD" });
  await working.close();
  const waiting = await before.add("waits", { key: "once", priority: 9, group: "g" });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const [traced] = await before.client.add(
    { queue: "q", options: { traceparent }, bodies: [Buffer.from('"traced"')] },
    { timeoutMs: 5000 },
  );
  await before.add("later", { delay: "1h" });
  await before.configure({ groupConcurrency: 7 });
  const cron = [Buffer.from("nightly"), Buffer.from('{"expression":"0 3 * * *","queue":"q"}'), Buffer.from("tick")];
  await before.client.ask("CRON", cron, { timeoutMs: 1000 });
  await before.close();
  await first.close();

  const whole = await wholeStore(here);
  const moved = await moveQueue(between(here, there));
  assert.deepEqual(moved, { tasks: 5, settings: 2, already: false });
  assert.deepEqual(await wholeStore(there), whole);

  await assert.rejects(new Broker({ listen: "tcp://127.0.0.1:0", store: here }).listen(), {
    code: "QUEUE_STORE_MOVED",
    message: /it was moved to sqlite:there/,
  });
  const second = new Broker({ listen: "tcp://127.0.0.1:0", store: there });
  await second.listen();
  t.after(() => second.close());
  const after = queue<string, string>("q", { broker: second });
  t.after(() => after.close());
  assert.equal(await after.task(done.id).result(), "did it");
  await assert.rejects(after.task(dead.id).result(), { code: "QUEUE_TASK_DEAD", message: /no way/ });
  assert.equal((await after.add("waits", { key: "once" })).id, waiting.id);
  assert.equal(
    (await after.client.operate("story", { id: traced! }, { timeoutMs: 5000 })).value.traceId,
    traceparent.slice(3, 35),
  );
  const [schedules] = await after.client.ask("CRON", [], { timeoutMs: 1000 });
  assert.match(schedules!.toString(), /"nightly"/);
  assert.equal(second.stats().queues[0]!.settings.groupConcurrency, 7);
  const other = worker(after, (text) => text, { signals: [] });
  assert.equal(await after.task(waiting.id).result(), "waits");
  await other.close();
});

/** Stands for a process that is killed at one of its writes: before the store has it, or after, when no answer comes back. */
class Killed extends Error {}

class KillAt implements Store {
  readonly #store: Store;
  readonly #when: { writes: number; readonly answerLost: boolean };

  constructor(store: Store, when: { writes: number; readonly answerLost: boolean }) {
    this.#store = store;
    this.#when = when;
  }

  open(): Promise<StoreOpening> {
    return this.#store.open();
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.#store.tasks();
  }

  async write(ops: readonly StoreOp[]): Promise<void> {
    this.#when.writes -= 1;
    if (this.#when.writes < 0 && !this.#when.answerLost) throw new Killed();
    await this.#store.write(ops);
    if (this.#when.writes < 0) throw new Killed();
  }

  read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#store.read(ids);
  }

  events(from: number, bytesMax: number): ReturnType<Store["events"]> {
    return this.#store.events(from, bytesMax);
  }

  inspect(id: number): ReturnType<Store["inspect"]> {
    return this.#store.inspect(id);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

for (const answerLost of [false, true]) {
  test(`a move killed at any write${answerLost ? " whose answer is lost" : ""} goes on, and never can two stores be worked with`, async () => {
    const reference = new MemoryStore();
    await filled(reference, 2500);
    const whole = await wholeStore(reference);
    let kills = 0;
    for (let finished = false; !finished; kills += 1) {
      const [here, there] = [new MemoryStore(), new MemoryStore()];
      await filled(here, 2500);
      const when = { writes: kills, answerLost };
      const killed = between(new KillAt(here, when), new KillAt(there, when));
      try {
        await moveQueue(killed);
        finished = true;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
      assert.ok((await usable(here)) + (await usable(there)) <= 1, `after ${kills} writes`);
      await moveQueue(between(here, there, "move-2"));
      assert.equal(await usable(here), 0);
      assert.equal(await usable(there), 1);
      assert.deepEqual(await wholeStore(there), whole, `after ${kills} writes`);
    }
    assert.ok(kills > 8, `${kills} writes`);
  });
}

/** 1 when the store has a queue that a broker may take up. */
async function usable(store: Store): Promise<number> {
  const { settings } = await store.open();
  await store.close();
  try {
    refuseMoved(settings);
    return settings.has("broker") ? 1 : 0;
  } catch {
    return 0;
  }
}

test("leases given in the new store have higher tokens than those that were given in the old", async () => {
  const [here, there] = [new MemoryStore(), new MemoryStore()];
  for (let opened = 0; opened < 10; opened += 1) await here.open();
  await filled(here, 1);
  const before = epochsOf(await here.open());
  await moveQueue(between(here, there));
  assert.ok(epochsOf(await there.open()) > before);
});

test("a move is refused where something else is, and says what", async () => {
  const stores = async (): Promise<[MemoryStore, MemoryStore]> => {
    const pair: [MemoryStore, MemoryStore] = [new MemoryStore(), new MemoryStore()];
    await filled(pair[0], 2500);
    return pair;
  };
  const refused = (options: MoveOptions, message: RegExp): Promise<void> =>
    assert.rejects(moveQueue(options), { code: "QUEUE_MOVE_REFUSED", message });
  const cut = async ([here, there]: [MemoryStore, MemoryStore]): Promise<void> => {
    const when = { writes: 3, answerLost: false };
    await assert.rejects(moveQueue(between(new KillAt(here, when), new KillAt(there, when))), Killed);
  };

  const [here, full] = await stores();
  await refused(between(new MemoryStore(), new MemoryStore()), /sqlite:here holds no queue/);
  await filled(full, 1);
  await refused(between(here, full), /there holds or has held tasks of its own/);

  const half = await stores();
  await cut(half);
  const elsewhere = { make: () => new MemoryStore(), name: "sqlite:elsewhere" };
  await refused({ ...between(...half), to: elsewhere }, /move of sqlite:here to sqlite:there is not finished/);
  const [other] = await stores();
  await refused(between(other, half[1]), /holds what came of an unfinished move from sqlite:here/);
  await assert.rejects(new Broker({ store: half[1] }).listen(), {
    code: "QUEUE_STORE_MOVED",
    message: /run 'holdfast queue move' again/,
  });

  await giveUpMove({ make: () => half[0], name: "sqlite:here" });
  assert.equal(await usable(half[0]), 1);
  assert.equal(await usable(half[1]), 0);
  await refused(between(...half), /holds what came of an unfinished move/);
  await moveQueue({ ...between(...half, "move-2"), to: elsewhere });
  await refused(between(...half), /was moved to sqlite:elsewhere/);
  await assert.rejects(giveUpMove({ make: () => half[0], name: "sqlite:here" }), {
    code: "QUEUE_MOVE_REFUSED",
    message: /all of it is in/,
  });
});

const QUIET = { throwIfNoEntry: false, bigint: false } as const;

async function folders(t: TestContext): Promise<{ from: string; to: string }> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-move-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { from: `sqlite:${join(folder, "from")}`, to: `sqlite:${join(folder, "to")}` };
}

test("holdfast queue move, killed with -9 again and again, brings everything over", async (t) => {
  const { from, to } = await folders(t);
  await filled(makeStore(from, { sync: "none" }), 12_000);
  const whole = await wholeStore(makeStore(from));
  const words = ["queue", "move", "--from", from, "--to", to];
  const bytesThere = (): number =>
    ["queue.db", "queue.db-wal"].reduce((sum, file) => sum + (statSync(join(to.slice(7), file), QUIET)?.size ?? 0), 0);
  const KILLS = 3;
  let finished = false;
  for (let run = 0; run < KILLS || !finished; run += 1) {
    const moving = new Holdfast(words);
    const ended = moving.ended();
    if (run < KILLS) {
      const killAt = bytesThere() + 300_000;
      while (moving.child.exitCode === null && bytesThere() < killAt) await sleep(2);
      moving.child.kill("SIGKILL");
    }
    const { code, stdout, stderr } = await ended;
    finished = code === 0;
    assert.equal(code, run < KILLS ? null : 0, stderr);
    if (finished) assert.match(stdout, /^moved 12000 tasks and 1 settings/m);
  }
  assert.deepEqual(await wholeStore(makeStore(to)), whole);
  const again = await new Holdfast([...words, "--json"]).ended();
  assert.equal((JSON.parse(again.stdout) as { already: boolean }).already, true);
});

test("a queue moves to NATS and back as it is, and not while a broker uses it there", requires("nats-server"), async (t) => {
  await using nats = await NatsServers.start();
  const { from: first, to: last } = await folders(t);
  await filled(makeStore(first, { sync: "none" }), 3000);
  const whole = await wholeStore(makeStore(first));
  const move = (from: string, to: string): ReturnType<Holdfast["ended"]> =>
    new Holdfast(["queue", "move", "--from", from, "--to", to]).ended();

  const there = await move(first, nats.url);
  assert.match(there.stdout, /^moved 3000 tasks and 1 settings/, there.stderr);
  assert.deepEqual(await wholeStore(makeStore(nats.url)), whole);

  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, store: nats.url });
  await broker.listen();
  assert.equal(broker.id, "0a0b0c0d");
  const inUse = await move(nats.url, last);
  await broker.close();
  assert.match(inUse.stderr, /^holdfast: Cannot take the log on NATS: a broker leads it$/m);

  const back = await move(nats.url, last);
  assert.match(back.stdout, /^moved 3000 tasks and 1 settings/, back.stderr);
  const { tasks } = await wholeStore(makeStore(last));
  assert.deepEqual(tasks, whole.tasks);
});

test("holdfast queue move says in a sentence that the source is in use, and moves nothing", async (t) => {
  const { from, to } = await folders(t);
  const inUse = makeStore(from);
  await inUse.open();
  t.after(() => inUse.close());
  const { code, stderr } = await new Holdfast(["queue", "move", "--from", from, "--to", to]).ended();
  assert.equal(code, 1);
  assert.match(stderr, /^holdfast: Cannot use .*: database is locked$/m);
  const wrong = await new Holdfast(["queue", "move", "--from", from, "--to", "memory:"]).ended();
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /a memory store cannot be moved/);
});
