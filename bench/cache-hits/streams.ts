/**
 * Request streams after published workloads, from a seed: what is asked for, how large it is, how long it lives. tw12, tw10: two of Twitter's
 * clusters (Yang et al., OSDI 2020), meta: Meta's ETC (Atikoglu et al., SIGMETRICS 2012), flat: hardly any popular key, once: two of five keys
 * are asked for once, ttl: three of four expire, scan and loop: a sweep and a round trip through many keys, feed: newest first, pair: once or
 * twice more, long after.
 */

interface Shape {
  readonly requests: number;
  /** Zipf's exponent over so many ranks. */
  readonly alpha: number;
  readonly ranks: number;
  /** The share of requests at which a popular rank gets a new key, and of those for keys that are asked for once. */
  readonly churn: number;
  readonly once: number;
  /** A sweep of so many keys every million requests; two of five requests walk round so many. */
  readonly scan: number;
  readonly loop: number;
  /** The share of requests for a new key, the rest going back in the order of making. */
  readonly feed: number;
  readonly sizes: "twitter" | "small" | "etc";
  readonly expires: boolean;
}

const PLAIN: Shape = {
  requests: 5_000_000,
  alpha: 1,
  ranks: 0,
  churn: 0,
  once: 0,
  scan: 0,
  loop: 0,
  feed: 0,
  sizes: "twitter",
  expires: false,
};

export const STREAMS = {
  tw12: { ...PLAIN, requests: 6_000_000, alpha: 1.2, ranks: 4_000_000, churn: 0.002, once: 0.05, sizes: "small" },
  tw10: { ...PLAIN, requests: 6_000_000, ranks: 4_000_000, churn: 0.01 },
  meta: { ...PLAIN, alpha: 0.9, ranks: 4_000_000, once: 0.1, sizes: "etc" },
  flat: { ...PLAIN, alpha: 0.6, ranks: 2_000_000 },
  once: { ...PLAIN, alpha: 0.9, ranks: 1_000_000, once: 0.4 },
  ttl: { ...PLAIN, ranks: 3_000_000, expires: true },
  scan: { ...PLAIN, requests: 6_000_000, ranks: 2_000_000, scan: 400_000 },
  loop: { ...PLAIN, alpha: 0.8, ranks: 1_000_000, loop: 300_000, sizes: "etc" },
  feed: { ...PLAIN, requests: 6_000_000, feed: 0.25 },
  pair: { ...PLAIN, feed: 0.5 },
} satisfies Readonly<Record<string, Shape>>;

export type StreamName = keyof typeof STREAMS;

/** The requests, one after the other. A key is a number from 0 on; the size of its value never changes. */
export interface Stream {
  readonly keys: Uint32Array;
  /** Bytes of the value, and seconds that it lives (0: until it is evicted), of each key. */
  readonly valueBytes: Uint16Array;
  readonly ttl: Uint8Array;
}

/** 30: bytes of every key, as "key:" and 26 digits. */
export const KEY_BYTES = 30;
const KEY_VALUE_BYTES_MIN = 50;
const KEY_VALUE_BYTES_MAX = 4096;

/** @param share of the stream's requests and keys; 1: as the study had it */
export function makeStream(name: StreamName, seed: number, share = 1): Stream {
  const full: Shape = STREAMS[name];
  const scaled = (count: number): number => Math.ceil(count * share);
  const shape = {
    ...full,
    requests: scaled(full.requests),
    ranks: scaled(full.ranks),
    scan: scaled(full.scan),
    loop: scaled(full.loop),
  };
  const sweepEvery = scaled(1_000_000);
  const pairAge = scaled(300_000);
  const { requests, ranks, once, churn, feed, loop, scan } = shape;
  const random = new XorShift(seed);
  const salt = random.state;
  const zipf = zipfRanks(shape.alpha, Math.max(1, ranks));
  // A key is given when a rank is first asked for.
  const keyOfRank = new Uint32Array(ranks + 1).fill(0xffff_ffff);
  const keys = new Uint32Array(requests);
  const born = new Uint32Array(requests);
  const scanFrom = loop;
  let next = loop + scan;
  let bornCount = 0;
  let walked = 0;
  let sweep = 0;
  for (let at = 0; at < requests; at += 1) {
    let key: number;
    if (scan > 0 && at % sweepEvery === sweepEvery / 2) sweep = scan;
    if (sweep > 0 && at % 3 !== 0) key = scanFrom + (sweep -= 1);
    else if (loop > 0 && random.next() < 0.4) key = walked++ % loop;
    else if (feed > 0) {
      if (bornCount === 0 || random.next() < feed) key = born[bornCount++] = next++;
      else if (feed === 0.5) {
        const age = Math.floor(pairAge * random.next() * random.next());
        key = born[age < bornCount ? bornCount - 1 - age : 0]!;
      } else {
        const age = 20 * (random.next() ** -2 - 1);
        key = born[age < bornCount ? bornCount - 1 - Math.floor(age) : random.below(bornCount)]!;
      }
    } else if (random.next() < once) key = next++;
    else {
      const rank = zipf(random);
      if (keyOfRank[rank] === 0xffff_ffff || random.next() < churn) keyOfRank[rank] = next++;
      key = keyOfRank[rank]!;
    }
    keys[at] = key;
  }
  return { keys, ...values(next, shape, salt) };
}

