import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "../../src/core/heap.ts";

interface Item {
  rank: number;
  position: number;
}

function tracked(): Heap<Item> {
  return new Heap<Item>({ before: (a, b) => a.rank < b.rank, setPosition: (item, position) => (item.position = position) });
}

test("items come out in order whatever the order they went in", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (ranks) => {
      const heap = new Heap<number>({ before: (a, b) => a < b });
      for (const rank of ranks) heap.push(rank);
      const out = Array.from({ length: ranks.length }, () => heap.pop());
      assert.deepEqual(
        out,
        ranks.toSorted((a, b) => a - b),
      );
      assert.equal(heap.pop(), undefined);
    }),
  );
});

test("any item can be removed or re-ranked in place", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { minLength: 1 }),
      fc.array(fc.tuple(fc.nat(), fc.option(fc.integer()))),
      (ranks, changes) => {
        const heap = tracked();
        const items = new Set(ranks.map((rank) => ({ rank, position: -1 })));
        for (const item of items) heap.push(item);
        for (const [choice, rank] of changes) {
          if (items.size === 0) break;
          const item = [...items][choice % items.size]!;
          if (rank === null) {
            assert.equal(heap.remove(item.position), item);
            assert.equal(item.position, -1);
            items.delete(item);
          } else {
            item.rank = rank;
            heap.moved(item.position);
          }
        }
        const expected = [...items].map(({ rank }) => rank).sort((a, b) => a - b);
        assert.deepEqual(
          expected,
          Array.from({ length: items.size }, () => heap.pop()!.rank),
        );
      },
    ),
  );
});

test("a position outside the heap is a bug, not a silent no-op", () => {
  assert.throws(() => tracked().remove(0), { code: "ASSERTION_FAILED" });
  assert.throws(() => tracked().moved(-1), { code: "ASSERTION_FAILED" });
});
