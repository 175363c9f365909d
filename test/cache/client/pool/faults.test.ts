/** Servers that die, stop, cut, lie, while a checked load runs: no call hangs, no value is wrong, memory stays flat. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CacheClient, type CacheClientOptions } from "../../../../src/cache/index.ts";
import { seeded, type Random } from "../../../../src/core/random.ts";
import { requires } from "../../../support/requires.ts";
import { CheckedLoad, type Checked } from "../support/checker.ts";
import { heapBytes } from "../support/heap.ts";
import { freePort, holdfast, memcached, memcachedAt, TEST_SERVERS, stop } from "../support/test-servers.ts";
import { roughProxy } from "../support/rough-proxy.ts";

const TIMEOUT_MS = 300;
/** Timers and a machine that others use: a call may settle this much after its deadline. */
const SLACK_MS = 700;

function chance(t: TestContext): Random {
  const seed = Math.floor(Math.random() * 1e9);
  t.diagnostic(`seed ${seed}`);
  return seeded(seed);
}

function under(
  t: TestContext,
  servers: readonly string[],
  options: CacheClientOptions = {},
): { cache: CacheClient; load: CheckedLoad } {
  const cache = new CacheClient({ servers, timeout: TIMEOUT_MS, backoff: { max: "200ms" }, ...options });
  t.after(() => cache.close());
  const load = new CheckedLoad(cache, { callers: 40, keys: 200, lateMs: TIMEOUT_MS * 2 + SLACK_MS, random: chance(t) });
  return { cache, load };
}

function tell(t: TestContext, { calls, hits, failures, longestMs }: Checked): void {
  t.diagnostic(`${calls} calls, ${hits} hits, longest ${Math.round(longestMs)} ms, ${JSON.stringify([...failures])}`);
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const giveUp = performance.now() + 10_000;
  while (!holds() && performance.now() < giveUp) await delay(10);
  assert.ok(holds(), what);
}

const needs = requires("memcached");

test(
  "a server killed with -9 under load and started again: no call hangs, no value is wrong, and it serves again",
  needs,
  async (t) => {
    const peers = await Promise.all([memcached(t), memcached(t), memcached(t)]);
    const { cache, load } = under(t, peers.map(({ address }) => address)); // prettier-ignore
    await until(() => load.hits > 500, "the load runs");
    await stop(peers[1]!.process);
    await delay(700);
    assert.equal(cache.servers[1]!.state, "ejected");
    await memcachedAt(t, peers[1]!.port);
    await until(() => cache.servers[1]!.state === "up", "the server is back");
    const before = load.hits;
    await until(() => load.hits > before + 500, "it is used");
    const checked = await load.stop();
    tell(t, checked);
    assert.deepEqual(checked.wrong, []);
  },
);

test(
  "a server stopped (SIGSTOP) and continued: every call settles by its deadline, and late replies go nowhere",
  needs,
  async (t) => {
    const peers = await Promise.all([memcached(t), memcached(t)]);
    const { cache, load } = under(t, peers.map(({ address }) => address)); // prettier-ignore
    await until(() => load.hits > 500, "the load runs");
    peers[0]!.process.kill("SIGSTOP");
    await delay(1500);
    peers[0]!.process.kill("SIGCONT");
    await until(() => cache.servers[0]!.state === "up", "the server is back");
    const before = load.hits;
    await until(() => load.hits > before + 500, "it is used");
    const checked = await load.stop();
    tell(t, checked);
    assert.ok(checked.failures.has("CACHE_TIMEOUT"), "calls to the stopped server timed out");
    assert.deepEqual(checked.wrong, []);
  },
);

for (const [peer, { needs: packages, start }] of Object.entries(TEST_SERVERS)) {
  test(
    `connections cut in the middle of replies, and replies in pieces: no value is wrong (${peer})`,
    requires(...packages),
    async (t) => {
      const random = chance(t);
      const address = await roughProxy(t, (await start(t)).address, { cut: 0.02, split: 0.5 }, random);
      const { load } = under(t, [address]);
      await until(() => load.hits > 3000 && load.failures.has("CACHE_UNREACHABLE"), "it runs, and connections are cut");
      const checked = await load.stop();
      tell(t, checked);
      assert.deepEqual(checked.wrong, []);
    },
  );
}

