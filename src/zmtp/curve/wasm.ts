/**
 * ○ A WebAssembly assembler: as many instructions as `secretbox-wasm.ts` needs, as functions from operands to code. So its source
 * is TypeScript, loops and names included, and no binary lies in the repository. Code is a tree of octets that is flattened once.
 * Checks nothing: the engine validates the module when it compiles it.
 */

/** Instructions, in order. */
export type Code = number | readonly Code[];

type Type = "i32" | "i64" | "v128";

const TYPE: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };

/** A parameter or variable of a function. */
export class Local {
  readonly get: Code;
  readonly #index: Code;

  constructor(index: number) {
    this.#index = unsigned(index);
    this.get = [0x20, this.#index];
  }

  set(value: Code): Code {
    return [value, 0x21, this.#index];
  }

  /** Sets it and leaves the value as an operand. */
  tee(value: Code): Code {
    return [value, 0x22, this.#index];
  }
}

/** A function of the module, without a result: what it finds, it leaves in memory. */
export class WasmFunction {
  readonly name: string;
  readonly #parameters: Type[] = [];
  readonly #locals: Type[] = [];
  body: Code = [];

  constructor(name: string) {
    this.name = name;
  }

  /** All parameters come before the first local. */
  parameter(type: Type): Local {
    return new Local(this.#parameters.push(type) - 1);
  }

  local(type: Type): Local {
    return new Local(this.#parameters.length + this.#locals.push(type) - 1);
  }

  locals(type: Type, count: number): Local[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  get signature(): Code {
    return [0x60, list(this.#parameters.map((type) => TYPE[type])), list([])];
  }

  get code(): Code {
    return sized([list(this.#locals.map((type) => [1, TYPE[type]])), this.body, END]);
  }
}

const END = 0x0b;
const NO_RESULT = 0x40;

/** Runs the body, and again as long as the condition that follows is not zero. */
export function doWhile(body: Code, condition: Code): Code {
  return [0x03, NO_RESULT, body, condition, 0x0d, 0, END];
}

/** Runs the body unless the condition is zero. */
export function when(condition: Code, body: Code): Code {
  return [condition, 0x04, NO_RESULT, body, END];
}

/** Runs the first body unless the condition is zero, else the second. */
export function ifElse(condition: Code, body: Code, otherwise: Code): Code {
  return [condition, 0x04, NO_RESULT, body, 0x05, otherwise, END];
}

/** Calls a function of the same module by its place in the list given to `assemble`. */
export function call(index: number, ...operands: readonly Code[]): Code {
  return [operands, 0x10, unsigned(index)];
}

type Binary = (one: Code, other: Code) => Code;
type Load = (address: Code, offset?: number) => Code;
type Store = (address: Code, value: Code, offset?: number) => Code;

function binary(...opcode: readonly Code[]): Binary {
  return (one, other) => [one, other, opcode];
}

/** Addresses may be unaligned. */
function load(...opcode: readonly Code[]): Load {
  return (address, offset = 0) => [address, opcode, 0, unsigned(offset)];
}

function store(...opcode: readonly Code[]): Store {
  return (address, value, offset = 0) => [address, value, opcode, 0, unsigned(offset)];
}

/** The shift instructions of vectors take their distance as an i32. */
function shift(opcode: number): (value: Code, bits: number) => Code {
  return (value, bits) => [value, i32.const(bits), simd(opcode)];
}

function simd(opcode: number): Code {
  return [0xfd, unsigned(opcode)];
}

export const i32 = {
  const: (value: number): Code => [0x41, signed(BigInt(value))],
  load: load(0x28),
  store: store(0x36),
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  less: binary(0x49),
};

/** The address 0, for what lies at a fixed offset. */
export const ZERO = i32.const(0);

export const i64 = {
  const: (value: bigint): Code => [0x42, signed(BigInt.asIntN(64, value))],
  load: load(0x29),
  /** Loads a word, the upper half being zero. */
  loadWord: load(0x35),
  store: store(0x37),
  /** Stores the lower half. */
  storeWord: store(0x3e),
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: (value: Code, bits: number): Code => [value, i64.const(BigInt(bits)), 0x86],
  shr: (value: Code, bits: number): Code => [value, i64.const(BigInt(bits)), 0x88],
};

export const v128 = {
  const: (octets: readonly number[]): Code => [simd(12), octets],
  load: load(simd(0)),
  /** One word from memory, in all four lanes. */
  loadSplat: load(simd(9)),
  store: store(simd(11)),
  and: binary(simd(78)),
  or: binary(simd(80)),
  xor: binary(simd(81)),
};

/** Vectors of four words. */
export const i32x4 = {
  splat: (value: Code): Code => [value, simd(17)],
  add: binary(simd(174)),
  shl: shift(171),
  shr: shift(173),
  /** A vector of four of the eight words 0 to 3 (of `one`) and 4 to 7 (of `other`). */
  pick: (words: readonly number[], one: Code, other: Code): Code => [
    one,
    other,
    simd(13),
    words.flatMap((word) => [0, 1, 2, 3].map((octet) => 4 * word + octet)),
  ],
};

/** Vectors of two. */
export const i64x2 = {
  splat: (value: Code): Code => [value, simd(18)],
  extract: (vector: Code, lane: 0 | 1): Code => [vector, simd(29), lane],
  replace: (vector: Code, lane: 0 | 1, value: Code): Code => [vector, value, simd(30), lane],
  shl: shift(203),
  shr: shift(205),
  add: binary(simd(206)),
  /** The products of the first two words of each operand. */
  mulLow: binary(simd(222)),
};

/** A module that exports its functions and its memory, whose size never changes. */
export function assemble(functions: readonly WasmFunction[], memoryPages: number): Uint8Array<ArrayBuffer> {
  const exported = functions.map(({ name }, index) => [text(name), 0, unsigned(index)]);
  const module: Code = [
    [0x00, 0x61, 0x73, 0x6d], // "\0asm"
    [1, 0, 0, 0],
    section(
      1,
      functions.map(({ signature }) => signature),
    ),
    section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    section(5, [[1, unsigned(memoryPages), unsigned(memoryPages)]]),
    section(7, [[text("memory"), 2, 0], ...exported]),
    section(
      10,
      functions.map(({ code }) => code),
    ),
  ];
  return Uint8Array.from(octetsOf(module));
}

/** The part of the JavaScript API for WebAssembly used here: Node's types have none. */
declare const WebAssembly:
  | {
      readonly Module: new (octets: Uint8Array<ArrayBuffer>) => object;
      readonly Instance: new (module: object) => { readonly exports: object };
    }
  | undefined;

/** Compiles a module that imports nothing. @returns what it exports, or undefined where the engine runs no such code */
export function instantiate(octets: Uint8Array<ArrayBuffer>): object | undefined {
  if (typeof WebAssembly === "undefined") return undefined; // `node --jitless`
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(octets)).exports;
  } catch {
    return undefined; // a processor without vectors, or an embedder that forbids code made at run time
  }
}

function section(id: number, items: readonly Code[]): Code {
  return [id, sized(list(items))];
}

function list(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function sized(code: Code): Code {
  const octets = octetsOf(code);
  return [unsigned(octets.length), octets];
}

function text(ascii: string): Code {
  return list(Array.from(ascii, (letter) => letter.charCodeAt(0)));
}

function octetsOf(code: Code, octets: number[] = []): number[] {
  if (typeof code === "number") octets.push(code);
  else for (const part of code) octetsOf(part, octets);
  return octets;
}

/** LEB128: seven bits an octet, the lowest first. */
function unsigned(value: number): Code {
  const octets: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) octets.push((rest & 0x7f) | 0x80);
  return [...octets, rest];
}

/** LEB128 in two's complement: ends when all that is left repeats the sign. */
function signed(value: bigint): Code {
  const octets: number[] = [];
  let rest = value;
  for (; rest < -64n || rest > 63n; rest >>= 7n) octets.push(Number(rest & 0x7fn) | 0x80);
  return [...octets, Number(rest & 0x7fn)];
}
