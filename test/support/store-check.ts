/** Checks every invariant of a store's memory: what each chunk is, and that index, LRU lists and counters say the same of it. */
import assert from "node:assert/strict";
import * as Item from "../../src/cache/store/item.ts";
import { GLOBAL } from "../../src/cache/store/memory.ts";
import { isMark } from "../../src/cache/store/lru-lists.ts";
import type { ItemStore } from "../../src/cache/store/item-store.ts";

/** @param held items that uploads hold, unlinked */
export function checkStore(store: ItemStore, held: ReadonlySet<number> = new Set()): void {
  const { memory, items } = store;
  const linked = linkedInLruLists(store);
  const found = foundInIndex(store);
  assert.deepEqual([...found].sort(byNumber), [...linked].sort(byNumber), "index and queues hold the same items");
  assert.equal(memory.globals[GLOBAL.currItems], linked.size, "curr_items counts the linked items");
  let bytes = 0;
  for (const item of linked) bytes += Item.countedBytes(items.words, item);
  assert.equal(memory.globals[GLOBAL.currBytes], bytes, "bytes counts the linked items");
  checkChunks(store, new Set([...linked, ...held]));
}

function linkedInLruLists({ memory, items }: ItemStore): Set<number> {
  const { words } = items;
  const linked = new Set<number>();
  for (let lruList = 0; lruList < 256; lruList += 1) {
    let count = 0;
    let bytes = 0;
    let previous = 0;
    for (let item = memory.heads[lruList]!; item !== 0; item = Item.next(words, item)) {
      assert.equal(Item.prev(words, item), previous, "a queue's links agree in both directions");
      previous = item;
      if (isMark(item)) continue;
      assert.equal(Item.lruList(words, item), lruList, "an item names the queue it is in");
      assert.notEqual(Item.flags(words, item) & Item.LINKED, 0, "an item in a queue is linked");
      assert.ok(!linked.has(item), "an item is in one queue only");
      linked.add(item);
      count += 1;
      bytes += Item.countedBytes(items.words, item);
    }
    assert.equal(memory.tails[lruList], previous, "a queue's tail is its last item");
    assert.equal(memory.sizes[lruList], count, "a queue's size counts its items");
    assert.equal(memory.sizesBytes[lruList], bytes, "a queue's bytes count its items");
  }
  return linked;
}

function foundInIndex({ items }: ItemStore): Set<number> {
  const found = new Set<number>();
  for (let bucket = 0; bucket < items.index.bucketCount; bucket += 1) {
    for (let item = items.index.first(bucket); item !== 0; item = Item.chain(items.words, item)) {
      const key = Buffer.from(items.keyOf(item));
      const hash = items.index.hash(key, 0, key.length);
      assert.equal(Item.hash(items.words, item), hash >>> 0, "an item keeps its key's hash");
      assert.equal(items.index.find(key, 0, key.length, hash), item, "an item is found by its key");
      found.add(item);
    }
  }
  return found;
}

function checkChunks({ memory, items }: ItemStore, owners: ReadonlySet<number>): void {
  const { words, slabs } = items;
  const owned = new Set<number>(owners);
  for (const item of owners) {
    if (!Item.has(words, item, Item.CHUNKED)) continue;
    for (let chunk = Item.firstChunk(words, item); chunk !== 0; chunk = Item.next(words, chunk)) {
      assert.equal(Item.chunkOwner(words, chunk), item, "a chunk knows its item");
      owned.add(chunk);
    }
  }
  for (let slabClass = 1; slabClass <= slabs.largest; slabClass += 1) {
    const free = new Set<number>();
    for (let chunk = memory.classFree[slabClass]!; chunk !== 0; chunk = Item.next(words, chunk)) free.add(chunk);
    assert.equal(free.size, memory.classFreeCount[slabClass], "the free count counts the free list");
    let pages = 0;
    for (let page = memory.classFirstPage[slabClass]!; page !== 0; page = memory.pageNext[page]!) {
      pages += 1;
      const step = memory.classBytes[slabClass]! / 8;
      for (let position = 0; position < memory.classPerPage[slabClass]!; position += 1) {
        const chunk = slabs.pageStart(page) + position * step;
        assert.ok(free.delete(chunk) !== owned.delete(chunk), `chunk ${chunk} of class ${slabClass} is either free or owned`);
      }
    }
    assert.equal(free.size, 0, "free chunks lie in the class's pages");
    assert.equal(pages, memory.classPages[slabClass], "the page count counts the pages");
  }
  assert.equal(owned.size, 0, "every item lies in a page of its class");
}

function byNumber(a: number, b: number): number {
  return a - b;
}
