/** Known answers of the NaCl distribution (tests/box.c, tests/secretbox.c), and the built-in X25519 against the pure one. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { newKeys, open, pureX25519, seal, sharedKey } from "../../src/zmtp/curve-box.ts";
import { decodeZ85 } from "../../src/zmtp/z85.ts";
import { curveKeyPair, curveMath } from "../../src/zmq/curve-math.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

const ALICE_PUBLIC = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
const BOB_SECRET = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
const BOB_PUBLIC = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
const SHARED = hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
const NONCE = hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
const PLAIN = hex(
  "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce" +
    "314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040" +
    "e082f937763848645e0705",
);
const BOX = hex(
  "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011" +
    "ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de" +
    "56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
);

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
