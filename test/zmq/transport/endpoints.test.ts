/** Addresses: what can be bound and connected, what `lastEndpoint` tells, which errors come. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { Context, Pull, Push, Router, Subscriber, Pair } from "../../../src/zmq/index.ts";
import { requires } from "../../support/requires.ts";
import { closing, nextEvent, python, until } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map(String);

test("port * and port 0 take a free port, which lastEndpoint tells", async (t) => {
  for (const [address, shown] of [
    ["tcp://127.0.0.1:*", /^tcp:\/\/127\.0\.0\.1:\d+$/],
    ["tcp://127.0.0.1:0", /^tcp:\/\/127\.0\.0\.1:\d+$/],
    ["tcp://*:*", /^tcp:\/\/0\.0\.0\.0:\d+$/],
    ["tcp://lo:*", /^tcp:\/\/127\.0\.0\.1:\d+$/],
    ["tcp://localhost:*", /^tcp:\/\/127\.0\.0\.1:\d+$/],
  ] as const) {
    const pull = closing(t, new Pull());
    await pull.bind(address);
    assert.match(pull.lastEndpoint!, shown);
    const push = closing(t, new Push());
    push.connect(pull.lastEndpoint!.replace("0.0.0.0", "127.0.0.1"));
    await push.send("x");
    assert.deepEqual(text(await pull.receive()), ["x"]);
  }
});

test("IPv6 addresses stand in brackets; with ipv6 on, * takes both families", async (t) => {
  const pull = closing(t, new Pull({ ipv6: true }));
  await pull.bind("tcp://*:*");
  assert.match(pull.lastEndpoint!, /^tcp:\/\/\[::\]:\d+$/);
  const port = pull.lastEndpoint!.split(":").at(-1)!;
  for (const address of [`tcp://[::1]:${port}`, `tcp://127.0.0.1:${port}`]) {
    const push = closing(t, new Push({ ipv6: true }));
    push.connect(address);
    const accepted = nextEvent(pull, "handshake");
    await push.send(address);
    assert.deepEqual(text(await pull.receive()), [address]);
    assert.ok((await accepted).remoteAddress!.startsWith(address.slice(0, address.lastIndexOf(":"))));
  }
});

test("a taken port is EADDRINUSE, a foreign address EADDRNOTAVAIL, nonsense EINVAL, a foreign transport EPROTONOSUPPORT", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const other = closing(t, new Pull());
  await assert.rejects(other.bind(pull.lastEndpoint!), { code: "EADDRINUSE", errno: 98 });
  await assert.rejects(other.bind("tcp://192.0.2.1:*"), { code: "EADDRNOTAVAIL" });
  for (const nonsense of ["", "tcp://", "127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "tcp://127.0.0.1:x"]) {
    await assert.rejects(other.bind(nonsense), { code: "EINVAL" });
    assert.throws(() => other.connect(nonsense), { code: "EINVAL" });
  }
  await assert.rejects(other.bind("udp://127.0.0.1:1"), { code: "EPROTONOSUPPORT" });
  await other.bind("inproc://taken");
  await assert.rejects(pull.bind("inproc://taken"), { code: "EADDRINUSE" });
});

test("after unbind the address is free", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const endpoint = pull.lastEndpoint!;
  for (let count = 0; count < 3; count += 1) {
    await pull.unbind(endpoint);
    await pull.bind(endpoint);
  }
});

test("an ipc path left by a killed process is taken over; a live one is EADDRINUSE", async (t) => {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-ipc-")), "socket");
  const bind = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", bind]);
  assert.ok(existsSync(path));
  const pull = closing(t, new Pull());
  await pull.bind(`ipc://${path}`);
  await assert.rejects(closing(t, new Pull()).bind(`ipc://${path}`), { code: "EADDRINUSE" });
  const push = closing(t, new Push());
  push.connect(`ipc://${path}`);
  await push.send("x");
  assert.deepEqual(text(await pull.receive()), ["x"]);
});

test("ipc://* makes a path of its own", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("ipc://*");
  const push = closing(t, new Push());
  push.connect(pull.lastEndpoint!);
  await push.send("x");
  assert.deepEqual(text(await pull.receive()), ["x"]);
});

test("an abstract ipc name is shared with libzmq", requires("python3-zmq"), async (t) => {
  const pull = closing(t, new Pull());
  const name = `ipc://@holdfast-abstract-${process.pid}`;
  await pull.bind(name);
  const done = python(`push = context.socket(zmq.PUSH)\npush.connect(sys.argv[1])\npush.send(b"x")`, name);
  assert.deepEqual(text(await pull.receive()), ["x"]);
  await done;
});

test("a connect may name the address to connect from", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const handshake = nextEvent(router, "handshake");
  const push = closing(t, new Router());
  push.connect(`tcp://127.0.0.9:0;${router.lastEndpoint!.slice("tcp://".length)}`);
  assert.match((await handshake).remoteAddress!, /^tcp:\/\/127\.0\.0\.9:/);
});

test("a name with many addresses is connected to at all of them, and to new ones when they appear", async (t) => {
  const clock = new ManualClock();
  const context = new Context({}, clock);
  const port = await samePort(t, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
  const push = closing(t, new Push({ context }));
  let addresses = ["127.0.0.1", "127.0.0.2"];
  push.resolve = (host, family) => {
    assert.deepEqual([host, family], ["workers.farm", 4]);
    return Promise.resolve(addresses);
  };
  const reached = new Set<string>();
  push.events.on("handshake", ({ remoteAddress }) => reached.add(remoteAddress!));
  push.connect(`tcp://workers.farm:${port.number}`);
  assert.equal(push.trySend("queued before the name is known"), "sent");
  await until(() => reached.size === 2, "two handshakes");
  for (let count = 0; count < 20; count += 1) assert.equal(push.trySend("x"), "sent");
  await until(() => port.received("127.0.0.1") + port.received("127.0.0.2") === 21, "all messages");
  assert.ok(Math.abs(port.received("127.0.0.1") - port.received("127.0.0.2")) <= 1);
  addresses = ["127.0.0.2", "127.0.0.3"];
  clock.advance(30_000);
  await until(() => reached.size === 3, "the new address");
  await port.close("127.0.0.1");
  await until(() => !push.closed && reached.size === 3, "the end of the old one");
  for (let turn = 0; turn < 50; turn += 1) {
    clock.advance(200);
    await new Promise(setImmediate);
  }
  for (let count = 0; count < 20; count += 1) assert.equal(push.trySend("y"), "sent");
  await until(() => port.received("127.0.0.2") + port.received("127.0.0.3") >= 30, "messages to the new two");
});

test("a name that cannot be resolved is tried again", async (t) => {
  const clock = new ManualClock();
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ context: new Context({}, clock) }));
  let known = false;
  push.resolve = () => (known ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("no such name")));
  const failed = nextEvent(push, "connect:retry");
  push.connect(pull.lastEndpoint!.replace("127.0.0.1", "late.farm"));
  await failed;
  known = true;
  clock.advance(1000);
  await push.send("x");
  assert.deepEqual(text(await pull.receive()), ["x"]);
});

test("connectToAll false, and a PAIR, take the first address only", async (t) => {
  const port = await samePort(t, ["127.0.0.1", "127.0.0.2"]);
  const push = closing(t, new Push({ connectToAll: false }));
  push.resolve = () => Promise.resolve(["127.0.0.1", "127.0.0.2"]);
  push.connect(`tcp://workers.farm:${port.number}`);
  for (let count = 0; count < 10; count += 1) await push.send("x");
  await until(() => port.received("127.0.0.1") === 10, "all at the first");
  const pair = closing(t, new Pair());
  const asked: string[] = [];
  pair.resolve = (host) => {
    asked.push(host);
    return Promise.resolve(["127.0.0.1", "127.0.0.2"]);
  };
  const connected = nextEvent(pair, "connect");
  pair.connect(`tcp://workers.farm:${port.number}`);
  await connected;
  assert.deepEqual(asked, ["workers.farm"]);
});

test("a Subscriber that receives keeps its process alive while it waits to connect again", () => {
  const script = `
    import { Subscriber } from "${join(import.meta.dirname, "../../../src/zmq/index.ts")}";
    const sub = new Subscriber({ reconnectInterval: 50 });
    sub.connect("tcp://127.0.0.1:1");
    sub.receive().catch(() => {});
    setTimeout(() => { process.stdout.write("alive"); sub.close(); }, 300).unref();
  `;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], { timeout: 10_000 });
  assert.equal(String(stdout), "alive");
  assert.ok(Subscriber);
});

/** PULLs on one port of several loopback addresses, counting what they receive. */
async function samePort(t: Parameters<typeof closing>[0], hosts: readonly string[]) {
  const pulls = new Map<string, Pull>();
  const counts = new Map<string, number>();
  let number = 0;
  for (const host of hosts) {
    const pull = closing(t, new Pull());
    await pull.bind(`tcp://${host}:${number}`);
    number = Number(pull.lastEndpoint!.split(":").at(-1));
    pulls.set(host, pull);
    void (async () => {
      for await (const _ of pull) counts.set(host, (counts.get(host) ?? 0) + 1);
    })();
  }
  return {
    number,
    received: (host: string) => counts.get(host) ?? 0,
    close: (host: string) => pulls.get(host)!.close(),
  };
}
