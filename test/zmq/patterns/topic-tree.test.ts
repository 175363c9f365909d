/** The radix tree against the plainest possible model. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TopicTree } from "../../../src/zmq/patterns/topic-tree.ts";

const topic = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 6 }).map((octets) => Buffer.from(octets));
const step = fc.record({ kind: fc.constantFrom("add", "remove"), topic, value: fc.integer({ min: 0, max: 3 }) });

test("whatever is added and removed, a message meets those whose topics it begins with", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(topic, { maxLength: 10 }), (steps, messages) => {
      const tree = new TopicTree<number>();
      const model = new Map<string, Set<number>>();
      for (const { kind, topic, value } of steps) {
        const key = topic.toString("hex");
        const had = model.get(key) ?? new Set<number>();
        const known = had.has(value);
        if (kind === "add") {
          model.set(key, had.add(value));
          assert.equal(tree.add(topic.toString("latin1"), value), known ? 0 : had.size);
        } else {
          had.delete(value);
          assert.equal(tree.remove(topic.toString("latin1"), value), known ? had.size : undefined);
        }
      }
      for (const message of messages) {
        const expected = new Set<number>();
        for (const [key, values] of model) {
          if (message.toString("hex").startsWith(key)) for (const value of values) expected.add(value);
        }
        const found = new Set<number>();
        tree.match(message, (value) => found.add(value));
        assert.deepEqual([...found].toSorted(), [...expected].toSorted());
        assert.equal(tree.matches(message), expected.size > 0);
      }
    }),
  );
});
