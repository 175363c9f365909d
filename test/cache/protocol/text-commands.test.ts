import assert from "node:assert/strict";
import { test } from "node:test";
import { between, seeded } from "../../../src/core/random.ts";
import { DirectCache } from "../../support/direct-cache.ts";

test("a value is read back with its flags", () => {
  const cache = new DirectCache();
  assert.equal(cache.say("set foo 7 0 3\r\nbar\r\nget foo\r\n"), "STORED\r\nVALUE foo 7 3\r\nbar\r\nEND\r\n");
});

test("add stores only what is missing, replace only what is there", () => {
  const cache = new DirectCache();
  assert.equal(cache.say("replace k 0 0 1\r\na\r\n"), "NOT_STORED\r\n");
  assert.equal(cache.say("add k 0 0 1\r\na\r\n"), "STORED\r\n");
  assert.equal(cache.say("add k 0 0 1\r\nb\r\n"), "NOT_STORED\r\n");
  assert.equal(cache.say("replace k 0 0 1\r\nc\r\nget k\r\n"), "STORED\r\nVALUE k 0 1\r\nc\r\nEND\r\n");
});

test("append and prepend keep the flags of the item", () => {
  const cache = new DirectCache();
  cache.say("set k 9 0 1\r\nb\r\n");
  assert.equal(
    cache.say("append k 1 0 1\r\nc\r\nprepend k 1 0 1\r\na\r\nget k\r\n"),
    "STORED\r\nSTORED\r\nVALUE k 9 3\r\nabc\r\nEND\r\n",
  );
});

test("cas stores once and then answers EXISTS", () => {
  const cache = new DirectCache();
  const [, unique] = /VALUE k 0 1 (\d+)/.exec(cache.say("set k 0 0 1\r\na\r\ngets k\r\n"))!;
  assert.equal(cache.say(`cas k 0 0 1 ${unique}\r\nb\r\n`), "STORED\r\n");
  assert.equal(cache.say(`cas k 0 0 1 ${unique}\r\nc\r\n`), "EXISTS\r\n");
  assert.equal(cache.say(`cas other 0 0 1 ${unique}\r\nc\r\n`), "NOT_FOUND\r\n");
});

test("incr wraps at 64 bits and decr stops at 0", () => {
  const cache = new DirectCache();
  cache.say("set n 0 0 20\r\n18446744073709551615\r\n");
  assert.equal(cache.say("incr n 1\r\n"), "0\r\n");
  cache.say("set n 0 0 20\r\n18446744073709551610\r\n");
  assert.equal(cache.say("incr n 5\r\n"), "18446744073709551615\r\n");
  assert.equal(cache.say("decr n 18446744073709551614\r\n"), "1\r\n");
  assert.equal(cache.say("decr n 9\r\n"), "0\r\n");
});

test("a number that shrinks keeps its length with spaces", () => {
  const cache = new DirectCache();
  assert.equal(cache.say("set n 0 0 2\r\n10\r\ndecr n 1\r\nget n\r\n"), "STORED\r\n9\r\nVALUE n 0 2\r\n9 \r\nEND\r\n");
});