test("garbage between replies costs the connection, never a wrong key's value", needs, async (t) => {
  // Garbage can be well-formed: a STORED too many makes a store look done that was not. What is promised is that no key gets
  // another's value, so the load's own versions are not compared.
  const random = chance(t);
  const address = await roughProxy(t, (await memcached(t)).address, { garbage: 0.02, split: 0.3 }, random);
  const { load } = under(t, [address]);
  await until(() => load.hits > 10_000 && load.failures.has("CACHE_REPLY_INVALID"), "the load runs, and garbage comes");
  const checked = await load.stop();
  tell(t, checked);
  assert.deepEqual(checked.wrong.filter((what) => !/version/.test(what) && !/gave 'abc'/.test(what)), []); // prettier-ignore
});

test("servers leave and join a DNS name under load: no call fails for it, no value is wrong", async (t) => {
  const port = await freePort();
  for (const host of ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]) await holdfast(t, { listen: `${host}:${port}` });
  let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
  const cache = new CacheClient({
    servers: { dns: `cache.internal:${port}`, every: "100ms", resolve: async () => addresses },
    timeout: 2000,
  });
  t.after(() => cache.close());
  const load = new CheckedLoad(cache, { callers: 40, keys: 200, lateMs: 2000 + SLACK_MS, random: chance(t) });
  await until(() => load.hits > 500, "the load runs");
  // Whoever joins is new and empty: one that came back would still hold what it held.
  for (const next of [addresses.slice(0, 2), [...addresses.slice(0, 2), "127.0.0.5"]]) {
    addresses = next;
    await until(
      () => cache.servers.length === next.length && cache.servers.at(-1)!.name === `${next.at(-1)}:${port}`,
      "followed",
    );
    const before = load.hits;
    await until(() => load.hits > before + 500, "the load goes on");
  }
  const checked = await load.stop();
  tell(t, checked);
  assert.deepEqual(checked.wrong, []);
  assert.deepEqual([...checked.failures], []);
});

/** A minute where there is time for it: HOLDFAST_LONG=1. */
const DOWN_MS = process.env["HOLDFAST_LONG"] ? 60_000 : 3000;

test(
  "one of five servers down for long: the others' keys are served, its own miss at once, memory stays flat",
  needs,
  async (t) => {
    const peers = await Promise.all(Array.from({ length: 5 }, () => memcached(t)));
    const { cache, load } = under(t, peers.map(({ address }) => address)); // prettier-ignore
    await until(() => load.hits > 500, "the load runs");
    await stop(peers[3]!.process);
    await until(() => cache.servers[3]!.state === "ejected", "it is ejected");
    const heapBefore = heapBytes();
    const [callsBefore, errorsBefore] = [load.calls, cache.counts.errors];
    await delay(DOWN_MS);
    const [calls, errors] = [load.calls - callsBefore, cache.counts.errors - errorsBefore];
    assert.ok(errors < calls / 100, `${errors} of ${calls} calls failed while it was known to be down`);
    const grown = heapBytes() - heapBefore;
    assert.ok(grown < 8 * 1024 * 1024, `the heap grew by ${grown} bytes`);
    const checked = await load.stop();
    tell(t, checked);
    assert.deepEqual(checked.wrong, []);
  },
);

test("a million calls leave no memory behind", needs, async (t) => {
  const { address } = await memcached(t);
  const cache = new CacheClient({ servers: [address] });
  t.after(() => cache.close());
  await cache.set("k", "v".repeat(100));
  const burst = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, index) => cache.get(index % 2 === 0 ? "k" : `none:${done + index}`)));
    }
  };
  await burst(200_000);
  const before = heapBytes();
  await burst(1_000_000);
  const grown = heapBytes() - before;
  assert.ok(grown < 4 * 1024 * 1024, `the heap grew by ${grown} bytes: ${grown / 1_000_000} a call`);
});
