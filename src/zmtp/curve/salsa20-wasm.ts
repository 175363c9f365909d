/** ○ Salsa20 in WebAssembly: four blocks at once, each word of theirs a lane of a vector. */
import { COUNTER, INPUT, STRIDE_BYTES } from "./secretbox-memory.ts";
import { type Code, doWhile, i32, i32x4, type Local, v128, WasmFunction, ZERO } from "./wasm.ts";

/** salsa(from, to, end): XORs what lies from `from` to `end` into `to`, and as much more as fills four blocks. */
export function salsa(): WasmFunction {
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
