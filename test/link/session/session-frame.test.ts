/** The bytes of session mode: every frame in three chunkings, every byte of one changed, the longest and one more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../../src/core/errors.ts";
import {
  byeBody,
  challengeBody,
  BYE_REASONS,
  gapBody,
  helloBody,
  progressBody,
  receiptBody,
  REFUSE_REASONS,
  refuseBody,
  TOPIC_VERBS,
  topicBody,
  welcomeBody,
} from "../../../src/link/session/body.ts";
import { encodeFrame, SessionFrameDecoder, HEADER_BYTES } from "../../../src/link/session/session-frame.ts";
import type { SessionFrame, SessionFrameName } from "../../../src/link/session/session-frame.ts";
import { CONTROL_BYTES_MAX } from "../../../src/link/limits.ts";

const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const number = fc.maxSafeNat();
const receipt = record({
  done: number,
  rejects: fc
    .array(fc.tuple(number, fc.string({ unit: "grapheme", maxLength: 40 })), { maxLength: 5 })
    .map((pairs) => new Map(pairs)),
});
const terms = record({ arrived: number, receipt, messageBytesMax: u32, window: u32, windowBytes: u32 });

const ranges = fc.array(record({ from: number, to: number }), { maxLength: 5 });
/** Terms of version 2 have ranges and parts. */
const terms2 = fc
  .tuple(terms, ranges, fc.array(fc.tuple(number, number), { maxLength: 5 }))
  .map(([plain, some, parts]) => ({ ...plain, receipt: { ...plain.receipt, ranges: some }, partial: new Map(parts) }));
/** Values of version 1 and 2: the second with terms of its own and a nonce of the other side. */
function versions<T extends object>(
  rest: fc.Arbitrary<T>,
  first: object,
  second: (nonce: Uint8Array) => object,
): fc.Arbitrary<object> {
  return fc.oneof(
    fc.tuple(rest, terms).map(([value, some]) => ({ ...value, ...first, terms: some })),
    fc.tuple(rest, terms2, bytes(16)).map(([value, some, nonce]) => ({ ...value, ...second(nonce), terms: some })),
  );
}

const CODECS = {
  CHALLENGE: [challengeBody, record({ nonce: bytes(16), tokenRequired: fc.boolean(), version: fc.constantFrom(1, 2) })],
  HELLO: [
    helloBody,
    versions(
      record({
        nonce: bytes(16),
        sessionId: bytes(16),
        resume: fc.boolean(),
        heartbeatMs: u32,
        name: fc.string({ maxLength: 60 }),
        will: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
        proof: fc.uint8Array({ maxLength: 32 }),
      }),
      { version: 1 },
      (serverNonce) => ({ version: 2, serverNonce }),
    ),
  ],
  WELCOME: [
    welcomeBody,
    versions(
      record({
        resumed: fc.boolean(),
        heartbeatMs: u32,
        heartbeatTimeoutMs: u32,
        ttlMs: u32,
        proof: fc.uint8Array({ maxLength: 32 }),
      }),
      {},
      (clientNonce) => ({ clientNonce, restarted: clientNonce[0]! % 2 === 1 }),
    ),
  ],
  REFUSE: [
    refuseBody,
    record({ word: fc.constantFrom(...REFUSE_REASONS), retryAfterMs: u32, text: fc.string({ maxLength: 60 }) }),
  ],
  BYE: [byeBody, record({ word: fc.constantFrom(...BYE_REASONS), retryAfterMs: u32, text: fc.string({ maxLength: 60 }) })],
  ACK: [receiptBody, receipt],
  GAP: [gapBody, number],
  PROGRESS: [progressBody, record({ number, bytes: number })],
} as const;

const topic = record({
  verb: fc.constantFrom(...TOPIC_VERBS),
  keep: fc.boolean(),
  expiresMs: u32,
  topic: fc.string({ maxLength: 60 }),
  bytes: fc.uint8Array({ maxLength: 60 }),
});

