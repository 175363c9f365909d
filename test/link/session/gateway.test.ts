/** Sensors over sessions into the real queue and the real cache. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CacheClient, CacheServer } from "../../../src/cache/index.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { OperationError, UsageError } from "../../../src/core/errors.ts";
import { connect, listen } from "../../../src/link/index.ts";
import type { Reading } from "../../../src/link/index.ts";
import { Broker, queue, worker } from "../../../src/queue/index.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a sensor's readings reach the queue's workers once each, and the cache has its last value and its presence", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-gateway-"));
  const broker = new Broker({ listen: `ipc://${join(folder, "queue.sock")}`, data: join(folder, "data") });
  await broker.listen();
  const url = `ipc://${join(folder, "queue.sock")}`;
  const readings = queue<Reading>("readings", { url });
  const cacheServer = new CacheServer({ listen: "127.0.0.1:0" });
  await cacheServer.listen();
  const cache = new CacheClient({ servers: [cacheServer.address] });
  const server = await listen({ port: 0, session: {}, toQueue: readings, toCache: cache });
  const seen: string[] = [];
  const done = Promise.withResolvers<void>();
  const working = worker(readings, ({ sensor, number, text }) => {
    seen.push(`${sensor} ${number} ${text}`);
    if (seen.length === 20) done.resolve();
  });
  t.after(async () => {
    await server.close();
    await working.close();
    await readings.close();
    await cache.close();
    await cacheServer.close();
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const sensor = await connect({ port: server.port, session: { name: "boiler 7" } });
  await Promise.all(Array.from({ length: 20 }, (_, index) => sensor.send(`${20 + index} °C`)));
  await done.promise;
  assert.deepEqual(new Set(seen), new Set(Array.from({ length: 20 }, (_, index) => `boiler 7 ${index + 1} ${20 + index} °C`)));
  assert.equal(await cache.get("sensor:boiler%207"), "39 °C");
  assert.equal((await cache.get<{ presence: string }>("sensor:boiler%207:presence"))?.presence, "online");
  const gone = new Promise((resolve) =>
    server.on("presence", (_session, presence) => presence === "gone" && resolve(presence)),
  );
  await sensor.close();
  await gone;
  for (let tries = 0; tries < 50; tries += 1) {
    if ((await cache.get<{ presence: string }>("sensor:boiler%207:presence"))?.presence === "gone") return;
  }
  assert.fail("the cache never learned that the sensor is gone");
});

test("while the queue is full, readings wait unconfirmed; none is refused or lost", async (t) => {
  let room = false;
  const added: string[] = [];
  const toQueue = {
    add({ text }: Reading): Promise<void> {
      if (!room) return Promise.reject(new OperationError("LINK_FULL", "Cannot add: full"));
      added.push(text!);
      return Promise.resolve();
    },
  };
  const server = await listen({ port: 0, session: {}, toQueue });
  t.after(() => server.close());
  const sensor = await connect({ port: server.port, session: {} });
  t.after(() => sensor.close());
  let confirmed = 0;
  const sends = ["a", "b", "c"].map((text) => sensor.send(text).then(() => (confirmed += 1)));
  while ([...server.sessions][0]?.state.inbox.arrived !== 3) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(confirmed, 0);
  room = true;
  await Promise.all(sends);
  assert.deepEqual(new Set(added), new Set(["a", "b", "c"]));
});

test("a reading whose receipt is lost with the server or the queue is kept by its session, and is one task all the same", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-gateway-"));
  const store = join(folder, "sessions");
  const broker = new Broker({ listen: "inproc://readings-of-a-store", data: join(folder, "queue") });
  await broker.listen();
  const readings = queue<Reading>("readings", { broker });
  const clock = new ManualClock();
  const first = await listen({
    port: 0,
    clock,
    session: { store },
    toQueue: {
      // The task is on the disk; that the session's receipt is comes to nothing.
      async add(reading, options) {
        if (reading.text !== "never added") await readings.add(reading, options);
        throw new UsageError("CLOSED", "Cannot use a client after it was closed");
      },
    },
  });
  const { port } = first;
  const sensor = await connect({ port, session: { name: "boiler" }, reconnect: { base: 5, cap: 20 } });
  t.after(async () => {
    await sensor.close();
    await readings.close();
    await broker.close();
    rmSync(folder, { recursive: true });
  });
  const sent = Promise.all(["1", "never added", "2"].map((text) => sensor.send(text)));
  while (first.session("boiler")?.state.inbox.open !== 3 || (await readings.counts()).waiting !== 2) await turn();
  const closing = first.close();
  for (let turns = 0; turns < 100; turns += 1) {
    clock.advance(100); // it waits 5 s for receipts
    await turn();
  }
  await closing;
  // They are done with before the sensor is there again.
  const worked: string[] = [];
  const working = worker(readings, ({ text, number }) => void worked.push(`${number} ${text}`));
  t.after(() => working.close());
  while ((await readings.counts()).completed !== 2) await turn();

  const next = await listen({ port, session: { store }, toQueue: readings });
  t.after(() => next.close());
  await sent;
  while ((await readings.counts()).completed !== 3) await turn();
  assert.deepEqual(worked, ["1 1", "3 2", "2 never added"]);
});

test("a cache that fails is told of, and confirms the reading all the same", async (t) => {
  const toCache = { set: () => Promise.reject(new Error("down")) };
  const server = await listen({ port: 0, session: {}, toCache });
  t.after(() => server.close());
  const failed = new Promise((resolve) => server.once("cacheFailed", resolve));
  const sensor = await connect({ port: server.port, session: { name: "x" } });
  t.after(() => sensor.close());
  await sensor.send("1");
  assert.equal(((await failed) as Error).message, "down");
});
