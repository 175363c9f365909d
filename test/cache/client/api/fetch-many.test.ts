/** fetchMany: one loader call for all that is missing; each key with its own lease. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheClient, json, type ManyLoader } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { freePort, TEST_SERVERS } from "../support/test-servers.ts";

const loaderOf =
  (calls: string[][], prefix = "v:"): ManyLoader<string, string> =>
  async (keys) => {
    calls.push(keys);
    return new Map(keys.filter((key) => !key.startsWith("no")).map((key) => [key, prefix + key]));
  };

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  const options = requires(...needs);

  test(
    `what is missing is loaded by one call, over any number of servers, and found afterwards (${peer})`,
    options,
    async (t) => {
      const servers = [await start(t), await start(t)];
      await using cache = new CacheClient({ servers: servers.map(({ address }) => address) });
      const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
      await cache.set("k7", "there");
      const calls: string[][] = [];
      const found = await cache.fetchMany([...keys, "none", "k1"], loaderOf(calls), { ttl: "1m" });
      assert.deepEqual([...found.keys()], keys);
      assert.equal(found.get("k7"), "there");
      assert.equal(found.get("k49"), "v:k49");
      assert.deepEqual(
        calls.map((call) => call.toSorted()),
        [[...keys.filter((key) => key !== "k7"), "none"].toSorted()],
      );
      assert.equal((await cache.fetchMany(keys, loaderOf(calls))).size, 50);
      assert.equal(calls.length, 1);
      assert.equal(await cache.get("none"), undefined, "nothing is kept of what there is not");
      assert.equal((await cache.fetchMany([], loaderOf(calls))).size, 0);
      assert.equal(calls.length, 1);
    },
  );

  test(`keys that another computes are waited for, and not loaded twice (${peer})`, options, async (t) => {
    const { address } = await start(t);
    await using one = new CacheClient({ servers: [address] });
    await using two = new CacheClient({ servers: [address] });
    const computed = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const first = one.fetchMany(["a", "b"], async (keys) => {
      begun.resolve();
      await computed.promise;
      return new Map(keys.map((key) => [key, "one"]));
    });
    await begun.promise;
    const calls: string[][] = [];
    const second = two.fetchMany(["a", "b", "c"], async (keys) => {
      calls.push(keys);
      computed.resolve();
      return new Map(keys.map((key) => [key, "two"]));
    });
    assert.deepEqual(
      await first,
      new Map([
        ["a", "one"],
        ["b", "one"],
      ]),
    );
    assert.deepEqual(
      await second,
      new Map([
        ["a", "one"],
        ["b", "one"],
        ["c", "two"],
      ]),
    );
    assert.deepEqual(calls, [["c"]], "the call does not wait for what others compute");
  });

  test(`a fetch that shares a key with a fetchMany that found nothing asks its own loader (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const computed = Promise.withResolvers<Map<string, string>>();
    const many = cache.fetchMany(["a", "b"], () => computed.promise);
    const single = cache.fetch("a", () => "mine");
    computed.resolve(new Map([["b", "b"]]));
    assert.deepEqual(await many, new Map([["b", "b"]]));
    assert.equal(await single, "mine");
    assert.equal(await cache.get("a"), "mine");
  });

  test(`what the loader says is gone is deleted, an old value too (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    await cache.set("no-more", "old", { ttl: "1h" });
    await cache.invalidate("no-more");
    assert.deepEqual(await cache.fetchMany(["no-more"], loaderOf([])), new Map());
    assert.equal(await cache.get("no-more"), undefined);
  });

  test(
    `staleWhileRevalidate gives the old value at once, and loads anew in one call behind it (${peer})`,
    options,
    async (t) => {
      await using cache = new CacheClient({ servers: [(await start(t)).address] });
      for (const key of ["a", "b"]) await cache.set(key, "old", { ttl: "50s" });
      const calls: string[][] = [];
      const times = { ttl: "10s", staleWhileRevalidate: "100s" } as const;
      const load = loaderOf(calls, "new ");
      assert.deepEqual(
        await cache.fetchMany(["a", "b"], load, times),
        new Map([
          ["a", "old"],
          ["b", "old"],
        ]),
      );
      for (let look = 0; look < 1000 && (await cache.get("b")) === "old"; look += 1) await new Promise(setImmediate);
      assert.deepEqual(
        await cache.fetchMany(["a", "b"], load, times),
        new Map([
          ["a", "new a"],
          ["b", "new b"],
        ]),
      );
      assert.equal(calls.length, 1);
      const left = (await cache.getWithTtl("a"))!.ttl!;
      assert.ok(left > 105 && left <= 110, `${left} s`);
    },
  );

  test(`a loader that fails rejects, and leaves its leases (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const failing = cache.fetchMany(["a", "b"], () => Promise.reject(new Error("no database")));
    await assert.rejects(failing, /no database/);
    const calls: string[][] = [];
    assert.equal((await cache.fetchMany(["a", "b"], loaderOf(calls))).size, 2);
    assert.deepEqual(calls, [["a", "b"]]);
  });

  test(`families fetch many by their parameters (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const users = cache.define("user:{id}", json<{ name: string }>());
    await users.set(1, { name: "Ada" });
    const found = await users.fetchMany(
      [1, 2, 3],
      (ids) => new Map(ids.filter((id) => id < 3).map((id) => [id, { name: `n${id}` }])),
    );
    assert.deepEqual(
      [...found],
      [
        [1, { name: "Ada" }],
        [2, { name: "n2" }],
      ],
    );
    assert.deepEqual(await users.getAndTouch(2, "1h"), { name: "n2" });
  });
}

test("a cache that is down costs the protection: one loader call still", async () => {
  await using cache = new CacheClient({ servers: [`127.0.0.1:${await freePort()}`] });
  const calls: string[][] = [];
  assert.equal((await cache.fetchMany(["a", "b", "c"], loaderOf(calls))).size, 3);
  assert.equal(calls.length, 1);
});

test("the loader is told when nobody waits any more", async () => {
  await using cache = new CacheClient({ servers: [`127.0.0.1:${await freePort()}`] });
  const told = Promise.withResolvers<AbortSignal>();
  const never = cache.fetchMany<string>(
    ["a", "b"],
    (_keys, { signal }) => {
      told.resolve(signal);
      return new Promise<Map<string, string>>(() => {});
    },
    { timeout: 30 },
  );
  await assert.rejects(never, { code: "CACHE_TIMEOUT" });
  const signal = await told.promise;
  while (!signal.aborted) await new Promise(setImmediate);
});
