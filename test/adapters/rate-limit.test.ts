/** The counters of limits, driven by express-rate-limit and rate-limiter-flexible. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { rateLimit } from "express-rate-limit";
import { memcachedLike, RateLimitStore, type MemcachedLike } from "../../src/adapters/rate-limit.ts";
import { CacheClient } from "../../src/cache/index.ts";
import { TEST_SERVERS } from "../cache/client/support/test-servers.ts";
import { requires } from "../support/requires.ts";

interface App {
  use(...middleware: unknown[]): void;
  listen(port: number, host: string): Server;
}
interface Limiter {
  consume(key: string, points?: number): Promise<{ consumedPoints: number; remainingPoints: number; msBeforeNext: number }>;
  penalty(key: string, points: number): Promise<{ consumedPoints: number }>;
  reward(key: string, points: number): Promise<{ consumedPoints: number }>;
  block(key: string, seconds: number): Promise<unknown>;
  get(key: string): Promise<{ consumedPoints: number } | null>;
  delete(key: string): Promise<boolean>;
}

const require = createRequire(import.meta.url);
const express = require("express") as () => App;
const { RateLimiterMemcache } = require("rate-limiter-flexible") as {
  RateLimiterMemcache: new (options: { storeClient: MemcachedLike; points: number; duration: number }) => Limiter;
};

/** An application with a limit: a call's status, and its headers. */
async function application(t: TestContext, store: RateLimitStore): Promise<() => Promise<[status: number, headers: Headers]>> {
  const app = express();
  app.use(rateLimit({ windowMs: 60_000, limit: 5, store, standardHeaders: "draft-6", legacyHeaders: false }));
  app.use((_request: unknown, response: { send(text: string): void }) => response.send("ok"));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  t.after(() => server.closeAllConnections());
  return async () => {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await answer.text();
    return [answer.status, answer.headers];
  };
}

for (const [peer, { needs, start }] of Object.entries(TEST_SERVERS)) {
  test(`a limit of express-rate-limit holds for all processes together (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    const stores = [1, 2].map(() => new RateLimitStore({ cache: { servers: [address] } }));
    t.after(() => Promise.all(stores.map((store) => store.shutdown())));
    const [one, two] = [await application(t, stores[0]!), await application(t, stores[1]!)];
    const answers = [await one(), await two(), await one(), await two(), await one(), await two(), await one()];
    assert.deepEqual(
      answers.map(([status]) => status),
      [200, 200, 200, 200, 200, 429, 429],
    );
    assert.deepEqual(
      answers.slice(0, 3).map(([, headers]) => headers.get("ratelimit-remaining")),
      ["4", "3", "2"],
    );
    const reset = Number(answers[6]![1].get("ratelimit-reset"));
    assert.ok(reset > 50 && reset <= 60, `${reset}`);
    await stores[0]!.resetAll();
    assert.equal((await one())[0], 200);
  });

  test(`calls are counted, taken back, looked at and forgotten (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    const store = new RateLimitStore({ cache, prefix: "api:" });
    store.init({ windowMs: 1500 });
    assert.equal(await store.get("ip"), undefined);
    const counts = await Promise.all(Array.from({ length: 20 }, () => store.increment("ip")));
    assert.deepEqual(
      counts.map(({ totalHits }) => totalHits).toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    await store.decrement("ip");
    const info = (await store.get("ip"))!;
    assert.equal(info.totalHits, 19);
    const leftMs = info.resetTime!.getTime() - Date.now();
    assert.ok(leftMs > 0 && leftMs <= 2000, `${leftMs}`);
    await store.resetKey("ip");
    assert.equal((await store.increment("ip")).totalHits, 1);
    const end = performance.now() + 4000;
    while ((await store.get("ip")) !== undefined) assert.ok(performance.now() < end, "the window ends");
  });

  test(`rate-limiter-flexible's RateLimiterMemcache counts, blocks and forgets (${peer})`, requires(...needs), async (t) => {
    const { address } = await start(t);
    await using cache = new CacheClient({ servers: [address] });
    const limiter = new RateLimiterMemcache({ storeClient: memcachedLike(cache), points: 3, duration: 60 });
    const first = await limiter.consume("ip");
    assert.deepEqual([first.consumedPoints, first.remainingPoints], [1, 2]);
    assert.ok(first.msBeforeNext > 55_000 && first.msBeforeNext <= 60_000);
    assert.equal((await limiter.consume("ip", 2)).remainingPoints, 0);
    await assert.rejects(limiter.consume("ip"), ({ remainingPoints }: { remainingPoints: number }) => remainingPoints === 0);
    assert.equal((await limiter.get("ip"))?.consumedPoints, 4);
    assert.equal((await limiter.reward("ip", 2)).consumedPoints, 2);
    assert.equal((await limiter.penalty("ip", 1)).consumedPoints, 3);
    assert.equal(await limiter.delete("ip"), true);
    assert.equal(await limiter.get("ip"), null);
    await limiter.block("ip", 30);
    await assert.rejects(limiter.consume("ip"));
    const many = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.consume("herd")));
    assert.equal(many.filter(({ status }) => status === "fulfilled").length, 3);
  });
}

test("when no server answers, express-rate-limit's store and rate-limiter-flexible's client are told", async () => {
  await using cache = new CacheClient({ servers: ["127.0.0.1:1"] });
  await assert.rejects(new RateLimitStore({ cache }).increment("ip"), { code: "CACHE_UNREACHABLE" });
  const limiter = new RateLimiterMemcache({ storeClient: memcachedLike(cache), points: 3, duration: 60 });
  await assert.rejects(limiter.consume("ip"));
  await using lenient = new CacheClient({ servers: ["127.0.0.1:1"], onError: "miss" });
  await assert.rejects(new RateLimitStore({ cache: lenient }).increment("ip"), /no server answers/);
});
