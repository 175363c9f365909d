/** ○ Keys that a line of text cannot hold as they are: in base64 by the meta protocol, percent-encoded in dumps and logs. */
import { Buffer } from "node:buffer";

const LETTERS = new Set(Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", "latin1"));

/**
 * Reads a base64 key as forgivingly as memcached: bytes that are no base64 letters are skipped, the others must be whole groups.
 *
 * @returns undefined when it is no base64 or the key is empty
 */
export function decodeKey(bytes: Uint8Array, start: number, end: number): Buffer | undefined {
  const letters: number[] = [];
  for (let at = start; at < end; at += 1) if (LETTERS.has(bytes[at]!)) letters.push(bytes[at]!);
  const text = String.fromCharCode(...letters);
  const padding = /=*$/.exec(text.slice(0, (text.indexOf("=") + 1 || text.length) + 3))![0].length;
  if (letters.length === 0 || letters.length % 4 !== 0 || padding > 2) return undefined;
  const key = Buffer.from(text, "base64");
  return key.length === 0 ? undefined : key;
}

export function encodeKey(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("base64", start, end);
}

/** A key as text: letters, digits and `-._~` as they are, anything else as %XX, so that a line is a line. */
export function percentEncode(key: Uint8Array): string {
  let text = "";
  for (const byte of key) text += PERCENT[byte]!;
  return text;
}

const PERCENT: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});
