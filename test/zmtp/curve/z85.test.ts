import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeZ85, encodeZ85 } from "../../../src/zmtp/curve/z85.ts";

test("RFC 32's example: eight octets are HelloWorld", () => {
  const octets = Buffer.from("864fd26fb559f75b", "hex");
  assert.equal(encodeZ85(octets), "HelloWorld");
  assert.deepEqual(Buffer.from(decodeZ85("HelloWorld")), octets);
});

test("any octets in fours come back from their text", () => {
  const fours = fc.uint8Array({ maxLength: 16 }).map((bytes) => bytes.subarray(0, bytes.length & ~3));
  fc.assert(fc.property(fours, (bytes) => assert.deepEqual(decodeZ85(encodeZ85(bytes)), new Uint8Array(bytes))));
});

test("the extremes of a group are 00000 and %nSc0; one more is refused", () => {
  assert.equal(encodeZ85(new Uint8Array(4)), "00000");
  assert.equal(encodeZ85(new Uint8Array(4).fill(255)), "%nSc0");
  assert.throws(() => decodeZ85("%nSc1"), { code: "ZMQ_Z85_INVALID" });
  assert.throws(() => decodeZ85("#####"), { code: "ZMQ_Z85_INVALID" });
});

test("a text of another length or alphabet is refused without repeating it, since it may be a secret key", () => {
  for (const text of ["1234", "12~45", "1234\u00e9", 'abcd"', "abc\ue000e"]) {
    assert.throws(
      () => decodeZ85(text),
      (error: Error & { code?: string }) => error.code === "ZMQ_Z85_INVALID" && !error.message.includes(text),
    );
  }
  assert.throws(() => encodeZ85(new Uint8Array(3)), { code: "ZMQ_Z85_INVALID" });
});
