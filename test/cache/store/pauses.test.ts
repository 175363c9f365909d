/** Nothing holds the thread for long: counted in items and keys, which a busy machine cannot blur. bench/cache-pauses.ts has the times. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { measurePauses } from "../../../bench/cache-pauses.ts";
import { LruCrawler } from "../../../src/cache/background/lru-crawler.ts";
import { LruMaintainer } from "../../../src/cache/background/lru-maintainer.ts";
import { type DumpSink, BackgroundScheduler } from "../../../src/cache/background/background-scheduler.ts";
import { GLOBAL, LRU_STAT, LRU_STATS } from "../../../src/cache/store/memory.ts";
import { SlabRebalancer, REASSIGN } from "../../../src/cache/background/slab-rebalancer.ts";
import type { ItemStore } from "../../../src/cache/store/item-store.ts";
import type { Clock } from "../../../src/core/clock.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { checkStore } from "../../support/store-check.ts";

const ITEMS = 20_000;

function filled(exptime = 0): DirectCache {
  const cache = new DirectCache({ memoryBytes: 64 * 1024 ** 2 });
  for (let key = 0; key < ITEMS; key += 1) cache.say(`set k${key} 0 ${exptime} 3 noreply\r\nabc\r\n`);
  return cache;
}

function sum(store: ItemStore, ...stats: number[]): number {
  let total = 0;
  for (let lruList = 0; lruList < store.memory.heads.length; lruList += 1) {
    for (const stat of stats) total += store.memory.lruStats[lruList * LRU_STATS + stat]!;
  }
  return total;
}

test("a step of the maintainer moves or frees about a hundred items, and it says when there is more", () => {
  const cache = filled();
  const maintainer = new LruMaintainer(cache.store.items);
  let steps = 0;
  for (let next = 0; next === 0; steps += 1) {
    const before = sum(cache.store, LRU_STAT.movesToCold);
    next = maintainer.step(0);
    const moved = sum(cache.store, LRU_STAT.movesToCold) - before;
    assert.ok(moved <= 105, `${moved} items in one step`);
  }
  assert.ok(steps > 100, `${steps} steps`);
  assert.ok(sum(cache.store, LRU_STAT.movesToCold) > ITEMS / 2);
});

test("a step of the crawler looks at no more items than it was told", () => {
  const cache = filled(1);
  cache.advance(5);
  const crawler = new LruCrawler(cache.store.items);
  crawler.start(
    Array.from({ length: 255 }, (_, lruList) => lruList + 1),
    0,
  );
  for (let done = false; !done;) {
    const before = sum(cache.store, LRU_STAT.crawlerItemsChecked);
    done = crawler.step(50);
    const looked = sum(cache.store, LRU_STAT.crawlerItemsChecked) - before;
    assert.ok(looked <= 50, `${looked} items in one step`);
  }
  assert.equal(sum(cache.store, LRU_STAT.crawlerReclaimed), ITEMS);
});

test("a step of the page mover rescues at most 64 items", () => {
  const cache = filled();
  const { items, memory } = cache.store;
  const rebalancer = new SlabRebalancer(items);
  assert.equal(rebalancer.start(items.slabs.classOf(65), 5, true), REASSIGN.ok);
  while (rebalancer.running) {
    const before = memory.globals[GLOBAL.reassignRescues]!;
    rebalancer.step();
    assert.ok(memory.globals[GLOBAL.reassignRescues]! - before <= 64);
  }
  assert.ok(memory.globals[GLOBAL.reassignRescues]! > 1000);
  checkStore(cache.store);
});

test("a turn of the background work ends when its time is over, however much there is to do", () => {
  const cache = filled();
  let nowMs = 0;
  let fire = (): void => {};
  const clock: Clock = {
    now: () => (nowMs += 0.05), // each look at the clock takes its time
    wallMs: () => 0,
    at(_deadline, call) {
      fire = call;
      return () => {};
    },
    afterInput: () => () => {},
  };
  const background = new BackgroundScheduler(cache.store, clock, undefined);
  const reader: DumpSink = { closed: false, hold() {}, release() {}, send: () => true, onceDrained() {} };
  assert.equal(background.crawl("metadump", "all", reader), undefined);
  for (let turn = 0; turn < 20; turn += 1) {
    const before = sum(cache.store, LRU_STAT.crawlerItemsChecked);
    fire();
    const looked = sum(cache.store, LRU_STAT.crawlerItemsChecked) - before;
    assert.ok(looked > 0 && looked <= 550, `${looked} items in a turn`); // eleven looks of 0.05 ms, 50 items each
  }
});

test("flush_all takes at once what was stored, frees few of it, and keeps what is stored after it in the same second", () => {
  const cache = filled();
  const before = cache.store.memory.globals[GLOBAL.currItems]!;
  assert.equal(cache.say("flush_all\r\n"), "OK\r\n");
  assert.ok(before - cache.store.memory.globals[GLOBAL.currItems]! <= 500);
  cache.say("set new 0 0 1\r\nx\r\n");
  assert.equal(cache.say("get k0 k1 k500 k19999 new\r\n"), "VALUE new 0 1\r\nx\r\nEND\r\n");
  assert.equal(cache.say("add k7 0 0 1\r\ny\r\n"), "STORED\r\n");
  checkStore(cache.store);
});

test("what was flushed stays so through forty flushes and stores of one second, and a delayed flush after them", () => {
  const cache = filled();
  for (let round = 0; round < 40; round += 1) {
    assert.equal(cache.say(`flush_all\r\nset r${round} 0 0 1\r\nx\r\n`), "OK\r\nSTORED\r\n");
  }
  const all = Array.from({ length: ITEMS }, (_, key) => `k${key}`).join(" ");
  assert.equal(cache.say("flush_all 1000\r\n"), "OK\r\n");
  assert.equal(cache.say(`get r0 r23 r38 r39 ${all}\r\n`), "VALUE r39 0 1\r\nx\r\nEND\r\n");
  cache.advance(1001);
  assert.equal(cache.say("get r39\r\n"), "END\r\n");
  checkStore(cache.store);
});

test("after stats reset, a flush takes what was stored since as well", () => {
  const cache = new DirectCache();
  cache.say("set a 0 0 1\r\nx\r\nflush_all\r\n");
  cache.say("stats reset\r\nset b 0 0 1\r\nx\r\nflush_all\r\n");
  assert.equal(cache.say("get a b\r\n"), "END\r\n");
});

/** The most that one turn of the connection does of what `read` counts. */
function mostInATurn(cache: DirectCache, request: string, read: () => number): number {
  const bytes = Buffer.from(request, "latin1");
  let most = 0;
  for (let at = 0; ;) {
    const before = read();
    at = cache.session.consume(bytes, at, bytes.length);
    cache.context.out.reset();
    most = Math.max(most, read() - before);
    if (!cache.session.blocked) return most;
  }
}

