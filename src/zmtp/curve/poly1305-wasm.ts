/**
 * ○ Poly1305 in WebAssembly, in five limbs of 26 bits: block by block, or for longer texts two blocks at once in the lanes of a
 * vector. The sum lies in memory between the pieces of a box.
 */
import { FACTOR, PAD, SUM, TAG } from "./secretbox-memory.ts";
import { call, type Code, doWhile, i32, i32x4, i64, i64x2, type Local, v128, WasmFunction, when, ZERO } from "./wasm.ts";

const LIMB_BITS = 26;
const LIMB = i64.const(2n ** 26n - 1n);
const LIMBS = [0, 1, 2, 3, 4] as const;

/** The 128 bits at an address, as limbs. */
function limbs(low: Code, high: Code): readonly Code[] {
  return [
    i64.and(low, LIMB),
    i64.and(i64.shr(low, 26), LIMB),
    i64.and(i64.or(i64.shr(low, 52), i64.shl(high, 12)), LIMB),
    i64.and(i64.shr(high, 14), LIMB),
    i64.shr(high, 40),
  ];
}

/** key(at): takes the Poly1305 key that lies there, and starts a new authenticator. */
export function key(): WasmFunction {
  const f = new WasmFunction("key");
  const at = f.parameter("i32");
  const [low, high] = f.locals("i64", 2) as [Local, Local];
  f.body = [
    // RFC 8439, section 2.5: some bits of the factor are zero
    low.set(i64.and(i64.load(at.get), i64.const(0x0ffffffc_0fffffffn))),
    high.set(i64.and(i64.load(at.get, 8), i64.const(0x0ffffffc_0ffffffcn))),
    limbs(low.get, high.get).map((limb, index) => i64.store(ZERO, limb, FACTOR + 8 * index)),
    LIMBS.map((index) => i64.store(ZERO, i64.const(0n), SUM + 8 * index)),
    v128.store(ZERO, v128.load(at.get, 16), PAD),
  ];
  return f;
}

/** What it takes to compute with limbs: one number in an i64, or two in the lanes of a vector. */
interface Arithmetic {
  add(one: Code, other: Code): Code;
  mul(one: Code, other: Code): Code;
  /** The upper bits, beyond those of a limb. */
  above(value: Code): Code;
  /** The bits of a limb. */
  within(value: Code): Code;
  /** Five times the value. */
  fold(value: Code): Code;
}

const ONE: Arithmetic = {
  add: i64.add,
  mul: i64.mul,
  above: (value) => i64.shr(value, LIMB_BITS),
  within: (value) => i64.and(value, LIMB),
  fold: (value) => i64.mul(value, i64.const(5n)),
};

const LIMB_PAIR = v128.const([0xff, 0xff, 0xff, 0x03, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x03, 0, 0, 0, 0]);

/** `mul` takes its operands from the first two words; `fold` takes a local's value. */
const TWO: Arithmetic = {
  add: i64x2.add,
  mul: i64x2.mulLow,
  above: (value) => i64x2.shr(value, LIMB_BITS),
  within: (value) => v128.and(value, LIMB_PAIR),
  fold: (value) => i64x2.add(value, i64x2.shl(value, 2)),
};

interface Multiplication {
  readonly from: readonly Local[];
  readonly by: readonly Local[];
  /** Five times the factor: what goes beyond the fifth limb comes back so, 2^130 being 5. */
  readonly by5: readonly Local[];
  /** Scratch. */
  readonly product: readonly Local[];
  readonly to: readonly Local[];
}

/** to = from × by, its limbs a little longer than 26 bits at most. */
function multiply({ add, mul, above, within, fold }: Arithmetic, { from, by, by5, product, to }: Multiplication): Code {
  const [d0, d1, d2, d3, d4] = product as [Local, Local, Local, Local, Local];
  const [h0, h1, h2, h3, h4] = to as [Local, Local, Local, Local, Local];
  const term = (k: number, i: number): Code => mul(from[i]!.get, (i <= k ? by[k - i] : by5[5 + k - i])!.get);
  const carry = (low: Local, high: Local): Code => high.set(add(high.get, above(low.get)));
  const cut = (limb: Local, result: Local): Code => result.set(within(limb.get));
  return [
    LIMBS.map((k) => product[k]!.set(LIMBS.map((i) => term(k, i)).reduce((one, other) => add(one, other)))),
    // Two chains of carries, side by side
    [carry(d0, d1), cut(d0, h0), carry(d3, d4), cut(d3, h3)],
    [carry(d1, d2), cut(d1, h1), cut(d4, h4), d4.set(above(d4.get)), h0.set(add(h0.get, fold(d4.get)))],
    [carry(d2, h3), cut(d2, h2), carry(h0, h1), cut(h0, h0)],
    [carry(h3, h4), cut(h3, h3)],
  ];
}

