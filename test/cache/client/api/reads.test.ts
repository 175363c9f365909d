/** Reads with times, as streams, of keys; a client-wide prefix. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheClient } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { fakeServer } from "../support/fake-server.ts";
import { holdfast, memcached, TEST_SERVERS } from "../support/test-servers.ts";

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  const options = requires(...needs);

  test(`getWithTtl tells the version and the seconds that are left (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address], keys: "base64" });
    await cache.set("k", "v", { ttl: "10m" });
    await cache.set("with a space", "w");
    const timed = await cache.getWithTtl("k");
    assert.equal(timed?.value, "v");
    assert.ok(timed.ttl! > 590 && timed.ttl! <= 600, String(timed.ttl));
    assert.equal(await cache.cas("k", "next", timed.cas), "stored");
    assert.equal(await cache.getWithTtl("none"), undefined);
    const many = await cache.getManyWithTtl(["k", "none", "with a space"]);
    assert.deepEqual(
      [...many].map(([key, { value, ttl }]) => [key, value, ttl]),
      [
        ["k", "next", undefined],
        ["with a space", "w", undefined],
      ],
    );
  });

  test(`getWithTtl takes nobody's turn, and a placeholder is none (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    await cache.set("k", "old");
    await cache.invalidate("k");
    assert.equal((await cache.getWithTtl("k"))?.value, "old");
    await cache.get("k"); // what it gave back is there
    assert.equal(await cache.fetch("k", () => "new"), "new");
    const begun = Promise.withResolvers<void>();
    const computed = Promise.withResolvers<string>();
    const fetched = cache.fetch("held", () => (begun.resolve(), computed.promise));
    await begun.promise;
    assert.equal(await cache.getWithTtl("held"), undefined);
    assert.equal(await cache.getAndTouch("held", "1h"), undefined);
    assert.equal(await cache.incr("held", 1, { initial: 7 }), 7n);
    computed.resolve("x");
    await fetched;
    assert.equal(await cache.get("held"), 7);
  });

  test(`no read or touch takes the turn of who shall compute, of keys in base64 neither (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address], keys: "base64" });
    const reads: Record<string, (key: string) => Promise<unknown>> = {
      get: (key) => cache.get(key),
      gets: (key) => cache.gets(key),
      getMany: (key) => cache.getMany([key]),
      getWithTtl: (key) => cache.getWithTtl(key),
      getAndTouch: (key) => cache.getAndTouch(key, "1h"),
      touch: (key) => cache.touch(key, "1h"),
      cas: (key) => cache.cas(key, "x", 2n ** 60n),
      add: (key) => cache.add(key, "x"),
      incr: (key) => cache.incr(key).catch(() => undefined),
    };
    for (const [name, read] of Object.entries(reads)) {
      for (const key of [name, `${name} in base64`]) {
        await cache.set(key, "old");
        await cache.invalidate(key);
        await read(key);
        await cache.get("behind what was given back");
        assert.equal(await cache.fetch(key, () => "new"), "new", key);
      }
    }
  });

  test(`getEach gives any number of keys in their order, from lists and streams (${peer})`, options, async (t) => {
    const servers = [await start(t), await start(t)];
    await using cache = new CacheClient({ servers: servers.map(({ address }) => address) });
    const keys = Array.from({ length: 2500 }, (_, index) => `k${index}`);
    await Promise.all(keys.filter((_, index) => index % 2 === 0).map((key) => cache.set(key, key)));
    const expected = keys.filter((_, index) => index % 2 === 0).map((key) => [key, key]);
    assert.deepEqual(await collect(cache.getEach(keys)), expected);
    async function* late(): AsyncGenerator<string> {
      for (const key of keys) yield key;
    }
    assert.deepEqual(await collect(cache.getEach(late())), expected);
    for await (const [key] of cache.getEach(keys)) {
      assert.equal(key, "k0");
      break;
    }
    await assert.rejects(collect(cache.getEach(["good", "bad key"])), { code: "CACHE_KEY_INVALID" });
    assert.deepEqual(await collect(cache.getEach([])), []);
  });

  test(`a prefix keeps applications apart, and keys lists one's own, whatever they are (${peer})`, options, async (t) => {
    const servers = [await start(t), await start(t)];
    const addresses = servers.map(({ address }) => address);
    await using one = new CacheClient({ servers: addresses, prefix: "one:", keys: "base64" });
    await using two = new CacheClient({ servers: addresses, prefix: "zwö:", nearCache: { watch: true } });
    await using all = new CacheClient({ servers: addresses });
    const binary = Buffer.from([0xff, 0, 10]);
    await Promise.all([one.set("k", 1, { ttl: "10m" }), two.set("k", 2), one.set("größe %41", 3), one.set(binary, 4)]);
    assert.deepEqual([await one.get("k"), await two.get("k"), await all.get("one:k")], [1, 2, 1]);
    assert.deepEqual(
      await one.getMany(["k", "größe %41"]),
      new Map<string, unknown>([
        ["k", 1],
        ["größe %41", 3],
      ]),
    );
    const begun = Promise.withResolvers<void>();
    const computed = Promise.withResolvers<number>();
    const fetched = one.fetch("held", () => (begun.resolve(), computed.promise));
    await begun.promise;
    const listed = await collect(one.keys());
    assert.deepEqual(new Set(listed.map(({ key }) => String(key))), new Set(["k", "größe %41", String(binary)]));
    assert.ok(listed.some(({ key }) => Buffer.isBuffer(key) && key.equals(binary)));
    const k = listed.find(({ key }) => key === "k")!;
    assert.ok(k.ttl! > 590 && k.ttl! <= 600 && k.sizeBytes > 50, JSON.stringify(k));
    assert.equal(listed.find(({ key }) => key === "größe %41")!.ttl, undefined);
    computed.resolve(0);
    await fetched;
    await assert.rejects(one.get(""), { code: "CACHE_KEY_INVALID" });
    await assert.rejects(two.get("x".repeat(246)), { code: "CACHE_KEY_INVALID" });
    await assert.rejects(two.get(null as unknown as string), { code: "CACHE_KEY_INVALID" });
  });

  test(`a listing may be left in the middle, aborted, or cut off by the client's end (${peer})`, options, async (t) => {
    await using cache = new CacheClient({ servers: [(await start(t)).address] });
    await Promise.all(Array.from({ length: 5000 }, (_, index) => cache.set(`k${index}`, "")));
    assert.equal(new Set((await collect(cache.keys())).map(({ key }) => key)).size, 5000);
    for await (const _ of cache.keys()) break;
    const abort = new AbortController();
    await assert.rejects(
      collect(cache.keys({ signal: abort.signal }), () => abort.abort()),
      { code: "ABORTED" },
    );
    await assert.rejects(
      collect(cache.keys(), () => void cache.close()),
      { code: "CLOSED" },
    );
    await assert.rejects(collect(cache.keys()), { code: "CLOSED" });
  });
}

test("a listing is read no faster than it is taken", async (t) => {
  let writtenBytes = 0;
  const line = Buffer.from(`key=${"k".repeat(200)} exp=-1 la=1 cas=1 fetch=no cls=1 size=60\n`.repeat(1000));
  const server = await fakeServer(t, (_line, socket) => {
    const write = (): void => {
      while (writtenBytes < 100e6 && socket.write(line)) writtenBytes += line.length;
    };
    socket.on("drain", write);
    write();
    return undefined;
  });
  await using cache = new CacheClient({ servers: [server.address], timeout: "10s" });
  for await (const _ of cache.keys()) {
    for (let before = -1; before !== writtenBytes;) {
      before = writtenBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    break;
  }
  assert.ok(writtenBytes < 30e6, `${writtenBytes} bytes: what the kernel keeps`);
});

test("of two listings at once one waits for the other", requires("memcached"), async (t) => {
  const { address } = await memcached(t);
  await using cache = new CacheClient({ servers: [address] });
  await Promise.all(Array.from({ length: 3000 }, (_, index) => cache.set(`k${index}`, "")));
  const lists = await Promise.all([1, 2, 3].map(() => collect(cache.keys())));
  assert.deepEqual(
    lists.map(({ length }) => length),
    [3000, 3000, 3000],
  );
});

test("a listing fails when its server is gone, stops speaking, or does not know the command", async (t) => {
  await using gone = new CacheClient({ servers: ["127.0.0.1:1"] });
  await assert.rejects(collect(gone.keys()), { code: "CACHE_UNREACHABLE" });
  const silent = await fakeServer(t, () => undefined);
  await using waiting = new CacheClient({ servers: [silent.address], timeout: 100 });
  await assert.rejects(collect(waiting.keys()), { code: "CACHE_TIMEOUT" });
  const old = await fakeServer(t, () => "ERROR\r\n");
  await using refused = new CacheClient({ servers: [old.address] });
  await assert.rejects(collect(refused.keys()), { code: "CACHE_REFUSED" });
});

test("getWithTtl of a server without meta commands is refused before it is sent", async (t) => {
  const old = await fakeServer(t, (line) => (line === "version" ? "VERSION 1.4.39\r\n" : "END\r\n"), { greets: false });
  await using cache = new CacheClient({ servers: [old.address] });
  await cache.get("warm");
  await assert.rejects(cache.getWithTtl("k"), { code: "CACHE_REFUSED", message: /no meta commands/ });
});

test("a prefix that has no bytes in UTF-8 is refused", async (t) => {
  for (const prefix of ["\ud800", 5 as unknown as string]) {
    assert.throws(() => new CacheClient({ prefix }), { code: "CACHE_OPTION_INVALID" });
  }
  const { address } = await holdfast(t);
  await using spaced = new CacheClient({ servers: [address], prefix: "a b" });
  await assert.rejects(spaced.get("k"), { code: "CACHE_KEY_INVALID" });
});

async function collect<T>(items: AsyncIterable<T>, each: () => void = () => {}): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) {
    all.push(item);
    each();
  }
  return all;
}