const gets = (cache: DirectCache) => (): number => cache.store.counters.values[0]!;

test("a get of 50,000 keys that are not there is answered in turns of a thousand", () => {
  const cache = new DirectCache();
  const keys = Array.from({ length: 50_000 }, (_, key) => `m${key}`).join(" ");
  const most = mostInATurn(cache, `get ${keys}\r\n`, gets(cache));
  assert.ok(most >= 500 && most <= 1020, `${most} keys in a turn`);
  assert.equal(gets(cache)(), 50_000);
});

test("ten thousand commands in one read are answered in turns of a thousand, and so are gets of many keys", () => {
  const cache = new DirectCache();
  assert.ok(mostInATurn(cache, "get a\r\n".repeat(10_000), gets(cache)) <= 1000);
  assert.ok(mostInATurn(cache, `get${" a".repeat(100)}\r\n`.repeat(100), gets(cache)) <= 1020);
  assert.equal(gets(cache)(), 20_000);
});

test("five statistics make a turn, and so do a few appends to a large value", () => {
  const cache = new DirectCache();
  const replies = (): number => replied;
  let replied = 0;
  const { out } = cache.context;
  const put = out.put.bind(out);
  out.put = (constant) => {
    replied += 1;
    put(constant);
  };
  assert.ok(mostInATurn(cache, "stats slabs\r\n".repeat(50), replies) <= 5);
  cache.say(`set k 0 0 300000\r\n${"x".repeat(300_000)}\r\n`);
  assert.ok(mostInATurn(cache, "append k 0 0 1\r\ny\r\n".repeat(50), replies) <= 5);
});

test("a line of blanks, or one that is a single endless key, is passed over in parts", () => {
  const cache = new DirectCache();
  assert.equal(cache.say(`get${" ".repeat(100_000)}a\r\n`), "END\r\n");
  assert.equal(cache.say(`get a${" ".repeat(100_000)}b\r\n`), "END\r\n");
  assert.equal(cache.say(`get a ${"k".repeat(100_000)}\r\n`), "CLIENT_ERROR bad command line format\r\n");
});

test("the bench of pauses measures every kind of turn", async () => {
  const names = (await measurePauses({ sets: 60_000, megabytes: 16 })).map(({ name }) => name.split(":")[0]);
  for (const task of ["maintain", "crawl", "move", "flush_all", "stats cachedump", "64 KiB of gets"]) {
    assert.ok(names.includes(task), `${task} is among ${[...new Set(names)].join(", ")}`);
  }
});
