/** Items on several servers: what is read, stored and deleted when one of them is away, empty, or out of date. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CacheClient, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { memcached, memcachedAt, stop, TEST_SERVERS, type TestServer } from "../support/test-servers.ts";

const KEYS = Array.from({ length: 200 }, (_, index) => `key:${index}`);

interface Scene {
  readonly cache: CacheClient;
  /** What each server has of a key, as a client of that server alone reads it. */
  each(key: string): Promise<unknown[]>;
  /** The same of the servers that hold it. */
  on(key: string): Promise<unknown[]>;
}

async function sceneOf(t: TestContext, servers: readonly TestServer[], options: CacheClientOptions = {}): Promise<Scene> {
  const cache = new CacheClient({ servers: servers.map(({ address }) => address), copies: 2, ...options });
  const alone = servers.map(({ address }) => new CacheClient({ servers: [address], onError: "miss" }));
  t.after(() => Promise.all([cache, ...alone].map((each) => each.close())));
  const each = (key: string): Promise<unknown[]> => Promise.all(alone.map((one) => one.get(key)));
  return { cache, each, on: async (key) => (await each(key)).filter((value) => value !== undefined) };
}

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  const options = requires(...needs);
  const started = async (t: TestContext, count = 3): Promise<readonly TestServer[]> =>
    Promise.all(Array.from({ length: count }, () => start(t)));

  test(
    `what is set lies on two servers, and what is deleted, touched or flushed does so on both (${peer})`,
    options,
    async (t) => {
      const { cache, on } = await sceneOf(t, await started(t));
      for (const key of KEYS.slice(0, 20)) {
        assert.equal(await cache.set(key, "v", { ttl: "5m" }), true);
        assert.deepEqual(await on(key), ["v", "v"]);
        assert.equal(await cache.touch(key, "10m"), true);
        assert.equal(await cache.getAndTouch(key, "15m"), "v");
        assert.equal(await cache.delete(key), true);
        assert.deepEqual(await on(key), []);
        assert.equal(await cache.delete(key), false);
        assert.equal(await cache.touch(key, "10m"), false);
        assert.equal(await cache.add(key, "added", { ttl: "5m" }), true);
        assert.equal(await cache.add(key, "no", { ttl: "5m" }), false);
        assert.deepEqual(await on(key), ["added", "added"]);
        assert.equal(await cache.replace(key, "replaced", { ttl: "5m" }), true);
        assert.deepEqual(await on(key), ["replaced", "replaced"]);
      }
      await cache.flush();
      assert.equal((await cache.getMany(KEYS)).size, 0);
    },
  );

  test(`what one server alone can decide leaves no copy that could differ (${peer})`, options, async (t) => {
    const { cache, on } = await sceneOf(t, await started(t));
    for (const key of KEYS.slice(0, 10)) {
      const reset = (value: unknown): Promise<boolean> => cache.set(key, value, { ttl: "5m" });
      await reset(41);
      assert.equal(await cache.incr(key), 42n);
      assert.equal((await on(key)).length, 1);
      for (let read = 0; read < 40; read += 1) assert.equal(await cache.get(key), 42, "whichever server is asked first");
      assert.equal(await cache.decr(key, 2n), 40n);
      await reset("a");
      const read = await cache.gets(key);
      assert.equal(await cache.cas(key, "b", read!.cas, { ttl: "5m" }), "stored");
      assert.deepEqual(await on(key), ["b"]);
      assert.equal(await cache.cas(key, "c", read!.cas, { ttl: "5m" }), "exists");
      await reset("a");
      assert.equal(await cache.append(key, "z"), true);
      assert.equal(await cache.prepend(key, "0"), true);
      assert.deepEqual(await on(key), ["0az"]);
      await reset("old");
      assert.equal(await cache.invalidate(key), true);
      assert.deepEqual(await on(key), ["old"]);
      assert.equal(await cache.fetch(key, () => "new", { ttl: "5m" }), "new");
      assert.deepEqual(await on(key), ["new", "new"]);
      assert.equal(await cache.incr(`${key}:counter`, 1n, { initial: 7n, ttl: "5m" }), 7n);
    }
  });

  test(
    `what fetch computes lies on both servers, unless it was deleted meanwhile: then on none (${peer})`,
    options,
    async (t) => {
      const servers = await started(t);
      const { cache, on } = await sceneOf(t, servers);
      const { cache: another } = await sceneOf(t, servers);
      for (const key of KEYS.slice(0, 10)) {
        assert.equal(await cache.fetch(key, () => "v", { ttl: "5m", stale: "1m" }), "v");
        assert.deepEqual(await on(key), ["v", "v"]);
        assert.equal(await another.fetch(key, () => assert.fail("it is there"), { ttl: "5m" }), "v");
        for (const change of ["delete", "set"] as const) {
          await another.delete(key);
          const began = Promise.withResolvers<void>();
          const loaded = Promise.withResolvers<string>();
          const loader = (): Promise<string> => (began.resolve(), loaded.promise);
          const fetched = cache.fetch(key, loader, { ttl: "5m" });
          await began.promise;
          assert.deepEqual(await on(key), [], "placeholders are no items");
          if (change === "delete") await another.delete(key);
          else await another.set(key, "newer", { ttl: "5m" });
          loaded.resolve("from before");
          assert.equal(await fetched, "from before");
          const left = await on(key);
          // A placeholder that came to a copy's server after the set has taken that copy away.
          if (change === "set") assert.ok(left.length > 0 && left.every((value) => value === "newer"), left.join());
          else assert.deepEqual(left, []);
        }
        await another.delete(key);
        await assert.rejects(
          cache.fetch(key, () => Promise.reject(new Error("fails")), { ttl: "5m" }),
          /fails/,
        );
        assert.equal(await another.fetch(key, () => "at once", { ttl: "5m" }), "at once", "no placeholder is left");
      }
      const many = await cache.fetchMany(KEYS, (keys) => new Map(keys.map((key) => [key, "m"])), { ttl: "5m" });
      assert.equal(many.size, KEYS.length);
      assert.deepEqual(await on(KEYS.at(-1)!), ["m", "m"]);
    },
  );

  test(`tags: each copy carries the versions of its own server (${peer})`, options, async (t) => {
    const servers = await started(t);
    const { cache, on } = await sceneOf(t, servers);
    const { cache: another } = await sceneOf(t, servers);
    const keys = KEYS.slice(0, 20);
    for (const key of keys) {
      await cache.set(key, "v", { ttl: "5m", tags: ["t"] });
      assert.deepEqual(await on(key), ["v", "v"]);
      assert.equal(await cache.fetch(`f:${key}`, () => "f", { ttl: "5m", tags: ["t", "u"] }), "f");
      assert.deepEqual(await on(`f:${key}`), ["f", "f"]);
    }
    await another.invalidateTag("t");
    for (const key of keys) assert.deepEqual([await on(key), await on(`f:${key}`)], [[], []]);
    assert.equal(await cache.fetch(`f:${keys[0]!}`, () => "again", { ttl: "5m", tags: ["t"] }), "again");
  });
}

