/** Peers of ZMTP 3.0, 2.0 and 1.0, written by hand from RFC 23, 15 and 13: what they send and what they must be sent. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  Dealer,
  Publisher,
  Pull,
  Reply,
  Request,
  Router,
  type Socket,
  Subscriber,
  XPublisher,
} from "../../../src/zmq/index.ts";
import { frame, frame1, greeting, greeting2, hex, RawPeer, ready } from "../raw-peer.ts";

const TYPE = { PAIR: 0, PUB: 1, SUB: 2, REQ: 3, REP: 4, DEALER: 5, ROUTER: 6, PULL: 7, PUSH: 8 } as const;

/** Our socket, bound, and a raw connection to it. */
async function bound<S extends Socket & { close(): unknown }>(
  context: TestContext,
  socket: S,
): Promise<{ socket: S; raw: RawPeer }> {
  await socket.bind("tcp://127.0.0.1:*");
  const raw = await RawPeer.connect(socket.lastEndpoint!);
  context.after(async () => {
    raw.close();
    await socket.close();
  });
  return { socket, raw };
}

/** Our socket, connected to a raw listener. */
async function connected<S extends Socket & { close(): unknown }>(
  context: TestContext,
  socket: S,
): Promise<{ socket: S; raw: RawPeer }> {
  const { endpoint, accepted, close } = await RawPeer.listen();
  socket.connect(endpoint);
  const raw = await accepted;
  context.after(async () => {
    raw.close();
    close();
    await socket.close();
  });
  return { socket, raw };
}

const text = (frames: readonly Buffer[]): string[] => frames.map((frame) => frame.toString("latin1"));

test("a ZMTP 3.0 REQ asks and is answered in frames of its own version", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  raw.send(greeting({ minor: 0 }), ready({ "Socket-Type": "REQ", Identity: "" }));
  const ours = await raw.read(64);
  assert.deepEqual([...ours.subarray(10, 16)], [3, 1, ...Buffer.from("NULL")]);
  const expected = ready({ "Socket-Type": "REP" });
  assert.deepEqual(await raw.read(expected.length), expected);
  raw.send(frame(1, ""), frame(0, "hello"));
  assert.deepEqual(text(await socket.receive()), ["hello"]);
  await socket.send("x".repeat(256));
  assert.deepEqual(await raw.read(2 + 9 + 256), Buffer.concat([frame(1, ""), frame(0, "x".repeat(256))]));
});

test("a ZMTP 3.0 SUB subscribes by message, and by the command of 3.1 too", async (context) => {
  const { socket, raw } = await bound(context, new XPublisher({ linger: 0 }));
  raw.send(greeting({ minor: 0 }), ready({ "Socket-Type": "SUB" }), frame(0, "\u0001by message"));
  assert.deepEqual(text(await socket.receive()), ["\u0001by message"]);
  raw.send(frame(4, "\u0009SUBSCRIBEby command"));
  assert.deepEqual(text(await socket.receive()), ["\u0001by command"]);
  raw.send(frame(4, "\u0006CANCELby message"));
  assert.deepEqual(text(await socket.receive()), ["\u0000by message"]);
});

test("our SUB subscribes at a ZMTP 3.0 PUB by message, at a 3.1 PUB by command", async (context) => {
  for (const [minor, subscription] of [
    [0, frame(0, "\u0001topic")],
    [1, frame(4, "\u0009SUBSCRIBEtopic")],
  ] as const) {
    const subscriber = new Subscriber({ linger: 0 });
    subscriber.subscribe("topic");
    const { raw } = await connected(context, subscriber);
    raw.send(greeting({ minor }), ready({ "Socket-Type": "PUB" }));
    await raw.read(64 + ready({ "Socket-Type": "SUB" }).length);
    assert.deepEqual(await raw.read(subscription.length), subscription);
  }
});

