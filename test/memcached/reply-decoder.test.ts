import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/core/errors.ts";
import { ReplyDecoder } from "../../src/memcached/reply-decoder.ts";

/** What an earlier read left behind the bytes that came now. */
const REST_OF_THE_READ_BUFFER = Buffer.from("\r\nEND\r\nVALUE x 0 1\r\ny\r\n", "latin1");

/** What a reply says, copied out. */
function read(chunks: readonly Buffer[], valueBytesMax = 1024 * 1024): unknown[] {
  const decoder = new ReplyDecoder(valueBytesMax);
  const seen: unknown[] = [];
  for (const chunk of chunks) {
    const borrowed = Buffer.concat([chunk, REST_OF_THE_READ_BUFFER]);
    decoder.push(borrowed, chunk.length);
    for (let reply = decoder.next(); reply; reply = decoder.next()) {
      const { kind, flags, cas, ttl, won, stale, claimed } = reply;
      const key = reply.line.toString("latin1", reply.keyStart, reply.keyEnd);
      seen.push({
        kind,
        key,
        flags,
        cas,
        ttl,
        won,
        stale,
        claimed,
        text: reply.text,
        value: reply.valueBytes.toString("latin1"),
      });
    }
    borrowed.fill(0xff); // the chunk is the reader's buffer: it is written over
  }
  return seen;
}

const TRANSCRIPT = [
  "VALUE a 0 5\r\nhello\r\n",
  "VALUE key:2 4294967295 13 18446744073709551615\r\n\r\nEND\r\nVALUE \r\n",
  "VALUE empty 2 0 7\r\n\r\n",
  "END\r\n",
  "STORED\r\nNOT_STORED\r\nEXISTS\r\nNOT_FOUND\r\nDELETED\r\nTOUCHED\r\nOK\r\nRESET\r\n",
  "18446744073709551615\r\n0\r\n",
  "HD\r\nHD W Z X\r\nEN\r\nNF\r\nNS\r\nEX\r\nMN\r\nHD c12 t-1 kfoo s5\r\n",
  "VA 3 f5 c77 t60 OYQ== b W\r\nabc\r\n",
  "VA 0\r\n\r\n",
  "ME k exp=-1 la=3 cas=4 fetch=no cls=1 size=63\r\n",
  "STAT pid 12\r\nSTAT version 1.6.18 with words\r\nEND\r\n",
  "CONFIG cluster 0 19\r\n1\nh|10.0.0.1|11211\n\r\nEND\r\n",
  "VERSION 1.6.18\r\n",
  "ERROR\r\nCLIENT_ERROR bad data chunk\r\nSERVER_ERROR out of memory\r\n",
  "ts=1.2 gid=1 type=item_get key=a\r\n",
  "VAPOUR\r\n",
].join("");

const WHOLE = read([Buffer.from(TRANSCRIPT, "latin1")]);

test("every reply of the text and meta protocol is read", () => {
  assert.deepEqual(
    WHOLE.map((reply) => (reply as { kind: string }).kind).join(" "),
    "VALUE VALUE VALUE END STORED NOT_STORED EXISTS NOT_FOUND DELETED TOUCHED OK RESET NUMBER NUMBER " +
      "HD HD EN NF NS EX MN HD VA VA ME STAT STAT END CONFIG END VERSION ERROR CLIENT_ERROR SERVER_ERROR LINE LINE",
  );
  const blank = { key: "", flags: 0, cas: 0n, ttl: undefined, won: false, stale: false, claimed: false, text: "", value: "" };
  assert.deepEqual(WHOLE[1], {
    ...blank,
    kind: "VALUE",
    key: "key:2",
    flags: 4294967295,
    cas: 18446744073709551615n,
    text: "key:2 4294967295 13 18446744073709551615",
    value: "\r\nEND\r\nVALUE ",
  });
  assert.deepEqual(WHOLE[15], { ...blank, kind: "HD", won: true, stale: true, claimed: true, text: "W Z X" });
  assert.deepEqual(WHOLE[22], {
    ...blank,
    kind: "VA",
    key: "YQ==",
    flags: 5,
    cas: 77n,
    ttl: 60,
    won: true,
    text: "3 f5 c77 t60 OYQ== b W",
    value: "abc",
  });
});

test("replies are the same however the bytes are cut", () => {
  const bytes = Buffer.from(TRANSCRIPT, "latin1");
  assert.deepEqual(read([...bytes].map((byte) => Buffer.of(byte))), WHOLE, "byte by byte");
  for (let at = 1; at < bytes.length; at += 1) {
    assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), WHOLE, `cut at ${at}`);
  }
});

test("replies are the same in random chunks", () => {
  const bytes = Buffer.from(TRANSCRIPT, "latin1");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 200 }), (sizes) => {
      const chunks: Buffer[] = [];
      for (let at = 0, index = 0; at < bytes.length; index += 1) {
        const size = sizes[index % sizes.length]!;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(read(chunks), WHOLE);
    }),
  );
});

test("a changed byte is an error or another reply, never an endless loop or a crash", () => {
  const bytes = Buffer.from("VALUE key:1 17 5 99\r\nhello\r\nEND\r\n", "latin1");
  for (let at = 0; at < bytes.length; at += 1) {
    for (const byte of [0, 0x0a, 0x0d, 0x20, 0x2d, 0x30, 0x39, 0x41, 0x80, 0xff]) {
      const changed = Buffer.from(bytes);
      changed[at] = byte;
      try {
        assert.ok(read([changed]).length <= 4);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }
  }
});

test("garbage of any kind is read as lines or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        read([Buffer.from(bytes)]);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }),
  );
});

test("a value of the largest size is read, and one byte more is refused before it is awaited", () => {
  const value = "v".repeat(1000);
  assert.equal(read([Buffer.from(`VALUE k 0 1000\r\n${value}\r\n`)], 1000).length, 1);
  assert.throws(() => read([Buffer.from("VALUE k 0 1001\r\n")], 1000), { code: "CACHE_REPLY_INVALID" });
  assert.throws(() => read([Buffer.from("VA 99999999999999\r\n")]), { code: "CACHE_REPLY_INVALID" });
});

test("a line without end is refused at 64 KiB", () => {
  assert.equal(read([Buffer.alloc(64 * 1024, 0x61)]).length, 0);
  assert.throws(() => read([Buffer.alloc(64 * 1024, 0x61), Buffer.from("a")]), { code: "CACHE_REPLY_INVALID" });
});

test("a value that is longer or shorter than announced is refused", () => {
  assert.throws(() => read([Buffer.from("VALUE k 0 3\r\nabcd\r\n")]), { code: "CACHE_REPLY_INVALID" });
  assert.throws(() => read([Buffer.from("VALUE k 0 3\r\nab\r\nEND\r\n")]), { code: "CACHE_REPLY_INVALID" });
  assert.throws(() => read([Buffer.from("VALUE k 0 3\r\nab"), Buffer.from("\r\nEND\r\n")]), { code: "CACHE_REPLY_INVALID" });
});

test("numbers in replies are digits only", () => {
  for (const line of [
    "VALUE k -1 3",
    "VALUE k 0 x",
    "VALUE k 0",
    "VALUE k",
    "VALUE",
    "VA",
    "VA x",
    "VA 3 cx",
    "VALUE k 0 3 1x",
  ]) {
    assert.throws(() => read([Buffer.from(`${line}\r\nabc\r\n`)]), { code: "CACHE_REPLY_INVALID" }, line);
  }
});
