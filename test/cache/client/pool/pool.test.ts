/** Which server answers for a key when servers die, come back, join and leave. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CacheClient, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { ManualClock } from "../../../../src/core/manual-clock.ts";
import { fakeServer, type Answer, type FakeServer } from "../support/fake-server.ts";

/** Stores what it is given, and answers with it. */
function storing(): Answer & { readonly items: Map<string, string>; readonly ttls: number[] } {
  const items = new Map<string, string>();
  const ttls: number[] = [];
  const answer: Answer = (line) => {
    const [verb, key, , exptime] = line.split(" ") as [string, string, string, string];
    if (verb === "set") {
      items.set(key, key);
      ttls.push(Number(exptime));
      return "STORED\r\n";
    }
    if (verb === "delete") return items.delete(key) ? "DELETED\r\n" : "NOT_FOUND\r\n";
    if (verb !== "get") return "ERROR\r\n";
    const found = line
      .split(" ")
      .slice(1)
      .filter((each) => items.has(each));
    return `${found.map((each) => `VALUE ${each} 0 ${each.length}\r\n${each}\r\n`).join("")}END\r\n`;
  };
  return Object.assign(answer, { items, ttls });
}

interface Scene {
  readonly cache: CacheClient;
  readonly clock: ManualClock;
  readonly servers: readonly FakeServer[];
  readonly stores: readonly ReturnType<typeof storing>[];
}

async function scene(t: TestContext, count: number, options: CacheClientOptions = {}): Promise<Scene> {
  const stores = Array.from({ length: count }, storing);
  const servers = await Promise.all(stores.map((store) => fakeServer(t, store)));
  const clock = new ManualClock();
  const cache = new CacheClient({ servers: servers.map(({ address }) => address), clock, random: () => 0.5, ...options });
  t.after(() => cache.close());
  return { cache, clock, servers, stores };
}

const KEYS = Array.from({ length: 200 }, (_, index) => `key:${index}`);

async function setAll(cache: CacheClient): Promise<void> {
  await Promise.all(KEYS.map((key) => cache.set(key, key)));
}

/** Lets sockets do their work until the condition holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !holds(); turn += 1) await new Promise(setImmediate);
  assert.ok(holds(), "it never came to pass");
}

/** Asks until the server is ejected; every call settles meanwhile. */
async function untilEjected(cache: CacheClient, clock: ManualClock, key: string): Promise<void> {
  const seen = { ejected: false };
  cache.once("ejected", () => (seen.ejected = true));
  for (let call = 0; call < 50 && !seen.ejected; call += 1) {
    await cache.get(key).catch(() => {});
    clock.advance(100);
  }
  assert.ok(seen.ejected);
}

test("keys are spread over all servers, and each is found where it was put", async (t) => {
  const { cache, stores } = await scene(t, 5);
  await setAll(cache);
  for (const { items } of stores) assert.ok(items.size > 10, `${items.size} of ${KEYS.length}`);
  assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
});

test("a server that fails three times in a row is ejected: its keys miss at once, the others' do not", async (t) => {
  const { cache, clock, servers, stores } = await scene(t, 3);
  await setAll(cache);
  await servers[1]!.stop();
  const [lost] = stores[1]!.items.keys();
  await untilEjected(cache, clock, lost!);
  assert.deepEqual(
    cache.servers.map(({ state }) => state),
    ["up", "ejected", "up"],
  );
  assert.equal(await cache.get(lost!), undefined);
  assert.equal(await cache.set(lost!, 1), false);
  const { misses } = cache.counts;
  const found = await cache.getMany(KEYS);
  assert.equal(found.size, KEYS.length - stores[1]!.items.size);
  assert.equal(cache.counts.misses - misses, stores[1]!.items.size);
});

