/**
 * ○ HMAC-SHA256 (RFC 2104, FIPS 180-4), for the proofs of a token: a page's own `crypto.subtle` answers later, and is not there at all on a
 * page without TLS. Sixty lines, where a library is 3 KB of the bundle.
 */
const BLOCK_BYTES = 64;

/** @param parts of the message, in order */
export function hmacSha256(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const padded = new Uint8Array(BLOCK_BYTES);
  padded.set(key.length > BLOCK_BYTES ? sha256([key]) : key);
  const inner = sha256([padded.map((byte) => byte ^ 0x36), ...parts]);
  return sha256([padded.map((byte) => byte ^ 0x5c), inner]);
}

/** The first 32 bits of the fractional parts of the square roots of the first 8 primes, and of the cube roots of the first 64. */
const [START, ROUND] = constants();

function constants(): [Uint32Array, Uint32Array] {
  const roots: number[] = [];
  for (let number = 2; roots.length < 64; number += 1) if (roots.every((prime) => number % prime !== 0)) roots.push(number);
  const fraction = (value: number): number => (value % 1) * 2 ** 32;
  return [
    Uint32Array.from(roots.slice(0, 8), (prime) => fraction(prime ** 0.5)),
    Uint32Array.from(roots, (prime) => fraction(Math.cbrt(prime))),
  ];
}

export function sha256(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array((((length + 8) >>> 6) + 1) * BLOCK_BYTES);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes[length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, length / 2 ** 29);
  view.setUint32(bytes.length - 4, length << 3);

  const state = START.slice();
  const words = new Uint32Array(64);
  const turned = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));
  for (let block = 0; block < bytes.length; block += BLOCK_BYTES) {
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let round = 0; round < 64; round += 1) {
      if (round < 16) words[round] = view.getUint32(block + 4 * round);
      else {
        const early = words[round - 15]!;
        const late = words[round - 2]!;
        words[round] =
          words[round - 16]! +
          words[round - 7]! +
          (turned(early, 7) ^ turned(early, 18) ^ (early >>> 3)) +
          (turned(late, 17) ^ turned(late, 19) ^ (late >>> 10));
      }
      const one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[round]! + words[round]!;
      const other = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(one + other) | 0, a, b, c, (d + one) | 0, e, f, g];
    }
    for (const [index, word] of [a, b, c, d, e, f, g, h].entries()) state[index]! += word;
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (const [index, word] of state.entries()) digest.setUint32(4 * index, word);
  return new Uint8Array(digest.buffer);
}
