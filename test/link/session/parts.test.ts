/** Messages in parts, urgent ones, streams, receipts per message and stuck handlers, in simulated time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf, messageOf } from "../../../src/core/errors.ts";
import { between, seeded } from "../../../src/core/random.ts";
import { challengeBody, helloBody } from "../../../src/link/session/body.ts";
import { SessionFrameDecoder } from "../../../src/link/session/session-frame.ts";
import type { ServerSession } from "../../../src/link/session/server/server-session.ts";
import { TransportPair, VirtualNetwork } from "../support/virtual-network.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test("a handler that never ends costs its message alone: 10,000 behind it are confirmed, and it is refused after 5 min", async () => {
  const network = new VirtualNetwork(1);
  let late: () => void = () => {};
  const serverCore = virtualServerCore(
    network,
    {},
    {
      message: (_session, message) =>
        text(message) === "stuck" ? new Promise<void>((resolve) => (late = resolve)) : undefined,
    },
  );
  const clientCore = virtualClientCore({ network, server: () => serverCore });
  clientCore.start();
  let stuck = "pending";
  clientCore.send(Buffer.from("stuck")).then(
    () => (stuck = "confirmed"),
    (error: unknown) => (stuck = `${codeOf(error)} ${messageOf(error)}`),
  );
  let confirmed = 0;
  for (let number = 0; number < 10_000; number += 1) void clientCore.send(Buffer.from("x")).then(() => (confirmed += 1));
  network.advance(5000, 10);
  await turn();
  assert.equal(confirmed, 10_000);
  assert.equal(stuck, "pending");
  network.advance(300_000, 500);
  await turn();
  assert.match(stuck, /^LINK_REJECTED .*the handler did not finish within 5 min/);
  assert.equal(serverCore.heldBytes, 0);
  late(); // counts no more
  await turn();
  const after = clientCore.send(Buffer.from("y"));
  network.advance(100, 5);
  await after;
  assert.equal(clientCore.unsettled.messages, 0);
});

test("1 MiB over a line of 20 kB/s is delivered with default heartbeats, and with ones of 1 s, and nobody is taken for dead", async () => {
  for (const heartbeatMs of [30_000, 1000]) {
    const network = new VirtualNetwork(2);
    const got: number[] = [];
    const ends: string[] = [];
    const serverCore = virtualServerCore(
      network,
      { heartbeatMs },
      { message: (_session, { length }) => void got.push(length) },
    );
    const joined = (pair: TransportPair): void => void (pair.bytesPerSecond = 20_000);
    const clientCore = virtualClientCore(
      { network, server: () => serverCore, joined },
      {},
      { ended: ({ reason }) => ends.push(reason) },
    );
    clientCore.start();
    const sent = clientCore.send(new Uint8Array(1_048_576));
    network.advance(60_000, 20);
    await sent;
    assert.deepEqual([got, ends], [[1_048_576], []]);
  }
});

test("a message that is one frame, as all of version 1 are, is life as well while it arrives", async () => {
  const network = new VirtualNetwork(3);
  const got: number[] = [];
  const ends: string[] = [];
  const serverCore = virtualServerCore(
    network,
    { heartbeatMs: 1000, limits: { messageBytesMax: 1_048_576, window: 4096, windowBytes: 4_194_304, partBytes: 1_048_576 } },
    { message: (_session, { length }) => void got.push(length) },
  );
  const joined = (pair: TransportPair): void => void (pair.bytesPerSecond = 20_000);
  const limits = { messageBytesMax: 1_048_576, window: 4096, windowBytes: 4_194_304, partBytes: 1_048_576 };
  const clientCore = virtualClientCore(
    { network, server: () => serverCore, joined },
    { limits },
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  const sent = clientCore.send(new Uint8Array(200_000));
  network.advance(12_000, 20);
  await sent;
  assert.deepEqual([got, ends], [[200_000], []]);
});

test("an urgent message passes a large one that is under way on a thin line, and the large one is not begun anew", async () => {
  const network = new VirtualNetwork(4);
  const got: string[] = [];
  const serverCore = virtualServerCore(
    network,
    {},
    { message: (_session, message) => void got.push(`${message.length} at ${network.clock.now()}`) },
  );
  const joined = (pair: TransportPair): void => void (pair.bytesPerSecond = 20_000);
  const clientCore = virtualClientCore({ network, server: () => serverCore, joined });
  clientCore.start();
  network.advance(100, 5);
  const large = clientCore.send(new Uint8Array(1_000_000));
  network.advance(20_000, 20);
  const at = network.clock.now();
  const urgent = clientCore.send(new Uint8Array(10), { urgent: true });
  const normal = clientCore.send(new Uint8Array(11));
  network.advance(40_000, 20);
  await Promise.all([large, urgent, normal]);
  assert.deepEqual(
    got.map((line) => line.split(" ")[0]),
    ["10", "1000000", "11"],
  );
  const tookMs = Number(got[0]!.split(" ").at(-1)) - at;
  assert.ok(tookMs < 3000, `the urgent one took ${tookMs} ms`);
});

test("a large message goes on where the connection stopped", async () => {
  const network = new VirtualNetwork(5);
  let written = 0;
  const got: Uint8Array[] = [];
  const serverCore = virtualServerCore(
    network,
    { heartbeatMs: 1000 },
    { message: (_session, message) => void got.push(message) },
  );
  const joined = (pair: TransportPair): void => {
    pair.bytesPerSecond = 20_000;
    const write = pair.client.write.bind(pair.client);
    pair.client.write = (parts) => {
      for (const part of parts) written += part.length;
      write(parts);
    };
  };
  const clientCore = virtualClientCore({ network, server: () => serverCore, joined });
  clientCore.start();
  const bytes = Uint8Array.from({ length: 500_000 }, (_, index) => (index * 7) >>> 3);
  const sent = clientCore.send(bytes);
  for (let cuts = 0; cuts < 4; cuts += 1) {
    network.advance(5000, 20);
    for (const pair of network.pairs) pair.break({ client: 0, server: 0 });
  }
  network.advance(40_000, 20);
  await sent;
  assert.deepEqual(got, [bytes]);
  assert.ok(written < 500_000 + 5 * 150_000, `${written} bytes were written for 500,000`);
});

test("a HELLO that was recorded is not taken: its session goes on, and nothing is delivered again", async () => {
  const network = new VirtualNetwork(6);
  const got: string[] = [];
  const told: string[] = [];
  const serverCore = virtualServerCore(
    network,
    {},
    { message: (_session, message) => void got.push(text(message)), presence: (_session, presence) => told.push(presence) },
  );
  const recorded: Uint8Array[] = [];
  const ends: string[] = [];
  const joined = (pair: TransportPair): void => {
    const write = pair.client.write.bind(pair.client);
    pair.client.write = (parts) => {
      recorded.push(Buffer.concat(parts));
      write(parts);
    };
  };
  const clientCore = virtualClientCore(
    { network, server: () => serverCore, joined },
    {},
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  const sent = clientCore.send(Buffer.from("once"));
  network.advance(100, 5);
  await sent;
  for (let again = 0; again < 3; again += 1) {
    const pair = new TransportPair(network, 1);
    const connection = serverCore.accept(pair.server);
    pair.server.connection = connection;
    for (const bytes of recorded) serverCore.received(connection, bytes);
    network.advance(500, 5);
  }
  assert.deepEqual([got, told, ends], [["once"], ["online"], []]);
});

test("a client of version 1 is served by a server of version 2", () => {
  const network = new VirtualNetwork(7);
  const opened: ServerSession[] = [];
  const serverCore = virtualServerCore(network, {}, { opened: (session) => void opened.push(session) });
  const pair = new TransportPair(network, 1);
  const connection = serverCore.accept(pair.server);
  pair.server.connection = connection;
  const decoder = new SessionFrameDecoder({ messageBytesMax: 1000 });
  const frames: { name: string; body: Uint8Array }[] = [];
  pair.client.deliver = (chunk) => {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame);
  };
  network.advance(10, 1);
  const challenge = frames[0]!.body;
  assert.equal(challenge[8], 1, "the version that a client of version 1 asks for");
  assert.equal(challengeBody.decode(challenge).version, 2);
  const none = { done: 0, rejects: new Map<number, string>() };
  const hello = helloBody.encode({
    version: 1,
    nonce: new Uint8Array(16),
    sessionId: new Uint8Array(16),
    resume: false,
    terms: { arrived: 0, receipt: none, messageBytesMax: 1000, window: 10, windowBytes: 10_000 },
    heartbeatMs: 0,
    name: "old",
    will: undefined,
    proof: new Uint8Array(0),
  });
  serverCore.received(connection, Buffer.concat([Uint8Array.of(2, 0, 0, hello.length), hello]));
  void opened[0]!.send(Buffer.alloc(900, 1));
  network.advance(10, 1);
  assert.deepEqual(
    frames.map(({ name }) => name),
    ["CHALLENGE", "WELCOME", "MESSAGE"],
  );
  assert.equal(frames[1]!.body[0]! & 2, 0, "its WELCOME is of version 1");
});

const seed = Number(process.env["SEED"] ?? 20_261_130);

test(`messages in parts, urgent ones and streams over cut connections arrive once, in the order of their kind (seed ${seed})`, async () => {
  const network = new VirtualNetwork(seed);
  const chance = seeded(seed + 1);
  const limits = { messageBytesMax: 10_000, window: 64, windowBytes: 20_000, partBytes: 100 };
  const delivered: Record<string, number[]> = { urgent: [], normal: [] };
  const streams = new Map<number, number>();
  const serverCore = virtualServerCore(
    network,
    { limits, heartbeatMs: 1000, ttlMs: 1e9, handlerMs: 1e9 },
    {
      message(_session, bytes) {
        const [kind, number, length] = text(bytes.subarray(0, 24)).split(" ");
        assert.equal(bytes.length, Number(length));
        assert.ok(
          bytes.subarray(24).every((byte) => byte === Number(number) % 251),
          "its own bytes",
        );
        delivered[kind!]!.push(Number(number));
        return chance() < 0.2
          ? new Promise((resolve) => network.clock.at(network.clock.now() + between(chance, 1, 400), () => resolve(0)))
          : undefined;
      },
      async stream(_session, stream) {
        let length = 0;
        for await (const bytes of stream) {
          for (const byte of bytes) {
            assert.equal(byte, length % 253);
            length += 1;
          }
        }
        streams.set(stream.number, length);
      },
    },
  );
  let connections = 0;
  const joined = (): void => void (connections += 1);
  const clientCore = virtualClientCore(
    { network, server: () => serverCore, joined },
    { limits, heartbeatMs: 1000, keepMs: 1e9 },
  );
  clientCore.start();
  const sent: Record<string, number> = { urgent: 0, normal: 0, streams: 0 };
  let [confirmed, streamBytes] = [0, 0];
  const failed: unknown[] = [];
  const track = (done: Promise<void>): void =>
    void done.then(
      () => (confirmed += 1),
      (error: unknown) => failed.push(error),
    );
  for (let step = 0; step < 3000; step += 1) {
    const kind = chance() < 0.3 ? "urgent" : "normal";
    if (chance() < 0.01) {
      sent["streams"]! += 1;
      const length = between(chance, 0, 3000);
      streamBytes += length;
      track(clientCore.sendStream([Uint8Array.from({ length }, (_, index) => index % 253)]));
    }
    sent[kind]! += 1;
    const length = chance() < 0.1 ? between(chance, 101, 5000) : between(chance, 24, 100);
    const bytes = new Uint8Array(length).fill(sent[kind]! % 251);
    bytes.set(Buffer.from(`${kind} ${sent[kind]} ${length} `.padEnd(24)));
    track(clientCore.send(bytes, { urgent: kind === "urgent" }));
    network.advance(between(chance, 0, 20), 4);
    if (chance() < 0.05)
      for (const pair of network.pairs) pair.break({ client: between(chance, 0, 500), server: between(chance, 0, 500) });
    await turn();
  }
  const total = sent["urgent"]! + sent["normal"]! + sent["streams"]!;
  for (let step = 0; step < 3000 && confirmed + failed.length < total; step += 1) {
    network.advance(200, 10);
    await turn();
  }
  assert.deepEqual(failed, []);
  assert.equal(confirmed, total);
  assert.ok(connections > 20, `${connections} connections`);
  for (const kind of ["urgent", "normal"]) {
    const expected = Array.from({ length: sent[kind]! }, (_, index) => index + 1);
    assert.deepEqual(delivered[kind], expected, kind);
  }
  assert.equal(streams.size, sent["streams"]);
  assert.equal(
    [...streams.values()].reduce((sum, length) => sum + length, 0),
    streamBytes,
  );
  assert.equal(serverCore.heldBytes, 0);
});

test("a client whose numbers the server cannot know begins a new session, and the gap is told, instead of connecting for ever", async () => {
  const network = new VirtualNetwork(8);
  const got: string[] = [];
  const gaps: unknown[] = [];
  let connections = 0;
  const serverCore = virtualServerCore(network, {}, { message: (_session, message) => void got.push(text(message)) });
  const joined = (): void => void (connections += 1);
  const clientCore = virtualClientCore({ network, server: () => serverCore, joined }, {}, { gap: (gap) => gaps.push(gap) });
  clientCore.start();
  for (const message of ["1", "2", "3"]) void clientCore.send(Buffer.from(message));
  network.advance(100, 5);
  await turn();
  // The server's side is as it was before the three messages.
  const [session] = serverCore.sessions;
  session!.state.restart(session!.state.id, { keepDoubtful: false });
  const doubtful = clientCore.send(Buffer.from("4")).then(() => "done", codeOf);
  network.advance(1, 1);
  for (const pair of network.pairs) pair.break({ client: 0, server: 0 });
  network.advance(20_000, 10);
  const after = clientCore.send(Buffer.from("5"));
  network.advance(1000, 10);
  await after;
  assert.equal(await doubtful, "LINK_GAP");
  assert.deepEqual(gaps, [{ side: "own", count: 1, resent: false }]);
  assert.equal(got.at(-1), "5");
  assert.ok(connections <= 4, `${connections} connections`);
});

for (const address of ["10.0.0.1", "10.0.0.2"]) {
  test(`clients that are away with all that a server may hold take nothing from one at ${address === "10.0.0.1" ? "the same" : "another"} address`, async () => {
    const network = new VirtualNetwork(9);
    const sessions = new Map<string, ServerSession>();
    const serverCore = virtualServerCore(
      network,
      { totalBytesMax: 1_000_000, outboxBytesMax: 400_000 },
      { opened: (session) => void sessions.set(session.name, session) },
    );
    for (const name of ["a", "b", "c", "healthy"]) {
      let left = false;
      const from = name === "healthy" ? address : "10.0.0.1";
      const server = (): typeof serverCore | undefined => (left ? undefined : serverCore);
      virtualClientCore({ network, server, from }, { name, reconnect: name === "healthy" }).start();
      network.advance(50, 5);
      left = true;
    }
    const pairs = [...network.pairs];
    for (const pair of pairs.slice(0, 3)) pair.break({ client: 0, server: 0 });
    network.advance(50, 5);
    const refusals: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (let count = 0; count < 100; count += 1) {
      for (const name of ["a", "b", "c"])
        sessions
          .get(name)!
          .send(Buffer.alloc(10_000))
          .catch((error: unknown) => void (codeOf(error) === "LINK_FULL" && (refusals[name]! += 1)));
    }
    const sent = [sessions.get("healthy")!.send(Buffer.alloc(20_000)), sessions.get("healthy")!.send(Buffer.alloc(2000))];
    network.advance(1000, 5);
    await Promise.all(sent);
    await turn();
    assert.ok(
      Object.values(refusals).every((count) => count > 50),
      JSON.stringify(refusals),
    );
    assert.ok(serverCore.heldBytes <= 700_000, `${serverCore.heldBytes} bytes are held`);
  });
}
