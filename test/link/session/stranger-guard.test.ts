/** Who has no session: slowed down where wrong tokens come from, and the first to go where there is no room. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as dial } from "node:net";
import type { Socket } from "node:net";
import { test } from "node:test";
import { networkOf } from "../../../src/core/address.ts";
import { connect, listen } from "../../../src/link/index.ts";
import { StrangerGuard } from "../../../src/link/session/server/stranger-guard.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";

test("ten failures of a network cost nothing, more double its wait up to 5 s, and half are forgotten each minute", () => {
  const guard = new StrangerGuard<object>();
  const waits: number[] = [];
  for (let failure = 0; failure < 20; failure += 1) {
    waits.push(guard.delayMs("a", 0));
    guard.failed("a", 0);
  }
  assert.deepEqual(waits.slice(0, 10), new Array(10).fill(0));
  assert.deepEqual(waits.slice(10), [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
  assert.equal(guard.delayMs("b", 0), 0);
  assert.equal(guard.delayMs("a", 60_000), 100, "20 became 10");
  assert.equal(guard.delayMs("a", 120_000), 0);
});

test("a client that comes in makes up for one failure of its network: a fleet on a bad line is not slowed", () => {
  const guard = new StrangerGuard<object>();
  for (let handshake = 0; handshake < 100; handshake += 1) {
    guard.failed("fleet", 0);
    guard.succeeded("fleet");
  }
  assert.equal(guard.delayMs("fleet", 0), 0);
});

test("the network that has most strangers loses its oldest", () => {
  const guard = new StrangerGuard<string>();
  for (const name of ["one", "two", "three"]) guard.arrived(name, "many");
  guard.arrived("alone", "few");
  assert.equal(guard.oldestOfMost(), "one");
  guard.left("one", "many");
  assert.equal(guard.oldestOfMost(), "two");
});

test("networks are told apart by a prefix of their addresses", () => {
  const prefix = { ipv4: 24, ipv6: 64 };
  assert.equal(networkOf("10.1.2.3", prefix), "10.1.2.0/24");
  assert.equal(networkOf("::ffff:10.1.2.3", prefix), "10.1.2.0/24");
  assert.equal(networkOf("[2001:db8:0:7::1]", prefix), "2001:db8:0:7:0:0:0:0/64");
  assert.equal(networkOf("2001:db8::1", { ipv4: 32, ipv6: 48 }), "2001:db8:0:0:0:0:0:0/48");
  assert.equal(networkOf("10.1.2.3", { ipv4: 32, ipv6: 64 }), "10.1.2.3");
  assert.equal(networkOf("10.1.2.3", { ipv4: 0, ipv6: 64 }), "0.0.0.0/0");
});

test("guesses at a token are slowed down for their network, where a client with the right one still comes in, and for no other", () => {
  const network = new VirtualNetwork(1);
  let refusals = 0;
  const serverCore = virtualServerCore(
    network,
    { tokenRequired: true },
    { token: () => "right", endedBeforeSession: () => void (refusals += 1) },
  );
  const backoff = { base: 1, cap: 1 };
  const guess = (): void => {
    let again = true;
    const clientCore = virtualClientCore(
      { network, server: () => serverCore, from: "10.0.0.9", backoff },
      { token: "wrong", reconnect: false },
      { closed: () => void (again && network.clock.at(network.clock.now() + 10, guess)) },
    );
    clientCore.start();
    network.clock.at(600_000, () => void (again = false));
  };
  for (let count = 0; count < 10; count += 1) guess();
  network.advance(60_000, 10);
  const inAMinute = refusals;
  assert.ok(inAMinute < 300, `${inAMinute} guesses in a minute, 10 at a time`);
  const tookMs: number[] = [];
  for (const from of ["10.0.0.9", "10.0.0.1"]) {
    const startMs = network.clock.now();
    let openedMs = Infinity;
    const opened = (): void => void (openedMs = Math.min(openedMs, network.clock.now()));
    virtualClientCore({ network, server: () => serverCore, from, backoff }, { token: "right" }, { opened }).start();
    network.advance(8000, 10);
    tookMs.push(openedMs - startMs);
  }
  assert.ok(tookMs[0]! <= 5200, `the right token behind the same address took ${tookMs[0]} ms`);
  assert.ok(tookMs[1]! <= 100, `another address took ${tookMs[1]} ms`);
});

test("silent strangers that take every slot give way to clients, and no client gives way to them", async () => {
  await using server = await listen({ port: 0, connectionsMax: 20, session: { token: "right" } });
  const first = await connect({ port: server.port, session: { name: "first", token: "right" } });
  const ends: string[] = [];
  first.on("end", ({ reason }) => ends.push(reason));
  const strangers: Socket[] = [];
  for (let count = 0; count < 60; count += 1) strangers.push(dial(server.port, "127.0.0.1").on("error", () => {}));
  await once(strangers.at(-1)!, "connect");
  const second = await connect({ port: server.port, session: { name: "second", token: "right" } });
  await second.send("there");
  await first.send("still there");
  assert.deepEqual(ends, []);
  const { ended } = server.stats();
  assert.ok((ended["too-many"] ?? 0) >= 41, JSON.stringify(ended));
  await Promise.all([first.close(), second.close()]);
  for (const socket of strangers) socket.destroy();
});