test("incr refuses what is no number", () => {
  const cache = new DirectCache();
  cache.say("set n 0 0 2\r\nhi\r\nset e 0 0 0\r\n\r\n");
  assert.equal(cache.say("incr n 1\r\n"), "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
  assert.equal(cache.say("incr e 1\r\n"), "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
  assert.equal(cache.say("incr n x\r\n"), "CLIENT_ERROR invalid numeric delta argument\r\n");
});

test("an item is gone from the second its TTL is over", () => {
  const cache = new DirectCache();
  cache.say("set k 0 10 1\r\na\r\n");
  cache.advance(9);
  assert.match(cache.say("get k\r\n"), /^VALUE/);
  cache.advance(1);
  assert.equal(cache.say("get k\r\n"), "END\r\n");
});

test("touch on an expired key answers NOT_FOUND", () => {
  const cache = new DirectCache();
  cache.say("set k 0 1 1\r\na\r\n");
  cache.advance(1);
  assert.equal(cache.say("touch k 100\r\n"), "NOT_FOUND\r\n");
});

test("a negative TTL is over at once, one beyond 30 days is a date", () => {
  const cache = new DirectCache();
  assert.equal(cache.say("set k 0 -1 1\r\na\r\nget k\r\n"), "STORED\r\nEND\r\n");
  const soon = 1_767_225_600 + 62 + 5;
  assert.match(cache.say(`set k 0 ${soon} 1\r\na\r\nget k\r\n`), /^STORED\r\nVALUE/);
  cache.advance(5);
  assert.equal(cache.say("get k\r\n"), "END\r\n");
});

test("what is set in the same second as flush_all, after it, lives", () => {
  const cache = new DirectCache();
  cache.say("set a 0 0 1\r\na\r\n");
  assert.equal(
    cache.say("flush_all\r\nset b 0 0 1\r\nb\r\nget a\r\nget b\r\n"),
    "OK\r\nSTORED\r\nEND\r\nVALUE b 0 1\r\nb\r\nEND\r\n",
  );
});

test("a delayed flush_all takes effect a second before its delay is over, as memcached's does", () => {
  const cache = new DirectCache();
  cache.say("set a 0 0 1\r\na\r\nflush_all 3\r\n");
  cache.advance(1);
  assert.match(cache.say("get a\r\n"), /^VALUE/);
  cache.advance(1);
  assert.equal(cache.say("get a\r\n"), "END\r\n");
});

test("noreply answers nothing, not even an error of its own", () => {
  const cache = new DirectCache();
  assert.equal(cache.say("set k 0 0 1 noreply\r\na\r\ndelete k noreply\r\ndelete k noreply\r\nincr k x noreply\r\n"), "");
});

test("a key of 250 bytes is stored, one of 251 is refused and its value swallowed", () => {
  const cache = new DirectCache();
  assert.equal(cache.say(`set ${"k".repeat(250)} 0 0 1\r\na\r\n`), "STORED\r\n");
  assert.equal(cache.say(`set ${"k".repeat(251)} 0 0 1\r\na\r\nget k\r\n`), "CLIENT_ERROR bad command line format\r\nEND\r\n");
  assert.equal(cache.say(`get a b ${"k".repeat(251)} c\r\n`), "CLIENT_ERROR bad command line format\r\n");
});

test("a value that does not end in CR LF is refused and leaves the old one", () => {
  const cache = new DirectCache();
  cache.say("set k 0 0 1\r\na\r\n");
  assert.equal(cache.say("set k 0 0 1\r\nbcd\r\n"), "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\n");
});

test("a set that is too large drops the old value", () => {
  const cache = new DirectCache();
  cache.say("set k 0 0 1\r\na\r\n");
  const large = 1024 * 1024;
  const reply = cache.say(`set k 0 0 ${large}\r\n${"x".repeat(large)}\r\nget k\r\n`);
  assert.equal(reply, "SERVER_ERROR object too large for cache\r\nEND\r\n");
});

test("a value over half a page is stored in chunks and read back whole", () => {
  const cache = new DirectCache({ memoryBytes: 64 * 1024 * 1024, itemBytesMax: 8 * 1024 * 1024 });
  const value = Array.from({ length: 700_000 }, (_, index) => String.fromCharCode(97 + (index % 23))).join("");
  assert.equal(cache.say(`set k 0 0 ${value.length}\r\n${value}\r\n`), "STORED\r\n");
  assert.equal(cache.say("get k\r\n"), `VALUE k 0 ${value.length}\r\n${value}\r\nEND\r\n`);
  const both = cache.say(`append k 0 0 3\r\nend\r\nget k\r\n`);
  assert.equal(both, `STORED\r\nVALUE k 0 ${value.length + 3}\r\n${value}end\r\nEND\r\n`);
});

test("every cut of a request gives the same replies", () => {
  const request = Buffer.from(
    "set a 1 0 5\r\nhello\r\nget a b\r\n  get a\r\nset b 0 0 2 noreply\r\nxy\r\ngets a\r\nincr a 1\r\nbogus\r\nms c 3 c k Oq\r\nabc\r\nmg c v t\r\nmn\r\n",
    "latin1",
  );
  const whole = new DirectCache().feed([request]);
  assert.equal(new DirectCache().feed([...request].map((byte) => Buffer.of(byte))), whole);
  const seed = 20_261_124;
  const random = seeded(seed);
  for (let round = 0; round < 50; round += 1) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < request.length;) {
      const next = Math.min(request.length, at + between(random, 1, 40));
      pieces.push(request.subarray(at, next));
      at = next;
    }
    assert.equal(new DirectCache().feed(pieces), whole, `seed ${seed}, round ${round}`);
  }
});

test("replies of one get are bounded and go on where they stopped", () => {
  const cache = new DirectCache();
  cache.say(`set k 0 0 500000\r\n${"x".repeat(500_000)}\r\n`);
  const once = cache.say("get k\r\n").slice(0, -5);
  assert.equal(cache.say("get k k k k k k k k\r\n"), `${once.repeat(8)}END\r\n`);
});
