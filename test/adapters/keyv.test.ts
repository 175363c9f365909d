/** The store for Keyv, driven by Keyv itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Keyv } from "keyv";
import { KeyvStore } from "../../src/adapters/keyv.ts";
import { CacheClient } from "../../src/cache/index.ts";
import { TEST_SERVERS } from "../cache/client/support/test-servers.ts";
import { requires } from "../support/requires.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(`Keyv sets, gets, deletes, iterates and clears by namespace (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address], keys: "hash" });
    const users = new Keyv({ store: new KeyvStore(cache), namespace: "users" });
    const posts = new Keyv({ store: new KeyvStore({ servers: [address] }), namespace: "posts" });
    t.after(() => posts.disconnect());
    for (const value of ["text", 0, null, true, { a: [1, { b: "ü" }] }, "x".repeat(100_000)]) {
      assert.equal(await users.set("k", value), true);
      assert.deepEqual(await users.get("k"), value);
    }
    assert.equal(await posts.get("k"), undefined);
    assert.equal(await users.has("k"), true);
    assert.equal(await users.has("none"), false);
    assert.equal(await users.delete("k"), true);
    assert.equal(await users.delete("k"), false);
    assert.equal(await users.get("k"), undefined);

    const odd = "a key with spaces, ünïcode and a length of over 250 bytes ".repeat(5);
    assert.equal(await users.set(odd, 1), true);
    assert.equal(await posts.set(odd, 2), true);
    assert.deepEqual([await users.get(odd), await posts.get(odd)], [1, 2]);

    await users.setMany(["a", "b", "c"].map((key) => ({ key, value: `users ${key}` })));
    await posts.setMany(["a", "b"].map((key) => ({ key, value: `posts ${key}` })));
    assert.deepEqual(await users.getMany(["a", "none", "c"]), ["users a", undefined, "users c"]);
    assert.deepEqual(await users.hasMany(["a", "none"]), [true, false]);
    const seen = new Map<string, unknown>();
    // A listing misses what memcached moves between its lists meanwhile.
    for (let listing = 0; listing < 20 && seen.size < 3; listing += 1)
      for await (const [key, value] of users.iterator!() as AsyncGenerator<[string, unknown]>) seen.set(key, value);
    assert.deepEqual(new Map([...seen].toSorted()), new Map(["a", "b", "c"].map((key) => [key, `users ${key}`])));
    assert.deepEqual(await users.delete(["a", "none"]), [true, false]);
    await users.clear();
    assert.equal(await users.get("b"), undefined);
    assert.equal(await posts.get("b"), "posts b");
  });

  test(`a ttl ends at its millisecond, and no earlier (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    const keyv = new Keyv({ store: new KeyvStore(cache), ttl: 60_000 });
    await keyv.set("short", 1, 300);
    await keyv.set("long", 2);
    assert.equal(await keyv.get("short"), 1);
    await sleep(310);
    assert.equal(await keyv.get("short"), undefined);
    const left = (await cache.getWithTtl("long"))?.ttl;
    assert.ok(left! > 55 && left! <= 60, `${left}`);
  });
}

test("a server that is away is an error that Keyv tells, or a miss, as the client says", async () => {
  const strict = new Keyv({ store: new KeyvStore({ servers: ["127.0.0.1:1"] }) });
  const errors: { code?: string }[] = [];
  strict.on("error", (error: { code?: string }) => errors.push(error));
  assert.equal(await strict.get("k"), undefined);
  assert.equal(errors[0]?.code, "CACHE_UNREACHABLE");
  const lenient = new Keyv({ store: new KeyvStore({ servers: ["127.0.0.1:1"], onError: "miss" }) });
  lenient.on("error", (error: unknown) => assert.fail(error as Error));
  assert.equal(await lenient.get("k"), undefined);
  await Promise.all([strict.disconnect(), lenient.disconnect()]);
});