/** 256 octets: below, `absorbPairs` costs more to begin than it spares. */
const PAIRS_BYTES_MIN = 256;

/** absorb(at, end): sum = (sum + block) × factor for each block of 16 octets; a shorter one, the last, is made whole in place. */
export function absorb(pairs: number): WasmFunction {
  const f = new WasmFunction("absorb");
  const at = f.parameter("i32");
  const end = f.parameter("i32");
  const [low, high, top] = f.locals("i64", 3) as [Local, Local, Local];
  const h = f.locals("i64", 5);
  const by = f.locals("i64", 5);
  const by5 = f.locals("i64", 5);
  const product = f.locals("i64", 5);
  const add = (to: Local, value: Code): Code => to.set(i64.add(to.get, value));
  const bytes = i32.sub(end.get, at.get);

  f.body = [
    when(i32.less(i32.const(PAIRS_BYTES_MIN - 1), bytes), [
      call(pairs, at.get, end.get),
      at.set(i32.add(at.get, i32.and(bytes, i32.const(-PAIR_BYTES)))),
    ]),
    LIMBS.map((index) => [
      h[index]!.set(i64.load(ZERO, SUM + 8 * index)),
      by5[index]!.set(ONE.fold(by[index]!.tee(i64.load(ZERO, FACTOR + 8 * index)))),
    ]),
    top.set(i64.const(2n ** 24n)),
    when(
      i32.less(at.get, end.get),
      doWhile(
        [
          when(i32.less(end.get, i32.add(at.get, i32.const(16))), [
            i64.store(end.get, i64.const(1n)),
            i64.store(end.get, i64.const(0n), 8),
            top.set(i64.const(0n)),
          ]),
          low.set(i64.load(at.get)),
          high.set(i64.load(at.get, 8)),
          limbs(low.get, high.get).map((limb, index) => add(h[index]!, limb)),
          add(h[4]!, top.get),
          multiply(ONE, { from: h, by, by5, product, to: h }),
        ],
        i32.less(at.tee(i32.add(at.get, i32.const(16))), end.get),
      ),
    ),
    LIMBS.map((index) => i64.store(ZERO, h[index]!.get, SUM + 8 * index)),
  ];
  return f;
}

/** Two blocks. */
const PAIR_BYTES = 32;

/**
 * absorbPairs(at, end): as `absorb`, two blocks at once, as many as there are whole pairs. The one lane has the first block of each
 * pair, the other the second; both are multiplied by the factor's square, but in the last pair the second by the factor itself, so
 * that the lanes' sum is what single blocks would have given.
 */
export function absorbPairs(): WasmFunction {
  const f = new WasmFunction("absorbPairs");
  const at = f.parameter("i32");
  const end = f.parameter("i32");
  const r = f.locals("i64", 5);
  const r5 = f.locals("i64", 5);
  const square = f.locals("i64", 5);
  const scratch = f.locals("i64", 5);
  const [first, second, low, high] = f.locals("v128", 4) as [Local, Local, Local, Local];
  const h = f.locals("v128", 5);
  const packed = f.locals("v128", 5);
  const by = f.locals("v128", 5);
  const by5 = f.locals("v128", 5);
  const product = f.locals("v128", 5);
  /** Two numbers as `mul` takes them. */
  const pack = (value: Code): Code => i32x4.pick([0, 2, 0, 2], value, value);
  const setFactor = (other: readonly Local[]): Code =>
    LIMBS.map((index) => {
      const pair = i64x2.replace(i64x2.splat(square[index]!.get), 1, other[index]!.get);
      return [by[index]!.set(pack(pair)), by5[index]!.set(i32x4.add(by[index]!.get, i32x4.shl(by[index]!.get, 2)))];
    });
  const limbsOfPair = [
    TWO.within(low.get),
    TWO.within(i64x2.shr(low.get, 26)),
    TWO.within(v128.or(i64x2.shr(low.get, 52), i64x2.shl(high.get, 12))),
    TWO.within(i64x2.shr(high.get, 14)),
    v128.or(i64x2.shr(high.get, 40), i64x2.splat(i64.const(2n ** 24n))),
  ];

  f.body = [
    end.set(i32.add(at.get, i32.and(i32.sub(end.get, at.get), i32.const(-PAIR_BYTES)))),
    LIMBS.map((index) => [
      r5[index]!.set(ONE.fold(r[index]!.tee(i64.load(ZERO, FACTOR + 8 * index)))),
      h[index]!.set(i64x2.replace(i64x2.splat(i64.const(0n)), 0, i64.load(ZERO, SUM + 8 * index))),
    ]),
    multiply(ONE, { from: r, by: r, by5: r5, product: scratch, to: square }),
    setFactor(square),
    doWhile(
      [
        when(i32.less(end.get, i32.add(at.get, i32.const(2 * PAIR_BYTES))), setFactor(r)),
        first.set(v128.load(at.get)),
        second.set(v128.load(at.get, 16)),
        low.set(i32x4.pick([0, 1, 4, 5], first.get, second.get)),
        high.set(i32x4.pick([2, 3, 6, 7], first.get, second.get)),
        LIMBS.map((index) => packed[index]!.set(pack(i64x2.add(h[index]!.get, limbsOfPair[index]!)))),
        multiply(TWO, { from: packed, by, by5, product, to: h }),
      ],
      i32.less(at.tee(i32.add(at.get, i32.const(PAIR_BYTES))), end.get),
    ),
    LIMBS.map((index) => {
      const sum = i64.add(i64x2.extract(h[index]!.get, 0), i64x2.extract(h[index]!.get, 1));
      return i64.store(ZERO, sum, SUM + 8 * index);
    }),
  ];
  return f;
}

