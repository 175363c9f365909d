/** While a value is computed there is none, for any verb of our client; the one who computes shows that it lives. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { memcached, memcachedAt, stop, TEST_SERVERS } from "../support/test-servers.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  for (const keys of ["refuse", "base64"] as const) {
    test(`a placeholder is no item (${peer}, keys: ${keys})`, requires(...needs), async (t) => {
      const { address } = await start(t);
      const key = keys === "refuse" ? "k" : "k with spaces";
      await using holder = new CacheClient({ servers: [address], keys });
      await using other = new CacheClient({ servers: [address], keys });
      const begun = Promise.withResolvers<void>();
      const computed = Promise.withResolvers<string>();
      const fetched = holder.fetch(key, () => (begun.resolve(), computed.promise), { ttl: "1m" });
      await begun.promise;
      const before = other.counts.hits;
      assert.equal(await other.get(key), undefined);
      assert.equal(await other.gets(key), undefined);
      assert.equal((await other.getMany([key])).size, 0);
      assert.equal((await other.getsMany([key])).size, 0);
      assert.equal(await other.replace(key, "mine"), false);
      assert.equal(await other.append(key, "mine"), false);
      assert.equal(await other.prepend(key, "mine"), false);
      assert.equal(await other.incr(key), undefined);
      assert.equal(await other.decr(key), undefined);
      assert.equal(await other.cas(key, "mine", 2n ** 60n), "missing");
      assert.equal(await other.touch(key, "1h"), false);
      assert.equal(other.counts.hits, before);
      assert.equal(await other.add(key, "mine"), true);
      assert.equal(await other.get(key), "mine");
      computed.resolve("computed");
      assert.equal(await fetched, "computed");
      assert.equal(await other.get(key), "mine", "what was stored meanwhile counts");
      await other.set(key, "");
      assert.equal(await other.get(key), "", "an empty text is a value");
    });
  }

  test(`a touch with a short life does not end the turn of who computes (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using holder = new CacheClient({ servers: [address] });
    await using other = new CacheClient({ servers: [address] });
    const begun = Promise.withResolvers<void>();
    const computed = Promise.withResolvers<string>();
    const fetched = holder.fetch("k", () => (begun.resolve(), computed.promise), { ttl: "1m" });
    await begun.promise;
    assert.equal(await other.touch("k", "1s"), false);
    assert.equal(await other.getAndTouch("k", "1s"), undefined);
    const [host, port] = address.split(":") as [string, string];
    const socket = connect({ host, port: Number(port) }).setEncoding("latin1");
    socket.end("mg k t\r\n");
    assert.match(String((await once(socket, "data"))[0]), /^HD t[23]\r\n$/);
    let loads = 0;
    const waiting = other.fetch("k", () => `load ${(loads += 1)}`, { ttl: "1m" });
    computed.resolve("computed");
    assert.deepEqual([await fetched, await waiting, loads], ["computed", "computed", 0]);
    assert.equal(await other.touch("k", "2s"), true);
    assert.equal(await other.getAndTouch("k", "2s"), "computed");
  });

  test(
    `delete and invalidate of a placeholder are misses, and what is computed is from before them (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      await using holder = new CacheClient({ servers: [address] });
      await using other = new CacheClient({ servers: [address] });
      for (const end of ["delete", "invalidate"] as const) {
        const begun = Promise.withResolvers<void>();
        const computed = Promise.withResolvers<string>();
        const fetched = holder.fetch(end, () => (begun.resolve(), computed.promise), { ttl: "1m" });
        await begun.promise;
        assert.equal(await other[end](end), false);
        assert.equal(await other.fetch(end, () => "after", { ttl: "1m" }), "after");
        computed.resolve("before");
        assert.equal(await fetched, "before");
        assert.equal(await other.get(end), "after");
        assert.equal(await other[end](end), true, "an item is one");
      }
    },
  );

  test(`stale and early give no reader a turn that another's placeholder has (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    const clients = Array.from({ length: 4 }, () => new CacheClient({ servers: [address] }));
    t.after(() => Promise.all(clients.map((client) => client.close())));
    let loads = 0;
    const slow = async (): Promise<number> => (await sleep(1200), (loads += 1));
    const values = await Promise.all(clients.map((each) => each.fetch("k", slow, { ttl: "1m", stale: "1m", early: "30s" })));
    assert.deepEqual(values, [1, 1, 1, 1]);
  });

  for (const touched of [false, true]) {
    const what = touched ? ", even if someone gives its placeholder an hour" : "";
    test(`a holder that is killed costs others 2 s${what} (${peer})`, requires(...needs), async (t) => {
      const { address } = await start(t);
      await using other = new CacheClient({ servers: [address] });
      const child = fork(join(import.meta.dirname, "../support/holder-child.ts"), [address, "k", "{}"]);
      t.after(() => child.kill("SIGKILL"));
      await once(child, "message");
      const fetched = other.fetch("k", () => performance.now(), { ttl: "1m" });
      await sleep(300);
      if (touched) await raw(address, "touch k 3600\r\n");
      child.kill("SIGKILL");
      const killedMs = performance.now();
      if (touched) await raw(address, "gat 3600 k\r\n");
      const tookMs = (await fetched) - killedMs;
      assert.ok(tookMs < 2600, `${tookMs} ms`);
      assert.ok(tookMs > 200, `it was held before: ${tookMs} ms`);
    });
  }

  test(
    `one that was killed while others had the old value costs them the lease's time (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      await using other = new CacheClient({ servers: [address] });
      await other.set("k", "old", { ttl: "1h" });
      await other.invalidate("k");
      const child = fork(join(import.meta.dirname, "../support/holder-child.ts"), [address, "k", "{}"]);
      t.after(() => child.kill("SIGKILL"));
      await once(child, "message");
      child.kill("SIGKILL");
      const began = performance.now();
      const options = { ttl: "1h", lease: 600 } as const;
      let value = "old";
      while (value === "old") {
        value = await other.fetch("k", () => "new", options);
        await sleep(20);
      }
      const tookMs = performance.now() - began;
      assert.ok(tookMs > 550 && tookMs < 2000, `${tookMs} ms`);
      assert.equal(await other.get("k"), "new");
    },
  );

  test(
    `a loader of over 3 s runs once; one whose process is gone costs others 2 s (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      await using holder = new CacheClient({ servers: [address] });
      await using other = new CacheClient({ servers: [address] });
      let loads = 0;
      const slow = async (): Promise<number> => (await sleep(3300), (loads += 1));
      const first = holder.fetch("slow", slow, { ttl: "1m" });
      await sleep(50);
      assert.deepEqual(await Promise.all([first, other.fetch("slow", slow, { ttl: "1m" })]), [1, 1]);
      const gone = new CacheClient({ servers: [address] });
      const lost = gone.fetch("gone", () => new Promise<string>(() => {}), { timeout: 100 }).catch(() => undefined);
      await lost;
      await gone.close();
      const began = performance.now();
      assert.equal(await other.fetch("gone", () => "mine"), "mine");
      assert.ok(performance.now() - began < 2600);
    },
  );
}

test(
  "a lease ends with the server that gave it: one that is started anew begins its versions anew",
  requires("memcached"),
  async (t) => {
    const first = await memcached(t);
    await using holder = new CacheClient({ servers: [first.address], backoff: { max: "20ms" } });
    const begun = Promise.withResolvers<void>();
    const computed = Promise.withResolvers<string>();
    const fetched = holder.fetch("k", () => (begun.resolve(), computed.promise), { ttl: "1m" });
    await begun.promise; // its placeholder has the version 1
    await stop(first.process);
    await memcachedAt(t, first.port);
    await using other = new CacheClient({ servers: [first.address] });
    await other.set("k", "after");
    assert.equal((await other.gets("k"))?.cas, 1n);
    computed.resolve("before");
    assert.equal(await fetched, "before");
    assert.equal(await other.get("k"), "after");
  },
);

test(
  "a value that was computed while no server answered is not stored: others may have stored meanwhile",
  requires("memcached"),
  async (t) => {
    const first = await memcached(t);
    await using cache = new CacheClient({ servers: [first.address], backoff: { max: "20ms" }, ejectAfterFailures: 1 });
    await cache.get("warm");
    await stop(first.process);
    while (cache.servers[0]!.state !== "ejected") await cache.get("k").catch(() => {});
    const begun = Promise.withResolvers<void>();
    const computed = Promise.withResolvers<string>();
    const fetched = cache.fetch("k", () => (begun.resolve(), computed.promise), { ttl: "1m" });
    await begun.promise;
    await memcachedAt(t, first.port);
    while (!(await cache.set("k", "after").catch(() => false))) await sleep(10);
    computed.resolve("before");
    assert.equal(await fetched, "before");
    assert.equal(await cache.get("k"), "after");
  },
);

/** Says a line to a server as any client might. */
async function raw(address: string, line: string): Promise<void> {
  const [host, port] = address.split(":") as [string, string];
  const socket = connect({ host, port: Number(port) });
  socket.write(line);
  await once(socket, "data");
  socket.destroy();
}