test("near caches keep what any of the servers gave, and hear of changes by it", async (t) => {
  const servers = await Promise.all([1, 2, 3].map(() => TEST_SERVERS["Holdfast's server"]!.start(t)));
  const near = { ttl: "30s", watch: true, watchedTtl: "30s" } as const;
  const { cache } = await sceneOf(t, servers, { nearCache: near });
  const { cache: another } = await sceneOf(t, servers);
  for (const key of KEYS) await another.set(key, "old", { ttl: "5m" });
  const eventually = async (value: unknown, key: string): Promise<void> => {
    const endMs = performance.now() + 5000;
    while ((await cache.get(key)) !== value) {
      assert.ok(performance.now() < endMs, `${key} becomes ${value as string}`);
      await new Promise(setImmediate); // what the near cache has takes no turn of the event loop
    }
  };
  for (const key of KEYS) await eventually("old", key);
  await Promise.all(KEYS.map((key) => cache.get(key)));
  const { nearHits } = cache.counts;
  await Promise.all(KEYS.map((key) => cache.get(key)));
  assert.ok(cache.counts.nearHits - nearHits > KEYS.length / 2, "most are kept");
  await Promise.all(KEYS.map((key, at) => (at % 2 === 0 ? another.delete(key) : another.set(key, "new", { ttl: "5m" }))));
  for (const [at, key] of KEYS.entries()) await eventually(at % 2 === 0 ? undefined : "new", key);
});

test("all that is stored needs an end, and copies go with whenDown: miss alone", async (t) => {
  const { cache } = await sceneOf(t, [await TEST_SERVERS["Holdfast's server"]!.start(t)]);
  for (const call of [
    () => cache.set("k", 1),
    () => cache.set("k", 1, { ttl: 0 }),
    () => cache.add("k", 1),
    () => cache.incr("k", 1n, { initial: 1n }),
    () => cache.fetch("k", () => assert.fail("refused before the loader runs")),
  ] as (() => Promise<unknown>)[])
    await assert.rejects(call(), { code: "CACHE_TTL_INVALID" });
  for (const call of [
    () => cache.set("a key", 1, { ttl: "1m" }),
    () => cache.delete("a key"),
    () => cache.incr("a key"),
    () => cache.get("a key"),
    () => cache.getMany(["a key"]),
  ] as (() => Promise<unknown>)[])
    await assert.rejects(call(), { code: "CACHE_KEY_INVALID" });
  assert.equal(await cache.set("k", 1, { ttl: "1m" }), true, "one server is enough");
  await assert.rejects(cache.touch("k", 0), { code: "CACHE_TTL_INVALID" });
  for (const wrong of [
    { copies: 0 },
    { copies: 1.5 },
    { copies: 2, whenDown: "next" },
    { copies: 2, whenDown: { gutter: { servers: ["127.0.0.1"] } } },
    { zone: "" },
    { servers: [{ address: "127.0.0.1", zone: "" }] },
  ] as CacheClientOptions[])
    assert.throws(() => new CacheClient(wrong), { code: "CACHE_OPTION_INVALID" });
});

