/** Clients that misbehave cost themselves, never the server or the others. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { MemcachedClient } from "../../support/memcached-client.ts";

const MEGABYTE = 1024 * 1024;

function socketTo(server: CacheServer): Socket {
  const socket = connect({ host: "127.0.0.1", port: Number(server.address.split(":")[1]) });
  socket.on("error", () => {});
  return socket;
}

/** Resolves when the connection is gone, however it ends. */
function gone(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.resume().once("close", resolve));
}

/** Waits until a number has stopped growing, and returns it. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    const value = read();
    if (value === last) return value;
    last = value;
    await sleep(100);
  }
}

test("a client that never reads is no longer read from, and is let go when its idle time is over", async () => {
  const clock = new ManualClock();
  const server = new CacheServer({ listen: "127.0.0.1:0", idleTimeout: "10s" }, clock);
  await server.listen();
  const other = await MemcachedClient.connect(server.address);
  await other.ask(`set k 0 0 500000\r\n${"x".repeat(500_000)}\r\n`);
  const deaf = socketTo(server).pause();
  await once(deaf, "connect");
  deaf.write("get k\r\n".repeat(20_000));
  const written = await settled(() => server.stats().bytesWritten);
  assert.ok(written < 32 * MEGABYTE, `${written} bytes written for a client that reads none`);
  assert.match(await other.ask("version\r\n"), /^VERSION/);
  clock.advance(9000);
  assert.match(await other.ask("version\r\n"), /^VERSION/);
  clock.advance(3000);
  await gone(deaf);
  assert.equal(await settled(() => server.stats().connections), 1);
  other.close();
  await server.close();
});

test("connections beyond the limit are told so, those within go on, and room is given again", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0", connections: 50 });
  await server.listen();
  const sockets = Array.from({ length: 200 }, () => socketTo(server).setEncoding("latin1"));
  const refused = sockets.map(
    (socket) =>
      new Promise<string>((resolve) => socket.once("data", (text: string) => resolve(text)).once("close", () => resolve(""))),
  );
  while (server.stats().connections < 50) await sleep(5);
  const answers = await Promise.all(refused.map((answer) => Promise.race([answer, sleep(1000, "served")])));
  assert.equal(answers.filter((answer) => answer === "served").length, 50);
  assert.equal(answers.filter((answer) => answer === "ERROR Too many open connections\r\n").length, 150);
  for (const socket of sockets) socket.destroy();
  while (server.stats().connections > 0) await sleep(5);
  const late = await MemcachedClient.connect(server.address);
  assert.match(await late.ask("version\r\n"), /^VERSION/);
  late.close();
  await server.close();
});

test("where clients shall wait instead, they are served as soon as there is room", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0", connections: 1, connectionsFast: false });
  await server.listen();
  const first = await MemcachedClient.connect(server.address);
  await first.ask("version\r\n");
  const second = await MemcachedClient.connect(server.address);
  const answer = second.ask("version\r\n");
  assert.equal(await Promise.race([answer, sleep(200, "waiting")]), "waiting");
  first.close();
  assert.match(await answer, /^VERSION/);
  second.close();
  await server.close();
});

test("half a command and then silence holds nothing but its bytes, and is let go", async () => {
  const clock = new ManualClock();
  const server = new CacheServer({ listen: "127.0.0.1:0", idleTimeout: "5s" }, clock);
  await server.listen();
  const silent = socketTo(server);
  await once(silent, "connect");
  silent.write("set k 0 0 100000\r\nonly a little");
  while (server.stats().bytesRead === 0) await sleep(5);
  clock.advance(7000);
  await gone(silent);
  assert.equal(server.stats().items, 0);
  await server.close();
});

test("a line that never ends costs its sender the connection", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0" });
  await server.listen();
  const socket = socketTo(server);
  await once(socket, "connect");
  socket.write("x".repeat(3000));
  await gone(socket);
  await server.close();
});
