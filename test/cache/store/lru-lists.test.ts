/** LRU lists that are linked wrongly are found by an assertion, at once: never by a loop without end. */
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
