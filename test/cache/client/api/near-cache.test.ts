import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { NearCache, type NearItem } from "../../../../src/cache/client/api/near-cache.ts";
import { changedKey } from "../../../../src/cache/client/pool/change-stream.ts";
import { CacheClient, json, text } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { requires } from "../../../support/requires.ts";
import { fakeServer } from "../support/fake-server.ts";
import { holdfast, TEST_SERVERS } from "../support/test-servers.ts";

function item(text: string, cas = 1n): NearItem & { readonly bytes: Buffer } {
  return { bytes: Buffer.from(text), flags: 0, cas, server: "s", connection: 1, old: false };
}

function fill(cache: NearCache, key: string, text: string, freshUntilMs = Infinity): void {
  cache.filling(key);
  cache.filled(key, item(text), freshUntilMs);
}

test("an item is given out until its time is over", () => {
  const cache = new NearCache(10_000);
  fill(cache, "k", "value", 1000);
  assert.equal(String(cache.fresh("k", 999)?.bytes), "value");
  assert.equal(cache.fresh("k", 1000), undefined);
  assert.equal(String(cache.old("k")?.bytes), "value", "kept, to be asked about");
});

test("it never takes more bytes than it may, and the least recently used goes first", () => {
  const cache = new NearCache(8000);
  for (let index = 0; index < 100; index += 1) {
    fill(cache, `k${index}`, "x".repeat(100));
    cache.fresh("k0", 0);
    assert.ok(cache.bytes <= 8000);
  }
  assert.ok(cache.fresh("k0", 0), "in use all the time");
  assert.equal(cache.fresh("k1", 0), undefined);
  fill(cache, "large", "x".repeat(2000));
  assert.equal(cache.fresh("large", 0), undefined, "over an eighth of it all");
});

test("bytes are counted right through any sequence of fills and changes", () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 9 }),
    size: fc.integer({ min: 0, max: 3000 }),
    what: fc.integer({ min: 0, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const cache = new NearCache(20_000);
      for (const { key, size, what } of steps) {
        if (what === 0) cache.changed(`k${key}`);
        else if (what === 1) cache.serverLost("s");
        else fill(cache, `k${key}`, "x".repeat(size));
      }
      let bytes = 0;
      for (let key = 0; key < 10; key += 1) {
        const found = cache.old(`k${key}`);
        if (found) bytes += 2 + found.bytes.length + 150;
      }
      assert.equal(cache.bytes, bytes);
      assert.ok(bytes <= 20_000);
    }),
  );
});

test("a read that a change overtook is not kept", () => {
  const cache = new NearCache(10_000);
  cache.filling("k");
  cache.changed("k");
  cache.filled("k", item("from before"), Infinity);
  assert.equal(cache.fresh("k", 0), undefined);
  fill(cache, "k", "after");
  assert.equal(String(cache.fresh("k", 0)?.bytes), "after");
});

test("what is kept is a copy: nobody changes it from outside", () => {
  const cache = new NearCache(10_000);
  const mine = item("value");
  cache.filling("k");
  cache.filled("k", mine, Infinity);
  mine.bytes.fill(0);
  assert.equal(String(cache.fresh("k", 0)?.bytes), "value");
});

