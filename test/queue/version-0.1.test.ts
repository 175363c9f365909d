/**
 * What version 0.1 wrote and says: a data folder of it, left by kill -9 with a task of each kind, and the words for states by which its
 * clients ask and are answered.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { seeded } from "../../src/core/random.ts";
import { ProtocolRouter } from "../../src/queue/broker/protocol-router.ts";
import { Broker, checkStore } from "../../src/queue/index.ts";
import { errorTexts } from "../../src/store/facts.ts";
import { decodeOps, encodeOps } from "../../src/store/op-codec.ts";
import type { Fact } from "../../src/store/store.ts";
import { IdText } from "../../src/queue/protocols/messages.ts";
import { CronTable } from "../../src/queue/service/cron.ts";
import { TaskService } from "../../src/queue/service/task-service.ts";
import { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { TASK_STATES } from "../../src/queue/tasks/life-cycle.ts";
import { encodeState } from "../../src/queue/tasks/task-record.ts";
import { readState, STORED_STATES, wireState } from "../../src/queue/tasks/state-words.ts";
import { oldCommand, withoutOldPackage } from "../support/version-0.1.ts";

const run = promisify(execFile);
const DATA = join(import.meta.dirname, "stores/data-0.1.0.tar.gz");

/** The folder's clock stood at its last note of the time, so that what is kept for days is still there. */
const clock = new ManualClock();
let folder: string;
let service: TaskService;
let router: ProtocolRouter;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-0.1-"));
  await run("tar", ["-xzf", DATA, "-C", folder]);
  service = new TaskService({ store: new SqliteStore({ folder }), clock, random: seeded(1) });
  await service.open();
  router = new ProtocolRouter({ service, ids: new IdText("1ed99e8e"), cron: new CronTable(service, () => undefined) });
});

after(async () => {
  await service.close();
  await rm(folder, { recursive: true });
});

/** The task of its queue "dead-ones". */
const DEAD_ONE = 14;

