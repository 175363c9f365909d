/** ROUTER and DEALER by libzmq's rules, and what a broker needs beyond them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Context, Dealer, Request, Router, type Event } from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map(String);

test("a ROUTER without mandatory drops what it cannot deliver; trySend tells all the same", async (t) => {
  const router = closing(t, new Router());
  await router.send(["nobody", "lost"]);
  assert.equal(router.trySend(["nobody", "lost"]), "EHOSTUNREACH");
});

test("a mandatory ROUTER refuses an unknown id with EHOSTUNREACH", async (t) => {
  const router = closing(t, new Router({ mandatory: true }));
  await assert.rejects(router.send(["nobody", "lost"]), { code: "EHOSTUNREACH", errno: 113 });
});

test("a mandatory ROUTER at a peer's high-water mark waits, or gives up with EAGAIN at its timeout", async (t) => {
  const context = new Context();
  const router = closing(t, new Router({ context, mandatory: true, sendHighWaterMark: 2, sendTimeout: 0 }));
  await router.bind("inproc://a");
  const slow = closing(t, new Dealer({ context, routingId: "slow", receiveHighWaterMark: 2 }));
  const quick = closing(t, new Dealer({ context, routingId: "quick" }));
  for (const dealer of [slow, quick]) dealer.connect("inproc://a");
  for (let count = 0; count < 4; count += 1) assert.equal(router.trySend(["slow", `${count}`]), "sent");
  assert.equal(router.trySend(["slow", "4"]), "EAGAIN");
  await assert.rejects(router.send(["slow", "4"]), { code: "EAGAIN" });
  assert.equal(router.trySend(["quick", "0"]), "sent", "one full peer holds up no other");
  router.sendTimeout = -1;
  const waiting = [router.send(["slow", "4"]), router.send(["slow", "5"])];
  await router.send(["quick", "1"]);
  const seen: string[] = [];
  for (let count = 0; count < 6; count += 1) seen.push(String((await slow.receive())[0]));
  await Promise.all(waiting);
  assert.deepEqual(seen, ["0", "1", "2", "3", "4", "5"]);
});

test("a made-up id is a zero and four octets, and counts up from a random start", async (t) => {
  const context = new Context();
  const router = closing(t, new Router({ context }));
  await router.bind("inproc://a");
  const ids: Buffer[] = [];
  for (let count = 0; count < 2; count += 1) {
    const dealer = closing(t, new Dealer({ context }));
    dealer.connect("inproc://a");
    await dealer.send("x");
    ids.push(router.tryReceive()![0]!);
  }
  assert.deepEqual([ids[0]!.length, ids[0]![0]], [5, 0]);
  assert.equal((ids[0]!.readUInt32BE(1) + 1) >>> 0, ids[1]!.readUInt32BE(1));
});

test("without handover a second peer with a taken id is turned away, and comes in once the first is gone", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const first = closing(t, new Dealer({ routingId: "w" }));
  first.connect(router.lastEndpoint!);
  await first.send("first");
  assert.deepEqual(text(await router.receive()), ["w", "first"]);
  const second = closing(t, new Dealer({ routingId: "w", reconnectInterval: 1 }));
  const turnedAway = nextEvent(second, "disconnect");
  second.connect(router.lastEndpoint!);
  await second.send("second");
  await turnedAway;
  assert.equal(router.readable, false);
  first.linger = 0;
  await first.close();
  assert.deepEqual(text(await router.receive()), ["w", "second"]);
});

test("with handover the new peer takes the id over and the old connection ends", async (t) => {
  const router = closing(t, new Router({ handover: true }));
  await router.bind("tcp://127.0.0.1:*");
  const first = closing(t, new Dealer({ routingId: "w", reconnectInterval: -1 }));
  first.connect(router.lastEndpoint!);
  await first.send("first");
  assert.deepEqual(text(await router.receive()), ["w", "first"]);
  const ended = nextEvent(router, "disconnect");
  const second = closing(t, new Dealer({ routingId: "w" }));
  second.connect(router.lastEndpoint!);
  await second.send("second");
  assert.deepEqual(text(await router.receive()), ["w", "second"]);
  assert.match((await ended).reason!.message, /has taken over the routing id/);
  assert.equal(router.trySend(["w", "to the second"]), "sent");
  assert.deepEqual(text(await second.receive()), ["to the second"]);
});

test("what a peer had sent is received, however much, when another has taken over its id", async (t) => {
  const context = new Context();
  const router = closing(t, new Router({ context, handover: true, receiveHighWaterMark: 0 }));
  await router.bind("tcp://127.0.0.1:*");
  const first = closing(t, new Dealer({ routingId: "w", reconnectInterval: -1, sendHighWaterMark: 0 }));
  first.connect(router.lastEndpoint!);
  for (let count = 0; count < 50_000; count += 1) first.trySend("first");
  await until(() => context.budget.bytes > 50_000 * 300, "all messages to arrive");
  const ended = nextEvent(router, "disconnect");
  const second = closing(t, new Dealer({ routingId: "w" }));
  second.connect(router.lastEndpoint!);
  await ended;
  for (let count = 0; count < 50_000; count += 1) assert.deepEqual(text(await router.receive()), ["w", "first"]);
  await second.send("second");
  assert.deepEqual(text(await router.receive()), ["w", "second"]);
  await router.send(["w", "to the second"]);
  assert.deepEqual(text(await second.receive()), ["to the second"]);
});

test("a ROUTER that connects learns the new id of a peer that came back with another one", async (t) => {
  const router = closing(t, new Router({ mandatory: true, reconnectInterval: 5 }));
  const first = new Dealer({ routingId: "first" });
  await first.bind("tcp://127.0.0.1:*");
  const endpoint = first.lastEndpoint!;
  router.connect(endpoint);
  await first.send("x");
  assert.deepEqual(text(await router.receive()), ["first", "x"]);
  const again = nextEvent(router, "disconnect").then(() => nextEvent(router, "handshake"));
  await first.close();
  const second = closing(t, new Dealer({ routingId: "second" }));
  await second.bind(endpoint);
  await again;
  assert.equal(router.trySend(["first", "nobody's"]), "EHOSTUNREACH");
  assert.equal(router.trySend(["second", "yours"]), "sent");
  assert.deepEqual(text(await second.receive()), ["yours"]);
});

test("a probing DEALER's first message to a ROUTER is empty", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const dealer = closing(t, new Dealer({ routingId: "p", probeRouter: true }));
  dealer.connect(router.lastEndpoint!);
  assert.deepEqual(text(await router.receive()), ["p", ""]);
});

test("a ROUTER that connects can give its peer an id, and send to it at once", async (t) => {
  const server = closing(t, new Router({ routingId: "server" }));
  await server.bind("tcp://127.0.0.1:*");
  const client = closing(t, new Router({ routingId: "client", mandatory: true }));
  client.connect(server.lastEndpoint!, { routingId: "my server" });
  await client.send(["my server", "hello"]);
  assert.deepEqual(text(await server.receive()), ["client", "hello"]);
  await server.send(["client", "hello back"]);
  assert.deepEqual(text(await client.receive()), ["my server", "hello back"]);
});

test("peer:gone comes after the last message of the peer has been received", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const events: Event["type"][] = [];
  let goneId: Buffer | undefined;
  for (const type of ["disconnect", "peer:gone"] as const) {
    router.events.on(type, (event) => {
      events.push(event.type);
      goneId = event.routingId;
    });
  }
  const dealer = new Dealer({ routingId: "w" });
  dealer.connect(router.lastEndpoint!);
  for (let count = 0; count < 3; count += 1) await dealer.send(`${count}`);
  await dealer.close();
  await until(() => events.includes("disconnect"), "the disconnect");
  assert.deepEqual(events, ["disconnect"]);
  assert.equal(router.trySend(["w", "too late"]), "EHOSTUNREACH");
  for (let count = 0; count < 3; count += 1) assert.deepEqual(text(router.tryReceive()), ["w", `${count}`]);
  await until(() => events.includes("peer:gone"), "peer:gone");
  assert.equal(String(goneId), "w");
});

test("a broker that takes batches misses nothing of 20 peers", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const each = 500;
  const dealers = Array.from({ length: 20 }, () => closing(t, new Dealer()));
  for (const dealer of dealers) {
    dealer.connect(router.lastEndpoint!);
    for (let count = 0; count < each; count += 1) await dealer.send(`${count}`);
  }
  const next = new Map<string, number>();
  let received = 0;
  for await (const batch of router.batches()) {
    for (const [id, body] of batch) {
      const key = id!.toString("hex");
      assert.equal(Number(String(body)), next.get(key) ?? 0);
      next.set(key, Number(String(body)) + 1);
    }
    received += batch.length;
    if (received === each * dealers.length) break;
  }
  assert.equal(next.size, 20);
});

test("a plain REQ is served by a ROUTER", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const request = closing(t, new Request());
  request.connect(router.lastEndpoint!);
  await request.send("Ready");
  const [id, delimiter, body] = await router.receive();
  assert.deepEqual([delimiter!.length, String(body)], [0, "Ready"]);
  assert.equal(router.trySend([id!, "", "task"]), "sent");
  assert.deepEqual(text(await request.receive()), ["task"]);
});

test("a DEALER spreads its messages over its peers and takes theirs in turn", async (t) => {
  const context = new Context();
  const dealer = closing(t, new Dealer({ context }));
  await dealer.bind("inproc://a");
  const others = [0, 1, 2].map(() => closing(t, new Dealer({ context })));
  for (const other of others) other.connect("inproc://a");
  for (let count = 0; count < 9; count += 1) await dealer.send(`${count}`);
  for (const other of others) {
    for (let count = 0; count < 3; count += 1) assert.ok(other.tryReceive());
    assert.equal(other.tryReceive(), undefined);
  }
});
