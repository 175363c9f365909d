/** Lists that are linked wrongly are found by an assertion, at once: never by a loop without end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BackgroundScheduler } from "../../../src/cache/background/background-scheduler.ts";
import * as Item from "../../../src/cache/store/item.ts";
import { AssertionFailed } from "../../../src/core/errors.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { DirectCache } from "../../support/direct-cache.ts";

/** Three items of one list: c is its head, a its tail. */
function three() {
  const cache = new DirectCache();
  cache.say("set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\nset c 0 0 1\r\nx\r\n");
  const { items } = cache.store;
  const lruList = items.lruLists.heads.findIndex((head) => head !== 0);
  const head = items.lruLists.heads[lruList]!;
  const tail = items.lruLists.tails[lruList]!;
  return { cache, items, words: items.words, lruList, head, middle: Item.next(items.words, head), tail };
}

const PLANTS: Record<string, (list: ReturnType<typeof three>) => void> = {
  "the head is not unlinked": ({ items, head, lruList }) => {
    items.unlink(head);
    items.lruLists.heads[lruList] = head;
  },
  "the head has an item before it": ({ words, head, tail }) => Item.setPrev(words, head, tail),
  "the tail has an item behind it, a ring": ({ words, head, tail }) => Item.setNext(words, tail, head),
  "a neighbour names another": ({ words, head, tail }) => Item.setNext(words, head, tail),
};

for (const [name, plant] of Object.entries(PLANTS)) {
  test(`planted: ${name}`, () => {
    const list = three();
    plant(list);
    const touchAll = (): void => {
      for (let round = 0; round < 3; round += 1) {
        for (const key of ["d", "b", "c", "a"]) list.cache.say(`set ${key} 0 0 1\r\ny\r\ndelete ${key}\r\n`);
      }
    };
    assert.throws(touchAll, AssertionFailed);
  });
}

/** Three items, with hash chains of one bucket: c, b, a. */
function chained() {
  const cache = new DirectCache({ hashPower: 0, hashExpand: false });
  cache.say("set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\nset c 0 0 1\r\nx\r\n");
  const { items } = cache.store;
  const { words, index } = items;
  const c = index.first(0);
  const b = Item.chain(words, c);
  return { cache, items, words, index, c, b, a: Item.chain(words, b) };
}

const CHAIN_PLANTS: Record<string, (chain: ReturnType<typeof chained>) => void> = {
  "a ring of all": ({ words, a, c }) => Item.setChain(words, a, c),
  "a ring of one": ({ words, a }) => Item.setChain(words, a, a),
  "an item is put in twice": ({ words, index, b }) => index.insert(b, Item.hash(words, b)),
  "an item is lost": ({ words, c, a }) => Item.setChain(words, c, a),
  "an item that was freed is still there": ({ items, words, c, b }) => {
    items.unlink(b);
    Item.setChain(words, c, b);
  },
};

for (const [name, plant] of Object.entries(CHAIN_PLANTS)) {
  test(`planted in a hash chain: ${name}`, () => {
    const chain = chained();
    plant(chain);
    const askAll = (): void => {
      for (const key of ["d", "b", "c", "a"]) chain.cache.say(`get ${key}\r\n`);
      chain.cache.say("delete a\r\ndelete b\r\ndelete c\r\nflush_all\r\n");
    };
    assert.throws(askAll, AssertionFailed);
  });
}

test("planted in a hash chain: items of another bucket, found when the table grows over them", () => {
  const cache = new DirectCache({ hashPower: 1 });
  cache.say("set a 0 0 1\r\nx\r\n");
  const { items } = cache.store;
  const item = items.index.first(0) || items.index.first(1);
  Item.setHash(items.words, item, Item.hash(items.words, item) ^ 1);
  const fill = (): void => {
    for (let key = 0; key < 100; key += 1) cache.say(`set k${key} 0 0 1\r\nx\r\n`);
  };
  assert.throws(fill, AssertionFailed);
});

/** A class with free chunks, and one item of it. */
function withFree() {
  const cache = new DirectCache();
  cache.say("set a 0 0 1\r\nx\r\n");
  const { items } = cache.store;
  const { words } = items;
  const item = items.lruLists.heads.find((head) => head !== 0)!;
  const slabClass = Item.slabClass(words, item);
  const first = items.memory.classFree[slabClass]!;
  return { cache, items, words, item, slabClass, first };
}

const FREE_PLANTS: Record<string, (list: ReturnType<typeof withFree>) => void> = {
  "a chunk that is in use": ({ words, first, item }) => Item.setNext(words, first, item),
  "a chunk of another class": ({ words, first, slabClass }) => Item.setMeta(words, first, Item.SLABBED, slabClass + 1, 0),
  "a ring": ({ words, first }) => Item.setNext(words, first, first),
  "a chunk is freed twice": ({ items, first, slabClass }) => items.slabs.free(first, slabClass),
  "a chunk is freed that an item owns": ({ items, item, slabClass }) => items.slabs.free(item, slabClass),
  "a neighbour names another": ({ items, words, first, slabClass }) => {
    const second = Item.next(words, first);
    Item.setPrev(words, second, 0);
    items.slabs.unlinkFree(second, slabClass);
  },
};

for (const [name, plant] of Object.entries(FREE_PLANTS)) {
  test(`planted in a free list: ${name}`, () => {
    const list = withFree();
    const use = (): void => {
      plant(list);
      for (const key of ["b", "c", "d"]) list.cache.say(`set ${key} 0 0 1\r\nx\r\n`);
    };
    assert.throws(use, AssertionFailed);
  });
}

test("a size whose chunks are all parts of larger items can be stored within 15 s (memcached #1248)", async () => {
  const cache = new DirectCache({ memoryBytes: 32 * 1024 ** 2 });
  const clock = new ManualClock();
  const background = new BackgroundScheduler(cache.store, clock, undefined);
  background.start();
  // 600 KiB are a chunk of 512 KiB and one of the rest's size: that class has only parts of them, and nothing that it could evict.
  const large = "x".repeat(600 * 1024);
  for (let key = 0; key < 200; key += 1) cache.say(`set large${key} 0 0 ${large.length}\r\n${large}\r\n`);
  const refused = [...Array(90).keys()]
    .map((kilobytes) => "y".repeat((kilobytes + 1) * 1024))
    .filter((value) => cache.say(`set k 0 0 ${value.length}\r\n${value}\r\n`).startsWith("SERVER_ERROR"));
  assert.ok(refused.length > 0, "some size has no room at first");
  for (const value of refused) {
    let seconds = 0;
    while (cache.say(`set k 0 0 ${value.length}\r\n${value}\r\n`) !== "STORED\r\n") {
      assert.ok((seconds += 1) <= 15, `${value.length} bytes cannot be stored after 15 s`);
      cache.advance(1);
      clock.advance(1000);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    }
  }
  background.stop();
});
