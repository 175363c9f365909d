/** Random requests against a model of what they mean, with every invariant of the memory checked in between. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LruCrawler } from "../../../src/cache/background/lru-crawler.ts";
import { LruMaintainer } from "../../../src/cache/background/lru-maintainer.ts";
import { SlabRebalancer, REASSIGN } from "../../../src/cache/background/slab-rebalancer.ts";
import { type Random, between, pick, seeded } from "../../../src/core/random.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { checkStore } from "../../support/store-check.ts";

const MEGABYTE = 1024 * 1024;

interface Expected {
  value: string;
  expiresAt: number;
}

/** What a cache that never evicts would hold. */
class Model {
  readonly items = new Map<string, Expected>();
  now = 62;

  live(key: string): Expected | undefined {
    const item = this.items.get(key);
    if (item && item.expiresAt !== 0 && item.expiresAt <= this.now) this.items.delete(key);
    return this.items.get(key);
  }
}

function valueOf(random: Random, bytes: number): string {
  const letter = String.fromCharCode(between(random, 97, 122));
  return letter.repeat(bytes);
}

function size(random: Random): number {
  return Math.floor(1.2 * MEGABYTE ** random()) % (700 * 1024);
}

/** One random request, its reply checked; `lossy` allows the cache to have evicted what the model still has. */
function step(cache: DirectCache, model: Model, random: Random, lossy: boolean): void {
  const key = `key${between(random, 0, 60)}`;
  const known = model.live(key);
  const exptime = pick(random, [0, 0, 0, 5, 100]);
  const expiresAt = exptime === 0 ? 0 : model.now + exptime;
  const value = valueOf(random, size(random));
  const command = pick(random, [
    "set",
    "set",
    "add",
    "replace",
    "append",
    "prepend",
    "get",
    "get",
    "get",
    "delete",
    "touch",
  ] as const);
  const data = `0 ${exptime} ${value.length}\r\n${value}\r\n`;
  switch (command) {
    case "get": {
      const reply = cache.say(`get ${key}\r\n`);
      if (reply === "END\r\n") assert.ok(lossy || !known, `${key} is lost`);
      else assert.equal(reply, `VALUE ${key} 0 ${known?.value.length}\r\n${known?.value}\r\nEND\r\n`);
      if (reply === "END\r\n") model.items.delete(key);
      return;
    }
    case "delete":
      if (cache.say(`delete ${key}\r\n`) === "DELETED\r\n") assert.ok(known);
      else assert.ok(lossy || !known);
      model.items.delete(key);
      return;
    case "touch":
      if (cache.say(`touch ${key} ${exptime}\r\n`) === "TOUCHED\r\n") known!.expiresAt = expiresAt;
      else model.items.delete(key);
      return;
    default: {
      const reply = cache.say(`${command} ${key} ${data}`);
      if (reply === "SERVER_ERROR object too large for cache\r\n" && command === "set") model.items.delete(key);
      if (reply === "NOT_STORED\r\n" && (command === "replace" || command === "append" || command === "prepend")) {
        // missing, or joined too large to be stored: then the old value lives on
        if (cache.say(`get ${key}\r\n`) === "END\r\n") model.items.delete(key);
      }
      if (reply !== "STORED\r\n") return;
      const old = known?.value ?? "";
      if (command === "append") model.items.set(key, { value: old + value, expiresAt: known!.expiresAt });
      else if (command === "prepend") model.items.set(key, { value: value + old, expiresAt: known!.expiresAt });
      else model.items.set(key, { value, expiresAt });
    }
  }
}

function advance(cache: DirectCache, model: Model, seconds: number): void {
  cache.advance(seconds);
  model.now += seconds;
}

for (const seed of [1, 2, 3]) {
  test(`the store agrees with a model while nothing is evicted (seed ${seed})`, () => {
    const random = seeded(seed);
    const cache = new DirectCache({ memoryBytes: 256 * MEGABYTE, itemBytesMax: 2 * MEGABYTE });
    const model = new Model();
    for (let round = 0; round < 1500; round += 1) {
      step(cache, model, random, false);
      if (round % 50 === 0) advance(cache, model, 1);
      if (round % 300 === 0) checkStore(cache.store);
    }
    checkStore(cache.store);
  });

  for (const eviction of ["lru", "s3fifo"] as const)
    test(`under eviction by ${eviction}, page moves, crawls and queue upkeep no value is wrong and no chunk lost (seed ${seed})`, () => {
      const random = seeded(seed);
      const cache = new DirectCache({ memoryBytes: 20 * MEGABYTE, itemBytesMax: 2 * MEGABYTE, growthFactor: 2.5, eviction });
      const { items } = cache.store;
      const model = new Model();
      const rebalancer = new SlabRebalancer(items);
      const crawler = new LruCrawler(items);
      const maintainer = new LruMaintainer(items);
      let crawling = false;
      let moves = 0;
      for (let round = 0; round < 2000; round += 1) {
        step(cache, model, random, true);
        if (round % 20 === 0) advance(cache, model, 1);
        if (round % 3 === 0) maintainer.step(round * 10);
        if (crawling) crawling = !crawler.step(3);
        else if (round % 40 === 0) {
          crawler.start([items.slabs.classOf(100), items.slabs.largest, items.slabs.largest | 128], 0);
          crawling = true;
        }
        if (rebalancer.running) rebalancer.step();
        else if (rebalancer.start(-1, between(random, 0, items.slabs.largest), true) === REASSIGN.ok) moves += 1;
        if (round % 200 === 0 && !rebalancer.running) checkStore(cache.store);
      }
      while (rebalancer.running) rebalancer.step();
      checkStore(cache.store);
      assert.ok(moves > 5, `${moves} page moves`);
    });
}

test("an upload that is broken off leaves no chunk behind", () => {
  const cache = new DirectCache({ memoryBytes: 64 * MEGABYTE, itemBytesMax: 2 * MEGABYTE });
  const free = (): number => cache.store.memory.classFreeCount.reduce((sum, count) => sum + count, 0);
  cache.say(`set a 0 0 ${MEGABYTE}\r\n${"x".repeat(MEGABYTE)}\r\ndelete a\r\n`);
  const before = free();
  cache.say(`set b 0 0 ${MEGABYTE}\r\n${"x".repeat(700_000)}`);
  assert.ok(free() < before);
  cache.reconnect();
  assert.equal(free(), before);
  checkStore(cache.store);
});
