import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader } from "../../src/core/byte-reader.ts";
import { ByteWriter } from "../../src/core/byte-writer.ts";

class Reader extends ByteReader {
  protected override invalid(what: string): Error {
    return new RangeError(what);
  }
}

test("what a writer wrote is read back field by field, and nothing is left", () => {
  const safe = fc.nat(Number.MAX_SAFE_INTEGER);
  fc.assert(
    fc.property(safe, fc.double({ noNaN: true }), fc.uint8Array(), (whole, real, bytes) => {
      const writer = new ByteWriter().u8(7).u16(300).u32(70_000).u64(BigInt(whole)).f64(real).bytes(bytes);
      const reader = new Reader(writer.take());
      const read = [reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.f64(), reader.view(bytes.length)];
      assert.deepEqual(read, [7, 300, 70_000, whole, real, bytes]);
      assert.equal(reader.left, 0);
    }),
  );
});

test("a field that the bytes end in is refused, and so is a number that cannot be exact", () => {
  assert.throws(() => new Reader(new Uint8Array(3)).u32(), { message: "bytes missing" });
  assert.throws(() => new Reader(new Uint8Array(3)).view(4), { message: "bytes missing" });
  assert.throws(() => new Reader(new ByteWriter().u64(2n ** 53n).take()).u64(), { message: "a number past 2^53" });
});