test("a ZMTP 3.0 peer gets no PING until it has sent one itself, since libzmq 4.1 would hand it to the application", async (context) => {
  const { raw } = await connected(context, new Dealer({ linger: 0, heartbeatInterval: 10 }));
  raw.send(greeting({ minor: 0 }), ready({ "Socket-Type": "DEALER" }));
  await raw.read(64 + ready({ "Socket-Type": "DEALER", Identity: "" }).length);
  await new Promise((resolve) => setTimeout(resolve, 60)); // six intervals without a PING
  raw.send(frame(4, Buffer.from("\u0004PING\u0000\u0000ctx", "latin1")));
  assert.deepEqual(await raw.read(10), frame(4, "\u0004PONGctx"));
  assert.deepEqual((await raw.read(9)).subarray(0, 7), hex("04 07 04 50494e47"));
});

test("a ZMTP 2.0 REQ asks and is answered: signature, version, socket type, identity frame, then frames", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  assert.deepEqual(await raw.read(10), hex("ff 0000000000000001 7f"));
  raw.send(greeting2(TYPE.REQ));
  assert.deepEqual(await raw.read(4), hex("03 04 00 00"));
  raw.send(frame(1, ""), frame(0, "hello"));
  assert.deepEqual(text(await socket.receive()), ["hello"]);
  await socket.send(["a", "b"]);
  assert.deepEqual(await raw.read(2 + 3 + 3), Buffer.concat([frame(1, ""), frame(1, "a"), frame(0, "b")]));
});

test("a ZMTP 2.0 DEALER is known to our ROUTER by its identity, and a frame of 2.0 may be long", async (context) => {
  const { socket, raw } = await bound(context, new Router({ linger: 0, routingId: "us" }));
  raw.send(greeting2(TYPE.DEALER, "worker"));
  assert.deepEqual(await raw.read(10 + 4 + 2), Buffer.concat([hex("ff 0000000000000003 7f 03 06 00 02"), Buffer.from("us")]));
  raw.send(frame(0, "x".repeat(70_000)));
  const [id, body] = await socket.receive();
  assert.deepEqual([id!.toString(), body!.length], ["worker", 70_000]);
});

test("a ZMTP 2.0 SUB subscribes at our PUB by message", async (context) => {
  const { socket, raw } = await bound(context, new Publisher({ linger: 0 }));
  raw.send(greeting2(TYPE.SUB), frame(0, "\u0001a"));
  await raw.read(14);
  const expected = Buffer.concat([frame(1, "abc"), frame(0, "body")]);
  const heard = raw.read(expected.length);
  const timer = setInterval(() => void socket.send(["b", "not asked for"]).then(() => socket.send(["abc", "body"])), 5);
  assert.deepEqual(await heard, expected);
  clearInterval(timer);
});

test("our SUB subscribes at a ZMTP 2.0 PUB by message", async (context) => {
  const subscriber = new Subscriber({ linger: 0 });
  subscriber.subscribe("a");
  const { raw } = await connected(context, subscriber);
  raw.send(greeting2(TYPE.PUB));
  await raw.read(14);
  assert.deepEqual(await raw.read(4), frame(0, "\u0001a"));
  raw.send(frame(1, "b"), frame(0, "not asked for"), frame(1, "ab"), frame(0, "body"));
  assert.deepEqual(text(await subscriber.receive()), ["ab", "body"]);
});

test("a ZMTP 2.0 peer of a type that does not fit is refused by name", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  const refused = new Promise<{ detail?: string }>((resolve) =>
    socket.events.on("handshake:error:protocol", ({ error }) => resolve(error)),
  );
  raw.send(greeting2(TYPE.PULL));
  await raw.ended();
  assert.match((await refused).detail!, /PULL/);
});

test("a ZMTP 1.0 REQ asks and is answered: our signature is the header of our identity's frame", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  raw.send(frame1(0, ""), frame1(1, ""), frame1(0, "hello"));
  assert.deepEqual(await raw.read(10), hex("ff 0000000000000001 7f"));
  assert.deepEqual(text(await socket.receive()), ["hello"]);
  await socket.send(["a", "x".repeat(300)]);
  const expected = Buffer.concat([frame1(1, ""), frame1(1, "a"), frame1(0, "x".repeat(300))]);
  assert.deepEqual(await raw.read(expected.length), expected);
});