function values(count: number, { sizes, expires }: Shape, salt: bigint): Pick<Stream, "valueBytes" | "ttl"> {
  const valueBytes = new Uint16Array(count);
  const ttl = new Uint8Array(count);
  const salts = [salt, salt + 1n, salt + 2n].map((each) => new HashedChance(each)) as [
    HashedChance,
    HashedChance,
    HashedChance,
  ];
  for (let key = 0; key < count; key += 1) {
    const chance = salts[0].of(key);
    const normal = Math.sqrt(-2 * Math.log(chance)) * Math.cos(2 * Math.PI * salts[1].of(key));
    const bytes =
      sizes === "twitter"
        ? 230 * Math.exp(0.9 * normal)
        : sizes === "small"
          ? 90 * Math.exp(0.3 * normal)
          : 35 + (214.476 / 0.348) * (chance ** -0.348 - 1);
    valueBytes[key] = Math.min(KEY_VALUE_BYTES_MAX, Math.max(KEY_VALUE_BYTES_MIN, bytes)) - KEY_BYTES;
    const life = expires ? salts[2].of(key) : 1;
    ttl[key] = life < 0.25 ? 2 : life < 0.75 ? 10 : 0;
  }
  return { valueBytes, ttl };
}

/** Ranks from 0 by rejection-inversion (Hörmann and Derflinger, 1996). */
function zipfRanks(alpha: number, ranks: number): (random: XorShift) => number {
  const integral = (x: number): number => (alpha === 1 ? Math.log(x) : (x ** (1 - alpha) - 1) / (1 - alpha));
  const inverse = (y: number): number => (alpha === 1 ? Math.exp(y) : (1 + y * (1 - alpha)) ** (1 / (1 - alpha)));
  const first = integral(1.5) - 1;
  const last = integral(ranks + 0.5);
  return (random) => {
    for (;;) {
      const y = last + random.next() * (first - last);
      const rank = Math.min(ranks, Math.max(1, Math.trunc(inverse(y) + 0.5)));
      if (y >= integral(rank + 0.5) - rank ** -alpha) return rank - 1;
    }
  };
}

const MASK = 2n ** 64n - 1n;

/** xorshift64* (Vigna 2016), in halves of 32 bits. */
class XorShift {
  #high: number;
  #low: number;

  constructor(seed: number) {
    const state = (BigInt(seed) * 0x9e37_79b9_7f4a_7c15n + 88_172_645_463_325_252n) & MASK;
    this.#high = Number(state >> 32n);
    this.#low = Number(state & 0xffff_ffffn);
  }

  get state(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** From 0 up to 1. */
  next(): number {
    this.#step();
    // The upper 53 bits of the product with 0x2545F4914F6CDD1D.
    const [high, low] = multiplied(this.#high, this.#low, 0x2545_f491, 0x4f6c_dd1d);
    return (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
  }

  below(bound: number): number {
    this.#step();
    const [high, low] = multiplied(this.#high, this.#low, 0x2545_f491, 0x4f6c_dd1d);
    return ((high % bound) * (2 ** 32 % bound) + (low % bound)) % bound;
  }

  #step(): void {
    let [high, low] = [this.#high, this.#low];
    high = (high ^ ((high << 13) | (low >>> 19))) >>> 0;
    low = (low ^ (low << 13)) >>> 0;
    low = (low ^ ((low >>> 7) | (high << 25))) >>> 0;
    high = (high ^ (high >>> 7)) >>> 0;
    high = (high ^ ((high << 17) | (low >>> 15))) >>> 0;
    low = (low ^ (low << 17)) >>> 0;
    this.#high = high;
    this.#low = low;
  }
}

/** The lower 64 bits of a product, as two halves. */
function multiplied(highA: number, lowA: number, highB: number, lowB: number): readonly [number, number] {
  const a0 = lowA & 0xffff;
  const a1 = lowA >>> 16;
  const b0 = lowB & 0xffff;
  const b1 = lowB >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const upper = (middle & 0xffff) + a0 * b1;
  const low = Math.imul(lowA, lowB) >>> 0;
  const carry = a1 * b1 + Math.floor(middle / 65_536) + Math.floor(upper / 65_536);
  const high = (carry + Math.imul(highA, lowB) + Math.imul(lowA, highB)) >>> 0;
  return [high, low];
}

/** A number between 0 and 1 for each key, always the same. */
class HashedChance {
  readonly #salt: bigint;

  constructor(salt: bigint) {
    this.#salt = (salt * 0x9e37_79b9n + 1n) & MASK;
  }

  of(key: number): number {
    let x = ((BigInt(key) + this.#salt) * 0xbf58_476d_1ce4_e5b9n) & MASK;
    x ^= x >> 31n;
    x = (x * 0x94d0_49bb_1331_11ebn) & MASK;
    x ^= x >> 29n;
    return (Number(x >> 11n) + 0.5) * 2 ** -53;
  }
}
