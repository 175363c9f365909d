/** NaCl's known answers, and the built-in X25519 against the pure one. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { newKeys, open, pureX25519, seal, sharedKey } from "../../../src/zmtp/curve/curve-box.ts";
import { decodeZ85 } from "../../../src/zmtp/curve/z85.ts";
import { curveKeyPair, curveMath } from "../../../src/zmq/transport/curve-math.ts";
import { ALICE_PUBLIC, BOB_PUBLIC, BOB_SECRET, BOX, NONCE, PLAIN, SHARED } from "./nacl-answers.ts";

for (const [name, x25519] of Object.entries({ pure: pureX25519, "built-in": curveMath.x25519 })) {
  test(`the ${name} X25519 gives NaCl's public key and shared key`, () => {
    assert.deepEqual(new Uint8Array(x25519.publicKey(BOB_SECRET)), BOB_PUBLIC);
    assert.deepEqual(sharedKey(x25519, BOB_SECRET, ALICE_PUBLIC), SHARED);
  });

  test(`the ${name} X25519 refuses a public key of low order`, () => {
    const one = new Uint8Array(32);
    one[0] = 1;
    for (const key of [new Uint8Array(32), one]) {
      assert.throws(() => sharedKey(x25519, BOB_SECRET, key), { code: "ERR_ZMTP_KEY_EXCHANGE" });
    }
  });
}

test("both X25519 agree on random keys", () => {
  for (let round = 0; round < 20; round += 1) {
    const secretKey = randomBytes(32);
    const other = newKeys({ randomBytes, x25519: curveMath.x25519 });
    assert.deepEqual(new Uint8Array(curveMath.x25519.publicKey(secretKey)), pureX25519.publicKey(secretKey));
    const shared = sharedKey(curveMath.x25519, secretKey, other.publicKey);
    assert.deepEqual(shared, sharedKey(pureX25519, other.secretKey, pureX25519.publicKey(secretKey)));
  }
});

test("a box closes to NaCl's octets and opens again", () => {
  assert.deepEqual(seal(SHARED, NONCE, PLAIN), BOX);
  assert.deepEqual(open(SHARED, NONCE, BOX), PLAIN);
});

test("a box with any octet changed, cut short or with another nonce does not open", () => {
  for (let at = 0; at < BOX.length; at += 1) {
    const changed = BOX.slice();
    changed[at]! ^= 1;
    assert.equal(open(SHARED, NONCE, changed), undefined);
  }
  assert.equal(open(SHARED, NONCE, BOX.subarray(0, 15)), undefined);
  assert.equal(open(SHARED, new Uint8Array(24), BOX), undefined);
});

test("curveKeyPair gives 40 characters each, the public key of the secret one, new ones each time", () => {
  const one = curveKeyPair();
  assert.deepEqual([one.publicKey.length, one.secretKey.length], [40, 40]);
  assert.deepEqual(pureX25519.publicKey(decodeZ85(one.secretKey)), decodeZ85(one.publicKey));
  assert.notEqual(curveKeyPair().secretKey, one.secretKey);
});
