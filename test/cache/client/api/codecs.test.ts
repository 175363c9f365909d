import assert from "node:assert/strict";
import { test } from "node:test";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import fc from "fast-check";
import {
  anyValue,
  bytes,
  CacheClient,
  compressed,
  json,
  memcacheClientValue,
  memcachedValue,
  memjsValue,
  text,
  type Codec,
} from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { memcached } from "../support/test-servers.ts";
import { RIVALS } from "../../../../bench/support/cache-rivals.ts";

function there<T>(codec: Codec<T>, value: T): T {
  const encoded = codec.encode(value);
  return codec.decode(Buffer.from(encoded.bytes), encoded.flags);
}

test("any value comes back as it was, through every codec that takes it", () => {
  const plain = fc.oneof(fc.string({ unit: "binary" }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.jsonValue());
  fc.assert(
    fc.property(plain, (value) => {
      const expected = JSON.parse(JSON.stringify(value)) as unknown;
      assert.deepEqual(there(anyValue, value), Object.is(value, -0) ? 0 : expected);
      assert.deepEqual(there(memcachedValue, value), Object.is(value, -0) ? 0 : expected);
      assert.deepEqual(there(memcacheClientValue, value), Object.is(value, -0) ? 0 : expected);
      assert.deepEqual(there(json(), value), expected);
      assert.deepEqual(there(compressed(anyValue, { over: 8 }), value), Object.is(value, -0) ? 0 : expected);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (value) => {
      for (const codec of [anyValue, memcachedValue, memcacheClientValue, bytes, memjsValue, compressed(bytes, { over: 0 })]) {
        assert.deepEqual((there(codec as Codec<unknown>, value) as Buffer).toString("hex"), Buffer.from(value).toString("hex"));
      }
    }),
  );
  assert.equal(there(text, "ü☃"), "ü☃");
  assert.equal(there(anyValue, -Infinity), -Infinity);
});

test("what has no JSON is refused when it is stored", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  for (const value of [undefined, () => 1, 1n, circular]) {
    assert.throws(() => anyValue.encode(value), { code: "CACHE_VALUE_INVALID" });
  }
});

test("values over the size are compressed, by either method, and both are read", () => {
  const long = "the same words again and again, ".repeat(200);
  const zstd = compressed(text);
  const deflate = compressed(text, { method: "deflate", over: "100b", level: 9 });
  for (const codec of [zstd, deflate]) {
    const { bytes: small } = codec.encode(long);
    assert.ok(small.length < long.length / 10);
    for (const reader of [zstd, deflate]) assert.equal(reader.decode(Buffer.from(small), codec.encode(long).flags), long);
  }
  assert.deepEqual(zstd.encode("short"), { bytes: "short", flags: 0 });
  const noise = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * index * 2654435761) >>> 13));
  assert.ok(compressed(bytes).encode(noise).bytes.length <= noise.length, "never larger than it was");
  assert.throws(() => compressed(text, { method: "lz4" as "zstd" }), { code: "CACHE_OPTION_INVALID" });
});

test("a compressed value that would unpack to more than 64 MiB is refused, not unpacked", () => {
  const codec = compressed(bytes, { over: 0 });
  const bomb = codec.encode(Buffer.alloc(65 * 1024 * 1024));
  assert.ok(bomb.bytes.length < 100_000);
  assert.throws(() => codec.decode(Buffer.from(bomb.bytes), bomb.flags));
});

/** A schema by hand, as the standard describes one. */
const positive: StandardSchemaV1<unknown, { n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) =>
      typeof value === "object" && value !== null && "n" in value && typeof value.n === "number" && value.n > 0
        ? { value: { n: value.n } }
        : { issues: [{ message: "n is not over 0" }] },
  },
};

test("a Standard Schema is asked when storing and when reading", requires("memcached"), async (t) => {
  await using cache = new CacheClient({ servers: [(await memcached(t)).address] });
  const items = cache.define("item:{id}", json(positive));
  assert.equal(await items.set(1, { n: 5 }), true);
  assert.deepEqual(await items.get(1), { n: 5 });
  await assert.rejects(items.set(1, { n: -5 }), { code: "CACHE_VALUE_INVALID", message: /n is not over 0/ });
  await cache.set("item:2", { n: 0 });
  await assert.rejects(items.get(2), { code: "CACHE_VALUE_UNREADABLE", message: /n is not over 0/ });
  assert.deepEqual(await items.fetch(2, () => ({ n: 7 })), { n: 7 });
});

test("a value that is no JSON rejects its own caller and nobody else", requires("memcached"), async (t) => {
  await using cache = new CacheClient({ servers: [(await memcached(t)).address], codec: json() });
  await using raw = new CacheClient({ servers: cache.servers.map(({ name }) => name), codec: text });
  await raw.set("bad", "{");
  await cache.set("good", [1]);
  const [bad, good] = await Promise.allSettled([cache.get("bad"), cache.get("good")]);
  assert.equal(bad.status === "rejected" && bad.reason.code, "CACHE_VALUE_UNREADABLE");
  assert.deepEqual(good, { status: "fulfilled", value: [1] });
});

const SHARED = [
  "text",
  "with \r\n line\nbreaks",
  "ünïcode",
  42,
  -1.5,
  true,
  null,
  { a: [1, "b"] },
  Buffer.from([0, 10, 13, 255]),
];

for (const [name, codec, values] of [
  ["memcached", memcachedValue, SHARED],
  ["memcache-client", memcacheClientValue, SHARED.filter((value) => typeof value !== "boolean")], // which it cannot store
  ["memjs", memjsValue as Codec<unknown>, SHARED.filter((value) => typeof value === "string" || Buffer.isBuffer(value))],
] as const) {
  test(`what the ${name} package stores is read, and it reads what is stored`, requires("memcached"), async (t) => {
    const { address } = await memcached(t);
    await using cache = new CacheClient({ servers: [address], codec });
    const theirs = RIVALS[name]!(address);
    t.after(() => theirs.close());
    for (const value of values) {
      const expected = name === "memjs" ? Buffer.from(value as string) : value;
      await theirs.set("theirs", value);
      assert.deepEqual(await cache.get("theirs"), expected);
      await cache.set("ours", value);
      assert.deepEqual(await theirs.get("ours"), expected);
    }
  });
}

test("what memcache-client compressed is read", requires("memcached"), async (t) => {
  const { zstdCompressSync, zstdDecompressSync } = await import("node:zlib");
  const { createRequire } = await import("node:module");
  const { address } = await memcached(t);
  await using cache = new CacheClient({ servers: [address], codec: memcacheClientValue });
  const { MemcacheClient } = createRequire(import.meta.url)("memcache-client") as {
    MemcacheClient: new (options: object) => {
      set(key: string, value: unknown, options: object): Promise<unknown>;
      shutdown(): void;
    };
  };
  const compressor = {
    compressSync: ({ input }: { input: Buffer }) => zstdCompressSync(input),
    decompressSync: ({ input }: { input: Buffer }) => zstdDecompressSync(input),
  };
  const theirs = new MemcacheClient({ server: address, compressor });
  t.after(() => theirs.shutdown());
  const value = { words: "again ".repeat(500) };
  await theirs.set("k", value, { compress: true });
  assert.deepEqual(await cache.get("k"), value);
});
