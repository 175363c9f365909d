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
      assert.equal(await near.get("k"), "new 1", "an invalidated item was not kept");
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
    cache.filled(key, { bytes: Buffer.from("x"), flags: 0, cas: 1n, server }, Infinity);
  }
  cache.routesChanged(() => "b");
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