test("a change stream's lines name the key, percent-encoded or not", () => {
  assert.equal(changedKey("ts=1.2 gid=1 type=item_store key=a status=stored cmd=set ttl=0 clsid=1 cfd=3 size=1"), "a");
  assert.equal(changedKey("ts=1.2 gid=1 type=deleted key=user%3A1 cmd=delete clsid=1 size=1"), "user:1");
  assert.equal(changedKey("ts=1.2 gid=1 type=item_store key=a%20b status=stored"), ` ${Buffer.from("a b").toString("base64")}`);
  assert.equal(changedKey("ts=1.2 gid=1 type=item_get key=a status=found"), undefined);
  assert.equal(changedKey("skipped=4"), undefined);
});

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(
    `reads are answered from the process for the ttl, and its own writes are seen at once (${peer})`,
    requires(...needs),
    async (t) => {
      const { address } = await start(t);
      const clock = new ManualClock();
      await using cache = new CacheClient({ servers: [address], clock, nearCache: { ttl: "1s" } });
      await using other = new CacheClient({ servers: [address] });
      await cache.set("k", { n: 1 });
      assert.deepEqual(await cache.get("k"), { n: 1 });
      await other.set("k", { n: 2 });
      assert.deepEqual(await cache.get("k"), { n: 1 }, "as old as the ttl allows");
      assert.deepEqual([...(await cache.getMany(["k"])).values()], [{ n: 1 }]);
      assert.equal(cache.counts.nearHits, 2);
      clock.advance(1000);
      assert.deepEqual(await cache.get("k"), { n: 2 });
      const seen = await Promise.all([cache.get("k"), cache.set("k", { n: 3 }), cache.get("k")]);
      assert.deepEqual(seen, [{ n: 2 }, true, { n: 3 }]);
      assert.deepEqual(await cache.get("k"), { n: 3 });
      await cache.delete("k");
      assert.equal(await cache.get("k"), undefined);
      await cache.set("k", 1);
      await cache.get("k");
      await cache.flush();
      assert.equal(await cache.get("k"), undefined);
      await assert.rejects(cache.set("bad key", 1), { code: "CACHE_KEY_INVALID" });
    },
  );

  test(`with validate, a value that has not changed is not sent again (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    const clock = new ManualClock();
    await using cache = new CacheClient({ servers: [address], clock, nearCache: { ttl: "1s", validate: true } });
    await using other = new CacheClient({ servers: [address] });
    await other.set("k", "first");
    await cache.get("k");
    const { misses, hits } = cache.counts;
    clock.advance(1500);
    assert.equal(await cache.get("k"), "first");
    assert.deepEqual([cache.counts.nearHits, cache.counts.hits, cache.counts.misses], [1, hits + 1, misses]);
    clock.advance(500);
    assert.equal(await cache.get("k"), "first", "renewed for another ttl");
    await other.set("k", "second");
    clock.advance(1500);
    assert.equal(await cache.get("k"), "second");
    await other.delete("k");
    clock.advance(1500);
    assert.equal(await cache.get("k"), undefined);
  });

  test(`fetch is answered from the process too (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address], clock: new ManualClock(), nearCache: {} });
    const load = (): string => "loaded";
    assert.equal(await cache.fetch("k", load), "loaded");
    assert.equal(await cache.fetch("k", load), "loaded"); // from the server, and kept
    const { calls } = cache.counts;
    assert.equal(await cache.fetch("k", load), "loaded");
    assert.equal(cache.counts.calls, calls);
  });
}

test("what the codec cannot read is an error, or a miss, from the near cache too", async (t) => {
  const { address } = await holdfast(t);
  await using raw = new CacheClient({ servers: [address], codec: text });
  await raw.set("bad", "{");
  await using strict = new CacheClient({ servers: [address], codec: json(), nearCache: {} });
  await using lenient = new CacheClient({ servers: [address], codec: json(), nearCache: {}, onError: "miss" });
  for (let turn = 0; turn < 2; turn += 1) {
    await assert.rejects(strict.get("bad"), { code: "CACHE_VALUE_UNREADABLE" });
    assert.equal(await lenient.get("bad"), undefined);
    assert.deepEqual(await lenient.getMany(["bad"]), new Map());
  }
  assert.equal(await strict.fetch("bad", () => "loaded"), "loaded");
});

test("with Holdfast's server, the change stream drops what others changed, within moments and long before the ttl", async (t) => {
  const { address } = await holdfast(t);
  await using cache = new CacheClient({ servers: [address], nearCache: { watch: true, ttl: "1m" } });
  await using other = new CacheClient({ servers: [address] });
  await other.set("k", "old");
  assert.equal(await cache.get("k"), "old");
  await other.set("k", "new");
  await until(async () => (await cache.get("k")) === "new");
  await other.delete("k");
  await until(async () => (await cache.get("k")) === undefined);
});