test("a ZMTP 1.0 peer that sends octet by octet is read the same", async (context) => {
  const { socket, raw } = await bound(context, new Router({ linger: 0 }));
  for (const octet of Buffer.concat([frame1(0, "old one"), frame1(1, "a"), frame1(0, "x".repeat(260))])) {
    raw.send(Buffer.of(octet));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(text(await socket.receive()), ["old one", "a", "x".repeat(260)]);
});

test("a ZMTP 1.0 SUB hears everything from our PUB, since it never subscribes over the wire", async (context) => {
  const { socket, raw } = await bound(context, new Publisher({ linger: 0 }));
  raw.send(frame1(0, ""));
  await raw.read(10);
  const heard = raw.read(10);
  const timer = setInterval(() => void socket.send("anything"), 5);
  assert.deepEqual(await heard, frame1(0, "anything"));
  clearInterval(timer);
});

test("a ZMTP 1.0 PUSH with an identity and a frame in the long form reaches our PULL", async (context) => {
  const { socket, raw } = await bound(context, new Pull({ linger: 0 }));
  const long = Buffer.concat([hex("ff 0000000000000006 00"), Buffer.from("short")]); // long form though 5 octets would not need it
  raw.send(frame1(0, "somebody"), long);
  assert.deepEqual(text(await socket.receive()), ["short"]);
});

test("our REQ asks a ZMTP 1.0 REP and reads its answer", async (context) => {
  const { socket, raw } = await connected(context, new Request({ linger: 0 }));
  assert.deepEqual(await raw.read(10), hex("ff 0000000000000001 7f"));
  raw.send(frame1(0, ""));
  await socket.send("question");
  assert.deepEqual(await raw.read(2 + 10), Buffer.concat([frame1(1, ""), frame1(0, "question")]));
  raw.send(frame1(1, ""), frame1(0, "answer"));
  assert.deepEqual(text(await socket.receive()), ["answer"]);
});

for (const [version, octets] of [
  ["1.0", frame1(0, "")],
  ["2.0", greeting2(TYPE.DEALER)],
] as const) {
  test(`a ZMTP ${version} peer is refused where an authenticator guards the socket: it has no way to authenticate`, async (context) => {
    const { socket, raw } = await bound(context, new Router({ linger: 0, authenticate: () => true }));
    const refused = new Promise<{ detail?: string }>((resolve) =>
      socket.events.on("handshake:error:protocol", ({ error }) => resolve(error)),
    );
    raw.send(octets);
    await raw.ended();
    assert.match((await refused).detail!, new RegExp(`ZMTP ${version.replace(".", "\\.")}`));
  });
}

test("a greeting of ZMTP 4.2 is taken as one of the latest version known", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  const octets = greeting();
  octets.set([4, 2], 10);
  raw.send(octets, ready({ "Socket-Type": "REQ" }), frame(1, ""), frame(0, "from the future"));
  assert.deepEqual(text(await socket.receive()), ["from the future"]);
});

test("the padding of the signature is never looked at, nor the as-server octet", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  const octets = greeting({ asServer: true });
  octets.set(hex("0102030405060708"), 1);
  raw.send(octets, ready({ "Socket-Type": "REQ" }), frame(1, ""), frame(0, "hello"));
  assert.deepEqual(text(await socket.receive()), ["hello"]);
});

test("property names count without case, X- properties are free, unknown commands in the traffic are skipped", async (context) => {
  const { socket, raw } = await bound(context, new Reply({ linger: 0 }));
  raw.send(greeting(), ready({ "x-colour": "blue", "SOCKET-TYPE": "REQ" }), frame(4, "\u0005WHATX data"));
  raw.send(frame(1, ""), frame(0, "hello"));
  assert.deepEqual(text(await socket.receive()), ["hello"]);
});
