/** What `socket.events` tells, heartbeats included. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { codeOf } from "../../../src/core/errors.ts";
import { Context, Dealer, Pull, Push, Router, type Event } from "../../../src/zmq/index.ts";
import { requires } from "../../support/requires.ts";
import { closing, nextEvent, python, until } from "../../support/zmq.ts";

test("a connection's life is told on both sides, with addresses, id and type", async () => {
  const router = new Router();
  const told: Record<"router" | "dealer", Event[]> = { router: [], dealer: [] };
  const collect = async (socket: Router | Dealer, events: Event[]): Promise<void> => {
    for await (const event of socket.events) events.push(event);
  };
  const collecting = [collect(router, told.router)];
  await router.bind("tcp://127.0.0.1:*");
  const dealer = new Dealer({ routingId: "d" });
  collecting.push(collect(dealer, told.dealer));
  dealer.connect(router.lastEndpoint!);
  await dealer.send("x");
  await router.receive();
  await dealer.close();
  await until(() => told.router.some(({ type }) => type === "disconnect"), "the disconnect");
  await router.close();
  await Promise.all(collecting);
  assert.deepEqual(
    told.router.map(({ type }) => type),
    ["bind", "accept", "handshake", "disconnect", "peer:gone", "close", "end"],
  );
  assert.deepEqual(
    told.dealer.map(({ type }) => type).filter((type) => type !== "peer:gone"),
    ["connect:delay", "connect", "handshake", "disconnect", "end"],
  );
  const handshake = told.router.find((event) => event.type === "handshake")!;
  assert.equal(handshake.address, router.lastEndpoint);
  assert.equal(String(handshake.routingId), "d");
  assert.equal(handshake.socketType, "DEALER");
  assert.equal(handshake.version, "3.1");
  assert.match(handshake.remoteAddress!, /^tcp:\/\/127\.0\.0\.1:\d+$/);
});

test("events can be received one by one; listeners and receive exclude each other", async (t) => {
  const pull = closing(t, new Pull());
  const first = pull.events.receive();
  await pull.bind("tcp://127.0.0.1:*");
  assert.equal((await first).type, "bind");
  pull.events.on("close", () => {});
  assert.throws(() => pull.events.receive(), { code: "ENOTSUP" });
});

test("events that nobody takes are bounded", async (t) => {
  const pull = closing(t, new Pull());
  void pull.events;
  for (let count = 0; count < 1500; count += 1) pull.events.tell({ type: "bind", address: `tcp://127.0.0.1:${count}` });
  const first = await pull.events.receive();
  assert.deepEqual(first.type === "bind" && first.address, "tcp://127.0.0.1:500");
});

test("a peer that goes silent is found within heartbeatInterval and heartbeatTimeout", async (t) => {
  const clock = new ManualClock();
  const pull = closing(t, new Pull({ context: new Context({}, clock), heartbeatInterval: 1000, heartbeatTimeout: 500 }));
  await pull.bind("tcp://127.0.0.1:*");
  const silent = connect(Number(pull.lastEndpoint!.split(":")[2]));
  t.after(() => silent.destroy());
  const greeting = Buffer.alloc(64);
  greeting.set([0xff], 0);
  greeting.set([0x7f, 3, 1], 9);
  greeting.write("NULL", 12);
  const ready = "\u0004\u001a\u0005READY\u000bSocket-Type\0\0\0\u0004PUSH";
  const shaken = nextEvent(pull, "handshake");
  silent.write(Buffer.concat([greeting, Buffer.from(ready, "latin1")]));
  await shaken;
  let received = Buffer.alloc(0);
  silent.on("data", (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  const ended = nextEvent(pull, "disconnect");
  clock.advance(1000);
  await until(() => received.includes("PING"), "a PING");
  clock.advance(499);
  clock.advance(1);
  assert.equal(codeOf((await ended).reason), "ERR_ZMTP_HEARTBEAT_TIMEOUT");
});

test("heartbeats keep a quiet connection between two of these sockets", async (t) => {
  const clock = new ManualClock();
  const context = new Context({}, clock);
  const options = { context, heartbeatInterval: 1000, heartbeatTimeout: 900, heartbeatTimeToLive: 2000 };
  const pull = closing(t, new Pull(options));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push(options));
  push.connect(pull.lastEndpoint!);
  await push.send("x");
  await pull.receive();
  let ended = false;
  for (const socket of [pull, push]) socket.events.on("disconnect", () => (ended = true));
  for (let beat = 0; beat < 20; beat += 1) {
    clock.advance(1000);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  }
  assert.equal(ended, false);
  await push.send("y");
  await pull.receive();
});

test("a libzmq peer with heartbeats on stays connected, and its own TTL is kept", requires("python3-zmq"), async (t) => {
  const pull = closing(t, new Pull({ heartbeatInterval: 20 }));
  await pull.bind("tcp://127.0.0.1:*");
  const reasons: unknown[] = [];
  pull.events.on("disconnect", ({ reason }) => reasons.push(reason));
  const script = `
push = context.socket(zmq.PUSH)
push.setsockopt(zmq.HEARTBEAT_IVL, 20); push.setsockopt(zmq.HEARTBEAT_TTL, 200); push.setsockopt(zmq.HEARTBEAT_TIMEOUT, 200)
monitor = push.get_monitor_socket()
push.connect(sys.argv[1])
import time
time.sleep(0.4)
push.send(b"still here")
from zmq.utils.monitor import recv_monitor_message
while monitor.poll(50):
    print(int(recv_monitor_message(monitor)["event"]))
`;
  const printed = python(script, pull.lastEndpoint!);
  assert.equal(String((await pull.receive())[0]), "still here");
  const events = (await printed).trim().split("\n").map(Number);
  const DISCONNECTED = 0x200;
  assert.ok(!events.includes(DISCONNECTED), `no disconnect in ${events.join(" ")}`);
});
