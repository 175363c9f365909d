/**
 * ● The machine's libsodium, called through `node:ffi` (Node 26.1 and later), for the long parts of CURVE's traffic. Nothing, where one of
 * them is not there or may not be used, or where the library does not give NaCl's own answer. Looked for once, at the first long part: Node
 * warns of its experimental module then.
 */
import { type NativeSecretbox, seal } from "../../zmtp/curve/curve-box.ts";

/** Versions 1.0.19 to 1.0.20 and before, as systems name them. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  linux: ["libsodium.so.26", "libsodium.so.23"],
  darwin: ["libsodium.26.dylib", "libsodium.23.dylib"],
};

let found: NativeSecretbox | "none" | undefined;

/** @returns the library, or undefined where there is none to use */
export function systemSodium(): NativeSecretbox | undefined {
  found ??= find() ?? "none";
  return found === "none" ? undefined : found;
}

function find(): NativeSecretbox | undefined {
  for (const file of FILES[process.platform] ?? []) {
    try {
      const library = open(file);
      if (library !== undefined && isRight(library)) return library;
    } catch {
      continue; // it is not installed, or this process may call nothing foreign: the module of our own does it
    }
  }
  return undefined;
}

function open(file: string): NativeSecretbox | undefined {
  const ffi = process.getBuiltinModule?.("node:ffi");
  if (ffi === undefined) return undefined;
  const library = new ffi.DynamicLibrary(file);
  const inPlace = { arguments: ["buffer", "buffer", "buffer", "u64", "buffer", "buffer"], return: "i32" } as const;
  const sealing = library.getFunction("crypto_secretbox_detached", inPlace);
  const opening = library.getFunction("crypto_secretbox_open_detached", inPlace);
  if (library.getFunction("sodium_init", { arguments: [], return: "i32" })() < 0) return undefined;
  return {
    seal: (text, tag, nonce, key) => void sealing(text, tag, text, BigInt(text.length), nonce, key),
    open: (ciphertext, tag, nonce, key) => opening(ciphertext, ciphertext, tag, BigInt(ciphertext.length), nonce, key) === 0,
  };
}

/** Whether it closes and opens a box as the pure code does, and opens none that was changed. */
function isRight(library: NativeSecretbox): boolean {
  const [key, nonce, text] = [32, 24, 100].map((length) => Uint8Array.from({ length }, (_, at) => at * 7)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const wanted = seal(key, nonce, text);
  const box = new Uint8Array(wanted.length);
  const [tag, body] = [box.subarray(0, 16), box.subarray(16)];
  body.set(text);
  library.seal(body, tag, nonce, key);
  const closes = box.every((octet, at) => octet === wanted[at]);
  const opens = library.open(body, tag, nonce, key) && body.every((octet, at) => octet === text[at]);
  return closes && opens && !library.open(body, tag, nonce, key);
}
