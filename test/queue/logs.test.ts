import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test, type TestContext } from "node:test";
import type { LogFacts } from "../../src/core/log.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { Reachability } from "../../src/queue/client/reachability.ts";
import { Broker, type BrokerOptions, type LogListener, queue, worker } from "../../src/queue/index.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { StoreOp } from "../../src/store/store.ts";
import { Dealer } from "../../src/zmq/index.ts";
import { Rig } from "./service/task-service-rig.ts";

/** What was told, and waits for more. */
class Told {
  readonly all: { readonly event: string; readonly facts: LogFacts; readonly level: string }[] = [];
  readonly log: LogListener = (event, facts, level) => void this.all.push({ event, facts, level });

  of(event: string): LogFacts[] {
    return this.all.filter((each) => each.event === event).map(({ facts }) => facts);
  }

  async until(event: string, count = 1): Promise<LogFacts[]> {
    const endMs = performance.now() + 10_000;
    while (this.of(event).length < count) {
      assert.ok(performance.now() < endMs, `no ${event} within 10 s: ${JSON.stringify(this.all)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.of(event);
  }
}

async function start(t: TestContext, options: BrokerOptions = {}): Promise<{ broker: Broker; told: Told }> {
  const told = new Told();
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: told.log, ...options });
  await broker.listen();
  t.after(() => broker.close());
  return { broker, told };
}

test("a broker tells where it listens, and that it has closed", async (t) => {
  const { broker, told } = await start(t);
  await broker.close();
  assert.deepEqual(told.all, [
    { event: "queue.listening", facts: { address: broker.address }, level: "info" },
    { event: "queue.closed", facts: {}, level: "info" },
  ]);
});

test("a peer that does not get through the handshake is told at both ends, with the reason", async (t) => {
  const { broker, told } = await start(t, { security: { plain: { ada: "secret" } } });
  const client = new Told();
  const plain = { username: "ada", password: "wrong" };
  const tasks = queue("q", { url: broker.address, security: { plain }, log: client.log });
  t.after(() => tasks.close());
  const [refused] = await told.until("queue.peer-refused");
  assert.match(String(refused!["remote"]), /^tcp:\/\/127\.0\.0\.1:\d+$/);
  const [why] = await client.until("queue.broker-refused");
  assert.equal(why!["address"], broker.address);
  assert.equal(typeof why!["reason"], "string");

  const { port } = new URL(broker.address);
  const stranger = connect(Number(port), "127.0.0.1");
  stranger.on("error", () => {});
  await once(stranger, "connect");
  stranger.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".padEnd(100));
  await told.until("queue.peer-refused", 2);
  stranger.destroy();
});

test("without the option a broker tells of trouble on stderr, and of nothing else", async (t) => {
  const written: string[] = [];
  t.mock.method(process.stderr, "write", (line: string) => written.push(line));
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, security: { plain: { ada: "secret" } } });
  await broker.listen();
  t.after(() => broker.close());
  assert.deepEqual(written, []);
  const dealer = new Dealer({ linger: 0, plainUsername: "ada", plainPassword: "wrong" });
  t.after(() => void dealer.close());
  dealer.connect(broker.address);
  while (written.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(written[0]!, /^\S+Z warning queue\.peer-refused remote=tcp:\/\/127\.0\.0\.1:\d+ reason=".+"\n$/);
});

test("a worker whose connection breaks while it has tasks is told, one that leaves in good order is not", async (t) => {
  const { broker, told } = await start(t);
  const tasks = queue<string, string>("mails", { broker });
  t.after(() => tasks.close());
  const good = worker(tasks, () => "done", { signals: [] });
  assert.equal(await tasks.call("a"), "done");
  await good.close();
  await tasks.add("b");
  const bad = new Dealer({ linger: 0, routingId: "bad" });
  bad.connect(broker.address);
  await bad.send(["HQ1", "WORK", "mails", "1"]);
  await bad.receive();
  await bad.close();
  assert.deepEqual(await told.until("queue.worker-lost"), [{ peer: "bad", queue: "mails", held: 1 }]);
});

test("a task that is dead is told under the id that 'holdfast queue show' takes", async (t) => {
  const { broker, told } = await start(t);
  const tasks = queue<string, string>("mails", { broker });
  const failing = worker(tasks, () => Promise.reject(new Error("no")), { signals: [], onError: () => {} });
  t.after(async () => {
    await failing.close();
    await tasks.close();
  });
  const task = await tasks.add("a", { attempts: 1 });
  await assert.rejects(task.result());
  assert.deepEqual(told.of("queue.task-dead"), [{ task: task.id, queue: "mails", reason: "attempts" }]);
});

test("a worker without onError tells the log of failed attempts; one with it does not, and what that throws harms nobody", async (t) => {
  const { broker } = await start(t);
  const told = new Told();
  const tasks = queue<string, string>("mails", { broker, log: told.log });
  t.after(() => tasks.close());
  const handler = (text: string): string => {
    if (text === "bad") throw new Error("no such address");
    return text;
  };
  const first = worker(tasks, handler, { signals: [] });
  const task = await tasks.add("bad", { attempts: 1 });
  await assert.rejects(task.result());
  const [facts] = told.of("queue.attempt-failed");
  assert.deepEqual(
    { ...facts, error: String(facts!["error"]) },
    { task: task.id, queue: "mails", attempt: 1, error: "Error: no such address" },
  );
  await first.close();

  const onError = (): never => {
    throw new Error("the listener fails");
  };
  const second = worker(tasks, handler, { signals: [], onError });
  t.after(() => second.close());
  await assert.rejects(tasks.call("bad", { attempts: 1 }), /no such address/);
  assert.equal(await tasks.call("good"), "good");
  assert.equal(told.of("queue.attempt-failed").length, 1);
  assert.match(String(told.of("queue.program-error")[0]!["error"]), /the listener fails/);
});

test("a store that cannot write is told once when that begins, and once when it is over", async () => {
  const told = new Told();
  let isFull = false;
  class Disk extends MemoryStore {
    override async write(ops: readonly StoreOp[]): Promise<void> {
      if (isFull) throw new Error("no space left on device");
      await super.write(ops);
    }
  }
  const rig = await Rig.open(new Disk(), { log: (event, facts) => told.log(event, facts, "error") });
  await rig.add("a");
  isFull = true;
  await assert.rejects(rig.add("b"), { code: "QUEUE_STORE_UNAVAILABLE" });
  await rig.pass(2000);
  await assert.rejects(rig.add("c"), { code: "QUEUE_STORE_UNAVAILABLE" });
  assert.deepEqual(
    told.all.map(({ event, facts }) => [event, String(facts["error"])]),
    [["queue.store-trouble", "Error: no space left on device"]],
  );
  isFull = false;
  await rig.pass(1000);
  await rig.add("d");
  const [recovered, ...more] = told.of("queue.store-recovered");
  assert.deepEqual(more, []);
  assert.ok(Number(recovered!["forMs"]) >= 2000 && Number(recovered!["forMs"]) <= 3000);
  isFull = true;
  await assert.rejects(rig.add("e"));
  assert.equal(told.of("queue.store-trouble").length, 2);
});

test("a client tells that no broker has been there for 5 s, and that one is again; a short restart is no trouble", () => {
  const told = new Told();
  const clock = new ManualClock();
  const reachability = new Reachability("tcp://q:5555", {
    clock,
    log: (event, facts) => told.log(event, facts, "warning"),
    reason: () => "ECONNREFUSED",
  });
  reachability.lost();
  clock.advance(4999);
  reachability.reached();
  reachability.lost();
  reachability.lost();
  clock.advance(4999);
  assert.deepEqual(told.all, []);
  clock.advance(1);
  reachability.lost();
  clock.advance(60_000);
  assert.deepEqual(told.of("queue.broker-unreachable"), [{ url: "tcp://q:5555", reason: "ECONNREFUSED" }]);
  reachability.reached();
  reachability.reached();
  assert.equal(told.of("queue.broker-back").length, 1);
});

test("a message of a worker that the broker cannot use is told to the worker's log", async (t) => {
  const { broker } = await start(t);
  const told = new Told();
  const running = worker(queue("x".repeat(300), { broker, log: told.log }), () => "", { signals: [] });
  t.after(() => running.close());
  const [facts] = await told.until("queue.message-refused");
  assert.equal(facts!["code"], "QUEUE_NAME_INVALID");
});
