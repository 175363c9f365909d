import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWriter } from "../../src/core/byte-writer.ts";

test("numbers are written in network order", () => {
  const writer = new ByteWriter();
  writer.u8(1).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e0fn);
  assert.deepEqual([...writer.take()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
});

test("it grows past its first capacity without losing a byte", () => {
  const writer = new ByteWriter(16);
  for (let index = 0; index < 5000; index += 1) writer.ascii("x").utf8("é");
  const taken = writer.take();
  assert.equal(taken.length, 15_000);
  assert.equal(Buffer.from(taken).toString("utf8"), "xé".repeat(5000));
});

test("bytes that were taken do not change when more is written", () => {
  const writer = new ByteWriter();
  const taken = writer.ascii("first").take();
  writer.ascii("other");
  assert.equal(Buffer.from(taken).toString(), "first");
  assert.equal(writer.length, 5);
});
