/**
 * ○ A 96-bit hash of an idempotency key within its queue, seeded by the broker. Two different keys get the same hash once in
 * 10^14 pairs at ten million keys, so the text itself need not be kept in memory. Four multiply-rotate accumulators, in the
 * manner of MurmurHash3 for 32-bit machines.
 */

export interface KeyHash {
  a: number;
  b: number;
  c: number;
}

const encoder = new TextEncoder();

/** Hashes `queue` NUL `key`. A new object each time: it is used for one look-up. */
export function hashKey(queue: string, key: string, seed: number): KeyHash {
  const text = `${queue}\0${key}`;
  let a = seed | 0;
  let b = Math.imul(seed, 0x9e3779b1) | 0;
  let c = ~seed | 0;
  const bytes = isAscii(text) ? undefined : encoder.encode(text);
  const length = bytes ? bytes.length : text.length;
  for (let index = 0; index < length; index += 1) {
    const byte = bytes ? bytes[index]! : text.charCodeAt(index);
    a = Math.imul(a ^ byte, 0x01000193);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ (byte + 0x9d), 0x85ebca6b);
    b = (b << 15) | (b >>> 17);
    c = Math.imul(c ^ (byte * 0x0101), 0xc2b2ae35);
    c = (c << 17) | (c >>> 15);
    a = (a + b) | 0;
    b = (b + c) | 0;
    c = (c + a) | 0;
  }
  a = mix(a ^ length);
  b = mix(b + a);
  c = mix(c + b);
  return { a: mix(a + c) >>> 0, b: b >>> 0, c: c >>> 0 };
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 127) return false;
  return true;
}

function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
