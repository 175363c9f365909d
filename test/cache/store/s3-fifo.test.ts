/** `-o eviction=s3fifo`: hits move nothing, what is read stays, what comes back soon is kept, and ghosts are bounded and counted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tableStats } from "../../../src/cache/protocol/stats.ts";
import { itemRecords, RecordReader } from "../../../src/cache/store/item-records.ts";
import * as Item from "../../../src/cache/store/item.ts";
import { PAGE_BYTES } from "../../../src/cache/store/limits.ts";
import { GLOBAL } from "../../../src/cache/store/memory.ts";
import type { StoreSettings } from "../../../src/cache/store/settings.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { checkStore } from "../../support/store-check.ts";

const MEGABYTE = 1024 * 1024;
/** Some 1,100 of these fill a page; all are of one class. */
const VALUE = "v".repeat(800);

function cacheOf(settings: Partial<StoreSettings> = {}): DirectCache {
  return new DirectCache({ memoryBytes: 4 * MEGABYTE, eviction: "s3fifo", ...settings });
}

const set = (cache: DirectCache, key: string, exptime = 0): string =>
  cache.say(`set ${key} 0 ${exptime} ${VALUE.length}\r\n${VALUE}\r\n`);
const has = (cache: DirectCache, key: string): boolean => cache.say(`mn\r\nmg ${key} k\r\n`).includes("HD");

/** Stores until so many items were evicted. */
function evict(cache: DirectCache, count: number, prefix: string): void {
  const evicted = (): number => Number(/evictions (\d+)/.exec(cache.say("stats\r\n"))![1]);
  const until = evicted() + count;
  for (let number = 0; evicted() < until; number += 1) set(cache, `${prefix}${number}`);
}

function itemOf({ store }: DirectCache, key: string): number {
  const bytes = Buffer.from(key);
  return store.items.index.find(bytes, 0, bytes.length, store.hash(bytes, 0, bytes.length));
}

const segmentOf = (cache: DirectCache, key: string): number => Item.segment(cache.store.items.words, itemOf(cache, key));
const hitsOf = (cache: DirectCache, key: string): number => {
  const flags = Item.flags(cache.store.items.words, itemOf(cache, key)) & Item.HITS;
  return [0, Item.ACTIVE, Item.HITS ^ Item.ACTIVE, Item.HITS].indexOf(flags);
};

test("a hit raises a count up to three, moves nothing, and tells 'mg h' as before", () => {
  const cache = cacheOf();
  set(cache, "a");
  set(cache, "b");
  assert.equal(cache.say("mg a h\r\n"), "HD h0\r\n");
  const { heads } = cache.store.memory;
  const head = heads[Item.lruList(cache.store.items.words, itemOf(cache, "a"))]!;
  for (const hits of [2, 3, 3]) {
    assert.equal(cache.say("mg a h\r\n"), "HD h1\r\n");
    assert.equal(hitsOf(cache, "a"), hits);
  }
  assert.equal(heads[Item.lruList(cache.store.items.words, itemOf(cache, "a"))], head);
  assert.equal(head, itemOf(cache, "b"));
});

test("what was read goes on in the main queue when its turn comes, what was not is evicted", () => {
  const cache = cacheOf();
  for (const key of ["read", "idle"]) set(cache, key);
  assert.ok(has(cache, "read"));
  evict(cache, 1, "x");
  assert.equal(itemOf(cache, "idle"), 0);
  assert.equal(segmentOf(cache, "read"), Item.WARM);
  assert.equal(hitsOf(cache, "read"), 0);
  checkStore(cache.store);
});

test("a key that comes back soon after it was evicted is kept in the main queue, and counted", () => {
  const cache = cacheOf();
  set(cache, "back");
  evict(cache, 1, "x");
  assert.equal(itemOf(cache, "back"), 0);
  set(cache, "back");
  assert.equal(segmentOf(cache, "back"), Item.WARM);
  assert.equal(cache.store.memory.globals[GLOBAL.ghostsBackSmall], 1);
  set(cache, "new");
  assert.equal(segmentOf(cache, "new"), Item.HOT);
});

test("an overwrite, an incr that grows and an append keep queue and hits", () => {
  const cache = cacheOf();
  set(cache, "back");
  evict(cache, 1, "x");
  set(cache, "back");
  has(cache, "back");
  has(cache, "back");
  set(cache, "back");
  assert.deepEqual([segmentOf(cache, "back"), hitsOf(cache, "back")], [Item.WARM, 2]);
  cache.say("append back 0 0 1\r\n+\r\n");
  assert.deepEqual([segmentOf(cache, "back"), hitsOf(cache, "back")], [Item.WARM, 2]);
  cache.say("set n 0 0 1\r\n9\r\nget n\r\nincr n 1\r\n");
  assert.deepEqual([segmentOf(cache, "n"), hitsOf(cache, "n")], [Item.HOT, 1]);
});

