/**
 * ○ NaCl's secretbox for traffic: XSalsa20-Poly1305 under one key and one prefix of nonces, so that HSalsa20 runs once and each
 * box costs plain Salsa20. A box is 16 octets of authenticator, then the ciphertext. Boxes are closed into the buffer in which
 * they are sent, and opened in the one in which they arrived.
 *
 * In WebAssembly (secretbox-wasm.ts), one module for all connections, since a box is done before anything else happens; where the
 * engine offers none, as under `--jitless`, by @noble's primitives, at a tenth of the speed. Long parts go to the machine's own library
 * where it has one and the caller offers it (zmq/transport/system-sodium.ts).
 */
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { salsa20 } from "@noble/ciphers/salsa.js";
import { type NativeSecretbox, subkey } from "./curve-box.ts";
import {
  COUNTER,
  FIRST_PIECE_BYTES_MAX,
  INPUT,
  NONCE,
  OPENED,
  PIECE,
  PIECE_BYTES_MAX,
  POLY1305_KEY_BYTES,
  TAG,
} from "./secretbox-memory.ts";
import { type SecretboxExports, secretboxModule } from "./secretbox-wasm.ts";
import { instantiate } from "./wasm.ts";

/** Octets of a box before its ciphertext. */
export const TAG_BYTES = 16;

/** Where Salsa20's constant, "expand 32-byte k", and the key lie in its input: word by word, or four and four. */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;

/** Closes and opens the boxes of one direction. The last 8 octets of a nonce are given as two words, the high one first. */
export interface Secretbox {
  /** Writes the box of an octet and a part to `target`: `TAG_BYTES + 1 + part.length` octets from `at` on. */
  seal(nonceHigh: number, nonceLow: number, first: number, part: Uint8Array, target: Uint8Array, at: number): void;
  /**
   * Opens the box that lies in `octets` from `at` to the end: its ciphertext is overwritten by the text.
   *
   * @returns whether the authenticator matches; if not, `octets` are of no use any more
   */
  open(nonceHigh: number, nonceLow: number, octets: Uint8Array, at: number): boolean;
}

/** 4 KiB: where libsodium through node:ffi is as fast as the module here; at 64 KiB it takes 0.57 of the time, at 100 octets 3 times as much. */
export const NATIVE_BYTES_MIN = 4096;

/**
 * The fastest that there is.
 *
 * @param native the machine's library, if it has one; asked for at the first part that is long enough
 */
export function makeSecretbox(key: Uint8Array, noncePrefix: Uint8Array, native?: () => NativeSecretbox | undefined): Secretbox {
  machine ??= makeMachine() ?? "none";
  const box = machine === "none" ? makePlainSecretbox(key, noncePrefix) : new WasmSecretbox(machine, subkey(key, noncePrefix));
  return native === undefined ? box : new SizedSecretbox(box, native, key, noncePrefix);
}

/** One that needs no WebAssembly. */
export function makePlainSecretbox(key: Uint8Array, noncePrefix: Uint8Array): Secretbox {
  return new PlainSecretbox(subkey(key, noncePrefix));
}

/** The instance and views of its memory. */
class Machine {
  readonly process: SecretboxExports["process"];
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** Whose key is in the input block. */
  owner: WasmSecretbox | undefined;

  constructor({ memory, process }: SecretboxExports) {
    this.process = process;
    this.octets = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    for (const [index, word] of SIGMA.entries()) this.view.setUint32(INPUT + 20 * index, word, true);
  }

  /** Makes the input block ready for a new box. */
  begin(nonceHigh: number, nonceLow: number): void {
    this.view.setUint32(NONCE, nonceHigh);
    this.view.setUint32(NONCE + 4, nonceLow);
    this.view.setUint32(COUNTER, 0);
  }
}

let machine: Machine | "none" | undefined;

function makeMachine(): Machine | undefined {
  const exports = instantiate(secretboxModule());
  return exports && new Machine(exports as SecretboxExports);
}

class WasmSecretbox implements Secretbox {
  readonly #machine: Machine;
  readonly #key: Uint8Array;

  constructor(machine: Machine, key: Uint8Array) {
    this.#machine = machine;
    this.#key = key;
  }

  seal(nonceHigh: number, nonceLow: number, first: number, part: Uint8Array, target: Uint8Array, at: number): void {
    const { process, octets } = this.#begin(nonceHigh, nonceLow);
    octets[PIECE] = first;
    const bytes = part.length;
    if (bytes < FIRST_PIECE_BYTES_MAX) {
      octets.set(part, PIECE + 1);
      process(PIECE, PIECE + 1 + bytes, 1);
      target.set(octets.subarray(TAG, PIECE + 1 + bytes), at);
      return;
    }
    let from = 0;
    let to = at + TAG_BYTES;
    for (let start = PIECE + 1, room = FIRST_PIECE_BYTES_MAX - 1; from < bytes; start = PIECE, room = PIECE_BYTES_MAX) {
      const count = Math.min(room, bytes - from);
      octets.set(part.subarray(from, from + count), start);
      from += count;
      process(PIECE, start + count, from === bytes ? 1 : 0);
      target.set(octets.subarray(PIECE, start + count), to);
      to += start + count - PIECE;
    }
    target.set(octets.subarray(TAG, TAG + TAG_BYTES), at);
  }

