/** The near cache gives nothing that its server would not give any more, but for what no stream tells, and that for its ttl alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { NearCache } from "../../../../src/cache/client/api/near-cache.ts";
import { CacheClient } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { requires } from "../../../support/requires.ts";
import { TEST_SERVERS } from "../support/test-servers.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(
    `a value of 2 s is never given out after them, by get, getMany, fetch and validate (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      const nearCache = { ttl: "1m", watchedTtl: "1m" } as const;
      await using plain = new CacheClient({ servers: [address], nearCache: { ...nearCache, watch: true } });
      await using validating = new CacheClient({ servers: [address], nearCache: { ttl: "300ms", validate: true } });
      await using other = new CacheClient({ servers: [address] });
      await plain.get("warm");
      await other.set("k", "v", { ttl: "2s" });
      const endMs = performance.now() + 2000;
      await validating.get("k");
      let late = 0;
      while (performance.now() < endMs + 1200) {
        const answers = await Promise.all([
          plain.get("k"),
          plain.getMany(["k"]).then((found) => found.get("k")),
          validating.get("k"),
          plain
            .fetch("f", () => performance.now(), { ttl: "2s" })
            .then((at) => (performance.now() - at > 2050 ? at : undefined)),
        ]);
        assert.equal(answers[3], undefined, "fetch");
        if (performance.now() > endMs + 50 && answers.slice(0, 3).some((answer) => answer !== undefined)) late += 1;
        await sleep(20);
      }
      assert.equal(late, 0);
      assert.ok(plain.counts.nearHits > 10, "and near reads there were");
    },
  );

  test(
    `reads through a near cache do not take the turn of the one who shall compute an invalidated item (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      const clock = new ManualClock();
      await using near = new CacheClient({ servers: [address], clock, nearCache: { ttl: "100ms", validate: true } });
      await using other = new CacheClient({ servers: [address] });
      await other.set("k", "old");
      assert.equal(await near.get("k"), "old");
      await other.invalidate("k");
      clock.advance(200);
      assert.equal(await near.get("k"), "old");
      assert.equal((await near.getMany(["k"])).get("k"), "old");
      await near.get("none"); // what it gave back is there
      let loads = 0;
      await other.fetch("k", () => `new ${(loads += 1)}`, { ttl: "1m" });
      assert.equal(loads, 1);
      assert.equal(await near.get("k"), "old", "kept for the ttl, so that readers do not fight for the turn");
      assert.equal(await near.fetch("k", () => "not loaded"), "new 1", "what was invalidated is none to fetch");
      assert.equal(await near.get("k"), "new 1");
    },
  );
}

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(`fetch through a near cache keeps the turn that it has won, and stores (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using near = new CacheClient({ servers: [address], nearCache: { ttl: "1s" } });
    await using other = new CacheClient({ servers: [address] });
    await other.set("k", "old", { ttl: "50s" });
    const computed = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    let loads = 0;
    const load = (): Promise<string> => ((loads += 1), begun.resolve(), computed.promise);
    const times = { ttl: "10s", stale: "100s" } as const;
    const first = near.fetch("k", load, times);
    await begun.promise;
    assert.equal(await other.fetch("k", load, times), "old");
    computed.resolve("new");
    assert.equal(await first, "new");
    assert.equal(await other.get("k"), "new");
    assert.equal(loads, 1);
  });

  test(
    `a hot key that many read through near caches is computed anew when it was invalidated (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      const readers = Array.from(
        { length: 6 },
        (_, index) => new CacheClient({ servers: [address], nearCache: { watch: index % 2 === 0, ttl: "200ms" } }),
      );
      t.after(() => Promise.all(readers.map((each) => each.close())));
      await using fetcher = new CacheClient({ servers: [address] });
      await fetcher.set("hot", "old");
      const ended = new AbortController();
      const reads = readers.map(async (each) => {
        while (!ended.signal.aborted) await each.get("hot").then(() => new Promise(setImmediate));
      });
      await fetcher.invalidate("hot");
      const began = performance.now();
      while ((await fetcher.fetch("hot", () => "new")) !== "new") assert.ok(performance.now() - began < 1000);
      ended.abort();
      await Promise.all(reads);
    },
  );
}

test("an item whose key leads to another server now is forgotten", () => {
  const cache = new NearCache(10_000);
  for (const [key, server] of [
    ["moved", "a"],
    ["stays", "b"],
  ] as const) {
    cache.filling(key);
    cache.filled(key, { bytes: Buffer.from("x"), flags: 0, cas: 1n, server, connection: 1, old: false }, Infinity);
  }
  cache.routesChanged((_key, server) => server === "b");
  assert.equal(cache.fresh("moved", 0), undefined);
  assert.ok(cache.fresh("stays", 0));
});

test("seconds are counted from the request: of a reply 900 ms later, 100 ms less than a second are left", async (t) => {
  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  const clock = new ManualClock();
  await using near = new CacheClient({ servers: [address], clock, timeout: "5s", nearCache: { ttl: "1s" } });
  await using other = new CacheClient({ servers: [address] });
  await other.set("k", "one");
  await near.get("warm");
  const asked = near.get("k");
  clock.advance(900);
  assert.equal(await asked, "one");
  await other.set("k", "two");
  clock.advance(99);
  assert.equal(await near.get("k"), "one");
  clock.advance(1);
  assert.equal(await near.get("k"), "two");
});
