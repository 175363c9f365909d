/** Frames: octets → frames → octets, in every chunking. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameWriter, recycle } from "../../src/zmtp/frame-writer.ts";
import { COMMAND, ZmtpFrameDecoder, MORE } from "../../src/zmtp/frame.ts";

interface Frame {
  readonly flags: number;
  readonly body: Buffer;
}

function encode(frames: readonly Frame[], oldFraming: boolean): Buffer {
  const writer = new FrameWriter();
  for (const { flags, body } of frames) {
    if (oldFraming) writer.oldFrame(flags, body);
    else writer.frame(flags, body);
  }
  const { chunks, batches } = writer.take();
  const octets = Buffer.concat(chunks);
  recycle(batches);
  return octets;
}

function decode(chunks: readonly Buffer[], oldFraming: boolean): Frame[] {
  const decoder = new ZmtpFrameDecoder({ oldFraming, bodyBytesMax: 1e9 });
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let body = decoder.next(); body; body = decoder.next()) frames.push({ flags: decoder.flags, body: Buffer.from(body) });
  }
  assert.equal(decoder.pendingBytes, 0);
  return frames;
}

const sizes = fc.oneof(fc.nat(20), fc.constantFrom(252, 253, 254, 255, 256, 257), fc.nat(40_000));
const frame = (flags: readonly number[]) =>
  fc.tuple(fc.constantFrom(...flags), sizes).map(([flags, size]) => ({ flags, body: Buffer.alloc(size, size & 0xff) }));

for (const oldFraming of [false, true]) {
  const flags = oldFraming ? [0, MORE] : [0, MORE, COMMAND];
  test(`any frames of ZMTP ${oldFraming ? "1.0" : "2.0 to 3.1"} come out as they went in, however they are cut`, () => {
    const cuts = fc.array(fc.nat(5000), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(frame(flags), { maxLength: 8 }), cuts, (frames, lengths) => {
        const octets = encode(frames, oldFraming);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const length of lengths) {
          chunks.push(octets.subarray(at, at + length));
          at += length;
        }
        chunks.push(octets.subarray(at));
        assert.deepEqual(decode([octets], oldFraming), frames);
        assert.deepEqual(decode(chunks, oldFraming), frames);
      }),
      { numRuns: 60 },
    );
  });
}

test("bodies out of a borrowed chunk are good after its owner has written to it", () => {
  fc.assert(
    fc.property(fc.array(frame([0, MORE]), { maxLength: 8 }), fc.integer({ min: 1, max: 9000 }), (frames, readBytes) => {
      const octets = encode(frames, false);
      const decoder = new ZmtpFrameDecoder({ bodyBytesMax: 1e9 });
      const shared = Buffer.alloc(readBytes);
      const decoded: Frame[] = [];
      for (let at = 0; at < octets.length; at += readBytes) {
        const length = octets.copy(shared, 0, at, at + readBytes);
        decoder.push(shared.subarray(0, length), true);
        // Some chunks are left half read, as when a pipe is full
        const most = at % 3 === 0 ? 1 : 1000;
        for (let count = 0; count < most; count += 1) {
          const body = decoder.next();
          if (!body) break;
          decoded.push({ flags: decoder.flags, body });
        }
        decoder.retain();
        shared.fill(0xee);
      }
      for (let body = decoder.next(); body; body = decoder.next()) decoded.push({ flags: decoder.flags, body });
      assert.deepEqual(decoded, frames);
    }),
    { numRuns: 60 },
  );
});

test("a chunk that comes when the one before is used up waits behind those that wait already", () => {
  const decoder = new ZmtpFrameDecoder({ bodyBytesMax: 100 });
  for (const body of ["a", "b"]) decoder.push(encode([{ flags: 0, body: Buffer.from(body) }], false));
  assert.equal(String(decoder.next()), "a");
  decoder.push(encode([{ flags: 0, body: Buffer.from("c") }], false));
  assert.deepEqual([decoder.next(), decoder.next()].map(String), ["b", "c"]);
});

test("one octet at a time gives the same frames", () => {
  const frames = [0, 1, 255, 256, 700].map((size, index) => ({ flags: index & 1, body: Buffer.alloc(size, index) }));
  const octets = encode(frames, false);
  assert.deepEqual(
    decode(
      Array.from(octets, (octet) => Buffer.of(octet)),
      false,
    ),
    frames,
  );
});

test("a body of up to 255 octets has the short header, a longer one the long", () => {
  assert.equal(encode([{ flags: 0, body: Buffer.alloc(255) }], false).length, 2 + 255);
  assert.equal(encode([{ flags: 0, body: Buffer.alloc(256) }], false).length, 9 + 256);
  assert.deepEqual(encode([{ flags: MORE, body: Buffer.of(7) }], false), Buffer.of(1, 1, 7));
});

test("the longest body allowed is taken, one octet more is refused before it is stored", () => {
  const header = Buffer.alloc(9);
  header[0] = 2;
  for (const [length, taken] of [
    [300, true],
    [301, false],
    [2 ** 32 + 5, false],
  ] as const) {
    const decoder = new ZmtpFrameDecoder({ bodyBytesMax: 300 });
    header.writeBigUInt64BE(BigInt(length), 1);
    decoder.push(Buffer.from(header));
    if (taken) assert.equal(decoder.next(), undefined);
    else assert.throws(() => decoder.next(), { code: "ERR_ZMTP_MESSAGE_TOO_LONG" });
  }
});

test("a frame that claims 2^63 octets allocates nothing near it, even without a limit", () => {
  const decoder = new ZmtpFrameDecoder({ bodyBytesMax: Number.MAX_SAFE_INTEGER });
  decoder.push(Buffer.from("027fffffffffffffff", "hex"));
  assert.throws(() => decoder.next(), { code: "ERR_ZMTP_MESSAGE_TOO_LONG" });
  const patient = new ZmtpFrameDecoder({ bodyBytesMax: Number.MAX_SAFE_INTEGER });
  const before = process.memoryUsage().arrayBuffers;
  patient.push(Buffer.from("02000000ffffffffff00", "hex"));
  assert.equal(patient.next(), undefined);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 * 1024 * 1024);
});

test("a reserved flag bit is a protocol error", () => {
  for (const bit of [0x08, 0x10, 0x20, 0x40, 0x80]) {
    const decoder = new ZmtpFrameDecoder({ bodyBytesMax: 100 });
    decoder.push(Buffer.of(bit, 0));
    assert.throws(() => decoder.next(), { code: "ERR_ZMTP_UNSPECIFIED" });
  }
});