test("an expired item is freed, not put on, however often it was read", () => {
  const cache = cacheOf();
  set(cache, "short", 5);
  for (let read = 0; read < 3; read += 1) has(cache, "short");
  cache.advance(6);
  const reclaimed = (): number => Number(/reclaimed (\d+)/.exec(cache.say("stats\r\n"))![1]);
  for (let number = 0; reclaimed() === 0; number += 1) {
    set(cache, `x${number}`);
    assert.ok(number < 10_000, "nothing was reclaimed");
  }
  assert.equal(itemOf(cache, "short"), 0);
});

test("where everything is read all the time, something goes all the same", () => {
  const cache = cacheOf();
  evict(cache, 1, "x");
  for (let number = 0; number < 20_000; number += 1) for (let read = 0; read < 3; read += 1) has(cache, `x${number}`);
  assert.equal(set(cache, "one-more"), "STORED\r\n");
  checkStore(cache.store);
});

test("with -M nothing is evicted, and what has expired makes room", () => {
  const cache = cacheOf({ evictToFree: false });
  let number = 0;
  while (set(cache, `x${number}`, number === 0 ? 5 : 0) === "STORED\r\n") number += 1;
  assert.ok(has(cache, "x1"));
  cache.advance(6);
  assert.equal(set(cache, "more"), "STORED\r\n");
});

test("there are about as many ghosts as items, and whole pages of them are counted in -m", () => {
  const cache = cacheOf({ memoryBytes: 64 * MEGABYTE });
  const { globals, classPages } = cache.store.memory;
  for (let number = 0; number < 700_000; number += 1) {
    cache.say(`set key${number} 0 0 1\r\nv\r\n`);
    if (number % 50_000 !== 0 || number === 0) continue;
    const [ghosts, items] = [globals[GLOBAL.ghosts]!, globals[GLOBAL.currItems]!];
    assert.ok(ghosts > 0.85 * items && ghosts < 1.1 * items, `${ghosts} ghosts of ${items} items`);
    const pages = classPages.reduce((sum, count) => sum + count, 0) + globals[GLOBAL.poolPages]!;
    assert.equal(globals[GLOBAL.memoryTaken]! - pages * PAGE_BYTES, Math.floor((ghosts * 4) / PAGE_BYTES) * PAGE_BYTES);
  }
  assert.ok(globals[GLOBAL.memoryTaken]! <= 64 * MEGABYTE);
  assert.ok(globals[GLOBAL.ghosts]! * 4 > PAGE_BYTES);
});

for (const [from, to] of [
  ["s3fifo", "s3fifo"],
  ["s3fifo", "lru"],
  ["lru", "s3fifo"],
] as const) {
  test(`a warm restart from ${from} to ${to} keeps the items, and what was read of them`, () => {
    const before = cacheOf({ eviction: from });
    for (let number = 0; number < 6000; number += 1) {
      set(before, `x${number}`);
      if (number % 3 === 0) has(before, `x${number}`);
      if (number % 3 === 0) has(before, `x${number}`);
    }
    const after = cacheOf({ eviction: to });
    const reader = new RecordReader(after.store.items);
    for (const batch of itemRecords(before.store.items)) reader.push(Buffer.from(batch));
    assert.equal(reader.count, before.store.memory.globals[GLOBAL.currItems]);
    checkStore(after.store);
    if (to === "s3fifo")
      assert.equal(
        after.store.memory.sizes.slice(Item.COLD, Item.TEMP).reduce((sum, count) => sum + count, 0),
        0,
      );
    evict(after, 1000, "y");
    checkStore(after.store);
  });
}

test("stats say what it does, lru mode is refused, and a dump has its items", () => {
  const cache = cacheOf();
  evict(cache, 10, "x");
  const stats = Object.fromEntries(tableStats(cache.store));
  assert.match(String(stats["s3fifo_small_share"]), /^0\.\d{3}$/);
  assert.ok(Number(stats["s3fifo_ghosts"]) > 4000);
  assert.deepEqual([stats["s3fifo_ghosts_back_small"], stats["s3fifo_ghosts_back_main"]], [0, 0]);
  assert.match(cache.say("lru mode flat\r\n"), /^CLIENT_ERROR eviction is s3fifo\r\n$/);
  const items = cache.say("stats items\r\n");
  assert.match(items, /number_cold 0\r\n/);
  assert.match(items, /evicted 1\d\r\n/);
});
