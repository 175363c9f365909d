import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { toWireKey } from "../../../../src/cache/client/api/key.ts";
import { placementKey } from "../../../../src/cache/client/operations/wire-key.ts";

const LONG = "k".repeat(251);

test("a plain key of 1 to 250 bytes goes as it is, UTF-8 as its bytes", () => {
  for (const key of ["a", "user:42:profile", "k".repeat(250), "!~"]) assert.equal(toWireKey(key, "refuse"), key);
  assert.equal(toWireKey("ü", "refuse"), "\u00c3\u00bc");
  assert.equal(toWireKey("☃".repeat(83), "refuse").length, 249);
  assert.equal(toWireKey(Buffer.from("abc"), "refuse"), "abc");
});

test("empty, over-long and binary keys are refused with a sentence that names the way out", () => {
  for (const [key, sentence] of [
    ["", /an empty key/],
    [LONG, /251 bytes.*at most 250.*'hash'/],
    ["☃".repeat(84), /252 bytes/],
    ["two words", /byte 0x20 at 3.*'hash'.*'base64'/],
    ["line\n", /0x0a at 4/],
    ["\u0000", /0x00 at 0/],
    ["\u007f", /0x7f at 0/],
    [Buffer.of(1, 2), /0x01 at 0/],
  ] as const) {
    assert.throws(() => toWireKey(key, "refuse"), { code: "CACHE_KEY_INVALID", message: sentence });
  }
});

test('with keys: "hash" what does not fit becomes its SHA-256, and only that', () => {
  const expected = `sha256:${createHash("sha256").update(LONG).digest("base64url")}`;
  assert.equal(toWireKey(LONG, "hash"), expected);
  assert.match(toWireKey("two words", "hash"), /^sha256:[\w-]{43}$/);
  assert.equal(toWireKey("plain", "hash"), "plain");
  assert.throws(() => toWireKey("", "hash"), { code: "CACHE_KEY_INVALID" });
});

test('with keys: "base64" what does not fit goes as base64, up to 187 bytes', () => {
  assert.equal(toWireKey("two words", "base64"), ` ${Buffer.from("two words").toString("base64")}`);
  assert.equal(toWireKey("plain", "base64"), "plain");
  assert.equal(toWireKey(Buffer.alloc(186), "base64").length, 249);
  assert.throws(() => toWireKey(Buffer.alloc(187), "base64"), { code: "CACHE_KEY_INVALID", message: /187 bytes, at most 186/ });
});

test("a key in base64 is placed by its raw bytes, as clients that send it raw would place it", () => {
  assert.equal(placementKey(toWireKey("two words", "base64")), "two words");
  assert.equal(placementKey("plain"), "plain");
});