test("TOPIC says the same after its way over the wire, and one that ends within its head is refused", () => {
  fc.assert(
    fc.property(topic, (value) => {
      const body = topicBody.encode(value);
      assert.deepEqual(topicBody.decode(body), value);
      const head = body.length - value.bytes.length;
      for (let length = 0; length < head; length += 1)
        assert.throws(() => topicBody.decode(body.subarray(0, length)), { name: "ProtocolError", code: "LINK_BODY_INVALID" });
    }),
  );
});

interface AnyCodec {
  encode(value: unknown): Uint8Array;
  decode(body: Uint8Array): unknown;
}

for (const [name, [codec, values]] of Object.entries(CODECS) as unknown as [
  SessionFrameName,
  [AnyCodec, fc.Arbitrary<unknown>],
][]) {
  test(`${name} says the same after its way over the wire`, () => {
    fc.assert(fc.property(values, (value) => assert.deepEqual(codec.decode(codec.encode(value)), value)));
  });

  test(`${name} with a byte too few or too many is refused, and with any byte changed never breaks more than the protocol`, () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 255 }), (value, flip) => {
        const body = codec.encode(value);
        assert.throws(() => codec.decode(body.subarray(0, -1)), ProtocolError);
        assert.throws(() => codec.decode(Buffer.concat([body, Buffer.from([0])])), ProtocolError);
        for (let at = 0; at < body.length; at += 1) {
          const changed = Uint8Array.from(body);
          changed[at]! ^= flip;
          try {
            codec.decode(changed);
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error));
          }
        }
      }),
      { numRuns: 20 },
    );
  });
}

/** All frames of a stream that comes in these chunks. */
function decode(chunks: readonly Uint8Array[], messageBytesMax = 1_000_000): { name: string; body: string }[] {
  const decoder = new SessionFrameDecoder({ messageBytesMax });
  const frames: SessionFrame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame);
  }
  return frames.map(({ name, body }) => ({ name, body: Buffer.from(body).toString("hex") }));
}

test("frames come out the same, however the stream is cut", () => {
  const frame = fc.tuple(fc.constantFrom<SessionFrameName>("MESSAGE", "ACK", "PING", "BYE"), fc.uint8Array({ maxLength: 200 }));
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), cuts, (frames, sizes) => {
      const stream = Buffer.concat(frames.map(([name, body]) => encodeFrame(name, body)));
      const expected = frames.map(([name, body]) => ({ name, body: Buffer.from(body).toString("hex") }));
      const chunks: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const size = sizes[turn % sizes.length]!;
        chunks.push(stream.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(decode([stream]), expected);
      assert.deepEqual(decode(Array.from(stream, (byte) => Uint8Array.of(byte))), expected);
      assert.deepEqual(decode(chunks), expected);
    }),
  );
});

test("the longest message allowed is taken, and one byte more is refused at its header", () => {
  assert.equal(decode([encodeFrame("MESSAGE", new Uint8Array(1000))], 1000).length, 1);
  assert.throws(() => decode([encodeFrame("MESSAGE", new Uint8Array(1001)).subarray(0, HEADER_BYTES)], 1000), {
    code: "LINK_FRAME_TOO_LARGE",
  });
});

test("the longest control frame allowed is taken, and one byte more is refused at its header", () => {
  assert.equal(decode([encodeFrame("BYE", new Uint8Array(CONTROL_BYTES_MAX))]).length, 1);
  assert.throws(() => decode([encodeFrame("BYE", new Uint8Array(CONTROL_BYTES_MAX + 1)).subarray(0, HEADER_BYTES)]), {
    code: "LINK_FRAME_TOO_LARGE",
  });
});

test("a type that the protocol does not have is refused", () => {
  assert.throws(() => decode([Uint8Array.of(0x7f, 0, 0, 0)]), { code: "LINK_FRAME_UNKNOWN" });
});
