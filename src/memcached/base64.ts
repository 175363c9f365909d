/** ○ Base64 keys of the meta protocol, as forgiving as memcached: what is no base64 letter is skipped, the rest must be whole groups. */
import { Buffer } from "node:buffer";

const LETTERS = new Set(Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", "latin1"));

/** The decoded key, or undefined when there is none to decode. */
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
