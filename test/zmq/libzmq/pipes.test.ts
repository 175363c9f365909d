/** What libzmq's own tests say of queues and their bounds, as facts about these sockets: docs/zmq-libzmq-tests.md has the table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Context, Dealer, Pair, Publisher, Pull, Push, Router, Subscriber, XPublisher } from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

/** 10,000: what libzmq's tests take for "without bound". */
const MANY = 10_000;

function fill(push: Push | Publisher, most = MANY): number {
  let sent = 0;
  while (sent < most && push.trySend("") === "sent") sent += 1;
  return sent;
}

function drain(pull: Pull | Subscriber): number {
  let count = 0;
  while (pull.tryReceive() !== undefined) count += 1;
  return count;
}

for (const [send, receive, expected] of [
  [1000, 1000, 2000],
  [0, 0, MANY],
  [1, 0, MANY],
  [0, 1, MANY],
  [1, 1, 2],
] as const)
  for (const first of ["bind", "connect"] as const)
    test(`inproc with ${send} for sending and ${receive} for receiving takes ${expected} when ${first} comes first, and one more for one taken`, async (t) => {
      const context = new Context();
      const push = closing(t, new Push({ context, sendHighWaterMark: send }));
      const pull = closing(t, new Pull({ context, receiveHighWaterMark: receive }));
      if (first === "connect") push.connect("inproc://a");
      await pull.bind("inproc://a");
      if (first === "bind") push.connect("inproc://a");
      assert.equal(fill(push), expected);
      assert.equal(drain(pull), expected);
      assert.equal(push.trySend(""), "sent");
      assert.equal(drain(pull), 1);
    });

test("what was sent over inproc before the name was bound arrives, though its sender has closed", async (t) => {
  const context = new Context();
  const push = new Push({ context, sendHighWaterMark: 1 });
  push.connect("inproc://a");
  const sent = fill(push);
  assert.ok(sent > 0);
  void push.close();
  const pull = closing(t, new Pull({ context, receiveHighWaterMark: 0 }));
  await pull.bind("inproc://a");
  assert.equal(drain(pull), sent);
});

test("high-water marks that are set while there are connections hold at once, up and down; what is queued stays", async (t) => {
  const context = new Context();
  const push = closing(t, new Push({ context, sendHighWaterMark: 1 }));
  const pull = closing(t, new Pull({ context, receiveHighWaterMark: 1 }));
  pull.connect("inproc://a");
  await push.bind("inproc://a");
  push.sendHighWaterMark = 5;
  assert.equal(fill(push), 6);
  push.sendHighWaterMark = 3;
  assert.equal(push.trySend(""), "EAGAIN");
  assert.equal(drain(pull), 6);
  assert.equal(fill(push), 4);
});

test("an inproc name that was unbound can be bound by another socket, which new connections reach", async (t) => {
  const context = new Context();
  const [first, second, other] = [1, 2, 3].map(() => closing(t, new Pair({ context }))) as [Pair, Pair, Pair];
  await first.bind("inproc://a");
  await first.unbind("inproc://a");
  await second.bind("inproc://a");
  other.connect("inproc://a");
  await other.send("foobar");
  assert.equal(String((await second.receive())[0]), "foobar");
});

test("a DEALER that connected over inproc before its ROUTER was bound is heard with its id", async (t) => {
  const context = new Context();
  const dealer = closing(t, new Dealer({ context, routingId: "me" }));
  dealer.connect("inproc://a");
  const router = closing(t, new Router({ context }));
  await router.bind("inproc://a");
  await dealer.send(["A", "B"]);
  assert.deepEqual((await router.receive()).map(String), ["me", "A", "B"]);
});

test("a subscriber hears over inproc from connect to disconnect, and the XPUB is told of both", async (t) => {
  const context = new Context();
  const publisher = closing(t, new XPublisher({ context }));
  const subscriber = closing(t, new Subscriber({ context }));
  subscriber.subscribe("foo");
  await publisher.bind("inproc://a");
  await publisher.send(["foo", "nobody hears"]);
  subscriber.connect("inproc://a");
  assert.deepEqual((await publisher.receive())[0], Buffer.from("\u0001foo"));
  await publisher.send(["foo", "this is foo"]);
  assert.deepEqual((await subscriber.receive()).map(String), ["foo", "this is foo"]);
  subscriber.disconnect("inproc://a");
  assert.deepEqual((await publisher.receive())[0], Buffer.from("\u0000foo"));
  await publisher.send(["foo", "nobody hears"]);
  assert.equal(subscriber.tryReceive(), undefined);
});

