import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/core/errors.ts";
import { BinaryReplyDecoder } from "../../src/memcached/binary-reply-decoder.ts";

interface Packet {
  readonly opcode: number;
  readonly status?: number;
  readonly extras?: Buffer;
  readonly key?: string;
  readonly value?: string | Buffer;
  readonly cas?: bigint;
}

function packet({ opcode, status = 0, extras = Buffer.alloc(0), key = "", value = "", cas = 0n }: Packet): Buffer {
  const header = Buffer.alloc(24);
  const body = Buffer.concat([extras, Buffer.from(key), Buffer.from(value)]);
  header[0] = 0x81;
  header[1] = opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(body.length, 8);
  header.writeBigUInt64BE(cas, 16);
  return Buffer.concat([header, body]);
}

function flags(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const COUNTER = Buffer.alloc(8, 0xff);

const TRANSCRIPT = Buffer.concat([
  packet({ opcode: 0x0d, extras: flags(0xffffffff), key: "key:1", value: "hello", cas: 7n }),
  packet({ opcode: 0x0d, extras: flags(0), key: "k", value: "" }),
  packet({ opcode: 0x0a }),
  packet({ opcode: 0x01, cas: 9n }),
  packet({ opcode: 0x01, status: 0x02, value: "Data exists for key." }),
  packet({ opcode: 0x02, status: 0x02, value: "Data exists for key." }),
  packet({ opcode: 0x03, status: 0x01, value: "Not found" }),
  packet({ opcode: 0x04, status: 0x01, value: "Not found" }),
  packet({ opcode: 0x05, value: COUNTER }),
  packet({ opcode: 0x06, status: 0x06, value: "Non-numeric server-side value for incr or decr" }),
  packet({ opcode: 0x01, status: 0x03, value: "Too large." }),
  packet({ opcode: 0x0b, value: "1.6.18" }),
  packet({ opcode: 0x10, key: "pid", value: "42" }),
  packet({ opcode: 0x10 }),
  packet({ opcode: 0x21, status: 0x20, value: "Auth failure." }),
  packet({ opcode: 0x1c, extras: flags(3) }),
]);

/** What an earlier read left behind the bytes that came now. */
const REST_OF_THE_READ_BUFFER = Buffer.from("\x81\x0a\x00\x00 not part of the chunk", "latin1");

function read(chunks: readonly Buffer[]): unknown[] {
  const decoder = new BinaryReplyDecoder(1024);
  const seen: unknown[] = [];
  for (const chunk of chunks) {
    const borrowed = Buffer.concat([chunk, REST_OF_THE_READ_BUFFER]);
    decoder.push(borrowed, chunk.length);
    for (let reply = decoder.next(); reply; reply = decoder.next()) {
      const { kind, flags: itemFlags, cas, text, line, keyStart, keyEnd } = reply;
      const key = line.toString("latin1", keyStart, keyEnd);
      seen.push([kind, key, itemFlags, cas, text, kind === "NUMBER" ? reply.number : reply.valueBytes.toString("latin1")]);
    }
    borrowed.fill(0xff);
  }
  return seen;
}

const WHOLE = read([TRANSCRIPT]);

test("packets are read in the text protocol's words", () => {
  assert.deepEqual(
    WHOLE.map((reply) => (reply as string[])[0]).join(" "),
    "VALUE VALUE END STORED EXISTS NOT_STORED NOT_STORED NOT_FOUND NUMBER CLIENT_ERROR SERVER_ERROR VERSION STAT END CLIENT_ERROR TOUCHED",
  );
  assert.deepEqual(WHOLE[0], ["VALUE", "key:1", 4294967295, 7n, "hello", "hello"]);
  assert.equal((WHOLE[8] as unknown[])[5], 18446744073709551615n);
  assert.equal((WHOLE[11] as unknown[])[4], "1.6.18");
  assert.equal((WHOLE[12] as unknown[])[4], "pid 42");
});

test("packets are the same however the bytes are cut", () => {
  assert.deepEqual(read([...TRANSCRIPT].map((byte) => Buffer.of(byte))), WHOLE, "byte by byte");
  for (let at = 1; at < TRANSCRIPT.length; at += 1) {
    assert.deepEqual(read([TRANSCRIPT.subarray(0, at), TRANSCRIPT.subarray(at)]), WHOLE, `cut at ${at}`);
  }
});

test("a changed byte and garbage are read as packets or refused", () => {
  for (let at = 0; at < TRANSCRIPT.length; at += 1) {
    const changed = Buffer.from(TRANSCRIPT);
    changed[at]! ^= 0x55;
    try {
      read([changed]);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        read([Buffer.concat([Buffer.of(0x81), bytes])]);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }),
  );
});

test("a packet larger than any value may be is refused before it is awaited", () => {
  const header = packet({ opcode: 0x0d });
  header.writeUInt32BE(1024 + 0xffff + 0xff + 1, 8);
  assert.throws(() => read([header]), { code: "CACHE_REPLY_INVALID" });
});
