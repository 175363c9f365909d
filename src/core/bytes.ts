/** ○ What is done with bytes everywhere. */

/** No bytes. */
export const EMPTY = new Uint8Array(0);

const encoder = new TextEncoder();

/** A text's bytes. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Node's, which a browser has not. */
declare const Buffer: { allocUnsafe(length: number): Uint8Array } | undefined;

/** Bytes to be written over: Node has them in pools, without zeros. */
export const uninitialized: (length: number) => Uint8Array =
  typeof Buffer === "undefined" ? (length) => new Uint8Array(length) : (length) => Buffer.allocUnsafe(length);

/** Bytes one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Two digits a byte. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Compares in a time that does not tell where the two differ: for secrets. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let index = 0; index < one.length; index += 1) difference |= one[index]! ^ other[index]!;
  return difference === 0;
}
