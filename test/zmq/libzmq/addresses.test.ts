/** What libzmq's own tests say of addresses, as facts about these sockets: docs/zmq-libzmq-tests.md has the table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Dealer, Pair, Publisher, Pull, Push, Reply, Request, type Socket } from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

/** 108 octets: one more than a socket's path may have on Linux, where the last is a zero. */
const TOO_LONG = `ipc://${"a".repeat(108)}`;

async function bounce(client: Request, server: Reply): Promise<void> {
  await client.send("ping");
  assert.equal(String((await server.receive())[0]), "ping");
  await server.send("pong");
  assert.equal(String((await client.receive())[0]), "pong");
}

test("an abstract ipc name must not be empty", async (t) => {
  const pair = closing(t, new Pair());
  await assert.rejects(pair.bind("ipc://@"), { code: "EINVAL" });
  assert.throws(() => pair.connect("ipc://@"), { code: "EINVAL" });
});

test("an ipc path that the system cannot take is ENAMETOOLONG, at bind and at connect", async (t) => {
  const pair = closing(t, new Pair());
  await assert.rejects(pair.bind(TOO_LONG), { code: "ENAMETOOLONG" });
  assert.throws(() => pair.connect(TOO_LONG), { code: "ENAMETOOLONG" });
});

for (const [address, code] of [
  ["tcp://in val id:1234", "EINVAL"],
  ["tcp://", "EINVAL"],
  ["tcp://localhost:invalid", "EINVAL"],
  ["tcp://localhost", "EINVAL"],
  ["tcp://localhost:65536", "EINVAL"],
  ["tcp://localhost:*", "EINVAL"],
  ["tcp://*:1234", "EINVAL"],
  ["invalid://localhost:1234", "EPROTONOSUPPORT"],
] as const)
  test(`connect refuses ${address} at once with ${code}`, (t) => {
    assert.throws(() => closing(t, new Publisher()).connect(address), { code });
  });

test("connect takes a name, an IPv6 address in brackets, and names and interfaces to connect from", async (t) => {
  const push = closing(t, new Push({ ipv6: true, linger: 0 }));
  push.connect("tcp://localhost:1");
  push.connect("tcp://[::1]:1");
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  for (const source of ["localhost:0", "lo:0", "127.0.0.1:0"]) {
    const from = closing(t, new Push({ linger: 0 }));
    from.connect(pull.lastEndpoint!.replace("tcp://", `tcp://${source};`));
    await from.send(source);
    assert.equal(String((await pull.receive())[0]), source);
  }
});

test("who connects from an address that is not this machine's is told in an event, and tries again", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  for (const source of ["192.0.2.1:0", "no-such-host.invalid:0"]) {
    const push = closing(t, new Push({ linger: 0 }));
    const again = nextEvent(push, "connect:retry");
    push.connect(pull.lastEndpoint!.replace("tcp://", `tcp://${source};`));
    await again;
  }
});

for (const [host, options] of [
  ["*", {}],
  ["*", { ipv6: true }],
  ["127.0.0.1", {}],
  ["[::1]", { ipv6: true }],
] as const)
  test(`what is bound at tcp://${host}:*${"ipv6" in options ? " with IPv6" : ""} is connected to, disconnected and unbound by lastEndpoint`, async (t) => {
    const server = closing(t, new Reply(options));
    const client = closing(t, new Request(options));
    await server.bind(`tcp://${host}:*`);
    const address = server.lastEndpoint!;
    client.connect(address);
    await bounce(client, server);
    client.disconnect(address);
    await server.unbind(address);
    await assert.rejects(server.unbind(address), { code: "ENOENT" });
  });

test("lastEndpoint is the one of the last bind", async (t) => {
  const router = closing(t, new Dealer());
  for (let turn = 0; turn < 2; turn += 1) {
    await router.bind("tcp://127.0.0.1:*");
    const first = router.lastEndpoint;
    await router.bind("tcp://127.0.0.1:*");
    assert.notEqual(router.lastEndpoint, first);
  }
});

test("after unbind or disconnect there is nobody to send to", async (t) => {
  for (const [left, right] of [
    [new Push(), new Pull()],
    [new Pull(), new Push()],
  ] as const) {
    const bound: Socket = closing(t, left);
    const connected: Socket = closing(t, right);
    await bound.bind("tcp://127.0.0.1:*");
    const address = bound.lastEndpoint!;
    connected.connect(address);
    const [push, pull] = (left instanceof Push ? [left, right] : [right, left]) as [Push, Pull];
    await push.send("ABC");
    assert.equal(String((await pull.receive())[0]), "ABC");
    if (left === push) await push.unbind(address);
    else push.disconnect(address);
    await until(() => !push.writable, "the connection's end");
    assert.equal(push.trySend("ABC"), "EAGAIN");
  }
});

for (const [transport, address] of [
  ["tcp", "tcp://127.0.0.1:*"],
  ["ipc", "ipc://*"],
] as const)
  test(`a client over ${transport} finds its server again after it has been unbound and bound anew`, async (t) => {
    const server = closing(t, new Reply());
    const client = closing(t, new Request({ reconnectInterval: 10 }));
    await server.bind(address);
    const bound = server.lastEndpoint!;
    client.connect(bound);
    await bounce(client, server);
    const gone = nextEvent(client, "disconnect");
    await server.unbind(bound);
    await gone;
    await server.bind(bound);
    await bounce(client, server);
  });
