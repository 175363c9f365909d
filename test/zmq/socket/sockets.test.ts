/** The sockets over real tcp, ipc and inproc, with each other and with pyzmq. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Dealer, Pair, Publisher, Pull, Push, Reply, Request, Router, Subscriber } from "../../../src/zmq/index.ts";
import { requires } from "../../support/requires.ts";
import { closing, python } from "../../support/zmq.ts";

for (const address of ["tcp://127.0.0.1:*", `ipc://@holdfast-sockets-${process.pid}`, "inproc://sockets"]) {
  const transport = address.split(":")[0];

  test(`PUSH and PULL over ${transport} keep order and parts`, async (t) => {
    const pull = closing(t, new Pull());
    const push = closing(t, new Push());
    await pull.bind(address);
    push.connect(pull.lastEndpoint!);
    const sending = (async () => {
      for (let index = 0; index < 3000; index += 1) await push.send([`${index}`, "", Buffer.alloc(index)]);
    })();
    for (let index = 0; index < 3000; index += 1) {
      const [number, empty, body] = await pull.receive();
      assert.equal(String(number), `${index}`);
      assert.equal(empty!.length, 0);
      assert.equal(body!.length, index);
    }
    await sending;
  });

  test(`REQ and REP over ${transport} take turns`, async (t) => {
    const reply = closing(t, new Reply());
    const request = closing(t, new Request());
    await reply.bind(address);
    request.connect(reply.lastEndpoint!);
    await request.send("one");
    assert.equal(request.trySend("two"), "EFSM");
    assert.deepEqual((await reply.receive()).map(String), ["one"]);
    assert.throws(() => reply.tryReceive(), { code: "EFSM" });
    await reply.send(["1", "2"]);
    assert.deepEqual((await request.receive()).map(String), ["1", "2"]);
    assert.throws(() => request.tryReceive(), { code: "EFSM" });
  });

  test(`a ROUTER over ${transport} sends to the peer that the first part names`, async (t) => {
    const router = closing(t, new Router({ mandatory: true }));
    await router.bind(address);
    const named = closing(t, new Dealer({ routingId: "named" }));
    const unnamed = closing(t, new Dealer());
    for (const dealer of [named, unnamed]) dealer.connect(router.lastEndpoint!);
    await named.send("from named");
    assert.deepEqual((await router.receive()).map(String), ["named", "from named"]);
    await unnamed.send("from unnamed");
    const [id] = await router.receive();
    assert.equal(id!.length, 5);
    assert.equal(id![0], 0);
    await router.send([id!, "to unnamed"]);
    assert.deepEqual((await unnamed.receive()).map(String), ["to unnamed"]);
    await assert.rejects(router.send(["nobody", "x"]), { code: "EHOSTUNREACH" });
    assert.equal(router.trySend(["nobody", "x"]), "EHOSTUNREACH");
    assert.equal(router.trySend(["named", "x"]), "sent");
  });

  test(`PUB over ${transport} sends a subscriber what begins with its topic`, async (t) => {
    const publisher = closing(t, new Publisher());
    const subscriber = closing(t, new Subscriber());
    await publisher.bind(address);
    subscriber.connect(publisher.lastEndpoint!);
    subscriber.subscribe("a", "end");
    let received: Buffer[] | undefined;
    while (!received) {
      await publisher.send(["b", "not wanted"]);
      await publisher.send(["ab", "wanted"]);
      await new Promise(setImmediate);
      received = subscriber.tryReceive();
    }
    assert.deepEqual(received.map(String), ["ab", "wanted"]);
  });

  test(`PAIR over ${transport} talks both ways`, async (t) => {
    const a = closing(t, new Pair());
    const b = closing(t, new Pair());
    await a.bind(address);
    b.connect(a.lastEndpoint!);
    await Promise.all([a.send("to b"), b.send("to a")]);
    assert.equal(String((await a.receive())[0]), "to a");
    assert.equal(String((await b.receive())[0]), "to b");
  });
}

test("pyzmq's REQ, DEALER and PUSH are served", requires("python3-zmq"), async (t) => {
  const reply = closing(t, new Reply());
  const router = closing(t, new Router());
  const pull = closing(t, new Pull());
  for (const socket of [reply, router, pull]) await socket.bind("tcp://127.0.0.1:*");
  const script = `
req, dealer, push = context.socket(zmq.REQ), context.socket(zmq.DEALER), context.socket(zmq.PUSH)
for socket, address in zip((req, dealer, push), sys.argv[1:]):
    socket.connect(address)
req.send(b"Ready")
print(req.recv().decode())
dealer.send_multipart([b"a", b"", b"c" * 70000])
print(dealer.recv_multipart()[1].decode())
push.send(b"x")
`;
  const endpoints = [reply, router, pull].map((socket) => socket.lastEndpoint!);
  const printed = python(script, ...endpoints);
  assert.equal(String((await reply.receive())[0]), "Ready");
  await reply.send("Send email to somebody");
  const [id, ...parts] = await router.receive();
  assert.deepEqual(
    parts.map(({ length }) => length),
    [1, 0, 70000],
  );
  await router.send([id!, "", "answer"]);
  assert.equal(String((await pull.receive())[0]), "x");
  assert.equal(await printed, "Send email to somebody\nanswer\n");
});

test("accepted connections read into the shared buffer, as made ones do", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push());
  push.connect(pull.lastEndpoint!);
  await push.send(Buffer.alloc(10));
  // A chunk of Node's own is 64 KiB cut to what was read; a copy of what is left of the shared one has its exact size
  const [body] = await pull.receive();
  assert.equal(body!.buffer.byteLength, 10);
});
