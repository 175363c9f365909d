/**
 * ○ The secretbox's WebAssembly: what is done to one piece of a box at a time. The time depends on the lengths alone: no branch and
 * no address comes from a key or a text.
 */
import { absorb, absorbPairs, finish, key } from "./poly1305-wasm.ts";
import { salsa } from "./salsa20-wasm.ts";
import { COUNTER, POLY1305_KEY_BYTES, MEMORY_BYTES, PIECE } from "./secretbox-memory.ts";
import { assemble, call, i32, ifElse, v128, WasmFunction, when, ZERO } from "./wasm.ts";

const PAGE_BYTES = 65_536;

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
const [SALSA, KEY, PAIRS, ABSORB, FINISH] = [0, 1, 2, 3, 4] as const;

export function secretboxModule(): Uint8Array<ArrayBuffer> {
  const functions = [salsa(), key(), absorbPairs(), absorb(PAIRS), finish(), process()];
  return assemble(functions, Math.ceil(MEMORY_BYTES / PAGE_BYTES));
}

/** process(to, end, last): see `SecretboxExports`. */
function process(): WasmFunction {
  const f = new WasmFunction("process");
  const to = f.parameter("i32");
  const end = f.parameter("i32");
  const last = f.parameter("i32");
  const zeros = v128.const(Array.from({ length: 16 }, () => 0));
  const keyBytes = i32.const(POLY1305_KEY_BYTES);
  f.body = [
    ifElse(i32.load(ZERO, COUNTER), call(SALSA, i32.const(PIECE), to.get, end.get), [
      v128.store(ZERO, zeros, PIECE - POLY1305_KEY_BYTES),
      v128.store(ZERO, zeros, PIECE - POLY1305_KEY_BYTES + 16),
      call(SALSA, i32.const(PIECE - POLY1305_KEY_BYTES), i32.sub(to.get, keyBytes), end.get),
      call(KEY, i32.sub(to.get, keyBytes)),
    ]),
    call(ABSORB, i32.const(PIECE), end.get),
    when(last.get, call(FINISH)),
  ];
  return f;
}
