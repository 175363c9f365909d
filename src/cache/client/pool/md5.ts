/**
 * ○ MD5 (RFC 1321) of short text, as ketama places keys with it; nothing here is for secrets. Works on one block of words that
 * is used again, because node:crypto's call costs several times the digest of a key.
 */

/** Left rotations of the four rounds. */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const ROTATIONS = new Uint8Array(64);
/** floor(2^32 × |sin(i + 1)|). */
const SINES = new Int32Array(64);
/** Which word of the block each step reads. */
const WORDS = new Uint8Array(64);
for (let step = 0; step < 64; step += 1) {
  const round = step >> 4;
  ROTATIONS[step] = SHIFTS[round * 4 + (step & 3)]!;
  SINES[step] = Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32);
  WORDS[step] = [step, 5 * step + 1, 3 * step + 5, 7 * step][round]! & 15;
}

const block = new Int32Array(16);
const state = new Int32Array(4);

/**
 * The four words of the digest, each as the little-endian number of its four bytes. Borrowed until the next call.
 *
 * @param text one byte a character
 */
export function md5Words(text: string): Int32Array {
  const length = text.length;
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  block.fill(0);
  let inBlock = 0;
  for (let index = 0; index < length; index += 1) {
    block[inBlock >> 2]! |= (text.charCodeAt(index) & 0xff) << ((inBlock & 3) * 8);
    inBlock += 1;
    if (inBlock === 64) inBlock = endBlock();
  }
  block[inBlock >> 2]! |= 0x80 << ((inBlock & 3) * 8);
  if (inBlock >= 56) endBlock();
  block[14] = length << 3;
  block[15] = length >>> 29;
  endBlock();
  return state;
}

/** Digests the full block and empties it. */
function endBlock(): 0 {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let step = 0; step < 64; step += 1) {
    let mixed: number;
    if (step < 16) mixed = (b & c) | (~b & d);
    else if (step < 32) mixed = (d & b) | (~d & c);
    else if (step < 48) mixed = b ^ c ^ d;
    else mixed = c ^ (b | ~d);
    const sum = (a + mixed + SINES[step]! + block[WORDS[step]!]!) | 0;
    const rotation = ROTATIONS[step]!;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << rotation) | (sum >>> (32 - rotation)))) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  block.fill(0);
  return 0;
}
