/** `tune` on real sockets: what it sets is what the kernel has, or a warning says what is not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { descriptorOf } from "../../../src/core/socket-handle.ts";
import { tune } from "../../../src/link/index.ts";
import { readKeepAlive } from "../../../src/link/keep-alive/keep-alive.ts";
import { kernel, throughKoffi, throughNode } from "../../../src/link/keep-alive/kernel.ts";
import { kernelTimer } from "../../../src/link/keep-alive/proc-net.ts";
import { applyKeepAlive } from "../../../src/link/keep-alive/tune.ts";
import { watchThrough } from "../../../src/link/keep-alive/watch.ts";

async function pair(t: TestContext, host = "127.0.0.1"): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, host);
  const [accepted] = (await once(server, "connection")) as [Socket];
  if (client.connecting) await once(client, "connect");
  t.after(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { client, accepted };
}

/** Takes interval and count and ignores them, as Node before 24.19 did. */
function asOlderNode(socket: Socket): void {
  const setKeepAlive = socket.setKeepAlive.bind(socket) as (on?: boolean, delay?: number) => Socket;
  socket.setKeepAlive = ((on?: boolean, delay?: number) => setKeepAlive(on, delay)) as Socket["setKeepAlive"];
}

const LECTURE = { idle: "5s", interval: "10s", count: 3 } as const;
const READ = { idleMs: 5000, intervalMs: 10_000, count: 3, userTimeoutMs: 34_000 };

test("a client's socket and an accepted one read back what was asked, without a warning", async (t) => {
  for (const socket of Object.values(await pair(t))) {
    const report = tune(socket, LECTURE);
    assert.deepEqual(report.actual, READ);
    assert.deepEqual(report.warnings, []);
    assert.equal(report.backend, "node");
    assert.equal(report.readBy, "ffi");
  }
});

test("on a runtime that sets interval 1 s and count 10 whatever it is told, ffi sets what was asked", async (t) => {
  const { client } = await pair(t);
  asOlderNode(client);
  const report = tune(client, LECTURE);
  assert.deepEqual(report.actual, READ);
  assert.equal(report.backend, "ffi");
  assert.deepEqual(report.warnings, []);
});

test("koffi, where it is installed, does what node:ffi does", async (t) => {
  const { client } = await pair(t);
  const access = throughKoffi();
  assert.ok(access, "koffi is a devDependency");
  asOlderNode(client);
  const report = applyKeepAlive(client, { values: readKeepAlive(LECTURE).values, access });
  assert.equal(report.backend, "koffi");
  assert.deepEqual(report.actual, READ);
  assert.deepEqual(access.tcpInfo(descriptorOf(client)!)!.length, throughNode()!.tcpInfo(descriptorOf(client)!)!.length);
});

test("with neither ffi nor koffi, the idle time is read from /proc and all else is a warning", async (t) => {
  const { client } = await pair(t);
  const report = applyKeepAlive(client, { values: readKeepAlive(LECTURE).values, access: undefined });
  assert.equal(report.backend, "partial");
  assert.equal(report.readBy, "proc");
  assert.deepEqual(report.actual, { idleMs: 5000 });
  assert.deepEqual(
    report.warnings.map(({ code }) => code),
    ["user-timeout-unset", "not-read-back"],
  );
});

test("an older runtime with neither says that interval and count are not what was asked", async (t) => {
  const { client } = await pair(t);
  asOlderNode(client);
  const { warnings } = applyKeepAlive(client, { values: readKeepAlive(LECTURE).values, access: undefined });
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["interval-ignored", "count-ignored", "user-timeout-unset", "not-read-back"],
  );
});

test("a socket that is still connecting says so", (t) => {
  const socket = connect(1, "127.0.0.1");
  socket.on("error", () => {});
  t.after(() => socket.destroy());
  const { warnings, backend } = tune(socket, LECTURE);
  assert.equal(backend, "partial");
  assert.equal(warnings[0]?.code, "not-connected");
});

test("user timeout off is 0 in the kernel", async (t) => {
  const { client } = await pair(t);
  assert.equal(tune(client, { ...LECTURE, userTimeout: "off" }).actual.userTimeoutMs, 0);
});

test("/proc/net/tcp6 tells the timer of an IPv6 connection", async (t) => {
  const { client } = await pair(t, "::1");
  tune(client, LECTURE);
  const timer = kernelTimer(client);
  assert.equal(timer?.timer, "keep-alive");
  assert.ok(timer.keepAliveInMs! > 4500 && timer.keepAliveInMs! <= 5200);
});

test("without ffi and koffi, watch sees the same probes of a living connection in /proc", async (t) => {
  const { client } = await pair(t);
  const values = { idle: "1s", interval: "2s", count: 3 } as const;
  tune(client, values);
  const access = kernel();
  const told = await Promise.all(
    [access, undefined].map(async (way) => {
      const watched = watchThrough(way, client, { ...values, every: "50ms" });
      const kinds: string[] = [];
      for await (const { kind } of watched) {
        kinds.push(kind);
        if (watched.probes === 2) break;
      }
      return kinds;
    }),
  );
  assert.deepEqual(told, [
    ["armed", "answered", "answered"],
    ["armed", "answered", "answered"],
  ]);
});
