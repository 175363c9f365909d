/** Tags: names under which many items are invalidated at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { tagsOf, withoutTags, withTags } from "../../../../src/cache/client/operations/tagged.ts";
import { CacheClient, compressed, json, type StoreOptions } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { requires } from "../../../support/requires.ts";
import { fakeServer } from "../support/fake-server.ts";
import { memcached, stop, TEST_SERVERS } from "../support/test-servers.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  const options = requires(...needs);

  test(`invalidateTag takes all items with the tag from every read, and no others (${peer})`, options, async (t) => {
    const servers = [await start(t), await start(t)];
    const addresses = servers.map(({ address }) => address);
    for (const keys of ["refuse", "base64"] as const) {
      await using cache = new CacheClient({ servers: addresses, keys, prefix: keys === "base64" ? "an app:" : "" });
      const all = Array.from({ length: 40 }, (_, index) => `k${index}`);
      const tagged: StoreOptions = { ttl: "10m", tags: ["user:42", "ünï code"] };
      for (const key of all) assert.equal(await cache.set(key, { key }, tagged), true);
      await cache.set("other", "stays", { tags: ["user:43"] });
      await cache.set("plain", "stays");
      assert.equal((await cache.getMany(all)).size, 40);
      assert.deepEqual(await cache.get("k1"), { key: "k1" });
      const read = await cache.gets("k2");
      assert.equal(await cache.cas("k2", "by cas", read!.cas, tagged), "stored");
      assert.equal((await cache.getWithTtl("k2"))?.value, "by cas");
      assert.deepEqual(await cache.getAndTouch("k3", "5m"), { key: "k3" });

      await cache.invalidateTag("user:42");
      assert.equal((await cache.getMany(all)).size, 0);
      assert.equal(await cache.get("k1"), undefined);
      assert.equal(await cache.gets("k2"), undefined);
      assert.equal(await cache.getWithTtl("k2"), undefined);
      assert.equal(await cache.getAndTouch("k3", "5m"), undefined);
      assert.deepEqual([await cache.get("other"), await cache.get("plain")], ["stays", "stays"]);
      const { hits, misses } = cache.counts;
      await cache.get("k1");
      assert.deepEqual([cache.counts.hits, cache.counts.misses], [hits, misses + 1]);

      assert.equal(await cache.add("k1", "again", tagged), true, "an item that does not count is none to add");
      assert.equal(await cache.add("k1", "once more", tagged), false);
      assert.equal(await cache.get("k1"), "again");
      await cache.set("k4", "again", tagged);
      await cache.invalidateTag(["none", "ünï code"]);
      assert.equal(await cache.get("k4"), undefined);
      const listed = new Set<unknown>();
      for await (const { key } of cache.keys()) listed.add(key);
      assert.ok(listed.has("k1") && ![...listed].some((key) => String(key).startsWith("tag.")));
      await cache.flush();
    }
  });

  test(`add takes the place of an item that was invalidated, by its tag and by itself (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    await cache.set("k", "old", { ttl: "5m", tags: ["t"] });
    await cache.invalidate("k"); // so that each look takes and gives back the turn to compute it, and its version changes
    assert.equal(await cache.add("k", "no", { ttl: "5m" }), false);
    await cache.invalidateTag("t");
    assert.equal(await cache.add("k", "new", { ttl: "5m" }), true);
    assert.equal(await cache.get("k"), "new");
  });

  test(`values of all kinds come back with tags, through codecs too (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    const tags = ["a", "b", "a"];
    for (const value of ["", "text", 1.5, Buffer.from([0, 255, 10]), { a: [1] }, null]) {
      await cache.set("k", value, { tags });
      assert.deepEqual(await cache.get("k"), value);
      assert.deepEqual(await cache.fetch("k", () => "not loaded"), value);
    }
    const pages = cache.define("page:{id}", compressed(json<string[]>(), { over: 10 }));
    const page = Array.from({ length: 200 }, () => "word");
    await pages.set(1, page, { tags });
    assert.deepEqual(await pages.get(1), page);
    assert.equal(await pages.replace(1, ["new"], { tags }), true);
    await cache.invalidateTag("b");
    assert.equal(await pages.get(1), undefined);
  });

  test(`what is invalidated while its loader runs does not count once it is stored (${peer})`, options, async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    await using other = new CacheClient({ servers: [address] });
    const computed = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    const times = { ttl: "1m", tags: ["t"] } as const;
    const first = cache.fetch("k", () => (begun.resolve(), computed.promise), times);
    await begun.promise;
    await other.invalidateTag("t");
    await cache.invalidateTag("t");
    const mine = cache.fetch("k", () => "after", times);
    computed.resolve("before");
    assert.equal(await first, "before");
    assert.equal(await mine, "after", "who fetches after it shares no loader from before it");
    await cache.invalidateTag("t");
    assert.equal(await other.get("k"), undefined);
    assert.equal(await other.fetch("k", () => "after", times), "after");
    assert.equal(await cache.get("k"), "after");
    assert.equal(await cache.fetch("k", () => "not loaded", times), "after");
  });

  test(
    `of many processes one computes anew what a tag invalidated, and nobody is given the old (${peer})`,
    options,
    async (t) => {
      const { address } = await start(t);
      const clients = Array.from({ length: 5 }, () => new CacheClient({ servers: [address] }));
      t.after(() => Promise.all(clients.map((each) => each.close())));
      let loads = 0;
      const load = async (): Promise<number> => (await sleep(100), (loads += 1));
      const times = { ttl: "1m", stale: "1m", tags: ["t"] } as const;
      assert.equal(await clients[0]!.fetch("k", load, times), 1);
      for (let round = 2; round < 5; round += 1) {
        await clients[round]!.invalidateTag("t");
        const values = await Promise.all(clients.map((each) => each.fetch("k", load, times)));
        assert.deepEqual(values, Array(5).fill(round));
      }
    },
  );

  test(`a version that is gone counts as invalidated (${peer})`, options, async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    await cache.set("k", "v", { tags: ["t"] });
    await using versions = new CacheClient({ servers: [address], prefix: "tag." });
    const found: string[] = [];
    for await (const { key } of versions.keys()) found.push(String(key));
    assert.equal(found.length, 1);
    assert.equal(await versions.delete(found[0]!), true);
    assert.equal(await cache.get("k"), undefined);
  });

  test(`what one stores with a tag that another invalidated counts again within a second (${peer})`, options, async (t) => {
    const { address } = await start(t);
    const clock = new ManualClock();
    await using writer = new CacheClient({ servers: [address], clock, timeout: "10s" });
    await using other = new CacheClient({ servers: [address] });
    await writer.set("k", 1, { tags: ["t"] });
    await other.invalidateTag("t");
    await other.set("another", 1, { tags: ["t"] });
    clock.advance(1001);
    await writer.set("k", 2, { tags: ["t"] });
    assert.equal(await other.get("k"), 2);
  });

  test(
    `near caches hear of invalidated tags: one's own at once, others' by the stream or after the ttl (${peer})`,
    options,
    async (t) => {
      const { address } = await start(t);
      await using other = new CacheClient({ servers: [address] });
      for (const watch of [false, true]) {
        await using cache = new CacheClient({ servers: [address], nearCache: { watch, ttl: "300ms" } });
        const nearHit = async (): Promise<boolean> => {
          const { nearHits } = cache.counts;
          await cache.get("k");
          return cache.counts.nearHits > nearHits;
        };
        const until = async (holds: () => Promise<boolean>): Promise<void> => {
          const giveUp = performance.now() + 5000;
          while (!(await holds())) {
            assert.ok(performance.now() < giveUp, "it never came to pass");
            await sleep(5);
          }
        };
        await other.set("k", "v", { tags: ["t"] });
        await until(nearHit);
        await cache.invalidateTag("t");
        assert.equal(await cache.get("k"), undefined);
        await other.set("another", "v", { tags: ["t"] });
        await sleep(1100); // until `other` asks for the version again
        await other.set("k", "v", { tags: ["t"] });
        await until(nearHit);
        await other.invalidateTag("t");
        const began = performance.now();
        await until(async () => (await cache.get("k")) === undefined);
        assert.ok(performance.now() - began < 1500);
      }
    },
  );
}

test("an invalidation that not all servers confirm rejects, after all were asked", requires("memcached"), async (t) => {
  const servers = [await memcached(t), await memcached(t)];
  await using cache = new CacheClient({ servers: servers.map(({ address }) => address), timeout: 500 });
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => cache.set(key, key, { tags: ["t"] })));
  await stop(servers[0]!.process);
  await assert.rejects(cache.invalidateTag("t"), (error: { code: string }) => /^CACHE_(UNREACHABLE|TIMEOUT)$/.test(error.code));
  await using alive = new CacheClient({ servers: [servers[1]!.address] });
  assert.equal((await alive.getMany(keys)).size, 0);
});

test("a near cache that validates by version asks for the tags' versions too: an invalidated tag changes no item", async (t) => {
  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  const clock = new ManualClock();
  await using near = new CacheClient({ servers: [address], clock, nearCache: { ttl: "1s", validate: true } });
  await using other = new CacheClient({ servers: [address] });
  await other.set("k", "v", { ttl: "5m", tags: ["t"] });
  assert.equal(await near.get("k"), "v");
  clock.advance(1500);
  assert.equal(await near.get("k"), "v");
  await other.invalidateTag("t");
  clock.advance(1500);
  assert.equal(await near.get("k"), undefined);
});

test("items read in one reply ask for the version of a tag that they share once", async (t) => {
  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  await using cache = new CacheClient({ servers: [address] });
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => cache.set(key, key, { tags: ["t", "u"] })));
  const asked = async (): Promise<number> => Number((await cache.stats()).get(address)!.get("cmd_get"));
  const before = await asked();
  assert.equal((await cache.getMany(keys)).size, 50);
  assert.ok((await asked()) - before <= 50 + 2 * 2, "fifty items, and two versions for each reply that they come in");
});

test("what cannot have tags says so: servers without meta commands, prepend, counters, and wrong tags", async (t) => {
  const old = await fakeServer(t, (line) => (line === "version" ? "VERSION 1.4.39\r\n" : "END\r\n"), { greets: false });
  await using plain = new CacheClient({ servers: [old.address] });
  await plain.get("warm");
  await assert.rejects(plain.set("k", 1, { tags: ["t"] }), { code: "CACHE_REFUSED", message: /no meta commands/ });
  assert.equal(await plain.fetch("k", () => "v", { tags: ["t"] }), "v");
  assert.ok(!old.lines.some((line) => line.startsWith("add ")), "nothing is stored that could not be invalidated");
  await using lenient = new CacheClient({ servers: [old.address], onError: "miss" });
  await lenient.get("warm");
  assert.equal(await lenient.set("k", 1, { tags: ["t"] }), false);

  const { address } = await TEST_SERVERS["Holdfast's server"]!.start(t);
  await using cache = new CacheClient({ servers: [address] });
  await cache.set("k", "5", { tags: ["t"] });
  assert.equal(await cache.append("k", "0"), true);
  assert.equal(await cache.get("k"), "50");
  await assert.rejects(cache.prepend("k", "1"), { code: "CACHE_REFUSED", message: /tags/ });
  await assert.rejects(cache.incr("k"), { code: "CACHE_REFUSED" });
  for (const tags of [
    [""],
    ["\ud800"],
    "t",
    [1],
    Array(256)
      .fill("t")
      .map((tag, index) => `${tag}${index}`),
  ] as string[][]) {
    await assert.rejects(cache.set("k", 1, { tags }), { code: "CACHE_OPTION_INVALID" });
    await assert.rejects(
      cache.fetch("k", () => 1, { tags }),
      { code: "CACHE_OPTION_INVALID" },
    );
  }
});

test("tags and values come apart as they were put together, and other bytes have none", () => {
  const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("base64url"));
  const version = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("hex"));
  const tag = fc.record({ id, version }, { noNullPrototype: true });
  const value = fc.uint8Array().map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1, maxLength: 255 }), value, fc.nat(), (tags, bytes, flags) => {
      const encoded = withTags({ bytes, flags }, tags);
      const stored = Buffer.from(encoded.bytes);
      assert.deepEqual(tagsOf(stored, encoded.flags), tags);
      assert.deepEqual(withoutTags(stored, encoded.flags), { bytes, flags });
      for (let end = 0; end < Math.min(stored.length - bytes.length, 40); end += 1)
        assert.equal(tagsOf(stored.subarray(0, end), encoded.flags), undefined);
    }),
  );
  fc.assert(
    fc.property(value, fc.nat(), (bytes, flags) => {
      assert.equal(tagsOf(bytes, flags), undefined);
      assert.deepEqual(withoutTags(bytes, flags), { bytes, flags });
    }),
  );
});
