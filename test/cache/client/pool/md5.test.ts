import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { md5Words } from "../../../../src/cache/client/pool/md5.ts";

test("md5 agrees with OpenSSL's for every length up to three blocks and every byte", () => {
  for (let length = 0; length <= 200; length += 1) {
    const bytes = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length * 11) & 0xff));
    const words = md5Words(bytes.toString("latin1"));
    const digest = Buffer.alloc(16);
    words.forEach((word, index) => digest.writeInt32LE(word, index * 4));
    assert.equal(digest.toString("hex"), createHash("md5").update(bytes).digest("hex"), `${length} bytes`);
  }
});
