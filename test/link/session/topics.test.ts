/** Topics over sessions: who gets what, over cuts, restarts, slow subscribers and hostile ones. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { connect, listen } from "../../../src/link/index.ts";
import { topicBody } from "../../../src/link/session/body.ts";
import type { SessionClientCore, SessionClientCoreOwner } from "../../../src/link/session/client/session-client-core.ts";
import type { SessionServerCore } from "../../../src/link/session/server/session-server-core.ts";
import type {
  SessionServerCoreOwner,
  SessionServerSettings,
  TopicHooks,
} from "../../../src/link/session/server/session-server-settings.ts";
import type { SessionClientSettings } from "../../../src/link/session/client/session-client-core.ts";
import { encodeFrame } from "../../../src/link/session/session-frame.ts";
import { RawClient } from "../support/raw-client.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import type { TransportPair } from "../support/virtual-network.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (content: string): Uint8Array => Buffer.from(content);
const HOOKS: TopicHooks = { onPublish: () => {}, onSubscribe: () => {}, keptBytesMax: 1e6 };
const PLAINLY = { keep: false, confirm: true, expiresMs: 0 };

class Scene {
  readonly network: VirtualNetwork;
  server: SessionServerCore | undefined;

  constructor(seed: number, owner: Partial<SessionServerCoreOwner> = {}, settings: Partial<SessionServerSettings> = {}) {
    this.network = new VirtualNetwork(seed);
    this.begin(owner, settings);
  }

  begin(owner: Partial<SessionServerCoreOwner> = {}, settings: Partial<SessionServerSettings> = {}): void {
    this.server = virtualServerCore(this.network, { heartbeatMs: 1000, ...settings }, { topics: HOOKS, ...owner });
  }

  client(name: string, owner: Partial<SessionClientCoreOwner> = {}, settings: Partial<SessionClientSettings> = {}): Client {
    const client: Client = { core: undefined!, pair: undefined!, got: [], ends: [], gaps: 0 };
    client.core = virtualClientCore(
      { network: this.network, server: () => this.server, joined: (pair) => (client.pair = pair) },
      { name, ...settings },
      {
        topic: (topic, message, { kept }) => void client.got.push(`${topic} ${text(message)}${kept ? " kept" : ""}`),
        message: (message) => void client.got.push(text(message)),
        ended: ({ reason }) => void client.ends.push(reason),
        gap: ({ count }) => (client.gaps += count),
        ...owner,
      },
    );
    client.core.start();
    this.network.advance(100, 5);
    return client;
  }

  async outcome(promise: Promise<unknown>): Promise<unknown> {
    const outcome = promise.then(() => "done", codeOf);
    for (let round = 0; round < 10; round += 1) {
      this.network.advance(20, 5);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return Promise.race([outcome, Promise.resolve("pending")]);
  }
}

interface Client {
  core: SessionClientCore;
  pair: TransportPair;
  readonly got: string[];
  readonly ends: string[];
  gaps: number;
}

test("what is published comes to those who subscribed, once each however many filters match, the publisher among them", async () => {
  const scene = new Scene(1);
  const [a, b, c] = ["a", "b", "c"].map((name) => scene.client(name)) as [Client, Client, Client];
  for (const filter of ["room/+/temperature", "room/#"]) assert.equal(await scene.outcome(a.core.subscribe(filter)), "done");
  assert.equal(await scene.outcome(b.core.subscribe("room/7/door")), "done");
  assert.equal(await scene.outcome(a.core.publish("room/7/temperature", bytes("21.5"))), "done");
  await scene.outcome(c.core.publish("room/7/door", bytes("open")));
  scene.server!.publish("room", bytes("all"), PLAINLY);
  await scene.outcome(a.core.unsubscribe("room/#"));
  scene.server!.publish("room", bytes("nobody"), PLAINLY);
  assert.deepEqual(a.got, ["room/7/temperature 21.5", "room/7/door open", "room all"]);
  assert.deepEqual(b.got, ["room/7/door open"]);
  assert.deepEqual(c.got, []);
});

test("a subscription is the session's: it outlives a cut, and the next client of the name has it", async () => {
  const scene = new Scene(2);
  const before = scene.client("panel");
  await scene.outcome(before.core.subscribe("alarm/#"));
  before.pair.break({ client: 1, server: 1 });
  scene.server!.publish("alarm/1", bytes("while away"), PLAINLY);
  await scene.outcome(Promise.resolve());
  scene.network.advance(2000, 5);
  assert.deepEqual(before.got, ["alarm/1 while away"]);
  before.pair.client.vanish();
  before.pair.break({ client: Infinity, server: 1 });
  before.core.close(0);
  scene.network.advance(20, 5);
  scene.server!.publish("alarm/2", bytes("while down"), PLAINLY);
  const after = scene.client("panel");
  scene.server!.publish("alarm/3", bytes("now"), PLAINLY);
  await scene.outcome(Promise.resolve());
  assert.deepEqual(after.got, ["alarm/2 while down", "alarm/3 now"]);
});

test("a server that has forgotten its sessions is told again what a client subscribed to", async () => {
  const scene = new Scene(3);
  const client = scene.client("panel");
  await scene.outcome(client.core.subscribe("a/#"));
  await scene.outcome(client.core.subscribe("b"));
  await scene.outcome(client.core.unsubscribe("b"));
  scene.begin();
  client.pair.break({ client: 1, server: Infinity });
  await scene.outcome(Promise.resolve());
  scene.network.advance(2000, 5);
  scene.server!.publish("a/1", bytes("there"), PLAINLY);
  scene.server!.publish("b", bytes("not wanted"), PLAINLY);
  await scene.outcome(Promise.resolve());
  assert.deepEqual(client.got, ["a/1 there"]);
});

test("the last value of a topic is kept for subscribers to come, until it is taken away or expires", async () => {
  const scene = new Scene(4);
  const sensor = scene.client("sensor");
  const keep = { keep: true };
  for (const [topic, value, expiresMs] of [
    ["t/1", "old", 0],
    ["t/1", "new", 0],
    ["t/2", "taken away", 0],
    ["t/3", "expired", 1000],
    ["t/4", "long", 60_000],
  ] as const)
    await scene.outcome(sensor.core.publish(topic, bytes(value), { ...keep, expiresMs }));
  await scene.outcome(sensor.core.publish("t/2", bytes(""), keep));
  scene.network.advance(1000, 10);
  const panel = scene.client("panel");
  await scene.outcome(panel.core.subscribe("t/+"));
  assert.deepEqual(panel.got, ["t/1 new kept", "t/4 long kept"]);
  assert.ok(scene.server!.heldBytes > 0, "they are charged");
});

test("kept values are bounded: the one too many is refused, and what is kept stays", async () => {
  const scene = new Scene(5, { topics: { ...HOOKS, keptBytesMax: 5000 } });
  const sensor = scene.client("sensor");
  const outcomes: unknown[] = [];
  for (let index = 0; index < 6; index += 1)
    outcomes.push(await scene.outcome(sensor.core.publish(`t/${index}`, new Uint8Array(1000), { keep: true })));
  assert.deepEqual(outcomes, ["done", "done", "done", "LINK_REJECTED", "LINK_REJECTED", "LINK_REJECTED"]);
  assert.equal(await scene.outcome(sensor.core.publish("t/0", new Uint8Array(1001), { keep: true })), "done");
});

test("an expired message is not delivered, and leaves no gap; one that has time is", async () => {
  const scene = new Scene(6);
  const panel = scene.client("panel");
  await scene.outcome(panel.core.subscribe("#"));
  const session = scene.server!.session("panel")!;
  panel.pair.break({ client: 3000, server: 1 });
  scene.network.advance(20, 5);
  scene.server!.publish("a", bytes("short"), { ...PLAINLY, expiresMs: 500 });
  scene.server!.publish("b", bytes("long"), { ...PLAINLY, expiresMs: 60_000 });
  const short = session.send("short", { expires: 500 });
  const kept = session.send("plain");
  const long = session.send("long", { expires: "1m" });
  assert.equal(await scene.outcome(short), "pending");
  scene.network.advance(400, 5);
  assert.equal(await scene.outcome(short), "LINK_GAP");
  scene.network.advance(5000, 5);
  assert.equal(await scene.outcome(Promise.all([kept, long])), "done");
  assert.deepEqual(panel.got, ["b long", "plain", "long"]);
  assert.equal(panel.gaps, 0);
  assert.equal(session.heldBytes, 0);
});

test("an unconfirmed message comes while the peer is quick, and is dropped while it is away or slow", async () => {
  const scene = new Scene(7, { message: (_session, message, number) => void taken.push(`${number} ${text(message)}`) });
  const taken: string[] = [];
  const panel = scene.client("panel");
  await scene.outcome(panel.core.subscribe("#"));
  const session = scene.server!.session("panel")!;
  const unconfirmed = { ...PLAINLY, confirm: false };
  scene.server!.publish("a", bytes("quick"), unconfirmed);
  void session.send("plain", { confirm: false });
  void panel.core.send(bytes("up"), { confirm: false });
  await scene.outcome(Promise.resolve());
  assert.deepEqual(panel.got, ["a quick", "plain"]);
  assert.deepEqual(taken, ["0 up"]);
  panel.pair.server.aheadBytes = 65_536;
  scene.server!.publish("a", bytes("slow"), unconfirmed);
  panel.pair.server.aheadBytes = 0;
  panel.pair.break({ client: 1, server: 1 });
  scene.network.advance(10, 5);
  scene.server!.publish("a", bytes("away"), unconfirmed);
  await panel.core.send(bytes("away"), { confirm: false });
  scene.network.advance(3000, 5);
  await scene.outcome(Promise.resolve());
  assert.deepEqual(panel.got, ["a quick", "plain"]);
  assert.equal(panel.core.dropped, 1);
  assert.equal(scene.server!.counts.dropped, 2);
  await assert.rejects(panel.core.send(new Uint8Array(20_000), { confirm: false }), { code: "LINK_MESSAGE_TOO_LARGE" });
  await assert.rejects(panel.core.publish("a", bytes(""), { keep: true, confirm: false }), { code: "LINK_OPTION_INVALID" });
});

test("a burst of unconfirmed messages to one client is cut at 64 KiB, and hurts neither it nor others", async () => {
  const scene = new Scene(8);
  const panel = scene.client("panel");
  await scene.outcome(panel.core.subscribe("#"));
  for (let index = 0; index < 1000; index += 1)
    scene.server!.publish("a", new Uint8Array(1000), { ...PLAINLY, confirm: false });
  await scene.outcome(Promise.resolve());
  assert.ok(panel.got.length >= 60 && panel.got.length <= 70, `${panel.got.length} came`);
  assert.equal(scene.server!.counts.dropped + panel.got.length, 1000);
  assert.deepEqual(panel.ends, []);
});

test("a subscriber that is full misses messages, hears how many, and keeps its connection; the others miss none", async () => {
  const scene = new Scene(9, {}, { outboxMessagesMax: 20 });
  const handlers: (() => void)[] = [];
  const slow = scene.client(
    "slow",
    { topic: () => new Promise<void>((resolve) => handlers.push(resolve)) },
    {
      limits: { messageBytesMax: 1_048_576, window: 5, windowBytes: 4_194_304, partBytes: 16_384 },
    },
  );
  const quick = scene.client("quick");
  for (const { core } of [slow, quick]) await scene.outcome(core.subscribe("#"));
  let handled = 0;
  for (let index = 0; index < 2000; index += 1) {
    scene.server!.publish("a", bytes(String(index)), PLAINLY);
    scene.network.advance(5, 5);
    await new Promise((resolve) => setImmediate(resolve));
    if (index % 10 === 0 && handlers.length > 0) {
      handlers.shift()!();
      handled += 1;
    }
  }
  for (let round = 0; round < 200; round += 1) {
    for (const done of handlers.splice(0)) {
      done();
      handled += 1;
    }
    scene.network.advance(20, 5);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(slow.ends, [], "gaps are no flood");
  assert.equal(quick.got.length, 2000);
  scene.network.advance(3000, 50);
  scene.server!.publish("a", bytes("last"), PLAINLY);
  await scene.outcome(Promise.resolve());
  assert.equal(handled + handlers.length + slow.gaps, 2001);
  assert.equal(scene.server!.counts.dropped, slow.gaps);
});

test("what the application refuses is refused: topics to publish, filters, and everything on a server without topics", async () => {
  const refuse = (_session: unknown, topic: string): Promise<void> | undefined =>
    topic.startsWith("mine/") ? undefined : Promise.reject(new Error("not yours"));
  const scene = new Scene(10, { topics: { ...HOOKS, onPublish: refuse, onSubscribe: refuse } });
  const client = scene.client("a");
  assert.equal(await scene.outcome(client.core.subscribe("#")), "LINK_REJECTED");
  assert.equal(await scene.outcome(client.core.subscribe("mine/#")), "done");
  assert.equal(await scene.outcome(client.core.publish("other", bytes("x"))), "LINK_REJECTED");
  assert.equal(await scene.outcome(client.core.publish("mine/1", bytes("x"))), "done");
  assert.deepEqual(client.got, ["mine/1 x"]);
  const without = new Scene(11, { topics: undefined });
  assert.equal(await without.outcome(without.client("a").core.subscribe("a")), "LINK_REJECTED");
  assert.throws(() => without.server!.publish("a", bytes("x"), PLAINLY), { code: "LINK_OPTION_INVALID" });
});

test("a session has at most 100 filters, and takes them with it when it is gone", async () => {
  const scene = new Scene(12, {}, { ttlMs: 1000 });
  const client = scene.client("a");
  const all = Array.from({ length: 101 }, (_, index) => client.core.subscribe(`t/${index}`).then(() => "done", codeOf));
  await scene.outcome(Promise.all(all));
  assert.deepEqual((await Promise.all(all)).slice(99), ["done", "LINK_REJECTED"]);
  assert.equal(scene.server!.publish("t/1", bytes("x"), PLAINLY), 1);
  client.core.close(1000);
  scene.network.advance(3000, 10);
  assert.equal(scene.server!.publish("t/1", bytes("x"), PLAINLY), 0);
  assert.equal(scene.server!.heldBytes, 0);
});

test("over real sockets: subscribe, a kept value, 1 MiB in parts, broadcast to all", async (t) => {
  const server = await listen({ port: 0, session: { topics: {} } });
  t.after(() => server.close());
  const sensor = await connect({ port: server.port, session: { name: "sensor" } });
  t.after(() => sensor.close());
  await sensor.publish("picture", new Uint8Array(1_000_000).fill(7), { keep: true });
  const got: [string, number, boolean][] = [];
  const plain: string[] = [];
  const panel = await connect({
    port: server.port,
    session: {
      name: "panel",
      onTopic: (topic, message, { kept }) => void got.push([topic, message.length, kept]),
      onMessage: (message) => void plain.push(text(message)),
    },
  });
  t.after(() => panel.close());
  await panel.subscribe("#");
  await sensor.publish("temperature", "21.5");
  assert.deepEqual(await server.broadcast("to all"), { sent: 2, confirmed: 2 });
  assert.deepEqual(got, [
    ["picture", 1_000_000, true],
    ["temperature", 4, false],
  ]);
  assert.deepEqual(plain, ["to all"]);
});

test("a raw client that says nonsense of topics is refused or cut off, and holds nothing", async (t) => {
  const server = await listen({ port: 0, session: { topics: {}, onMessage: () => new Promise(() => {}) } });
  t.after(() => server.close());
  const say = (verb: "publish" | "subscribe" | "message", topic: string) =>
    topicBody.encode({ verb, keep: false, expiresMs: 0, topic, bytes: new Uint8Array(10) });
  for (const [frame, reason] of [
    [encodeFrame("TOPIC", Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0)), "protocol"],
    [encodeFrame("TOPIC", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 9)), "protocol"],
    [encodeFrame("NOTE", say("subscribe", "a")), "protocol"],
  ] as const) {
    const raw = new RawClient(server.port);
    await raw.hello({ sessionId: randomBytes(16) });
    const away = once(server, "presence");
    raw.socket.write(frame);
    assert.equal((await away)[2].reason, reason);
    await raw.closed;
  }
  const raw = new RawClient(server.port);
  await raw.hello({ sessionId: randomBytes(16) });
  raw.socket.write(Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from(encodeFrame("NOTE", say("message", ""))))));
  raw.socket.write(encodeFrame("PING", new Uint8Array(0)));
  while ((await raw.next()).name !== "PONG");
  assert.equal(server.stats().counts.dropped, 100_000 - 256);
  assert.equal(server.stats().heldBytes, 2560);
  raw.socket.destroy();
});
