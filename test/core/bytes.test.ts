import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, hex, sameBytes, utf8 } from "../../src/core/bytes.ts";

const bytes = fc.uint8Array();

test("bytes joined are the parts, one after the other", () => {
  fc.assert(
    fc.property(fc.array(bytes), (parts) => {
      assert.deepEqual(
        [...concat(...parts)],
        parts.flatMap((part) => [...part]),
      );
    }),
  );
});

test("hex is two digits a byte, as Node writes it", () => {
  fc.assert(fc.property(bytes, (some) => assert.equal(hex(some), Buffer.from(some).toString("hex"))));
});

test("two byte strings are the same when every byte is, and not when one is changed or missing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), (some, choice) => {
      assert.ok(sameBytes(some, some.slice()));
      assert.ok(!sameBytes(some, some.subarray(1)));
      const changed = some.slice();
      changed[choice % some.length]! ^= 1;
      assert.ok(!sameBytes(some, changed));
    }),
  );
});

test("a text's bytes are its UTF-8", () => {
  assert.equal(Buffer.from(utf8("Grüße, 世界")).toString(), "Grüße, 世界");
});
