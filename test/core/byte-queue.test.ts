import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteQueue } from "../../src/core/byte-queue.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");

function filled(...chunks: string[]): ByteQueue {
  const queue = new ByteQueue();
  for (const chunk of chunks) queue.push(bytes(chunk));
  return queue;
}

test("what lies in one chunk is handed out without a copy", () => {
  const queue = new ByteQueue();
  const chunk = bytes("get a\r\nget b\r\n");
  queue.push(chunk);
  queue.skip(7);
  assert.equal(queue.peek(7).buffer, chunk.buffer);
  assert.equal(text(queue.take(7)), "get b\r\n");
  assert.equal(queue.length, 0);
});

test("what spans chunks is joined once and then shared", () => {
  const queue = filled("ab", "cd", "ef");
  const first = queue.peek(5);
  assert.equal(text(first), "abcde");
  assert.equal(queue.peek(4).buffer, first.buffer);
  assert.equal(queue.length, 6);
});

test("an LF is found wherever the chunks are cut, and a byte is searched once", () => {
  const queue = filled("abc");
  assert.equal(queue.indexOfLf(), -1);
  queue.push(bytes("de"));
  assert.equal(queue.indexOfLf(), -1);
  queue.push(bytes("f\ng\n"));
  assert.equal(queue.indexOfLf(), 6);
  queue.skip(7);
  assert.equal(queue.indexOfLf(), 1);
});

test("taking nothing from an empty queue answers no bytes", () => {
  assert.equal(new ByteQueue().take(0).length, 0);
});

test("more than has arrived cannot be taken", () => {
  assert.throws(() => filled("abc").take(4), { code: "ASSERTION_FAILED" });
  assert.throws(() => filled("abc").at(3), { code: "ASSERTION_FAILED" });
});

test("any order of pushes, takes, skips and searches behaves as one string would", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), value: fc.stringMatching(/^[ab\n]{0,9}$/) }),
    fc.record({
      kind: fc.constantFrom("take" as const, "skip" as const, "peek" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ kind: fc.constant("search" as const) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const queue = new ByteQueue();
      let model = "";
      for (const step of operations) {
        if (step.kind === "push") {
          queue.push(bytes(step.value));
          model += step.value;
        } else if (step.kind === "search") {
          assert.equal(queue.indexOfLf(), model.indexOf("\n"));
        } else {
          const count = Math.floor(step.share * model.length);
          if (step.kind === "skip") queue.skip(count);
          else assert.equal(text(step.kind === "take" ? queue.take(count) : queue.peek(count)), model.slice(0, count));
          if (step.kind !== "peek") model = model.slice(count);
        }
        assert.equal(queue.length, model.length);
        if (model.length > 0) assert.equal(queue.at(model.length - 1), model.charCodeAt(model.length - 1));
      }
    }),
  );
});
