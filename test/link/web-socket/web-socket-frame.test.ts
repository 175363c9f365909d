/** WebSocket's frames: each in three chunkings, the longest header, what a peer must not send, and `ws` as the judge of ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../../src/core/errors.ts";
import { WEB_SOCKET_MESSAGE_BYTES } from "../../../src/link/limits.ts";
import { CLOSE, closeFrame, dataFrames, pongFrame, WebSocketDecoder } from "../../../src/link/web-socket/web-socket-frame.ts";

const KEY = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const bytesOf = (...parts: readonly (Uint8Array | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Uint8Array.from(part)));

/** What a decoder makes of bytes: its data in one piece, and what else it says. */
function decoded(wire: Uint8Array, { masked, by }: { masked: boolean; by: number }): { data: Buffer; said: string[] } {
  const decoder = new WebSocketDecoder({ masked });
  const data: Uint8Array[] = [];
  const said: string[] = [];
  for (let at = 0; at < wire.length; at += by) {
    decoder.push(Uint8Array.from(wire.subarray(at, at + by)));
    for (let event = decoder.next(); event; event = decoder.next()) {
      if (event.kind === "data") data.push(event.bytes);
      else said.push(event.kind === "ping" ? `ping ${Buffer.from(event.bytes).toString()}` : event.kind);
    }
  }
  return { data: Buffer.concat(data), said };
}

test("what is written is read, masked and not, whatever the chunks are and where parts end", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 300 }),
      (parts, masked, by) => {
        const wire = bytesOf(...dataFrames(parts, masked ? () => KEY : undefined));
        assert.deepEqual(decoded(wire, { masked, by }), { data: bytesOf(...parts), said: [] });
      },
    ),
  );
});

test("long parts are cut into messages of 16 KiB, and come whole", () => {
  const long = Buffer.from(Uint8Array.from({ length: 3 * WEB_SOCKET_MESSAGE_BYTES + 5 }, (_, index) => index % 251));
  for (const masked of [false, true]) {
    const frames = dataFrames([long.subarray(0, 7), long.subarray(7)], masked ? () => KEY : undefined);
    const longest = Math.max(...frames.map(({ length }) => length));
    assert.ok(longest <= WEB_SOCKET_MESSAGE_BYTES + 8, `${longest} bytes`);
    for (const by of [long.length * 2, 1000, 1])
      assert.deepEqual(decoded(bytesOf(...frames), { masked, by }), { data: long, said: [] });
  }
});

test("the examples of RFC 6455, section 5.7: a masked Ping, fragments with a Ping between, 64 KiB with a length of eight octets", () => {
  const ping = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
  const fragments = [0x02, 0x03, 0x48, 0x65, 0x6c, 0x89, 0x01, 0x21, 0x80, 0x02, 0x6c, 0x6f];
  const long = bytesOf([0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], new Uint8Array(65_536).fill(7));
  for (const by of [1, 3, 100_000]) {
    assert.deepEqual(decoded(Uint8Array.from(ping), { masked: true, by }).said, ["ping Hello"]);
    const { data, said } = decoded(Uint8Array.from(fragments), { masked: false, by });
    assert.deepEqual([data.toString(), said], ["Hello", ["ping !"]]);
    assert.equal(decoded(long, { masked: false, by }).data.length, 65_536);
  }
});

test("a Pong says what the Ping said, and a Close says its code", () => {
  assert.deepEqual(
    bytesOf(...pongFrame(Buffer.from("Hello"), KEY)),
    bytesOf([0x8a, 0x85], KEY, [0x7f, 0x9f, 0x4d, 0x51, 0x58]),
  );
  assert.deepEqual(bytesOf(...closeFrame(CLOSE.normal)), bytesOf([0x88, 2, 3, 0xe8]));
  assert.deepEqual(decoded(bytesOf(...closeFrame(CLOSE.protocolError, KEY)), { masked: true, by: 1 }).said, ["close"]);
});

const WRONG: readonly (readonly [fact: string, masked: boolean, wire: readonly number[]])[] = [
  ["a client's frame that is not masked", true, [0x82, 0x01, 0x61]],
  ["a server's frame that is masked", false, [0x82, 0x81, 1, 2, 3, 4, 0x61]],
  ["a compressed message", false, [0xc2, 0x01, 0x61]],
  ["text", false, [0x81, 0x01, 0x61]],
  ["an opcode for data that nobody knows", false, [0x83, 0x01, 0x61]],
  ["an opcode for control that nobody knows", false, [0x8b, 0x00]],
  ["a continuation of nothing", false, [0x80, 0x01, 0x61]],
  ["a message within a message", false, [0x02, 0x01, 0x61, 0x82, 0x01, 0x61]],
  ["a Ping in fragments", false, [0x09, 0x00]],
  ["a Ping of 126 bytes", false, [0x89, 126, 0, 126]],
  ["a length of 2^63", false, [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]],
];

for (const [fact, masked, wire] of WRONG) {
  test(`${fact} is LINK_WEB_SOCKET_INVALID`, () => {
    for (const by of [1, 100]) {
      assert.throws(
        () => decoded(Uint8Array.from(wire), { masked, by }),
        (error) => error instanceof ProtocolError && error.code === "LINK_WEB_SOCKET_INVALID",
      );
    }
  });
}

test("garbage of any kind is read or refused, and no more of it is handed on than came", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (wire, masked) => {
      try {
        assert.ok(decoded(wire, { masked, by: 7 }).data.length <= wire.length);
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }),
  );
});