function plain({ kind, name, payload }: Fact): string {
  return `${kind} ${name} ${Buffer.from(payload).toString()}`;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function f64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

let clients = 0;

/** What a client of 0.1, each time another, is answered: the frames after the request's number. */
function ask(verb: string, ...rest: readonly string[]): Promise<string[]> {
  const peer = `client ${(clients += 1)}`;
  const request = ["HQ1", verb, "1", ...rest].map((frame) => Buffer.from(frame));
  return new Promise((resolve) => {
    const send = (sent: readonly Buffer[]): void => resolve(sent.slice(3).map((frame) => frame.toString()));
    router.receive(peer, request, () => ({ peer, send, close: () => {} }));
    service.flush();
  });
}

interface Listed {
  readonly queue: string;
  readonly state: string;
  readonly blocked?: boolean;
  readonly reason?: string;
}

async function list(request: object): Promise<Listed[]> {
  const [page] = await ask("LIST", JSON.stringify(request));
  return (JSON.parse(page!) as { tasks: Listed[] }).tasks;
}

test("tasks of a data folder of 0.1 are in the states in which they were left", () => {
  const found = service.stats().queues.map(({ name, states }) => {
    const there = Object.entries(states).filter(([, count]) => count > 0);
    return [name, Object.fromEntries(there)] as const;
  });
  assert.deepEqual(Object.fromEntries(found), {
    letters: { waiting: 3, delayed: 1 },
    builds: { delayed: 1 },
    deploys: { blocked: 1 },
    keyed: { waiting: 1 },
    grouped: { waiting: 4 },
    limited: {},
    paused: { waiting: 1 },
    "done-ones": { completed: 1 },
    "dead-ones": { dead: 1 },
    retrying: { retrying: 1 },
    "active-ones": { active: 1 },
  });
});

test("a client of 0.1 is answered in the words that it knows", async () => {
  const tasks = await list({ limit: 100 });
  const first = new Map(tasks.toReversed().map((task) => [task.queue, task]));
  const words = ["keyed", "builds", "deploys", "active-ones", "retrying", "done-ones", "dead-ones"].map(
    (queue) => first.get(queue)!.state,
  );
  assert.deepEqual(words, ["ready", "delayed", "delayed", "leased", "failed", "done", "dead"]);
  const [stats] = await ask("STATS");
  const { queues } = JSON.parse(stats!) as { queues: { name: string; states: object; blocked: number }[] };
  const deploys = queues.find(({ name }) => name === "deploys")!;
  assert.deepEqual(deploys.states, { delayed: 1, ready: 0, leased: 0, failed: 0, done: 0, dead: 0, cancelled: 0 });
  assert.equal(deploys.blocked, 1);
  assert.deepEqual(await ask("WATCH", "1ed99e8e-13"), ["1ed99e8e-13", "done", "DONE BODY"]);
  assert.match((await ask("SHOW", "1ed99e8e-16"))[0]!, /"state":"leased"/);
});

test("a client of 0.1 asks in the words that it knows: 'delayed' includes what is blocked", async () => {
  const queuesOf = async (request: object): Promise<string[]> => (await list(request)).map(({ queue }) => queue);
  assert.deepEqual(await queuesOf({ state: "delayed" }), ["letters", "builds", "deploys"]);
  assert.deepEqual(await queuesOf({ state: "delayed", blocked: false }), ["letters", "builds"]);
  assert.deepEqual(await queuesOf({ state: "delayed", blocked: true }), ["deploys"]);
  assert.deepEqual(await queuesOf({ state: "failed" }), ["retrying"]);
  assert.deepEqual(await queuesOf({ state: "leased" }), ["active-ones"]);
  assert.equal((await list({ state: "dead" }))[0]!.reason, "attempts");
  assert.match((await ask("LIST", '{"state":"waiting"}')).join(), /QUEUE_OPTIONS_INVALID.*ready/);
  assert.deepEqual(await ask("PURGE", "done-ones", "done"), ['{"removed":1}']);
});

test("errors that 0.1 kept are facts of their tasks, and others come after them", async (t) => {
  const copy = await mkdtemp(join(tmpdir(), "holdfast-0.1-"));
  t.after(() => rm(copy, { recursive: true }));
  await run("tar", ["-xzf", DATA, "-C", copy]);
  const step: Fact = { kind: "step", name: "charge", payload: Buffer.from("paid") };
  let before: readonly Fact[] = [];
  for (const opening of [1, 2]) {
    const store = new SqliteStore({ folder: copy });
    await store.open();
    const { facts, lacksFacts } = (await store.inspect(DEAD_ONE))!;
    assert.equal(lacksFacts, undefined);
    assert.match(errorTexts(facts)[0]!, /\S/);
    if (opening === 1) before = facts;
    else assert.deepEqual(facts.map(plain), [...before, step].map(plain));
    await store.write([{ kind: "fact", id: DEAD_ONE, fact: step }]);
    await store.close();
  }
  const { refused, unknown, settings } = await checkStore(copy);
  assert.deepEqual({ refused, unknown, settings }, { refused: undefined, unknown: 0, settings: 0 });
});

test("changes are read as the version before wrote them into a log", () => {
  const blob = (text: string): Buffer => Buffer.concat([u32(text.length), Buffer.from(text)]);
  const note = Buffer.concat([Buffer.of(4), f64(7), blob("failed")]);
  const keep = Buffer.concat([Buffer.of(7), f64(8), blob("h"), blob("s"), blob("b"), u32(2), blob("one"), blob("two")]);
  assert.deepEqual(
    [...decodeOps(Buffer.concat([note, keep]))].map((op) =>
      op.kind === "fact" ? [op.id, plain(op.fact)] : op.kind === "keep" ? [op.id, op.facts.map(plain)] : op,
    ),
    [
      [7, "error  failed"],
      [8, ["error  one", "error  two"]],
    ],
  );
  const again = encodeOps([...decodeOps(Buffer.concat([note, keep]))]);
  assert.ok(Buffer.concat([note, keep]).equals(again), "and it reads what is written now");
});

test("states are stored as the numbers that 0.1 gave them", () => {
  const record = { flags: 0, atMs: 0, token: 0, attempts: 0, lost: 0, bodyBytes: 0, resultBytes: 0 };
  const numbers = STORED_STATES.map((state) => [wireState(state), encodeState({ ...record, state })[1]]);
  assert.deepEqual(Object.fromEntries(numbers), {
    delayed: 0,
    ready: 1,
    leased: 2,
    failed: 3,
    done: 4,
    dead: 5,
    cancelled: 6,
  });
});

test("a state is known by its name and by its word in 0.1", () => {
  for (const state of TASK_STATES) assert.equal(readState(state), state);
  const old = ["ready", "delayed", "leased", "failed", "done", "dead", "cancelled", "nonsense"].map(readState);
  assert.deepEqual(old, ["waiting", "delayed", "active", "retrying", "completed", "dead", "cancelled", undefined]);
});

test("the command of 0.1 lists, shows and calls at this broker", { skip: withoutOldPackage }, async (t) => {
  const command = await oldCommand(t);
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  t.after(() => broker.close());
  const say = async (...words: string[]): Promise<string> =>
    (await run(process.execPath, [command, ...words, "--url", broker.address])).stdout;
  const id = (await say("queue", "add", "q", "a letter")).trim();
  assert.match(await say("queue", "ls", "q", "--state", "ready"), new RegExp(`${id} +ready`));
  assert.match(await say("queue", "ls"), /READY +DELAYED +RUNNING[^]*\nq +1 +0 +0/);
  const working = execFile(process.execPath, [command, "work", "q", "--url", broker.address, "--", "cat"]);
  t.after(() => working.kill("SIGKILL"));
  assert.equal(await say("queue", "call", "q", "another"), "another");
  assert.match(await say("queue", "show", id), /state +done[^]*result +a letter/);
});
