/** The secretbox of CURVE's traffic, in WebAssembly and without, against @noble's and the known answers of NaCl and RFC 8439. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import fc from "fast-check";
import { makePlainSecretbox, makeSecretbox, type Secretbox, TAG_BYTES } from "../../../src/zmtp/curve/secretbox.ts";
import { FIRST_PIECE_BYTES_MAX, PIECE, PIECE_BYTES_MAX, TAG } from "../../../src/zmtp/curve/secretbox-memory.ts";
import { secretboxModule } from "../../../src/zmtp/curve/secretbox-wasm.ts";
import { instantiate } from "../../../src/zmtp/curve/wasm.ts";
import { systemSodium } from "../../../src/zmq/transport/system-sodium.ts";
import { BOX, NONCE, PLAIN, SHARED } from "./nacl-answers.ts";

const KEY = Buffer.alloc(32, "k");
const PREFIX = Buffer.from("CurveZMQMESSAGEC");

const withSodium = (key: Uint8Array, noncePrefix: Uint8Array): Secretbox => makeSecretbox(key, noncePrefix, systemSodium);

const MAKERS = { WebAssembly: makeSecretbox, "plain JavaScript": makePlainSecretbox, "the machine's libsodium": withSodium };

/** A box with octets around it, which must stay as they are. */
function seal(box: Secretbox, nonce: [number, number], text: Uint8Array): Buffer {
  const target = Buffer.alloc(text.length + TAG_BYTES + 10, 0xaa);
  box.seal(...nonce, text[0]!, text.subarray(1), target, 5);
  assert.deepEqual([target.subarray(0, 5), target.subarray(-5)], [Buffer.alloc(5, 0xaa), Buffer.alloc(5, 0xaa)]);
  return target.subarray(5, -5);
}

function nonceOf([high, low]: [number, number]): Buffer {
  const octets = Buffer.alloc(24);
  PREFIX.copy(octets);
  octets.writeUInt32BE(high, 16);
  octets.writeUInt32BE(low, 20);
  return octets;
}

/** Lengths of a text: any, and those about which a block, a stride or a piece ends. */
const EDGES = [16, 32, 64, 224, 256, FIRST_PIECE_BYTES_MAX, FIRST_PIECE_BYTES_MAX + PIECE_BYTES_MAX];
const lengths = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...EDGES), fc.integer({ min: -2, max: 2 })).map(([at, by]) => at + by) },
);
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

for (const [name, make] of Object.entries(MAKERS)) {
  test(`in ${name} a box closes to NaCl's octets and opens again`, () => {
    const box = make(SHARED, NONCE.subarray(0, 16));
    const view = new DataView(NONCE.buffer, NONCE.byteOffset);
    const nonce: [number, number] = [view.getUint32(16), view.getUint32(20)];
    const sealed = seal(box, nonce, PLAIN);
    assert.deepEqual(sealed, Buffer.from(BOX));
    assert.equal(box.open(...nonce, sealed, 0), true);
    assert.deepEqual(sealed.subarray(TAG_BYTES), Buffer.from(PLAIN));
  });

  test(`in ${name} boxes of 1 octet to 100 KB are the same as @noble's`, () => {
    const box = make(KEY, PREFIX);
    fc.assert(
      fc.property(lengths, fc.tuple(word, word), fc.integer({ min: 0, max: 255 }), (length, nonce, seed) => {
        const text = Buffer.from(Array.from({ length }, (_, at) => at * 167 + seed));
        const sealed = seal(box, nonce, text);
        assert.deepEqual(sealed, Buffer.from(xsalsa20poly1305(KEY, nonceOf(nonce)).encrypt(text)));
        assert.equal(box.open(...nonce, sealed, 0), true);
        assert.deepEqual(sealed.subarray(TAG_BYTES), text);
      }),
    );
  });

  test(`in ${name} a box with any bit changed, cut short or with another nonce does not open`, () => {
    const box = make(KEY, PREFIX);
    fc.assert(
      fc.property(lengths, fc.nat(), fc.integer({ min: 0, max: 7 }), (length, place, bit) => {
        const sealed = seal(box, [1, 2], Buffer.alloc(length, "x"));
        const changed = Buffer.from(sealed);
        changed[place % changed.length]! ^= 1 << bit;
        assert.equal(box.open(1, 2, changed, 0), false);
        assert.equal(box.open(1, 2, Buffer.from(sealed.subarray(0, -1)), 0), false);
        assert.equal(box.open(1, 3, Buffer.from(sealed), 0), false);
      }),
      { numRuns: 60 },
    );
  });
}

test("connections that take turns do not disturb each other", () => {
  const [one, other] = [makeSecretbox(KEY, PREFIX), makeSecretbox(Buffer.alloc(32, "o"), PREFIX)];
  const alone = seal(one, [0, 7], PLAIN);
  seal(other, [9, 9], PLAIN);
  assert.deepEqual(seal(one, [0, 7], PLAIN), alone);
});

/** Octets at which sums carry: ones and zeros in runs, and what is next to 2^130 - 5. */
const extreme = fc.constantFrom(0x00, 0xff, 0x01, 0xfe, 0xfb, 0xfa, 0x05, 0x80, 0x7f, 0x03);
const extremeBlock = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.tuple(extreme, extreme).map(([first, rest]) => Uint8Array.of(first, ...Array.from({ length: 15 }, () => rest))),
);

test("Poly1305 in WebAssembly is right where its sums carry", () => {
  const exports = instantiate(secretboxModule()) as {
    memory: { buffer: ArrayBuffer };
    key(at: number): void;
    absorb(at: number, end: number): void;
    finish(): void;
  };
  const memory = new Uint8Array(exports.memory.buffer);
  const tagOf = (key: Uint8Array, text: Uint8Array): Buffer => {
    memory.set(key, PIECE);
    exports.key(PIECE);
    memory.set(text, PIECE);
    exports.absorb(PIECE, PIECE + text.length);
    exports.finish();
    return Buffer.from(memory.slice(TAG, TAG + 16));
  };
  const hex = (text: string): Buffer => Buffer.from(text, "hex");
  // RFC 8439, appendix A.3, vectors 7 to 9: sums of 2^130 - 5 and beyond
  const two = hex("02".padEnd(64, "0"));
  assert.deepEqual(tagOf(two, hex("ff".repeat(16))), hex("03".padEnd(32, "0")));
  assert.deepEqual(tagOf(hex(`02${"0".repeat(30)}${"ff".repeat(16)}`), hex("02".padEnd(32, "0"))), hex("03".padEnd(32, "0")));
  assert.deepEqual(
    tagOf(hex("01".padEnd(64, "0")), hex(`${"ff".repeat(16)}f0${"ff".repeat(15)}11${"0".repeat(30)}`)),
    hex("05".padEnd(32, "0")),
  );
  assert.deepEqual(
    tagOf(hex("01".padEnd(64, "0")), hex(`${"ff".repeat(16)}fb${"fe".repeat(15)}${"01".repeat(16)}`)),
    hex("0".repeat(32)),
  );
  fc.assert(
    fc.property(fc.array(extremeBlock, { minLength: 3, maxLength: 40 }), fc.nat({ max: 15 }), ([r, s, ...blocks], cut) => {
      const key = Buffer.concat([r!, s!]);
      const text = Buffer.concat(blocks);
      const shorter = text.subarray(0, text.length - cut);
      assert.deepEqual(tagOf(key, shorter), Buffer.from(poly1305(shorter, key)));
    }),
    { numRuns: 1000 },
  );
});
