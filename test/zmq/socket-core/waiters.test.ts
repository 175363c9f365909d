/** Calls that wait: any number at once, each answered once: by its turn, its timeout, its signal, or the close. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { Context, Dealer, Pull, Push, Subscriber, type MessageLike } from "../../../src/zmq/index.ts";
import { closing } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map(String);

function pair(t: Parameters<typeof closing>[0], clock = new ManualClock()) {
  const context = new Context({}, clock);
  const push = closing(t, new Push({ context, sendHighWaterMark: 1 }));
  const pull = closing(t, new Pull({ context, receiveHighWaterMark: 1 }));
  push.connect("inproc://a");
  return { clock, push, pull, bind: () => pull.bind("inproc://a") };
}

test("sends and receives that wait are served in order: no 'Socket is busy'", async (t) => {
  const { push, pull, bind } = pair(t);
  const sends = Array.from({ length: 20 }, (_, index) => push.send(`${index}`));
  await bind();
  const received = await Promise.all(Array.from({ length: 20 }, () => pull.receive()));
  await Promise.all(sends);
  assert.deepEqual(
    received.map((message) => String(message[0])),
    Array.from({ length: 20 }, (_, index) => `${index}`),
  );
});

test("receiveTimeout and sendTimeout end a wait with EAGAIN, 0 at once", async (t) => {
  const { clock, push, pull } = pair(t);
  pull.receiveTimeout = 1000;
  push.sendTimeout = 2000;
  assert.equal(push.trySend("fills the pipe"), "sent");
  const outcomes: string[] = [];
  const receiving = assert.rejects(pull.receive(), { code: "EAGAIN", errno: 11 }).then(() => outcomes.push("receive"));
  const sending = assert.rejects(push.send("x"), { code: "EAGAIN" }).then(() => outcomes.push("send"));
  clock.advance(1000);
  await receiving;
  clock.advance(999);
  assert.deepEqual(outcomes, ["receive"]);
  clock.advance(1);
  await sending;
  pull.receiveTimeout = 0;
  push.sendTimeout = 0;
  await assert.rejects(pull.receive(), { code: "EAGAIN" });
  await assert.rejects(push.send("x"), { code: "EAGAIN" });
});

test("an AbortSignal ends a wait with ABORTED and loses no message", async (t) => {
  const { push, pull, bind } = pair(t);
  await bind();
  const controller = new AbortController();
  const aborted = pull.receive({ signal: controller.signal });
  const next = pull.receive();
  controller.abort();
  await assert.rejects(aborted, { code: "ABORTED" });
  await push.send("x");
  assert.deepEqual(text(await next), ["x"]);
  await assert.rejects(pull.receive({ signal: AbortSignal.abort() }), { code: "ABORTED" });
  for (let count = 0; count < 2; count += 1) push.trySend("fill");
  const sending = new AbortController();
  const unsent = push.send("never", { signal: sending.signal });
  sending.abort();
  await assert.rejects(unsent, { code: "ABORTED" });
});

test("close answers those who wait with EAGAIN, those who come later with EBADF", async (t) => {
  const { push, pull } = pair(t);
  assert.equal(push.trySend("fills the pipe"), "sent");
  const receiving = pull.receive();
  const sending = push.send("x");
  push.linger = 0;
  const closing = [push.close(), pull.close(), push.close()];
  await assert.rejects(receiving, { code: "EAGAIN" });
  await assert.rejects(sending, { code: "EAGAIN" });
  await Promise.all(closing);
  await assert.rejects(push.send("x"), { code: "EBADF" });
  await assert.rejects(pull.receive(), { code: "EBADF" });
  assert.throws(() => push.trySend("x"), { code: "EBADF" });
  assert.throws(() => push.connect("inproc://b"), { code: "EBADF" });
  assert.ok(push.closed && !push.writable && !pull.readable);
});

test("for await ends when the socket is closed", async (t) => {
  const { push, pull, bind } = pair(t);
  await bind();
  await push.send("x");
  const seen: string[] = [];
  for await (const [body] of pull) {
    seen.push(String(body));
    setImmediate(() => void pull.close());
  }
  for await (const _ of pull) assert.fail("a closed socket has no messages");
  assert.deepEqual(seen, ["x"]);
});

test("a batch takes what is there, at least one message and at most as many as asked", async (t) => {
  const context = new Context();
  const pull = closing(t, new Pull({ context }));
  await pull.bind("inproc://a");
  const push = closing(t, new Push({ context }));
  push.connect("inproc://a");
  for (let count = 0; count < 5; count += 1) push.trySend(`${count}`);
  assert.equal((await pull.receiveBatch(3)).length, 3);
  assert.equal((await pull.receiveBatch()).length, 2);
  const waiting = pull.receiveBatch();
  push.trySend("later");
  assert.deepEqual((await waiting).map(text), [["later"]]);
});

test("bytes and text can be sent as they are, null as an empty part, anything else as its text; no empty message", async (t) => {
  const context = new Context();
  const a = closing(t, new Dealer({ context }));
  const b = closing(t, new Dealer({ context }));
  await a.bind("inproc://a");
  b.connect("inproc://a");
  const view = new Uint16Array([0x4241]);
  const parts: MessageLike[] = ["ä", 12.5, null, Buffer.from("buffer"), view, view.buffer, new SharedArrayBuffer(1)];
  await a.send(parts);
  assert.deepEqual(text(await b.receive()), ["ä", "12.5", "", "buffer", "AB", "AB", "\0"]);
  await a.send([true, {}, new URL("tcp://a:1")] as never);
  assert.deepEqual(text(await b.receive()), ["true", "[object Object]", "tcp://a:1"]);
  for (const wrong of [undefined, [], ["x", undefined]]) {
    assert.throws(() => a.trySend(wrong as never), { code: "EINVAL" });
  }
});

test("an option that a socket does not have is refused", () => {
  assert.throws(() => new Subscriber({ subscribeTo: "x" } as never), TypeError);
  const subscriber = new Subscriber() as unknown as Record<string, unknown>;
  for (const name of ["subscribeTo", "sendHighWaterMark", "routingId"]) {
    assert.throws(() => (subscriber[name] = 1), TypeError, name);
  }
});

test("a program that sends in a loop still hears its timers", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push());
  push.connect(pull.lastEndpoint!);
  void (async () => {
    for await (const _ of pull.batches());
  })();
  const timer = { fired: false };
  setTimeout(() => (timer.fired = true), 20);
  for (let count = 0; !timer.fired; count += 1) {
    await push.send("x");
    assert.ok(count < 10_000_000, "the timer fires");
  }
});

test("two sockets of one process that answer each other without end still let timers fire", async (t) => {
  const context = new Context();
  const a = closing(t, new Dealer({ context }));
  const b = closing(t, new Dealer({ context }));
  await a.bind("inproc://a");
  b.connect("inproc://a");
  void (async () => {
    for await (const message of b) await b.send(message);
  })();
  const timer = { fired: false };
  setTimeout(() => (timer.fired = true), 20);
  for (let count = 0; !timer.fired; count += 1) {
    await a.send("x");
    await a.receive();
    assert.ok(count < 10_000_000, "the timer fires");
  }
});