/** finish(): the authenticator is the sum modulo 2^130 - 5, plus the pad, modulo 2^128. */
export function finish(): WasmFunction {
  const f = new WasmFunction("finish");
  const h = f.locals("i64", 5);
  const less = f.locals("i64", 5);
  const [mask, low, high] = f.locals("i64", 3) as [Local, Local, Local];

  const carry = (limbs: readonly Local[], from: number): Code => [
    limbs[from + 1]!.set(i64.add(limbs[from + 1]!.get, i64.shr(limbs[from]!.get, LIMB_BITS))),
    limbs[from]!.set(i64.and(limbs[from]!.get, LIMB)),
  ];
  const chain = (limbs: readonly Local[]): Code => [0, 1, 2, 3].map((from) => carry(limbs, from));
  const [h0, , , , h4] = h as [Local, Local, Local, Local, Local];

  f.body = [
    LIMBS.map((index) => h[index]!.set(i64.load(ZERO, SUM + 8 * index))),
    chain(h),
    h0.set(i64.add(h0.get, i64.mul(i64.shr(h4.get, LIMB_BITS), i64.const(5n)))),
    h4.set(i64.and(h4.get, LIMB)),
    chain(h),
    // less = h - (2^130 - 5), by adding 5 and taking 2^130 off; its sign decides which one counts
    LIMBS.map((index) => less[index]!.set(h[index]!.get)),
    less[0]!.set(i64.add(less[0]!.get, i64.const(5n))),
    chain(less),
    less[4]!.set(i64.sub(less[4]!.get, i64.const(2n ** 26n))),
    mask.set(i64.sub(i64.shr(less[4]!.get, 63), i64.const(1n))),
    LIMBS.map((index) => {
      const difference = i64.xor(h[index]!.get, less[index]!.get);
      return h[index]!.set(i64.xor(h[index]!.get, i64.and(difference, mask.get)));
    }),
    low.set(i64.or(i64.or(h0.get, i64.shl(h[1]!.get, 26)), i64.shl(h[2]!.get, 52))),
    high.set(i64.or(i64.or(i64.shr(h[2]!.get, 12), i64.shl(h[3]!.get, 14)), i64.shl(h4.get, 40))),
    // 128 bits in words, so that carries have room
    addPad(low, high, f.local("i64")),
  ];
  return f;
}

/** Stores low and high + pad, word by word. */
function addPad(low: Local, high: Local, sum: Local): Code {
  const word = (index: number): Code => {
    const from = index < 2 ? low.get : high.get;
    return index % 2 === 0 ? i64.and(from, i64.const(0xffff_ffffn)) : i64.shr(from, 32);
  };
  return [0, 1, 2, 3].map((index) => [
    sum.set(
      i64.add(i64.add(word(index), i64.loadWord(ZERO, PAD + 4 * index)), index === 0 ? i64.const(0n) : i64.shr(sum.get, 32)),
    ),
    i64.storeWord(ZERO, sum.get, TAG + 4 * index),
  ]);
}
