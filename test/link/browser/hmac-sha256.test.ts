/** HMAC-SHA256 of the browser's client, with Node's as the judge. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hmacSha256, sha256 } from "../../../src/link/browser/hmac-sha256.ts";

test("it is Node's, for keys and messages of any length, in any parts", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.uint8Array({ maxLength: 150 }), { maxLength: 4 }),
      (key, parts) => {
        const expected = createHmac("sha256", key).update(Buffer.concat(parts)).digest();
        assert.deepEqual(Buffer.from(hmacSha256(key, parts)), expected);
      },
    ),
  );
});

test("every length up to three blocks is padded as FIPS 180-4 says", () => {
  for (let length = 0; length <= 192; length += 1) {
    const message = Buffer.alloc(length, length);
    assert.deepEqual(Buffer.from(sha256([message])), createHash("sha256").update(message).digest(), `${length} bytes`);
  }
});
