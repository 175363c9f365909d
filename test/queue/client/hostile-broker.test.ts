import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { codeOf, ProtocolError } from "../../../src/core/errors.ts";
import type { LocalBroker } from "../../../src/queue/client/broker-connection.ts";
import { Broker, type LogListener, queue, worker } from "../../../src/queue/index.ts";
import { Dealer, Router } from "../../../src/zmq/index.ts";

async function startBroker(t: TestContext, listen = "tcp://127.0.0.1:0"): Promise<Broker> {
  const broker = new Broker({ listen, data: false });
  await broker.listen();
  t.after(() => broker.close());
  return broker;
}

/** Hears of brokers whose messages cannot be read. */
const invalid =
  (tell: (error: unknown) => void): LogListener =>
  (event, { error }) => {
    if (event === "queue.broker-invalid") tell(error);
  };

test("a broker that answers nonsense costs its connections; once a real one is there, what was asked is done", async (t) => {
  const router = new Router({ linger: 0 });
  await router.bind("tcp://127.0.0.1:*");
  const address = router.lastEndpoint!;
  let hellos = 0;
  const answering = (async () => {
    for await (const [id, , verb, request] of router) {
      if (String(verb) !== "HELLO") continue;
      hellos += 1;
      router.trySend([id!, "HQ1", "WELCOME", request!, "null"]);
      if (hellos === 3) return;
    }
  })();
  const told: unknown[] = [];
  const tasks = queue<string, string>("mails", { url: address, log: invalid((error) => told.push(error)) });
  t.after(() => tasks.close());
  const added = tasks.add("hello", { timeout: "20s" });
  await answering;
  await router.close();
  const broker = await startBroker(t, address);
  const task = await added;
  assert.ok(task.id.startsWith(broker.id));
  // The third may have been lost with the socket that said it.
  assert.ok(told.length >= 2);
  for (const error of told) assert.ok(error instanceof ProtocolError);
});

test("a broker in the same process that says nonsense is left and attached to again", async (t) => {
  const broker = await startBroker(t);
  let garbled = 2;
  const faulty: LocalBroker = {
    address: broker.address,
    attach: (send, closed) =>
      broker.attach((frames) => {
        if (garbled === 0) send(frames);
        else {
          garbled -= 1;
          send([frames[0]!, Buffer.from("ENDEDS"), Buffer.from([0, 0, 0])]);
        }
      }, closed),
  };
  const told: unknown[] = [];
  const tasks = queue<string, string>("mails", { broker: faulty, log: invalid((error) => told.push(error)) });
  t.after(() => tasks.close());
  const task = await tasks.add("hello", { timeout: "20s" });
  assert.ok(task.id.startsWith(broker.id));
  assert.equal(told.length, 2);
});

for (const way of ["over the network", "in the broker's process"]) {
  test(`progress that the codec cannot read is an error of who reads it, ${way}; the result still comes`, async (t) => {
    const broker = await startBroker(t);
    const films = queue<string, string>("films", way === "over the network" ? { url: broker.address } : { broker });
    t.after(() => films.close());
    const task = await films.add("film");
    const stranger = new Dealer({ linger: 0 });
    t.after(() => void stranger.close());
    stranger.connect(broker.address);
    const progress = task.progress({ timeout: "20s" });
    const first = progress.next();
    await stranger.send(["HQ1", "WORK", "films", "1", "0"]);
    const [, verb, lease] = await stranger.receive();
    assert.equal(String(verb), "TASK");
    // Until it is heard: the reader may not have said yet that it watches.
    const timer = setInterval(() => void stranger.send(["HQ1", "PROGRESS", lease!, "10"]), 20);
    assert.equal((await first).value, 10);
    clearInterval(timer);
    await stranger.send(["HQ1", "PROGRESS", lease!, "50%"]);
    let read: unknown;
    await assert.rejects(
      async () => {
        while (!((read = await progress.next()), read as IteratorResult<unknown>).done);
      },
      (error) => codeOf(error) === "QUEUE_PAYLOAD_INVALID",
    );
    await stranger.send(["HQ1", "DONE", lease!, '"seen"']);
    assert.equal(await task.result({ timeout: "20s" }), "seen");
  });
}

test("tasks that came before the bytes that cannot be read are done", async (t) => {
  const broker = await startBroker(t);
  let isGarbled = false;
  const faulty: LocalBroker = {
    address: broker.address,
    attach: (send, closed) =>
      broker.attach((frames) => {
        if (isGarbled || String(frames[1]) !== "TASKS") send(frames);
        else {
          isGarbled = true;
          send([...frames.slice(0, 3), Buffer.concat([frames[3]!, Buffer.from([1])])]);
        }
      }, closed),
  };
  const tasks = queue<string, string>("mails", { broker });
  const added = await tasks.addMany(["a", "b", "c"]);
  const running = worker(queue<string, string>("mails", { broker: faulty, log: () => {} }), (text) => `did ${text}`, {
    signals: [],
    concurrency: 3,
  });
  t.after(async () => {
    await running.close();
    await tasks.close();
  });
  for (const [index, task] of added.entries()) assert.equal(await task.result({ timeout: "20s" }), `did ${"abc"[index]}`);
  assert.ok(isGarbled);
});