  open(nonceHigh: number, nonceLow: number, octets: Uint8Array, at: number): boolean {
    const { process, octets: memory } = this.#begin(nonceHigh, nonceLow);
    const bytes = octets.length;
    let from = at + TAG_BYTES;
    if (from >= bytes) return false; // a box holds at least its first octet
    for (let room = FIRST_PIECE_BYTES_MAX; from < bytes; room = PIECE_BYTES_MAX) {
      const count = Math.min(room, bytes - from);
      memory.set(octets.subarray(from, from + count), PIECE);
      const last = from + count === bytes;
      process(OPENED, PIECE + count, last ? 1 : 0);
      if (last && !sameTag(memory, TAG, octets, at)) return false;
      octets.set(memory.subarray(OPENED, OPENED + count), from);
      from += count;
    }
    return true;
  }

  /** The machine, ready for a box with this nonce. */
  #begin(nonceHigh: number, nonceLow: number): Machine {
    const machine = this.#machine;
    if (machine.owner !== this) {
      machine.owner = this;
      machine.octets.set(this.#key.subarray(0, 16), INPUT + 4);
      machine.octets.set(this.#key.subarray(16), INPUT + 44);
    }
    machine.begin(nonceHigh, nonceLow);
    return machine;
  }
}

/** Long parts by the machine's library, if there is one, short ones here. */
class SizedSecretbox implements Secretbox {
  readonly #short: Secretbox;
  readonly #native: () => NativeSecretbox | undefined;
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(24);
  readonly #counter = new DataView(this.#nonce.buffer, 16);

  constructor(short: Secretbox, native: () => NativeSecretbox | undefined, key: Uint8Array, noncePrefix: Uint8Array) {
    this.#short = short;
    this.#native = native;
    this.#key = key;
    this.#nonce.set(noncePrefix);
  }

  seal(nonceHigh: number, nonceLow: number, first: number, part: Uint8Array, target: Uint8Array, at: number): void {
    const native = part.length < NATIVE_BYTES_MIN ? undefined : this.#native();
    if (native === undefined) return this.#short.seal(nonceHigh, nonceLow, first, part, target, at);
    const start = at + TAG_BYTES;
    target[start] = first;
    target.set(part, start + 1);
    const text = target.subarray(start, start + 1 + part.length);
    native.seal(text, target.subarray(at, start), this.#nonceOf(nonceHigh, nonceLow), this.#key);
  }

  open(nonceHigh: number, nonceLow: number, octets: Uint8Array, at: number): boolean {
    const start = at + TAG_BYTES;
    const native = octets.length - start < NATIVE_BYTES_MIN ? undefined : this.#native();
    if (native === undefined) return this.#short.open(nonceHigh, nonceLow, octets, at);
    const tag = octets.subarray(at, start);
    return native.open(octets.subarray(start), tag, this.#nonceOf(nonceHigh, nonceLow), this.#key);
  }

  #nonceOf(high: number, low: number): Uint8Array {
    this.#counter.setUint32(0, high);
    this.#counter.setUint32(4, low);
    return this.#nonce;
  }
}

class PlainSecretbox implements Secretbox {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(nonceHigh: number, nonceLow: number, first: number, part: Uint8Array, target: Uint8Array, at: number): void {
    const text = new Uint8Array(POLY1305_KEY_BYTES + 1 + part.length);
    text[POLY1305_KEY_BYTES] = first;
    text.set(part, POLY1305_KEY_BYTES + 1);
    salsa20(this.#key, nonceOctets(nonceHigh, nonceLow), text, text);
    const ciphertext = text.subarray(POLY1305_KEY_BYTES);
    target.set(poly1305(ciphertext, text.subarray(0, POLY1305_KEY_BYTES)), at);
    target.set(ciphertext, at + TAG_BYTES);
  }

  open(nonceHigh: number, nonceLow: number, octets: Uint8Array, at: number): boolean {
    const ciphertext = octets.subarray(at + TAG_BYTES);
    const text = new Uint8Array(POLY1305_KEY_BYTES + ciphertext.length);
    text.set(ciphertext, POLY1305_KEY_BYTES);
    salsa20(this.#key, nonceOctets(nonceHigh, nonceLow), text, text);
    const tag = poly1305(ciphertext, text.subarray(0, POLY1305_KEY_BYTES));
    if (!sameTag(tag, 0, octets, at)) return false;
    ciphertext.set(text.subarray(POLY1305_KEY_BYTES));
    return true;
  }
}

function nonceOctets(high: number, low: number): Uint8Array {
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  view.setUint32(0, high);
  view.setUint32(4, low);
  return octets;
}

/** Compares two authenticators in a time that does not tell where they differ. */
function sameTag(one: Uint8Array, oneAt: number, other: Uint8Array, otherAt: number): boolean {
  let difference = 0;
  for (let index = 0; index < TAG_BYTES; index += 1) difference |= one[oneAt + index]! ^ other[otherAt + index]!;
  return difference === 0;
}
