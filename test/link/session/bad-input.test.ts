/** What a raw client may send to a session server: that connection ends with its reason, the others notice nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { helloBody, refuseBody } from "../../../src/link/session/body.ts";
import { encodeFrame, FRAME, HEADER_BYTES } from "../../../src/link/session/session-frame.ts";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd, SessionClient, SessionServer, SessionServerOptions } from "../../../src/link/index.ts";
import { HELLO, RawClient } from "../support/raw-client.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";
import { VirtualNetwork, TransportPair } from "../support/virtual-network.ts";

/** A server, a well-behaved client of it, and how the next raw client's connection ends. */
async function scene(
  t: TestContext,
  session: SessionServerOptions = {},
  name = "good",
): Promise<{ server: SessionServer; good: SessionClient; end: Promise<LinkEnd> }> {
  const server = await listen({ port: 0, session });
  t.after(() => server.close());
  const token = typeof session.token === "string" ? { token: session.token } : {};
  const good = await connect({ port: server.port, session: { name, ...token } });
  t.after(() => good.close());
  const end = new Promise<LinkEnd>((resolve) => {
    server.once("stranger", (_peer, reason) => resolve(reason));
    server.on("presence", (each, presence, reason) => each.name !== name && presence === "away" && resolve(reason!));
  });
  return { server, good, end };
}

const frame = (type: number, length: number): Buffer => Buffer.from([type, length >>> 16, (length >>> 8) & 255, length & 255]);

for (const [what, bytes] of [
  ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["a TLS hello", Buffer.from("160301020001000001fc0303", "hex")],
  ["a frame that says it is 16 MiB long", frame(FRAME.HELLO, 0xff_ffff)],
  ["a message before the hello", encodeFrame("MESSAGE", new Uint8Array(10))],
  ["a hello without the magic word", encodeFrame("HELLO", new Uint8Array(100))],
  ["a hello of another version", encodeFrame("HELLO", Buffer.concat([Buffer.from("HOLDFAST\x02"), Buffer.alloc(100)]))],
] as const) {
  test(`${what} ends that connection as a protocol error`, async (t) => {
    const { server, good, end } = await scene(t);
    const rawClient = new RawClient(server.port);
    rawClient.socket.write(bytes);
    assert.equal((await end).reason, "protocol");
    await rawClient.closed;
    await good.send("undisturbed");
  });
}

test("a message longer than the server takes ends the connection before its bytes are read", async (t) => {
  const { server, good, end } = await scene(t, { messageMax: 1000 });
  const rawClient = new RawClient(server.port);
  assert.equal((await rawClient.hello()).name, "WELCOME");
  rawClient.socket.write(frame(FRAME.MESSAGE, 1001));
  const { reason, message } = await end;
  assert.equal(reason, "protocol");
  assert.match(message, /1001 bytes, at most 1000/);
  await good.send("undisturbed");
});

test("more messages than the window allows end the connection", async (t) => {
  const { server, good, end } = await scene(t, {
    window: 10,
    onMessage: (session) => (session.name === "good" ? undefined : new Promise(() => {})),
  });
  const rawClient = new RawClient(server.port);
  await rawClient.hello();
  for (let count = 0; count < 11; count += 1) rawClient.socket.write(encodeFrame("MESSAGE", new Uint8Array(1)));
  assert.match((await end).message, /more than 10 messages/);
  await good.send("undisturbed");
});

test("a million tiny control frames end the connection after 64 of them", async (t) => {
  const { server, good, end } = await scene(t);
  const rawClient = new RawClient(server.port);
  await rawClient.hello();
  const pings = Buffer.alloc(HEADER_BYTES * 250_000);
  for (let at = 0; at < pings.length; at += HEADER_BYTES) pings[at] = FRAME.PING;
  for (let times = 0; times < 4; times += 1) rawClient.socket.write(pings);
  assert.match((await end).message, /64 control frames/);
  await good.send("undisturbed");
});

test("a million tiny messages, one byte each, are taken like any others while another client is served", async (t) => {
  let count = 0;
  const { server, good } = await scene(t, { onMessage: (session) => void (session.name === "good" || (count += 1)) });
  const busy = await connect({ port: server.port, session: { name: "busy", outboxMessages: 1_000_000 } });
  t.after(() => busy.close());
  const one = Buffer.from("x");
  let last: Promise<void> = Promise.resolve();
  for (let sent = 0; sent < 1_000_000; sent += 1) last = busy.send(one);
  let answered = 0;
  const finished = last.then(() => true);
  while (!(await Promise.race([finished, good.send("me too").then(() => false)]))) answered += 1;
  assert.equal(count, 1_000_000);
  assert.ok(answered >= 5, `the other client was answered ${answered} times meanwhile`);
});

test("receipts for what was never sent end the connection", async (t) => {
  const { server, end } = await scene(t);
  const rawClient = new RawClient(server.port);
  await rawClient.hello();
  rawClient.socket.write(encodeFrame("ACK", Buffer.from("00000000000000050000", "hex")));
  assert.match((await end).message, /receipt/);
});

