/** Proxies: what one socket receives the other sends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Context,
  Dealer,
  Proxy,
  Publisher,
  Pull,
  Push,
  Reply,
  Request,
  Router,
  Subscriber,
  XPublisher,
  XSubscriber,
} from "../../../src/zmq/index.ts";
import { closing, until } from "../../support/zmq.ts";

test("a ROUTER-DEALER proxy carries requests one way and replies the other", async (t) => {
  const context = new Context();
  const proxy = new Proxy(new Router({ context }), new Dealer({ context }));
  await proxy.frontEnd.bind("inproc://front");
  await proxy.backEnd.bind("inproc://back");
  const running = proxy.run();
  const reply = closing(t, new Reply({ context }));
  reply.connect("inproc://back");
  const requests = [0, 1, 2].map(() => closing(t, new Request({ context })));
  for (const [index, request] of requests.entries()) {
    request.connect("inproc://front");
    await request.send(`${index}`);
  }
  for (let count = 0; count < 3; count += 1) {
    const [body] = await reply.receive();
    await reply.send(`re: ${String(body)}`);
  }
  for (const [index, request] of requests.entries()) assert.equal(String((await request.receive())[0]), `re: ${index}`);
  proxy.terminate();
  await running;
  assert.ok(proxy.frontEnd.closed && proxy.backEnd.closed);
});

test("an XSUB-XPUB proxy forwards subscriptions up and messages down", async (t) => {
  const context = new Context();
  const proxy = new Proxy(new XSubscriber({ context }), new XPublisher({ context }));
  await proxy.frontEnd.bind("inproc://up");
  await proxy.backEnd.bind("inproc://down");
  const running = proxy.run();
  const publisher = closing(t, new Publisher({ context }));
  publisher.connect("inproc://up");
  const subscriber = closing(t, new Subscriber({ context }));
  subscriber.connect("inproc://down");
  subscriber.subscribe("a");
  let received: Buffer[] | undefined;
  while (!received) {
    await publisher.send("b");
    await publisher.send("a");
    await new Promise(setImmediate);
    received = subscriber.tryReceive();
  }
  assert.deepEqual(received.map(String), ["a"]);
  proxy.terminate();
  await running;
});

test("a proxy reads no faster than its other side takes, and pauses", async (t) => {
  const context = new Context();
  const sending = { context, sendHighWaterMark: 1 };
  const receiving = { context, receiveHighWaterMark: 1 };
  const proxy = new Proxy(new Pull(receiving), new Push(sending));
  await proxy.frontEnd.bind("inproc://in");
  await proxy.backEnd.bind("inproc://out");
  const running = proxy.run();
  const push = closing(t, new Push(sending));
  push.connect("inproc://in");
  let sent = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    if (push.trySend(`${sent}`) === "sent") sent += 1;
    await new Promise(setImmediate);
  }
  assert.ok(sent < 6, `${sent} messages are under way with nobody to take them`);
  const pull = closing(t, new Pull(receiving));
  pull.connect("inproc://out");
  for (let count = 0; count < sent; count += 1) assert.equal(String((await pull.receive())[0]), `${count}`);
  proxy.pause();
  await push.send("paused");
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  assert.equal(pull.tryReceive(), undefined);
  proxy.resume();
  await until(() => pull.readable, "the message after resume");
  proxy.terminate();
  await running;
});

test("a proxy needs two sockets that are bound or connected, and of which one receives what the other can send", async (t) => {
  const context = new Context();
  const bound = async <S extends Push | Pull>(socket: S): Promise<S> => {
    closing(t, socket);
    await socket.bind(`inproc://${bindings}`);
    bindings += 1;
    return socket;
  };
  let bindings = 0;
  const pushes = [await bound(new Push({ context })), await bound(new Push({ context }))] as const;
  await assert.rejects(new Proxy(...pushes).run(), { code: "EINVAL" });
  const pull = await bound(new Pull({ context }));
  const loose = closing(t, new Push({ context }));
  await assert.rejects(new Proxy(pull, loose).run(), { code: "EINVAL", message: "Back-end socket must be bound or connected" });
  await pull.close();
  await assert.rejects(new Proxy(pull, pushes[0]).run(), { message: "Front-end socket must be bound or connected" });
  assert.throws(() => new Proxy(pull, undefined as never), TypeError);
  assert.throws(() => new Proxy(pull, {} as never), { code: "EINVAL" });
});

test("a proxy that does not run cannot be steered", () => {
  const context = new Context();
  const proxy = new Proxy(new Pull({ context }), new Push({ context }));
  for (const steer of ["pause", "resume", "terminate"] as const) {
    assert.throws(() => proxy[steer](), { code: "EBADF", message: "Socket is closed" });
  }
});
