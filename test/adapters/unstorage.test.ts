/** The driver for unstorage, driven by unstorage itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStorage, prefixStorage } from "unstorage";
import { holdfastDriver } from "../../src/adapters/unstorage.ts";
import { CacheClient } from "../../src/cache/index.ts";
import { TEST_SERVERS } from "../cache/client/support/test-servers.ts";
import { requires } from "../support/requires.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(`unstorage sets, gets, lists, and clears what lies under a base (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    const driver = holdfastDriver({ servers: [address], base: "app:" });
    const storage = createStorage({ driver });
    t.after(() => storage.dispose());
    await cache.set("another's", 1);
    for (const value of ["text", 5, true, null, { a: [1] }, ""]) {
      await storage.setItem("v", value);
      assert.deepEqual(await storage.getItem("v"), value);
    }
    const bytes = Buffer.from([0, 255, 13, 10]);
    await storage.setItemRaw("raw", bytes);
    assert.deepEqual(await storage.getItemRaw("raw"), bytes);
    assert.equal(await storage.hasItem("v"), true);
    assert.equal(await storage.hasItem("none"), false);
    assert.equal(await storage.getItem("none"), null);
    assert.equal(await storage.getItemRaw("none"), null);

    await storage.setItems([
      { key: "users:1", value: { name: "Ada" } },
      { key: "users:2", value: { name: "Grace" } },
    ]);
    assert.deepEqual(await storage.getItems(["users:1", "none", "users:2"]), [
      { key: "users:1", value: { name: "Ada" } },
      { key: "none", value: null },
      { key: "users:2", value: { name: "Grace" } },
    ]);
    assert.deepEqual(await listed(storage, 4), ["raw", "users:1", "users:2", "v"]);
    assert.deepEqual(await listed(prefixStorage(storage, "users"), 2), ["1", "2"]);
    await storage.removeItem("users:1");
    assert.equal(await storage.hasItem("users:1"), false);
    await driver.clear("users:");
    assert.deepEqual(await listed(storage, 2), ["raw", "v"]);
    await storage.clear();
    assert.deepEqual(await storage.getKeys(), []);
    assert.equal(await cache.get("another's"), 1);
  });

  test(`a time to live is the call's, else the driver's, in seconds (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    const storage = createStorage({ driver: holdfastDriver({ cache, ttl: 600 }) });
    await storage.setItem("driver's", 1);
    await storage.setItem("call's", 1, { ttl: 60 });
    const left = async (key: string): Promise<number> => (await cache.getWithTtl(key))!.ttl!;
    const [drivers, calls] = [await left("driver's"), await left("call's")];
    assert.ok(drivers > 590 && drivers <= 600 && calls > 55 && calls <= 60, `${drivers}, ${calls}`);
    await storage.dispose();
    assert.equal(await cache.get("driver's"), "1", "a client that was given stays open");
  });
}

/** The keys, of which a listing misses those that memcached moves between its lists meanwhile. */
async function listed(storage: { getKeys(): Promise<string[]> }, count: number): Promise<string[]> {
  let keys: string[] = [];
  for (let listing = 0; listing < 20 && keys.length < count; listing += 1) keys = await storage.getKeys();
  return keys.toSorted();
}
