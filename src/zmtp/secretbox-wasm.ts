/**
 * ○ Salsa20 and Poly1305 in WebAssembly, on one piece of a box at a time. Salsa20 makes four blocks at once, each word of theirs a
 * lane of a vector; Poly1305 computes in five limbs of 26 bits. The time depends on the lengths alone: no branch and no address
 * comes from a key or a text.
 *
 * Memory: `INPUT` is Salsa20's input block, as in its specification (section 7): whoever writes the nonce sets the block counter to
 * 0, which starts a new box. `PIECE` is where a piece of the text goes. Before it are the 32 octets that Salsa20 spends on the
 * Poly1305 key; the latter half of them becomes the authenticator, so that a box of one piece lies in memory as it is sent.
 */
import { assemble, call, type Code, doWhile, i32, i32x4, i64, ifElse, type Local, v128, WasmFunction, when } from "./wasm.ts";

/** Octets of Salsa20's first block that are no keystream: the Poly1305 key. */
const KEY_BYTES = 32;

/** Four blocks of Salsa20. */
const STRIDE_BYTES = 256;

/** 12 KiB: what is read and what is written fit the fastest cache together. A multiple of `STRIDE_BYTES`, as all pieces but the last. */
export const PIECE_BYTES_MAX = 12 * 1024;

/** The first piece of a box is shorter, for the Poly1305 key. */
export const FIRST_PIECE_BYTES_MAX = PIECE_BYTES_MAX - KEY_BYTES;

/** Salsa20's input block: constants, key, nonce and counter, as sixteen words. */
export const INPUT = 0;
export const NONCE = INPUT + 24;
export const COUNTER = INPUT + 32;

/** Poly1305's accumulator and factor, five limbs each in an i64, and what is added last. */
const SUM = 64;
const FACTOR = SUM + 40;
const PAD = FACTOR + 40;

export const PIECE = 512;
/** The authenticator, after the last piece. */
export const TAG = PIECE - 16;
/** Where an opened piece goes, so that the sealed one stays whole for Poly1305. */
export const OPENED = PIECE + PIECE_BYTES_MAX + 2 * STRIDE_BYTES;

const PAGE_BYTES = 65_536;
const ZERO = i32.const(0);

/** The functions of the module that `secretboxModule` gives. */
export interface SecretboxExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  /**
   * Enciphers the piece in place (`to` is `PIECE`) or deciphers it (`OPENED`), and takes its ciphertext into the authenticator.
   *
   * @param end where the piece ends, counted from the memory's start
   * @param last 1 to make the authenticator, at `TAG`; else 0
   */
  process(to: number, end: number, last: number): void;
}

/** Places in the module's list of functions. */
const [SALSA, KEY, ABSORB, FINISH] = [0, 1, 2, 3] as const;

export function secretboxModule(): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil((OPENED + PIECE_BYTES_MAX + STRIDE_BYTES) / PAGE_BYTES);
  return assemble([salsa(), key(), absorb(), finish(), process()], pages);
}

