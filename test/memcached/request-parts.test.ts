/** The parts of which text requests are read: tokens, numbers, verbs, base64 keys, meta flags; and of which replies are written. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import { decodeKey, encodeKey } from "../../src/memcached/key-encoding.ts";
import { copyBytes, copyWords } from "../../src/memcached/copy.ts";
import { MetaFlags } from "../../src/memcached/meta-flags.ts";
import { exactU64, readI32, readU32, readU64, readWrappedI32, readWrappedU32, type U64 } from "../../src/memcached/numbers.ts";
import { ReplyBuffer } from "../../src/memcached/reply-buffer.ts";
import { Tokens } from "../../src/memcached/tokens.ts";
import { VERB, verbAt } from "../../src/memcached/verbs.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

function tokensOf(line: string): Tokens {
  const tokens = new Tokens();
  tokens.split(bytes(`before${line}after`), 6, 6 + line.length);
  return tokens;
}

test("a line is cut at its spaces, however many there are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[!-~]{1,9}$/), { maxLength: 30 }),
      fc.integer({ min: 1, max: 4 }),
      (words, gap) => {
        const space = " ".repeat(gap);
        const tokens = tokensOf(space + words.join(space) + space);
        assert.deepEqual(
          Array.from({ length: tokens.count }, (_, index) => tokens.text(index)),
          words,
        );
      },
    ),
  );
});

test("a 32-bit number is read exactly, and nothing else as one", () => {
  const u32 = (text: string): number => readU32(bytes(text), 0, text.length);
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => assert.equal(u32(String(value)), value)));
  for (const text of ["", "-1", "+1", "1 ", "1a", "a", "4294967296", "99999999999", "000000000001", "1.0"]) {
    assert.equal(u32(text), -1, text);
  }
});

test("flags and times of a classic set keep the lower 32 bits of a 64-bit number, and nothing else is one", () => {
  const u32 = (text: string): number => readWrappedU32(bytes(text), 0, text.length);
  const i32 = (text: string): number => readWrappedI32(bytes(text), 0, text.length);
  const unsigned = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const signed = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(fc.property(unsigned, (value) => assert.equal(u32(String(value)), Number(BigInt.asUintN(32, value)))));
  fc.assert(fc.property(signed, (value) => assert.equal(i32(String(value)), Number(BigInt.asIntN(32, value)))));
  for (const text of ["", "-1", "1a", "18446744073709551616"]) assert.equal(u32(text), -1, text);
  for (const text of ["", "-", "+", "--1", "1a", "9223372036854775808", "-9223372036854775809"]) {
    assert.ok(Number.isNaN(i32(text)), text);
  }
});

test("a signed 32-bit number is read exactly, and nothing else as one", () => {
  const i32 = (text: string): number => readI32(bytes(text), 0, text.length);
  fc.assert(fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => assert.equal(i32(String(value)), value)));
  for (const text of ["", "-", "--1", "2147483648", "-2147483649", "1-"]) assert.ok(Number.isNaN(i32(text)), text);
});

test("a 64-bit number is read and written exactly, and nothing else is read as one", () => {
  const into: U64 = { high: 0, low: 0 };
  const out = new ReplyBuffer();
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const text = String(value);
      assert.ok(readU64(bytes(text), 0, text.length, into));
      assert.equal(String(exactU64(into.high, into.low)), text);
      out.reset();
      out.u64(into.high, into.low);
      assert.equal(out.bytes.toString("latin1", 0, out.length), text);
    }),
  );
  for (const text of ["", "-1", "18446744073709551616", "999999999999999999999", "1x"]) {
    assert.equal(readU64(bytes(text), 0, text.length, into), false, text);
  }
});

test("every verb is found by its word and by no other", () => {
  for (const [word, verb] of Object.entries(VERB)) {
    assert.equal(verbAt(bytes(word), 0, word.length), verb, word);
    for (let at = 0; at < word.length; at += 1) {
      const other = `${word.slice(0, at)}${word[at] === "x" ? "y" : "x"}${word.slice(at + 1)}`;
      assert.notEqual(verbAt(bytes(other), 0, other.length), verb, other);
    }
  }
});

test("a key in base64 comes back as it went", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 187 }), (key) => {
      const text = encodeKey(Buffer.from(key), 0, key.length);
      assert.deepEqual([...decodeKey(bytes(text), 0, text.length)!], [...key]);
    }),
  );
});

test("what is no whole base64 is no key", () => {
  for (const text of ["", "A", "AB", "ABC", "====", "A===", "!!!!"]) {
    assert.equal(decodeKey(bytes(text), 0, text.length), undefined, text);
  }
});

test("numbers are written in decimal digits at every size", () => {
  const out = new ReplyBuffer();
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (value) => {
      out.reset();
      out.number(value);
      assert.equal(out.bytes.toString("latin1", 0, out.length), String(value));
    }),
  );
});

test("both ways of copying copy the same bytes at every offset and length", () => {
  const from = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const view = (buffer: Buffer): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  for (let start = 0; start < 9; start += 1) {
    for (let count = 0; count < 130; count += 1) {
      const expected = Buffer.alloc(160);
      from.copy(expected, 3, start, start + count);
      const bytewise = Buffer.alloc(160);
      copyBytes(from, start, count, bytewise, 3);
      const wordwise = Buffer.alloc(160);
      copyWords(view(from), start, count, view(wordwise), 3);
      assert.deepEqual(bytewise, expected);
      assert.deepEqual(wordwise, expected);
    }
  }
});

test("a reply larger than the buffer grows it and loses nothing", () => {
  const out = new ReplyBuffer();
  let expected = "";
  for (let index = 0; index < 20_000; index += 1) {
    out.text(`${index} `);
    expected += `${index} `;
  }
  assert.equal(out.take().toString("latin1"), expected);
  assert.equal(out.length, 0);
});

test("the flags of a meta command are read, and wrong ones are named as memcached names them", () => {
  const flags = new MetaFlags();
  assert.equal(flags.read(tokensOf("mg key v t N30 C18446744073709551615 Oabc k q"), 2), undefined);
  assert.equal(flags.value && flags.quiet && flags.hasCas && flags.inspects, true);
  assert.equal(flags.vivify, 30);
  assert.equal(exactU64(flags.cas.high, flags.cas.low), 2n ** 64n - 1n);
  const refusals: readonly (readonly [string, string])[] = [
    ["mg key v v", "CLIENT_ERROR duplicate flag"],
    ["mg key Y", "CLIENT_ERROR invalid flag"],
    ["mg key N", "CLIENT_ERROR bad token in command line format"],
    ["mg key Nx", "CLIENT_ERROR bad token in command line format"],
    ["mg key C-1", "CLIENT_ERROR bad token in command line format"],
    ["mg A b", "CLIENT_ERROR error decoding key"],
    [`mg key O${"x".repeat(32)}`, "CLIENT_ERROR opaque token too long"],
    [`mg ${"k".repeat(251)} v`, "CLIENT_ERROR bad command line format"],
    ["mg key a b c d e f g h i j k l m n o p q r s", "CLIENT_ERROR options flags are too long"],
    ["mg key {", "CLIENT_ERROR bad command line format"],
    ["ma key J-1", "CLIENT_ERROR invalid numeric initial value"],
    ["ma key Dx", "CLIENT_ERROR invalid numeric delta value"],
  ];
  for (const [line, refusal] of refusals) assert.equal(flags.read(tokensOf(line), 2), refusal, line);
  assert.equal(flags.read(tokensOf("mg key"), 2), undefined);
  assert.equal(flags.value || flags.quiet || flags.hasCas || flags.inspects, false, "nothing is left of the line before");
});

test("the memory of a very large reply is given back", () => {
  const out = new ReplyBuffer();
  out.ensure(100 * 1024 * 1024);
  out.reset();
  assert.ok(out.bytes.length < 1024 * 1024, `${out.bytes.length} bytes kept`);
});
