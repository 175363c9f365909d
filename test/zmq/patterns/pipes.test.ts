/** What is queued, for whom, how much of it, and what becomes of it when connections come and go. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { Context, Dealer, Pull, Push, Pair, type Event } from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map(String);

test("inproc holds what both high-water marks allow together", (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, sendHighWaterMark: 3 }));
  const pull = closing(t, new Pull({ context, receiveHighWaterMark: 2 }));
  void pull.bind("inproc://a");
  push.connect("inproc://a");
  let sent = 0;
  while (push.trySend(`${sent}`) === "sent") sent += 1;
  assert.equal(sent, 5);
  assert.deepEqual(text(pull.tryReceive()), ["0"]);
});

test("a high-water mark of 0 is no bound in messages", (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, sendHighWaterMark: 0 }));
  push.connect("inproc://later");
  for (let count = 0; count < 5000; count += 1) assert.equal(push.trySend(`${count}`), "sent");
});

test("a pipe is bounded in bytes too, and takes any one message when empty", (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, sendHighWaterBytes: 1000 }));
  push.connect("inproc://later");
  assert.equal(push.trySend(Buffer.alloc(5000)), "sent");
  assert.equal(push.trySend("x"), "EAGAIN");
});

test("a PULL that does not read stops the sender through TCP, and nothing is lost", async (t) => {
  const pull = closing(t, new Pull({ receiveHighWaterMark: 10 }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ sendHighWaterMark: 10, sendTimeout: 200 }));
  push.connect(pull.lastEndpoint!);
  let sent = 0;
  await assert.rejects(
    async () => {
      for (;;) {
        await push.send([`${sent}`, Buffer.alloc(100_000)]);
        sent += 1;
        assert.ok(sent < 5000, "it stops before 500 MB");
      }
    },
    { code: "EAGAIN" },
  );
  for (let count = 0; count < sent; count += 1) assert.equal(String((await pull.receive())[0]), `${count}`);
});

test("a connect queues before there is a connection; immediate waits for one", async (t) => {
  const context = new Context();
  const queueing = closing(t, new Push({ context }));
  const immediate = closing(t, new Push({ context, immediate: true }));
  for (const push of [queueing, immediate]) push.connect("tcp://127.0.0.1:1");
  assert.equal(queueing.trySend("x"), "sent");
  assert.equal(immediate.trySend("x"), "EAGAIN");
});

test("what is queued for a peer that is away is sent when it comes back", async (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, reconnectInterval: 1 }));
  let pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const endpoint = pull.lastEndpoint!;
  push.connect(endpoint);
  await push.send("before");
  assert.deepEqual(text(await pull.receive()), ["before"]);
  const gone = nextEvent(push, "disconnect");
  await pull.close();
  await gone;
  for (let count = 0; count < 10; count += 1) assert.equal(push.trySend(`${count}`), "sent");
  pull = closing(t, new Pull({ context }));
  await pull.bind(endpoint);
  for (let count = 0; count < 10; count += 1) assert.deepEqual(text(await pull.receive()), [`${count}`]);
});

test("what a bound socket has queued for a peer dies with its connection", async (t) => {
  const push = closing(t, new Push({ sendHighWaterMark: 1 }));
  await push.bind("tcp://127.0.0.1:*");
  const first = closing(t, new Pull({ receiveHighWaterMark: 1 }));
  first.connect(push.lastEndpoint!);
  await push.send("1");
  await until(() => first.readable, "the first message");
  let queued = 0;
  while (push.trySend(Buffer.alloc(1_000_000)) === "sent" || (await settle(), push.writable)) {
    queued += 1;
    assert.ok(queued < 200);
  }
  const gone = nextEvent(push, "peer:gone");
  await first.close();
  await gone;
  assert.equal(push.trySend("x"), "EAGAIN");
  const second = closing(t, new Pull());
  second.connect(push.lastEndpoint!);
  await push.send("only this");
  assert.deepEqual(text(await second.receive()), ["only this"]);
});

test("close sends what is queued first (linger -1), within linger, or not at all (linger 0)", async (t) => {
  const clock = new ManualClock();
  const context = new Context({}, clock);
  const pull = closing(t, new Pull({ context }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = new Push({ context });
  push.connect(pull.lastEndpoint!);
  for (let count = 0; count < 100; count += 1) await push.send(`${count}`);
  await push.close();
  for (let count = 0; count < 100; count += 1) assert.deepEqual(text(await pull.receive()), [`${count}`]);

  const dropping = new Push({ context, linger: 0 });
  dropping.connect("tcp://127.0.0.1:1");
  await dropping.send("x");
  await dropping.close();

  const lingering = new Push({ context, linger: 5000 });
  lingering.connect("tcp://127.0.0.1:1");
  await lingering.send("x");
  let closed = false;
  const done = lingering.close().then(() => (closed = true));
  clock.advance(4999);
  await settle();
  assert.equal(closed, false);
  clock.advance(1);
  await done;
});

test("close ends with linger when the peer does not read", async (t) => {
  const clock = new ManualClock();
  const context = new Context({}, clock);
  const pull = closing(t, new Pull({ receiveHighWaterMark: 1 }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = new Push({ context, linger: 5000, sendHighWaterMark: 0 });
  const shaken = nextEvent(push, "handshake");
  push.connect(pull.lastEndpoint!);
  await shaken;
  for (let count = 0; count < 32; count += 1) push.trySend(Buffer.alloc(1024 * 1024));
  let closed = false;
  const done = push.close().then(() => (closed = true));
  clock.advance(4999);
  await settle();
  assert.equal(closed, false);
  clock.advance(1);
  await done;
});

test("what is unsent at close goes to the peer's successor when the connection breaks", async (t) => {
  const pull = new Pull({ receiveHighWaterMark: 1, linger: 0 });
  await pull.bind("tcp://127.0.0.1:*");
  const address = pull.lastEndpoint!;
  const push = closing(t, new Push({ sendHighWaterMark: 0, reconnectInterval: 10 }));
  const shaken = nextEvent(push, "handshake");
  push.connect(address);
  await shaken;
  for (let count = 0; count < 32; count += 1) push.trySend(Buffer.alloc(1024 * 1024));
  push.trySend("last");
  const done = push.close();
  await pull.close();
  const successor = closing(t, new Pull({ receiveTimeout: 20_000 }));
  await successor.bind(address);
  for await (const [message] of successor) if (message!.length === 4) break;
  await done;
});

test("a conflating socket keeps the last message only", async (t) => {
  const context = new Context();
  const pull = closing(t, new Pull({ context, conflate: true }));
  await pull.bind("inproc://a");
  const push = closing(t, new Push({ context }));
  push.connect("inproc://a");
  for (let count = 0; count < 20; count += 1) await push.send(`${count}`);
  assert.deepEqual(text(pull.tryReceive()), ["19"]);
  assert.equal(pull.tryReceive(), undefined);
  const sender = closing(t, new Push({ context, conflate: true }));
  sender.connect("inproc://later");
  for (let count = 0; count < 20; count += 1) assert.equal(sender.trySend(`${count}`), "sent");
  const later = closing(t, new Pull({ context }));
  await later.bind("inproc://later");
  assert.deepEqual(text(later.tryReceive()), ["19"]);
});

test("a message over maxMessageSize ends its connection with the reason; its sender's others are not taken", async (t) => {
  const pull = closing(t, new Pull({ maxMessageSize: 1000 }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ reconnectInterval: -1 }));
  push.connect(pull.lastEndpoint!);
  const ended = nextEvent(pull, "disconnect");
  await push.send(Buffer.alloc(1000));
  assert.equal((await pull.receive())[0]!.length, 1000);
  await push.send([Buffer.alloc(500), Buffer.alloc(501)]);
  assert.equal(((await ended).reason as { code?: string }).code, "ERR_ZMTP_MESSAGE_TOO_LONG");
  assert.equal(pull.tryReceive(), undefined);
});

test("PUSH waits while it has no peer, and spreads evenly over those it has", async (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context }));
  await push.bind("inproc://a");
  assert.equal(push.trySend("x"), "EAGAIN");
  assert.equal(push.writable, false);
  const pulls = [0, 1, 2].map(() => closing(t, new Pull({ context })));
  for (const pull of pulls) pull.connect("inproc://a");
  for (let count = 0; count < 30; count += 1) assert.equal(push.trySend(`${count}`), "sent");
  for (const pull of pulls) {
    let count = 0;
    while (pull.tryReceive()) count += 1;
    assert.equal(count, 10);
  }
});

test("PUSH passes over a peer that is full", async (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, sendHighWaterMark: 1 }));
  await push.bind("inproc://a");
  const full = closing(t, new Pull({ context, receiveHighWaterMark: 1 }));
  const free = closing(t, new Pull({ context }));
  for (const pull of [full, free]) pull.connect("inproc://a");
  for (let count = 0; count < 100; count += 1) assert.equal(push.trySend(`${count}`), "sent");
  let received = 0;
  while (free.tryReceive()) received += 1;
  assert.equal(received, 98);
});

test("a PAIR has one peer: a second is turned away while the first is there", async (t) => {
  const bound = closing(t, new Pair());
  await bound.bind("tcp://127.0.0.1:*");
  const first = closing(t, new Pair());
  first.connect(bound.lastEndpoint!);
  await first.send("first");
  assert.deepEqual(text(await bound.receive()), ["first"]);
  const second = closing(t, new Pair({ reconnectInterval: -1 }));
  const turnedAway = nextEvent(second, "disconnect");
  second.connect(bound.lastEndpoint!);
  await turnedAway;
  await bound.send("to the first");
  assert.deepEqual(text(await first.receive()), ["to the first"]);
});

test("the wait before a reconnect is the interval and as much again by chance, or doubles to its maximum", async (t) => {
  const clock = new ManualClock();
  const context = new Context({}, clock);
  for (const [options, low, high] of [
    [{ reconnectInterval: 100 }, [100, 100, 100, 100], [200, 200, 200, 200]],
    [{ reconnectInterval: 100, reconnectMaxInterval: 500 }, [100, 200, 400, 500], [100, 200, 400, 500]],
  ] as const) {
    const push = closing(t, new Push({ context, ...options }));
    const intervals: number[] = [];
    push.events.on("connect:retry", ({ interval }) => intervals.push(interval));
    push.connect("tcp://127.0.0.1:1");
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await until(() => intervals.length > attempt, "the next attempt's end");
      clock.advance(500);
    }
    for (const [index, interval] of intervals.slice(0, 4).entries()) {
      assert.ok(interval >= low[index]! && interval <= high[index]!, `${interval} in ${low[index]}..${high[index]}`);
    }
  }
});

test("a reconnectInterval of -1 connects once", async (t) => {
  const clock = new ManualClock();
  const push = closing(t, new Push({ context: new Context({}, clock), reconnectInterval: -1 }));
  const events: Event["type"][] = [];
  for (const type of ["connect:delay", "connect:retry", "close"] as const) push.events.on(type, () => events.push(type));
  push.connect("tcp://127.0.0.1:1");
  await until(() => events.includes("close"), "the failure");
  clock.advance(1e9);
  await settle();
  assert.deepEqual(events, ["connect:delay", "close"]);
});

test("a peer that does not finish its handshake in 30 s is cut off, and nobody else notices", async (t) => {
  const clock = new ManualClock();
  const pull = closing(t, new Pull({ context: new Context({}, clock) }));
  await pull.bind("tcp://127.0.0.1:*");
  const accepted = nextEvent(pull, "accept");
  const failed = nextEvent(pull, "handshake:error:other");
  const silent = connect(Number(pull.lastEndpoint!.split(":")[2]));
  t.after(() => silent.destroy());
  silent.write(Buffer.from([0xff, 0, 0]));
  await accepted;
  const push = closing(t, new Push());
  push.connect(pull.lastEndpoint!);
  await push.send("x");
  assert.deepEqual(text(await pull.receive()), ["x"]);
  clock.advance(29_999);
  await settle();
  clock.advance(1);
  assert.equal(((await failed).error as { code?: string }).code, "ERR_ZMTP_HANDSHAKE_TIMEOUT");
  await push.send("y");
  assert.deepEqual(text(await pull.receive()), ["y"]);
});

test("a disconnected endpoint gets no more; unbind ends the connections that came in there", async (t) => {
  const dealer = closing(t, new Dealer());
  await dealer.bind("tcp://127.0.0.1:*");
  const endpoint = dealer.lastEndpoint!;
  const other = closing(t, new Dealer());
  other.connect(endpoint);
  await other.send("x");
  await dealer.receive();
  other.disconnect(endpoint);
  assert.equal(other.trySend("y"), "EAGAIN");
  assert.throws(() => other.disconnect(endpoint), { code: "ENOENT" });
  const third = closing(t, new Dealer({ reconnectInterval: -1 }));
  third.connect(endpoint);
  await third.send("z");
  await dealer.receive();
  const ended = nextEvent(third, "disconnect");
  await dealer.unbind(endpoint);
  await ended;
  await assert.rejects(dealer.unbind(endpoint), { code: "ENOENT" });
});

test("peers that fill their pipe and leave are turned away until what they left is read, and lose nothing", async (t) => {
  const pull = closing(t, new Pull({ context: new Context({ highWaterBytes: 300_000 }) }));
  await pull.bind("tcp://127.0.0.1:*");
  const turnedAway = nextEvent(pull, "accept:error");
  const total = 12;
  const leaving = Array.from({ length: total }, async (_, index) => {
    const push = new Push({ reconnectInterval: 5 });
    push.connect(pull.lastEndpoint!);
    await push.send([`${index}`, Buffer.alloc(40_000)]);
    await push.close();
  });
  assert.equal(codeOf((await turnedAway).error), "EAGAIN");
  const seen = new Set<string>();
  while (seen.size < total) seen.add(String((await pull.receive())[0]));
  await Promise.all(leaving);
});

/** Lets what the system has to tell arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}
