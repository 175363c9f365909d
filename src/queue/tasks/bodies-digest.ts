/**
 * ○ A 96-bit digest of several bodies in their order, the same at every broker and after every restart: by it a submission under a
 * key is known again when it is sent again. Three multiply-rotate accumulators, as in key-hash.ts, four bytes a step. It tells apart what
 * people submit, not what somebody makes to collide.
 */

export const DIGEST_BYTES = 12;

export function digestOf(bodies: readonly Uint8Array[]): Uint8Array {
  let a = 0x243f6a88 | 0;
  let b = 0x85a308d3 | 0;
  let c = 0x13198a2e | 0;
  const add = (word: number): void => {
    a = Math.imul(a ^ word, 0x9e3779b1);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ (word + 0x9d), 0x85ebca6b);
    b = (b << 15) | (b >>> 17);
    c = Math.imul(c ^ (word + 0x0101), 0xc2b2ae35);
    c = (c << 17) | (c >>> 15);
    a = (a + b) | 0;
    b = (b + c) | 0;
    c = (c + a) | 0;
  };
  for (const body of bodies) {
    // The length goes first: where one body ends and the next begins is part of it.
    add(body.length);
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const whole = body.length & ~3;
    for (let at = 0; at < whole; at += 4) add(view.getInt32(at));
    for (let at = whole; at < body.length; at += 1) add(body[at]!);
  }
  const digest = new Uint8Array(DIGEST_BYTES);
  const out = new DataView(digest.buffer);
  for (let round = 0; round < 4; round += 1) add(round);
  out.setInt32(0, a);
  out.setInt32(4, b);
  out.setInt32(8, c);
  return digest;
}
