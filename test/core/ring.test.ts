import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Ring } from "../../src/core/ring.ts";

/** What is done to a ring and to an array: 0 unshift, 1 drain, 2 clear, 3 … 5 shift, above push. */
const steps = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 300 });

test("a ring answers as an array does, whatever is done to it", () => {
  fc.assert(
    fc.property(steps, (actions) => {
      const ring = new Ring<number>();
      const model: number[] = [];
      for (const [number, action] of actions.entries()) {
        if (action === 0) {
          ring.unshift(number);
          model.unshift(number);
        } else if (action === 1) assert.deepEqual(ring.drain(), model.splice(0));
        else if (action === 2) {
          ring.clear();
          model.length = 0;
        } else if (action <= 5) assert.equal(ring.shift(), model.shift());
        else {
          ring.push(number);
          model.push(number);
        }
        assert.equal(ring.length, model.length);
        assert.equal(ring.peek(), model[0]);
        assert.deepEqual([...ring], model);
        for (let index = 0; index <= model.length; index += 1) assert.equal(ring.at(index), model[index]);
      }
    }),
  );
});

test("a burst of 10,000 items comes out in order, and the ring works on after it", () => {
  const ring = new Ring<number>();
  for (let round = 0; round < 2; round += 1) {
    for (let number = 0; number < 10_000; number += 1) ring.push(number);
    for (let number = 0; number < 10_000; number += 1) assert.equal(ring.shift(), number);
    assert.equal(ring.shift(), undefined);
    assert.equal(ring.length, 0);
  }
});