test("half of a PUSH's messages wait for the one of two peers that is not there; with immediate none do", async (t) => {
  for (const immediate of [false, true]) {
    const pull = closing(t, new Pull());
    await pull.bind("tcp://127.0.0.1:*");
    const push = closing(t, new Push({ immediate, linger: 0 }));
    const up = nextEvent(push, "handshake");
    push.connect("tcp://127.0.0.1:1"); // nobody listens there
    push.connect(pull.lastEndpoint!);
    await up;
    for (let count = 0; count < 10; count += 1) await push.send("Hello");
    const expected = immediate ? 10 : 5;
    for (let count = 0; count < expected; count += 1) await pull.receive();
    await push.send("a"); // one of these two goes to each when neither waits
    await push.send("b");
    const rest = (await pull.receive()).map(String);
    assert.match(rest[0]!, /^[ab]$/);
  }
});

test("a DEALER with immediate has nowhere to send while its peer is away, and sends when it is back", async (t) => {
  const frontend = closing(t, new Dealer({ immediate: true, reconnectInterval: 10, linger: 0 }));
  let backend = new Dealer({ linger: 0 });
  await backend.bind("tcp://127.0.0.1:*");
  const address = backend.lastEndpoint!;
  frontend.connect(address);
  await backend.send("Hello");
  await frontend.receive();
  assert.equal(frontend.trySend("Hello"), "sent");
  const gone = nextEvent(frontend, "disconnect");
  await backend.close();
  await gone;
  assert.equal(frontend.trySend("Hello"), "EAGAIN");
  backend = closing(t, new Dealer({ linger: 0 }));
  await backend.bind(address);
  await backend.send("Hello");
  await frontend.receive();
  assert.equal(frontend.trySend("Hello"), "sent");
  await backend.receive();
});

for (const address of ["inproc://a", "tcp://127.0.0.1:*", "ipc://*"])
  test(`a PUB over ${address.split(":")[0]} loses nothing up to the high-water marks, and after all is read takes as much again`, async (t) => {
    const context = new Context();
    const publisher = closing(t, new Publisher({ context, sendHighWaterMark: 100 }));
    const subscriber = closing(t, new Subscriber({ context, receiveHighWaterMark: 100 }));
    await publisher.bind(address);
    subscriber.subscribe();
    subscriber.connect(publisher.lastEndpoint!);
    const heard = subscriber.receive();
    let isHeard = false;
    void heard.then(() => (isHeard = true));
    await until(() => {
      void publisher.trySend("");
      return isHeard;
    }, "the subscription");
    for (let turn = 0; turn < 2; turn += 1) {
      await publisher.send("stop");
      while (String((await subscriber.receive())[0]) !== "stop"); // what the search for the subscriber left
      for (let count = 0; count < 99; count += 1) assert.equal(publisher.trySend(`${count}`), "sent");
      for (let count = 0; count < 99; count += 1) assert.equal(String((await subscriber.receive())[0]), `${count}`);
    }
  });

test("100 dealers that come one after the other are each answered by a mandatory ROUTER", async (t) => {
  const router = closing(t, new Router({ mandatory: true, linger: 0 }));
  await router.bind("tcp://127.0.0.1:*");
  for (let cycle = 0; cycle < 100; cycle += 1) {
    const dealer = new Dealer({ routingId: `dealer ${cycle}`, linger: 0 });
    dealer.connect(router.lastEndpoint!);
    await dealer.send("here");
    const [id] = await router.receive();
    await router.send([id!, "Hello"]);
    assert.equal(String((await dealer.receive())[0]), "Hello");
    await dealer.close();
  }
});

test("100 sockets that connect and close at once leave nothing behind", async (t) => {
  const publisher = closing(t, new Publisher());
  await publisher.bind("tcp://127.0.0.1:*");
  const subscribers = Array.from({ length: 100 }, () => new Subscriber());
  for (const subscriber of subscribers) subscriber.connect(publisher.lastEndpoint!);
  await Promise.all(subscribers.map((subscriber) => subscriber.close()));
});

test("a PUSH whose peer leaves in the middle of a large message sends the next ones whole", async (t) => {
  const LARGE = 16 * 1024 * 1024;
  const push = closing(t, new Push({ sendHighWaterMark: 1, linger: 0 }));
  await push.bind("tcp://127.0.0.1:*");
  const pull = closing(t, new Pull({ receiveHighWaterMark: 1, linger: 0, reconnectInterval: 10 }));
  const address = push.lastEndpoint!;
  pull.connect(address);
  await push.send(["1", Buffer.alloc(LARGE, "a")]);
  const gone = nextEvent(push, "disconnect");
  pull.disconnect(address);
  await gone;
  pull.connect(address);
  await push.send(["2", "2", Buffer.alloc(LARGE, "b")]);
  for (;;) {
    const message = await pull.receive();
    if (String(message[0]) === "1") assert.equal(message.length, 2);
    else {
      assert.deepEqual([String(message[1]), message[2]!.length, message.length], ["2", LARGE, 3]);
      return;
    }
  }
});