test("an ejected server is probed with growing jittered waits, and has its keys back when it answers", async (t) => {
  const { cache, clock, servers, stores } = await scene(t, 3);
  await setAll(cache);
  const { port } = servers[1]!;
  await servers[1]!.stop();
  const [key] = stores[1]!.items.keys();
  await untilEjected(cache, clock, key!);
  let restored = false;
  cache.once("restored", ({ server }) => (restored = server === servers[1]!.address));
  await fakeServer(t, stores[1]!, { port });
  await until(() => {
    clock.advance(5);
    return restored;
  });
  assert.equal(await cache.get(key!), key);
});

test("a server that greets but answers no question is ejected again by its next failure", async (t) => {
  const { cache, clock, servers } = await scene(t, 1);
  await servers[0]!.stop();
  await untilEjected(cache, clock, "k");
  const mute = await fakeServer(t, () => undefined, { port: servers[0]!.port });
  let restored = false;
  cache.once("restored", () => (restored = true));
  await until(() => {
    clock.advance(5);
    return restored;
  });
  let again = false;
  cache.once("ejected", () => (again = true));
  const call = cache.get("k");
  await mute.received(1);
  clock.advance(1000);
  await assert.rejects(call, { code: "CACHE_TIMEOUT" });
  assert.ok(again);
});

test('whenDown: "next" asks the next server on the ring for as long as its owner is out', async (t) => {
  const { cache, clock, servers, stores } = await scene(t, 3, { whenDown: "next" });
  await setAll(cache);
  await servers[1]!.stop();
  const lost = [...stores[1]!.items.keys()];
  await untilEjected(cache, clock, lost[0]!);
  await Promise.all(lost.map((key) => cache.set(key, key)));
  const where = lost.map((key) => [0, 2].filter((index) => stores[index]!.items.has(key)));
  assert.ok(where.every((places) => places.length === 1));
  assert.equal(new Set(where.flat()).size, 2, "both others take a share");
  assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
});

test("a gutter takes an ejected server's keys with a short time to live, and nobody else's", async (t) => {
  const spare = storing();
  const gutter = await fakeServer(t, spare);
  const { cache, clock, servers, stores } = await scene(t, 3, {
    whenDown: { gutter: { servers: [gutter.address], ttl: "10s" } },
  });
  await setAll(cache);
  assert.equal(gutter.accepted, 0);
  await servers[1]!.stop();
  const lost = [...stores[1]!.items.keys()];
  await untilEjected(cache, clock, lost[0]!);
  await Promise.all(
    lost.map((key, index) => cache.set(key, key, index === 0 ? { ttl: "3s" } : index === 1 ? { ttl: "1h" } : {})),
  );
  assert.deepEqual([...spare.items.keys()].toSorted(), lost.toSorted());
  assert.deepEqual(
    [...new Set(spare.ttls)].toSorted((a, b) => a - b),
    [3, 10],
  );
  assert.equal((await cache.getMany(KEYS)).size, KEYS.length);
});

test("when the gutter is down too, its keys miss", async (t) => {
  const gutter = await fakeServer(t, storing());
  const { cache, clock, servers } = await scene(t, 1, { whenDown: { gutter: { servers: [gutter.address] } } });
  await servers[0]!.stop();
  await gutter.stop();
  await untilEjected(cache, clock, "k");
  await untilEjected(cache, clock, "k");
  assert.equal(await cache.get("k"), undefined);
});

test("a server that restarts is served again at once, without a call lost after the first", async (t) => {
  const { cache, servers, stores } = await scene(t, 1);
  await cache.set("k", "k");
  const { port } = servers[0]!;
  await servers[0]!.stop();
  await fakeServer(t, stores[0]!, { port });
  assert.equal(await cache.get("k"), "k");
});

test("stats rejects when a server is down, once all others have answered", async (t) => {
  const { cache, servers } = await scene(t, 2);
  await servers[0]!.stop();
  await assert.rejects(cache.flush(), { code: "CACHE_UNREACHABLE" });
  assert.deepEqual(servers[1]!.lines, ["flush_all"]);
});