test("a session id that the server does not know is refused: once more with a new one, and then it is over", async (t) => {
  const { server, end } = await scene(t);
  const rawClient = new RawClient(server.port);
  const forged = { sessionId: new Uint8Array(16).fill(7), resume: true };
  const answer = await rawClient.hello(forged);
  assert.equal(answer.name, "REFUSE");
  assert.equal(refuseBody.decode(answer.body).word, "session-unknown");
  rawClient.socket.write(encodeFrame("HELLO", helloBody.encode({ ...HELLO, ...forged })));
  assert.equal((await rawClient.next()).name, "REFUSE");
  assert.equal((await end).reason, "refused");
});

test("a session belongs to its name and token: with another token or name it is unknown, and goes on undisturbed", async (t) => {
  const server = await listen({ port: 0, session: { token: (name) => `token of ${name}` } });
  t.after(() => server.close());
  const owner = await connect({ port: server.port, session: { name: "owner", token: "token of owner" } });
  t.after(() => owner.close());
  const sessionId = Uint8Array.from([...server.sessions][0]!.state.id);
  const thief = new RawClient(server.port);
  const answer = await thief.hello({ name: "thief", sessionId, resume: true }, "token of thief");
  assert.equal(answer.name, "REFUSE");
  assert.equal(refuseBody.decode(answer.body).word, "session-unknown");
  thief.socket.destroy();
  await owner.send("still mine");
  assert.equal([...server.sessions].length, 1);
});

test("a recorded hello cannot be played again: its proof is for another connection's nonce", async (t) => {
  const { server, end } = await scene(t, { token: "secret" });
  const first = new RawClient(server.port);
  let recorded: Uint8Array | undefined;
  const write = first.socket.write.bind(first.socket);
  first.socket.write = (bytes: Uint8Array) => {
    recorded = bytes;
    return write(bytes);
  };
  assert.equal((await first.hello({}, "secret")).name, "WELCOME");
  const replay = new RawClient(server.port);
  await replay.next();
  replay.socket.write(recorded!);
  const answer = await replay.next();
  assert.equal(answer.name, "REFUSE");
  assert.equal(refuseBody.decode(answer.body).word, "unauthorised");
  assert.equal((await end).reason, "refused");
  first.socket.destroy();
});

test("a server that does not know the token is not trusted, even when it lets everybody in", () => {
  const network = new VirtualNetwork(1);
  const impostor = virtualServerCore(network, { tokenRequired: true }, { token: () => "a guess" });
  const ends: string[] = [];
  const clientCore = virtualClientCore(
    { network, server: () => impostor },
    { token: "secret" },
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  network.advance(100, 5);
  assert.deepEqual(ends, ["refused"]);
  const open = virtualServerCore(network, { tokenRequired: false });
  const messages: string[] = [];
  const other = virtualClientCore(
    { network, server: () => open },
    { token: "secret" },
    { ended: ({ message }) => messages.push(message) },
  );
  other.start();
  network.advance(100, 5);
  assert.match(messages[0]!, /did not prove/);
});

test("who says hello one byte at a time is cut off after 10 s", () => {
  const network = new VirtualNetwork(2);
  const ends: string[] = [];
  const serverCore = virtualServerCore(network, {}, { endedBeforeSession: (_line, { reason }) => ends.push(reason) });
  const pair = new TransportPair(network, 5);
  const connection = serverCore.accept(pair.server);
  pair.server.connection = connection;
  pair.server.deliver = (chunk) => serverCore.received(connection, chunk);
  const hello = encodeFrame("HELLO", helloBody.encode(HELLO));
  for (let at = 0; at < 60 && ends.length === 0; at += 1) {
    pair.client.write([hello.subarray(at, at + 1)]);
    network.advance(500, 10);
  }
  assert.deepEqual(ends, ["hello-timeout"]);
  assert.ok(network.clock.now() <= 10_600, `after ${network.clock.now()} ms`);
});

test("above the total of bytes held, reading stops; it goes on when the application has caught up", async () => {
  const network = new VirtualNetwork(3);
  const acknowledge: (() => void)[] = [];
  const serverCore = virtualServerCore(
    network,
    { totalBytesMax: 10_000 },
    { message: () => new Promise<void>((resolve) => acknowledge.push(resolve)) },
  );
  const dialers = Array.from({ length: 4 }, () => virtualClientCore({ network, server: () => serverCore }));
  for (const clientCore of dialers) clientCore.start();
  network.advance(100, 5);
  const sends = dialers.flatMap((clientCore) => Array.from({ length: 50 }, () => clientCore.send(new Uint8Array(100))));
  let most = 0;
  for (
    let round = 0;
    round < 500 && serverCore.heldBytes + dialers.reduce((sum, { unsettled }) => sum + unsettled.messages, 0) > 0;
    round += 1
  ) {
    network.advance(10, 5);
    most = Math.max(most, serverCore.heldBytes);
    for (const done of acknowledge.splice(0, 5)) done();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(sends);
  assert.equal(serverCore.heldBytes, 0);
  // One chunk of each connection may be under way when the bound is reached.
  assert.ok(most <= 10_000 + 4 * 5200, `held ${most} bytes at most`);
});
