/** Strangers decide what stands in a packet: no byte of it may throw, grow without bound or pass for what it is not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../../src/core/errors.ts";
import { between, pick, seeded } from "../../src/core/random.ts";
import type { Random } from "../../src/core/random.ts";
import { TcpReassembler } from "../../src/wire/tcp/tcp-reassembler.ts";
import { CaptureReader } from "../../src/wire/capture/capture-reader.ts";
import { MemcachedDecoder } from "../../src/wire/decode/memcached-decoder.ts";
import { LinkDecoder } from "../../src/wire/decode/link-decoder.ts";
import { ZmtpDecoder } from "../../src/wire/decode/zmtp-decoder.ts";
import { jsonOf, lineOf } from "../../src/wire/analysis/packet-text.ts";
import { CONVERSATIONS_MAX, REASSEMBLY_BYTES_MAX } from "../../src/wire/limits.ts";
import { Ladder } from "../../src/wire/analysis/ladder.ts";
import { showBytes } from "../../src/wire/decode/show.ts";
import { PacketAnalyzer } from "../../src/wire/analysis/packet-analyzer.ts";
import { SERVER, frame, pcap, pcapng } from "./tcp-frames.ts";

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = 3000;

/** What may stand in a printed line: no control character but those of colours, which these tests switch off. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/;

const GOOD = [
  "set key 0 0 5\r\nhello\r\nget key\r\n",
  "VALUE key 0 5\r\nhello\r\nEND\r\n",
  "mg foo t v\r\nms foo 2 T90\r\nhi\r\n",
  "\u0080\u0000\u0000\u0003" + "\u0000".repeat(7) + "\u0003" + "\u0000".repeat(12) + "foo",
  "\u00FF" +
    "\u0000".repeat(8) +
    "\u007F\u0003\u0001NULL" +
    "\u0000".repeat(48) +
    "\u0004\u0019\u0005READY\u000bSocket-Type\u0000\u0000\u0000\u0003REQ",
  "\u0001\u0000\u0000\u001aHOLDFAST\u0001\u0000" + "n".repeat(16) + "\u0013\u0000\u0000\u0000\u0010\u0000\u0000\u0004data",
  "\u0001\u0003HQ1\u0001\u0003ADD\u0001\u00017\u0001\u0001q\u0001\u0000\u0000\u0004body",
  "\u0001\u0000\u0000\u0005Ready\u0000\u0006MDPW01",
].map((text) => Buffer.from(text, "latin1"));

function mutated(random: Random): Buffer {
  const parts = Array.from({ length: between(random, 1, 4) }, () => Buffer.from(pick(random, GOOD)));
  const bytes = Buffer.concat(parts);
  for (let changes = between(random, 0, 6); changes > 0; changes -= 1)
    bytes[between(random, 0, bytes.length - 1)] = between(random, 0, 255);
  return random() < 0.2 ? Buffer.from(Array.from({ length: between(random, 1, 200) }, () => between(random, 0, 255))) : bytes;
}

test(`decoders say something safe about any bytes (seed ${seed})`, () => {
  const random = seeded(seed);
  for (let round = 0; round < ROUNDS; round += 1) {
    const decoder = pick(random, [
      () => new MemcachedDecoder(),
      () => new ZmtpDecoder(),
      () => new LinkDecoder({ bodies: true }),
    ])();
    for (let turn = 0; turn < 6; turn += 1) {
      const side = pick(random, ["client", "server"] as const);
      const piece = random() < 0.1 ? { missing: between(random, 1, 5000) } : mutated(random);
      for (const { text } of decoder.feed(side, piece)) {
        assert.ok(text.length > 0 && text.length < 2000, `seed ${seed}: a sentence of ${text.length} characters`);
        assert.doesNotMatch(text, CONTROL, `seed ${seed}`);
      }
    }
  }
});

test(`any frame becomes a packet, with a line, a rung and JSON (seed ${seed})`, () => {
  const random = seeded(seed + 1);
  const analyzer = new PacketAnalyzer({ bodies: true });
  const ladder = new Ladder(100);
  for (let round = 0; round < ROUNDS; round += 1) {
    const good = frame({
      ...(random() < 0.5 && { from: SERVER }),
      sequence: between(random, 0, 500),
      acknowledgment: between(random, 0, 500),
      flags: between(random, 0, 63),
      payload: random() < 0.5 ? mutated(random) : "",
      atMs: round * 10,
    });
    const bytes = Buffer.from(good.bytes);
    for (let changes = between(random, 0, 3); changes > 0; changes -= 1)
      bytes[between(random, 0, Math.min(59, bytes.length - 1))] = between(random, 0, 255);
    const cut = random() < 0.2 ? bytes.subarray(0, between(random, 0, bytes.length)) : bytes;
    const linkType = pick(random, [0, 1, 12, 101, 101, 101, 108, 113, 228, 276, 999]);
    const packet = analyzer.packet({ ...good, bytes: cut, linkType, comment: "note \u001B[31m" });
    assert.ok(packet.tcp !== undefined || (packet.unreadable ?? "").length > 0, `seed ${seed}: named or unreadable`);
    assert.doesNotMatch(lineOf(packet, { startNs: 0n, colour: false }), CONTROL, `seed ${seed}`);
    for (const row of ladder.rows(packet)) assert.doesNotMatch(row, CONTROL, `seed ${seed}`);
    assert.doesNotThrow(() => JSON.stringify(jsonOf(packet)), `seed ${seed}`);
  }
});

test(`a broken capture file is refused with a ProtocolError or read as far as it goes (seed ${seed})`, () => {
  const random = seeded(seed + 2);
  const frames = Array.from({ length: 5 }, (_, index) => ({
    ...frame({ payload: "get a\r\n", atMs: index }),
    comment: "note",
  }));
  const files = [pcapng(frames), pcap(frames), pcap(frames, { bigEndian: true, nanoseconds: true })];
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = Buffer.from(pick(random, files));
    for (let changes = between(random, 1, 4); changes > 0; changes -= 1)
      bytes[between(random, 0, bytes.length - 1)] = between(random, 0, 255);
    const reader = new CaptureReader();
    try {
      for (let at = 0; at < bytes.length;) {
        const end = at + between(random, 1, 200);
        reader.push(bytes.subarray(at, end));
        at = end;
        while (reader.next());
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}: ${String(error)}`);
    }
  }
});

test(`bytes shown are short and hold no control character (seed ${seed})`, () => {
  const random = seeded(seed + 3);
  for (let round = 0; round < ROUNDS; round += 1) {
    const shown = showBytes(Buffer.from(Array.from({ length: between(random, 0, 400) }, () => between(random, 0, 255))), 20);
    assert.doesNotMatch(shown, CONTROL);
    assert.ok(shown.length < 200, `seed ${seed}: ${shown.length} characters`);
  }
});

test("of ten thousand connections the last 4096 are remembered", () => {
  const analyzer = new PacketAnalyzer();
  for (let index = 0; index < 10_000; index += 1) {
    analyzer.packet(frame({ from: `10.1.${index >> 8}.${index & 255}:40000`, to: SERVER, sequence: 1, payload: "x" }));
  }
  assert.equal(analyzer.conversations, CONVERSATIONS_MAX);
});

test("a sender that never fills its hole is held to a bound, in bytes and in segments", () => {
  for (const bytes of [1, 1400]) {
    const assembler = new TcpReassembler();
    assembler.push(0, Uint8Array.of(1), 1);
    let most = 0;
    for (let index = 1; index < 5000; index += 1) {
      assembler.push(index * 2800, new Uint8Array(bytes), bytes);
      most = Math.max(most, assembler.heldBytes);
    }
    assert.ok(most > REASSEMBLY_BYTES_MAX / 2 && most <= REASSEMBLY_BYTES_MAX + 2048, `held ${most} bytes`);
  }
});
