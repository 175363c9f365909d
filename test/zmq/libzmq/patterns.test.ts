/** What libzmq's own tests say of socket types, as facts about these sockets: docs/zmq-libzmq-tests.md has the table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Context,
  Dealer,
  Proxy,
  Publisher,
  Reply,
  Request,
  Router,
  Subscriber,
  XPublisher,
  XSubscriber,
} from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

const shown = (message: readonly Buffer[]): string[] => message.map((part) => part.toString("latin1"));

test("a REQ over inproc skips a reply without a delimiter and takes the next", async (t) => {
  const context = new Context();
  const router = closing(t, new Router({ context }));
  const request = closing(t, new Request({ context }));
  await router.bind("inproc://a");
  request.connect("inproc://a");
  await request.send("r");
  const [id, delimiter] = await router.receive();
  await router.send([id!, delimiter!, delimiter!, "b"].toSpliced(1, 2)); // [id, "b"]
  await router.send([id!, delimiter!, "b"]);
  assert.deepEqual(shown(await request.receive()), ["b"]);
});

async function relaxed(t: Parameters<typeof closing>[0], services: number): Promise<{ request: Request; replies: Reply[] }> {
  const request = closing(t, new Request({ relaxed: true, correlate: true }));
  await request.bind("tcp://127.0.0.1:*");
  const replies: Reply[] = [];
  for (let count = 0; count < services; count += 1) {
    const up = nextEvent(request, "handshake");
    const reply = closing(t, new Reply());
    reply.connect(request.lastEndpoint!);
    await up;
    replies.push(reply);
  }
  return { request, replies };
}

test("a relaxed REQ may ask again: the late reply is skipped, whether or not it is here already, and no peer is lost by it", async (t) => {
  const { request, replies } = await relaxed(t, 3);
  await request.send(["A", "B"]);
  assert.deepEqual(shown(await replies[0]!.receive()), ["A", "B"]);
  assert.equal(request.writable, true);
  await request.send(["C", "D"]);
  assert.deepEqual(shown(await replies[1]!.receive()), ["C", "D"]);
  await replies[0]!.send("WRONG");
  await replies[1]!.send("OK");
  assert.deepEqual(shown(await request.receive()), ["OK"]);
  await request.send("H");
  await replies[2]!.receive();
  await replies[2]!.send("BAD");
  await until(() => request.readable, "the reply");
  await request.send("I");
  assert.deepEqual(shown(await replies[0]!.receive()), ["I"]);
  await replies[0]!.send("GOOD");
  assert.deepEqual(shown(await request.receive()), ["GOOD"]);
});

test("requests that pile up before there is a server are answered, and only the last one's reply is received", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const address = router.lastEndpoint!;
  await router.unbind(address);
  const request = closing(t, new Request({ relaxed: true, correlate: true, reconnectInterval: 10 }));
  request.connect(address);
  await request.send("TO BE DISCARDED");
  await request.send("TO BE ANSWERED");
  await router.bind(address);
  for (let count = 0; count < 2; count += 1) await router.send(await router.receive());
  assert.deepEqual(shown(await request.receive()), ["TO BE ANSWERED"]);
});

test("a ROUTER that probes is known to another by its id", async (t) => {
  const server = closing(t, new Router());
  await server.bind("tcp://127.0.0.1:*");
  const client = closing(t, new Router({ routingId: "X", probeRouter: true }));
  client.connect(server.lastEndpoint!);
  assert.deepEqual(shown(await server.receive()), ["X", ""]);
  await server.send(["X", "Hello"]);
  const [id, text] = await client.receive();
  assert.deepEqual([id!.length, id![0], String(text)], [5, 0, "Hello"]);
});

test("a ROUTER names the peers that it connects to, whether or not these have ids, and a name is not taken twice", async (t) => {
  for (const named of [false, true]) {
    const bound = closing(t, new Router(named ? { routingId: "Y" } : {}));
    await bound.bind("tcp://127.0.0.1:*");
    const connecting = closing(t, new Router({ ...(named && { routingId: "X" }), mandatory: true }));
    connecting.connect(bound.lastEndpoint!, { routingId: "server" });
    await connecting.send(["server", "hi 1"]);
    const [id, text] = await bound.receive();
    assert.deepEqual([named ? String(id) : id![0], String(text)], [named ? "X" : 0, "hi 1"]);
    await bound.send([id!, "ok"]);
    assert.deepEqual(shown(await connecting.receive()), ["server", "ok"]);
  }
});

test("what a ROUTER sends to the second of two peers does not reach the first", async (t) => {
  const first = closing(t, new Router({ routingId: "X", mandatory: true }));
  await first.bind("tcp://127.0.0.1:*");
  const waiting = closing(t, new Router({ routingId: "Y" }));
  waiting.connect(first.lastEndpoint!, { routingId: "X" });
  await waiting.send(["X", "hello"]);
  assert.deepEqual(shown(await first.receive()), ["Y", "hello"]);
  const other = closing(t, new Router({ routingId: "Z" }));
  await other.bind("tcp://127.0.0.1:*");
  first.connect(other.lastEndpoint!, { routingId: "Z" });
  await first.send(["Z", "for Z"]);
  assert.deepEqual(shown(await other.receive()), ["X", "for Z"]);
  assert.equal(waiting.tryReceive(), undefined);
});

test("a REP whose proxy has it on both sides answers with the request", async (t) => {
  const reply = closing(t, new Reply());
  await reply.bind("tcp://127.0.0.1:*");
  const proxy = new Proxy(reply, reply as unknown as Request);
  const done = proxy.run();
  const request = closing(t, new Request());
  request.connect(reply.lastEndpoint!);
  for (const text of ["msg1", "msg22"]) {
    await request.send(text);
    assert.deepEqual(shown(await request.receive()), [text]);
  }
  proxy.terminate();
  await done;
});

test("requests of any number of parts go through ROUTER, DEALER and back, however many devices stand between", async (t) => {
  const context = new Context();
  const reply = closing(t, new Reply({ context }));
  await reply.bind("inproc://0");
  const proxies: Proxy<Router, Dealer>[] = [];
  for (let device = 1; device <= 2; device += 1) {
    const proxy = new Proxy(new Router({ context }), new Dealer({ context }));
    await proxy.frontEnd.bind(`inproc://${device}`);
    proxy.backEnd.connect(`inproc://${device - 1}`);
    void proxy.run();
    proxies.push(proxy);
  }
  const request = closing(t, new Request({ context }));
  request.connect("inproc://2");
  await request.send(["A", "", "C"]);
  assert.deepEqual(shown(await reply.receive()), ["A", "", "C"]);
  await reply.send(["D", "", "F"]);
  assert.deepEqual(shown(await request.receive()), ["D", "", "F"]);
  for (const proxy of proxies) proxy.terminate();
});

test("subscriptions of 1 to 300 octets reach the XPUB whole, and so does their end", async (t) => {
  const publisher = closing(t, new XPublisher());
  await publisher.bind("tcp://127.0.0.1:*");
  const subscriber = closing(t, new Subscriber());
  subscriber.connect(publisher.lastEndpoint!);
  for (const length of [1, 244, 245, 246, 254, 255, 256, 300]) {
    const topic = "A".repeat(length);
    subscriber.subscribe(topic);
    assert.deepEqual(shown(await publisher.receive()), [`\u0001${topic}`]);
    subscriber.unsubscribe(topic);
    assert.deepEqual(shown(await publisher.receive()), [`\u0000${topic}`]);
  }
});

test("a message of an XSUB that is no subscription reaches the XPUB as it is", async (t) => {
  const context = new Context();
  const publisher = closing(t, new XPublisher({ context }));
  await publisher.bind("inproc://a");
  const subscriber = closing(t, new XSubscriber({ context }));
  subscriber.connect("inproc://a");
  await subscriber.send("\u0002A");
  assert.deepEqual(shown(await publisher.receive()), ["\u0002A"]);
  await subscriber.send(["ABC", "DEF"]);
  assert.deepEqual(shown(await publisher.receive()), ["ABC", "DEF"]);
});

test("a proxy of a manual XPUB hands each subscriber's topics up, its messages down, and their end up when they leave", async (t) => {
  const front = closing(t, new XSubscriber());
  const back = closing(t, new XPublisher({ manual: true }));
  await front.bind("tcp://127.0.0.1:*");
  await back.bind("tcp://127.0.0.1:*");
  const publisher = closing(t, new Publisher());
  publisher.connect(front.lastEndpoint!);
  const subscribers: Subscriber[] = [];
  for (let count = 0; count < 2; count += 1) {
    const subscriber = new Subscriber();
    subscriber.connect(back.lastEndpoint!);
    subscriber.subscribe("A");
    subscribers.push(subscriber);
    const [subscription] = await back.receive();
    assert.deepEqual(shown([subscription!]), ["\u0001A"]);
    back.subscribe("A");
    await front.send(subscription!);
  }
  let heard: Buffer[] | undefined;
  await until(() => {
    void publisher.trySend(["A", "payload"]);
    heard ??= front.tryReceive();
    return heard !== undefined;
  }, "the subscription at the publisher");
  await back.send(heard!);
  for (const subscriber of subscribers) assert.deepEqual(shown(await subscriber.receive()), ["A", "payload"]);
  for (const subscriber of subscribers) {
    await subscriber.close();
    const [end] = await back.receive();
    assert.deepEqual(shown([end!]), ["\u0000A"]);
    back.unsubscribe("A");
    await front.send(end!);
  }
});

test("a manual XPUB that mapped a subscriber's topic to another forgets it with the subscriber", async (t) => {
  const publisher = closing(t, new XPublisher({ manual: true }));
  await publisher.bind("tcp://127.0.0.1:*");
  for (const topic of ["A", "B"]) {
    const subscriber = new XSubscriber();
    subscriber.connect(publisher.lastEndpoint!);
    await subscriber.send(`\u0001${topic}`);
    assert.deepEqual(shown(await publisher.receive()), [`\u0001${topic}`]);
    publisher.subscribe(`X${topic}`);
    await publisher.send("XA");
    await publisher.send("XB");
    assert.deepEqual(shown(await subscriber.receive()), [`X${topic}`]);
    assert.equal(subscriber.tryReceive(), undefined);
    await subscriber.close();
    assert.deepEqual(shown(await publisher.receive()), [`\u0000${topic}`]);
  }
});
