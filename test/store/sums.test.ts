/** A row's sums: which damage they see. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { test } from "node:test";
import { isWhole, sumOf } from "../../src/store/sqlite/schema.ts";

test("a turned bit is seen in whatever row it is, also where it is the bit that the row's number has", () => {
  const bytes = Buffer.from("what was written");
  for (const id of [1, 2, 3, 4, 8, 64, 2 ** 20, 2 ** 31, 2 ** 40 + 1]) {
    const sum = sumOf(bytes, id);
    assert.ok(isWhole(bytes, sum, id));
    assert.ok(!isWhole(bytes, sum, id + 1));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert.ok(!isWhole(bytes, sum, id), `bit ${bit} of row ${id}`);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  }
});

test("sums without a number count for the rows that version 1 wrote, and for no others", () => {
  const bytes = Buffer.from("what was written");
  assert.ok(isWhole(bytes, crc32(bytes), 7, 7));
  assert.ok(!isWhole(bytes, crc32(bytes), 8, 7));
});
