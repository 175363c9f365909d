/** inproc across threads: names of the default context are known in all of them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { Context, Pull, Push, Request } from "../../src/zmq/index.ts";
import { closing, nextEvent } from "../support/zmq.ts";

function thread(t: TestContext, role: string, name: string): Worker {
  const worker = new Worker(join(import.meta.dirname, "inproc-thread-child.ts"), { workerData: { role, name } });
  t.after(() => worker.terminate());
  return worker;
}

async function said(worker: Worker): Promise<unknown> {
  const [message] = (await once(worker, "message")) as [unknown];
  return message;
}

test("a REQ asks a REP that another thread has bound", async (t) => {
  const worker = thread(t, "echo", "a-rep");
  assert.equal(await said(worker), "bound");
  const request = closing(t, new Request());
  request.connect("inproc://a-rep");
  for (const text of ["one", "two"]) {
    await request.send([text, ""]);
    assert.deepEqual((await request.receive()).map(String), [text, ""]);
  }
});

test("two threads find each other, whoever comes first", async (t) => {
  const first = thread(t, "connect", "between");
  const second = thread(t, "bind", "between");
  assert.deepEqual(await Promise.all([said(first), said(second)]), ["from bind", "from connect"]);
});

test("what a thread sent before it closed and ended arrives", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("inproc://last");
  thread(t, "send and close", "last");
  assert.deepEqual((await pull.receive()).map(String), ["last", "words"]);
});

test("20,000 messages cross in order, with high-water marks of 100", async (t) => {
  const pull = closing(t, new Pull({ receiveHighWaterMark: 100 }));
  await pull.bind("inproc://pour");
  thread(t, "pour", "pour");
  for (let number = 0; number < 20_000; number += 1) {
    const [first, second] = await pull.receive();
    assert.equal(String(first), `${number}`);
    assert.equal(second!.length, number % 300);
  }
});

test("messages of 5 MB cross whole; a sender keeps its own", async (t) => {
  const push = closing(t, new Push());
  await push.bind("inproc://large");
  const worker = thread(t, "count", "large");
  const octets = Buffer.alloc(5_000_000, 1);
  for (let count = 0; count < 3; count += 1) await push.send(octets);
  assert.equal(await said(worker), 15_000_000);
  assert.equal(octets.length, 5_000_000);
});

test("a thread that dies lets its peers know", async (t) => {
  const worker = thread(t, "echo", "mortal");
  await said(worker);
  const request = closing(t, new Request());
  request.connect("inproc://mortal");
  const gone = nextEvent(request, "peer:gone");
  await request.send("?");
  await request.receive();
  await worker.terminate();
  assert.equal((await gone).address, "inproc://mortal");
});

test("a context that a program makes has names of its own", async (t) => {
  const pull = closing(t, new Pull({ context: new Context() }));
  await pull.bind("inproc://private");
  const worker = thread(t, "send and close", "private");
  const [code] = (await once(worker, "exit")) as [number];
  assert.equal(code, 0);
  assert.equal(pull.tryReceive(), undefined);
});
