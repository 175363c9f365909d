/** What each verb answers, on every server there is: the same table. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CacheClient } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { holdfast, memcachedOnSocket, TEST_SERVERS, temporary } from "../support/test-servers.ts";

interface Case {
  readonly fact: string;
  readonly check: (cache: CacheClient) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    fact: "a value set is got, and a key never set is undefined",
    async check(cache) {
      assert.equal(await cache.get("a"), undefined);
      assert.equal(await cache.set("a", "one"), true);
      assert.equal(await cache.get("a"), "one");
    },
  },
  {
    fact: "strings, numbers, bytes and JSON come back as what they were",
    async check(cache) {
      for (const value of [
        "",
        "text with \r\nEND\r\n in it",
        "ünïcode ☃",
        0,
        -1.5e300,
        true,
        null,
        [1, { b: [] }],
        { a: "b" },
      ]) {
        assert.equal(await cache.set("v", value), true);
        assert.deepEqual(await cache.get("v"), value);
      }
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
      await cache.set("v", bytes);
      assert.deepEqual(await cache.get("v"), bytes);
    },
  },
  {
    fact: "getMany gives a Map of what is there",
    async check(cache) {
      await Promise.all(Array.from({ length: 300 }, (_, index) => cache.set(`many:${index}`, index)));
      const keys = Array.from({ length: 400 }, (_, index) => `many:${index}`);
      const found = await cache.getMany<number>([...keys, "many:1"]);
      assert.equal(found.size, 300);
      assert.deepEqual(
        [...found.values()].toSorted((a, b) => a - b),
        Array.from({ length: 300 }, (_, index) => index),
      );
      assert.equal((await cache.getMany([])).size, 0);
    },
  },
  {
    fact: "gets and getsMany give the version that cas needs",
    async check(cache) {
      await cache.set("c", "one");
      const first = await cache.gets("c");
      assert.equal(first?.value, "one");
      assert.equal(await cache.cas("c", "two", first.cas), "stored");
      assert.equal(await cache.cas("c", "three", first.cas), "exists");
      assert.equal(await cache.cas("none", "x", 1n), "missing");
      const many = await cache.getsMany(["c", "none"]);
      assert.equal(many.get("c")?.value, "two");
      assert.equal(await cache.cas("c", "four", many.get("c")!.cas), "stored");
    },
  },
  {
    fact: "add stores only where nothing is, replace only where something is",
    async check(cache) {
      assert.equal(await cache.replace("k", 1), false);
      assert.equal(await cache.add("k", 1), true);
      assert.equal(await cache.add("k", 2), false);
      assert.equal(await cache.replace("k", 3), true);
      assert.equal(await cache.get("k"), 3);
    },
  },
  {
    fact: "append and prepend put text around what is there",
    async check(cache) {
      assert.equal(await cache.append("k", "x"), false);
      await cache.set("k", "b");
      assert.equal(await cache.append("k", "c"), true);
      assert.equal(await cache.prepend("k", Buffer.from("a")), true);
      assert.equal(await cache.get("k"), "abc");
    },
  },
  {
    fact: "delete and touch tell whether the item was there",
    async check(cache) {
      assert.equal(await cache.delete("k"), false);
      assert.equal(await cache.touch("k", "1m"), false);
      await cache.set("k", 1);
      assert.equal(await cache.touch("k", "1m"), true);
      assert.equal(await cache.delete("k"), true);
      assert.equal(await cache.get("k"), undefined);
    },
  },
  {
    fact: "getAndTouch gives the value and sets its end",
    async check(cache) {
      assert.equal(await cache.getAndTouch("k", "1m"), undefined);
      await cache.set("k", { n: 1 });
      const { hits, misses } = cache.counts;
      assert.deepEqual(await cache.getAndTouch("k", "1m"), { n: 1 });
      assert.equal(await cache.getAndTouch("none", 60), undefined);
      assert.deepEqual([cache.counts.hits, cache.counts.misses], [hits + 1, misses + 1]);
      assert.deepEqual(await cache.getAndTouch("k", new Date(Date.now() - 5000)), { n: 1 });
      assert.equal(await cache.get("k"), undefined);
    },
  },
  {
    fact: "incr and decr with an initial value make the item, and count on from it",
    async check(cache) {
      assert.equal(await cache.incr("n", 5, { initial: 100, ttl: "1m" }), 100n);
      assert.equal(await cache.incr("n", 5, { initial: 100, ttl: "1m" }), 105n);
      assert.equal(await cache.get("n"), 105);
      assert.equal(await cache.decr("d", 1n, { initial: 2n ** 64n - 1n }), 2n ** 64n - 1n);
      assert.equal(await cache.decr("d"), 2n ** 64n - 2n);
      await assert.rejects(cache.incr("n", 1, { initial: -1 }), { code: "CACHE_VALUE_INVALID" });
      await assert.rejects(cache.incr("m", 1, { initial: 1, ttl: 0.5 }), { code: "CACHE_TTL_INVALID" });
      const many = await Promise.all(Array.from({ length: 50 }, () => cache.incr("races", 1, { initial: 1 })));
      assert.deepEqual(new Set(many), new Set(Array.from({ length: 50 }, (_, index) => BigInt(index + 1))));
    },
  },
  {
    fact: "counters are bigints: they wrap at 2^64, stop at 0, and refuse what is no number",
    async check(cache) {
      assert.equal(await cache.incr("n"), undefined);
      await cache.set("n", 10);
      assert.equal(await cache.incr("n"), 11n);
      assert.equal(await cache.decr("n", 3), 8n);
      assert.equal(await cache.get("n"), 8);
      assert.equal(await cache.decr("n", 100n), 0n);
      await cache.set("n", "18446744073709551615");
      assert.equal(await cache.incr("n", 2n), 1n);
      await cache.set("n", "text");
      await assert.rejects(cache.incr("n"), { code: "CACHE_REFUSED" });
      await assert.rejects(cache.incr("n", -1), { code: "CACHE_VALUE_INVALID" });
    },
  },
  {
    fact: "a Date in the past stores nothing that can be got, and a ttl that is not over keeps the item",
    async check(cache) {
      await cache.set("k", 1, { ttl: new Date(Date.now() - 5000) });
      assert.equal(await cache.get("k"), undefined);
      await cache.set("k", 2, { ttl: new Date(Date.now() + 60_000) });
      assert.equal(await cache.get("k"), 2);
      await cache.set("k", 3, { ttl: "40d" });
      assert.equal(await cache.get("k"), 3);
    },
  },
  {
    fact: "calls of one tick are answered in the order in which they were made",
    async check(cache) {
      await cache.set("k", "old");
      const seen = await Promise.all([
        cache.get("k"),
        cache.set("k", "new"),
        cache.get("k"),
        cache.delete("k"),
        cache.get("k"),
      ]);
      assert.deepEqual(seen, ["old", true, "new", true, undefined]);
    },
  },
  {
    fact: "a key asked for many times in one tick gives every caller its answer",
    async check(cache) {
      await cache.set("k", { n: 1 });
      const seen = await Promise.all(Array.from({ length: 50 }, (_, index) => cache.get(index % 2 === 0 ? "k" : "none")));
      assert.deepEqual(
        seen,
        Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? { n: 1 } : undefined)),
      );
    },
  },
  {
    fact: "a value that is too large is refused, and the connection serves on",
    async check(cache) {
      await assert.rejects(cache.set("big", Buffer.alloc(2 * 1024 * 1024)), { code: "CACHE_SERVER_ERROR" });
      const value = Buffer.alloc(1000 * 1000, "0123456789");
      assert.equal(await cache.set("big", value), true);
      assert.deepEqual(await cache.get("big"), value);
    },
  },
  {
    fact: "the longest keys there are: 250 bytes plain, 186 of any kind as base64",
    async check(cache) {
      for (const key of ["k".repeat(250), Buffer.alloc(186, 0)]) {
        assert.equal(await cache.set(key, "long"), true);
        assert.equal(await cache.get(key), "long");
        assert.equal(await cache.delete(key), true);
      }
    },
  },
  {
    fact: "flush empties the server",
    async check(cache) {
      await cache.set("k", 1);
      await cache.flush();
      assert.equal(await cache.get("k"), undefined);
    },
  },
  {
    fact: "stats and versions answer for every server by name",
    async check(cache) {
      const [[, general]] = [...(await cache.stats())] as [[string, ReadonlyMap<string, string>]];
      assert.match(general.get("pid")!, /^\d+$/);
      const [[, settings]] = [...(await cache.stats("settings"))] as [[string, ReadonlyMap<string, string>]];
      assert.match(settings.get("maxbytes")!, /^\d+$/);
      assert.match([...(await cache.versions()).values()][0]!, /^\d/);
    },
  },
];

const ALL = {
  ...TEST_SERVERS,
  "Debian's memcached on a unix socket": { needs: ["memcached"], start: memcachedOnSocket },
  "Holdfast's server on a unix socket": {
    needs: [],
    start: (t: TestContext) => holdfast(t, { listen: `unix:${temporary(t)}/cache.sock` }),
  },
};

for (const [name, { needs, start }] of Object.entries(ALL)) {
  test(`verbs against ${name}`, requires(...needs), async (t) => {
    const peer = await start(t);
    for (const [keys, protocol] of [
      ["plain", "text"],
      ["base64", "text"],
      ["plain", "binary"],
      ["base64", "binary"],
    ] as const) {
      for (const { fact, check } of CASES) {
        await t.test(`${fact} (${keys} keys, ${protocol} protocol)`, async () => {
          await using cache = new CacheClient({ servers: [peer.address], keys: "base64", protocol });
          await cache.flush();
          await check(keys === "base64" ? withBinaryKeys(cache) : cache);
        });
      }
    }
  });
}

/** The same client with every key made binary, so that it goes as base64. */
function withBinaryKeys(cache: CacheClient): CacheClient {
  const binary = (key: unknown): unknown => (typeof key === "string" && key.length < 180 ? ` ${key}\n` : key);
  return new Proxy(cache, {
    get(target, name) {
      const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      if (typeof method !== "function") return method;
      if (name === "stats" || name === "versions" || name === "flush") return method.bind(target);
      return (first: unknown, ...rest: unknown[]) => {
        if (!Array.isArray(first)) return method.call(target, binary(first), ...rest);
        const found = method.call(target, first.map(binary), ...rest) as Promise<Map<string, unknown>>;
        return found.then((map) => new Map([...map].map(([key, value]) => [key.slice(1, -1), value])));
      };
    },
  });
}