/** salsa(from, to, end): XORs what lies from `from` to `end` into `to`, and as much more as fills four blocks. */
function salsa(): WasmFunction {
  const f = new WasmFunction("salsa");
  const from = f.parameter("i32");
  const to = f.parameter("i32");
  const end = f.parameter("i32");
  const counter = f.local("i32");
  const round = f.local("i32");
  const sum = f.local("v128");
  const x = f.locals("v128", 16);

  /** x[to] ^= (x[one] + x[other]) <<< bits */
  const step = (to: number, one: number, other: number, bits: number): Code => {
    const left = i32x4.shl(sum.tee(i32x4.add(x[one]!.get, x[other]!.get)), bits);
    return x[to]!.set(v128.xor(v128.xor(x[to]!.get, left), i32x4.shr(sum.get, 32 - bits)));
  };
  const quarterRound = (a: number, b: number, c: number, d: number): Code => [
    step(b, a, d, 7),
    step(c, b, a, 9),
    step(d, c, b, 13),
    step(a, d, c, 18),
  ];
  const doubleRound = [
    [quarterRound(0, 4, 8, 12), quarterRound(5, 9, 13, 1), quarterRound(10, 14, 2, 6), quarterRound(15, 3, 7, 11)],
    [quarterRound(0, 1, 2, 3), quarterRound(5, 6, 7, 4), quarterRound(10, 11, 8, 9), quarterRound(15, 12, 13, 14)],
  ];

  const counters = i32x4.add(i32x4.splat(counter.get), v128.const([0, 1, 2, 3].flatMap((word) => [word, 0, 0, 0])));
  const input = (word: number): Code => (INPUT + 4 * word === COUNTER ? counters : v128.loadSplat(ZERO, INPUT + 4 * word));

  /** Words 4 × row to 4 × row + 3 of the four blocks: transposed, then XORed into where they belong. */
  const output = (row: number): Code => {
    const words = x.slice(4 * row, 4 * row + 4);
    const [a, b, c, d] = words.map(({ get }) => get) as [Code, Code, Code, Code];
    const put = (block: number, keystream: Code): Code => {
      const offset = 64 * block + 16 * row;
      return v128.store(to.get, v128.xor(v128.load(from.get, offset), keystream), offset);
    };
    const low = f.locals("v128", 2) as [Local, Local];
    const high = f.locals("v128", 2) as [Local, Local];
    return [
      words.map((word, index) => word.set(i32x4.add(word.get, input(4 * row + index)))),
      low[0].set(i32x4.pick([0, 4, 1, 5], a, b)),
      high[0].set(i32x4.pick([2, 6, 3, 7], a, b)),
      low[1].set(i32x4.pick([0, 4, 1, 5], c, d)),
      high[1].set(i32x4.pick([2, 6, 3, 7], c, d)),
      put(0, i32x4.pick([0, 1, 4, 5], low[0].get, low[1].get)),
      put(1, i32x4.pick([2, 3, 6, 7], low[0].get, low[1].get)),
      put(2, i32x4.pick([0, 1, 4, 5], high[0].get, high[1].get)),
      put(3, i32x4.pick([2, 3, 6, 7], high[0].get, high[1].get)),
    ];
  };

  f.body = [
    counter.set(i32.load(ZERO, COUNTER)),
    doWhile(
      [
        x.map((word, index) => word.set(input(index))),
        round.set(i32.const(10)),
        doWhile(doubleRound, round.tee(i32.sub(round.get, i32.const(1)))),
        [0, 1, 2, 3].map(output),
        counter.set(i32.add(counter.get, i32.const(STRIDE_BYTES / 64))),
        to.set(i32.add(to.get, i32.const(STRIDE_BYTES))),
      ],
      i32.less(from.tee(i32.add(from.get, i32.const(STRIDE_BYTES))), end.get),
    ),
    i32.store(ZERO, counter.get, COUNTER),
  ];
  return f;
}

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
function key(): WasmFunction {
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

/** absorb(at, end): sum = (sum + block) × factor for each block of 16 octets; a shorter one, the last, is made whole in place. */
function absorb(): WasmFunction {
  const f = new WasmFunction("absorb");
  const at = f.parameter("i32");
  const end = f.parameter("i32");
  const [low, high, top] = f.locals("i64", 3) as [Local, Local, Local];
  const h = f.locals("i64", 5);
  const r = f.locals("i64", 5);
  const r5 = f.locals("i64", 5);
  const product = f.locals("i64", 5);

  const add = (to: Local, value: Code): Code => to.set(i64.add(to.get, value));
  /** Limbs i and j meet in i + j; 2^130 being 5, what goes beyond the fifth limb comes back five times. */
  const term = (k: number, i: number): Code => i64.mul(h[i]!.get, i <= k ? r[k - i]!.get : r5[5 + k - i]!.get);
  const carry = (from: Local, into: Local): Code => add(into, i64.shr(from.get, LIMB_BITS));
  const cut = (from: Local, into: Local): Code => into.set(i64.and(from.get, LIMB));
  const [d0, d1, d2, d3, d4] = product as [Local, Local, Local, Local, Local];
  const [h0, h1, h2, h3, h4] = h as [Local, Local, Local, Local, Local];

  f.body = [
    LIMBS.map((index) => [
      h[index]!.set(i64.load(ZERO, SUM + 8 * index)),
      r5[index]!.set(i64.mul(r[index]!.tee(i64.load(ZERO, FACTOR + 8 * index)), i64.const(5n))),
    ]),
    top.set(i64.const(2n ** 24n)),
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
        add(h4, top.get),
        LIMBS.map((k) => product[k]!.set(LIMBS.map((i) => term(k, i)).reduce((one, other) => i64.add(one, other)))),
        // Two chains of carries, side by side
        [carry(d0, d1), cut(d0, h0), carry(d3, d4), cut(d3, h3)],
        [carry(d1, d2), cut(d1, h1), add(h0, i64.mul(i64.shr(d4.get, LIMB_BITS), i64.const(5n))), cut(d4, h4)],
        [carry(d2, h3), cut(d2, h2), carry(h0, h1), cut(h0, h0)],
        [carry(h3, h4), cut(h3, h3)],
      ],
      i32.less(at.tee(i32.add(at.get, i32.const(16))), end.get),
    ),
    LIMBS.map((index) => i64.store(ZERO, h[index]!.get, SUM + 8 * index)),
  ];
  return f;
}

/** finish(): the authenticator is the sum modulo 2^130 - 5, plus the pad, modulo 2^128. */
function finish(): WasmFunction {
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

/** process(to, end, last): see `SecretboxExports`. */
function process(): WasmFunction {
  const f = new WasmFunction("process");
  const to = f.parameter("i32");
  const end = f.parameter("i32");
  const last = f.parameter("i32");
  const zeros = v128.const(Array.from({ length: 16 }, () => 0));
  const keyBytes = i32.const(KEY_BYTES);
  f.body = [
    ifElse(i32.load(ZERO, COUNTER), call(SALSA, i32.const(PIECE), to.get, end.get), [
      v128.store(ZERO, zeros, PIECE - KEY_BYTES),
      v128.store(ZERO, zeros, PIECE - KEY_BYTES + 16),
      call(SALSA, i32.const(PIECE - KEY_BYTES), i32.sub(to.get, keyBytes), end.get),
      call(KEY, i32.sub(to.get, keyBytes)),
    ]),
    call(ABSORB, i32.const(PIECE), end.get),
    when(last.get, call(FINISH)),
  ];
  return f;
}