test(
  "no hit is lost when a server is killed, none when it is back empty, and what it did not confirm is told",
  requires("memcached"),
  async (t) => {
    const servers = await Promise.all(Array.from({ length: 4 }, () => memcached(t)));
    const { cache, on } = await sceneOf(t, servers, { backoff: { max: "200ms" } });
    await Promise.all(KEYS.map((key) => cache.set(key, key, { ttl: "5m" })));
    const killed = servers[1]!;
    const isOn = new CacheClient({ servers: [killed.address] });
    const lost = new Set((await isOn.getMany(KEYS)).keys());
    await isOn.close();
    assert.ok(lost.size > KEYS.length / 4, `${lost.size} keys have a copy there`);
    await stop(killed.process);
    for (const key of KEYS) assert.equal(await cache.get(key), key);
    assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
    for await (const [key, value] of cache.getEach(KEYS)) assert.equal(value, key);
    for (const key of KEYS.slice(0, 50)) {
      assert.equal(await cache.fetch(key, () => assert.fail("a copy has it"), { ttl: "5m" }), key);
    }
    const [first = "", ...others] = lost;
    // A change is tried at every server, so that each that fails there counts.
    const ejectedBy = performance.now() + 5000;
    while (cache.servers.every(({ state }) => state !== "ejected")) {
      assert.ok(performance.now() < ejectedBy);
      await assert.rejects(cache.touch(others[0]!, "5m"), { code: "CACHE_PARTIAL" });
    }
    await assert.rejects(cache.set(first, "newer", { ttl: "5m" }), { code: "CACHE_PARTIAL" });
    assert.equal(await cache.get(first), "newer");
    await assert.rejects(cache.delete(first), { code: "CACHE_PARTIAL" });
    assert.equal(await cache.get(first), undefined);
    assert.equal(await cache.fetch(first, () => "computed", { ttl: "5m" }), "computed");
    assert.deepEqual(await on(first), ["computed"]);

    await memcachedAt(t, killed.port);
    const endMs = performance.now() + 5000;
    while (cache.servers.some(({ state }) => state === "ejected")) {
      await cache.get(first);
      assert.ok(performance.now() < endMs);
    }
    const { hits, misses } = cache.counts;
    for (const key of lost) if (key !== first) assert.equal(await cache.get(key), key, "it is empty, its copies are not");
    assert.deepEqual([cache.counts.hits - hits, cache.counts.misses - misses], [lost.size - 1, 0], "a key counts once");
    for (const key of lost)
      if (key !== first) assert.equal(await cache.fetch(key, () => assert.fail("a copy has it"), { ttl: "5m" }), key);
  },
);

test("a server that is stopped costs a read half of its time, and then it is answered", requires("memcached"), async (t) => {
  const servers = await Promise.all(Array.from({ length: 2 }, () => memcached(t)));
  const { cache } = await sceneOf(t, servers, { timeout: 600 });
  await Promise.all(KEYS.map((key) => cache.set(key, key, { ttl: "5m" })));
  servers[0]!.process.kill("SIGSTOP");
  t.after(() => servers[0]!.process.kill("SIGCONT"));
  const found = await Promise.all(KEYS.map((key) => cache.get(key)));
  assert.deepEqual(found, KEYS);
  assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
  await using lenient = new CacheClient({
    servers: servers.map(({ address }) => address),
    copies: 2,
    onError: "miss",
    timeout: 300,
  });
  assert.equal(await lenient.set("k", 1, { ttl: "1m" }), false, "not all confirmed it");
});

test("copies lie in zones of their own, and a client reads in its own", requires("memcached"), async (t) => {
  const started = await Promise.all(Array.from({ length: 4 }, () => memcached(t)));
  const servers = started.map(({ address }, index) => ({ address, zone: index < 2 ? "east" : "west" }));
  const { cache, each } = await sceneOf(t, started, { servers, zone: "west" });
  await Promise.all(KEYS.map((key) => cache.set(key, key, { ttl: "5m" })));
  for (const key of KEYS) {
    const [a, b, c, d] = (await each(key)).map((value) => value !== undefined);
    assert.ok(a !== b && c !== d, `${key} is once in each zone`);
  }
  const gets = async (): Promise<number[]> => {
    const stats = await cache.stats();
    return started.map(({ address }) => Number(stats.get(address)!.get("get_hits")));
  };
  const before = await gets();
  for (let round = 0; round < 3; round += 1) assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
  const after = await gets();
  const [inEast, inWest] = [after[0]! + after[1]! - before[0]! - before[1]!, after[2]! + after[3]! - before[2]! - before[3]!];
  assert.deepEqual([inEast, inWest], [0, 3 * KEYS.length]);
});