for (const threads of [1, 2]) {
  test(`touch, invalidate, incr, decr, gat and flush_all of others are told by the stream too (${threads} threads)`, async (t) => {
    const { address } = await holdfast(t, { threads });
    await using cache = new CacheClient({ servers: [address], nearCache: { watch: true } });
    const others = Array.from({ length: threads * 2 }, () => new CacheClient({ servers: [address] }));
    t.after(() => Promise.all(others.map((other) => other.close())));
    await cache.get("warm");
    for (const other of others) {
      await other.set("n", 10);
      await until(async () => (await cache.get("n")) === 10 && (await isNear(cache, "n")));
      await other.incr("n");
      await until(async () => (await cache.get("n")) === 11);
      await other.incr("n", 1000);
      await until(async () => (await cache.get("n")) === 1011);
      await other.decr("n");
      await until(async () => (await cache.get("n")) === 1010);

      for (const end of [
        (): Promise<unknown> => other.flush(),
        (): Promise<unknown> => other.touch("k", new Date(946_684_800_001)),
      ]) {
        await other.set("k", "v");
        await until(() => isNear(cache, "k"));
        await end();
        await until(async () => (await cache.get("k")) === undefined);
      }

      await other.set("k", "old");
      await until(() => isNear(cache, "k"));
      await other.invalidate("k");
      await until(async () => !(await isNear(cache, "k")));
    }
  });
}

test("a flush_all for later is told when its time has come", async (t) => {
  const { address } = await holdfast(t);
  await using cache = new CacheClient({ servers: [address], nearCache: { watch: true } });
  await cache.set("k", "v");
  const [host, port] = address.split(":") as [string, string];
  const socket = connect({ host, port: Number(port) });
  socket.end("flush_all 2\r\n");
  await until(() => isNear(cache, "k"));
  await until(async () => (await cache.get("k")) === undefined);
});

test("of memcached, whose stream tells stores and deletes alone, nothing is kept for longer than without it", async (t) => {
  let value = "old";
  const watchers: Socket[] = [];
  const server = await fakeServer(t, (line, socket) => {
    const opaque = /^mg \S+ .*(O\d+)/.exec(line)?.[1];
    if (line.endsWith(" changes")) return "ERROR\r\n"; // as memcached 1.6.45
    if (line.startsWith("mn")) return "MN\r\n";
    if (opaque !== undefined) return `VA ${value.length} f0 c1 t-1 ${opaque}\r\n${value}\r\n`;
    if (line === "watch mutations deletions") watchers.push(socket);
    return "OK\r\n";
  });
  const clock = new ManualClock();
  await using cache = new CacheClient({ servers: [server.address], clock, nearCache: { watch: true } });
  await cache.get("k");
  await until(async () => watchers.length === 1);
  await until(() => isNear(cache, "k"));
  value = "new";
  watchers[0]!.write("ts=1.2 gid=1 type=item_store key=k status=stored cmd=set ttl=0 clsid=1 cfd=3 size=3\n");
  await until(async () => (await cache.get("k")) === "new");
  await until(() => isNear(cache, "k"));
  value = "flushed, which nobody tells";
  clock.advance(1000);
  assert.equal(await cache.get("k"), value);
  value = "1";
  clock.advance(1000);
  assert.equal(await isNear(cache, "k"), false);
  assert.equal(await isNear(cache, "k"), false, "counters are not kept: it does not tell of incr");
});

async function isNear(cache: CacheClient, key: string): Promise<boolean> {
  const { nearHits } = cache.counts;
  await cache.get(key);
  return cache.counts.nearHits > nearHits;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + 5000;
  while (!(await holds())) {
    assert.ok(performance.now() < giveUp, "it never came to pass");
    await new Promise(setImmediate);
  }
}
