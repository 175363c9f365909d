/**
 * ● Keys as callers give them → keys as they are sent: 1 to 250 bytes, none of them a space or a control character
 * (memcached, doc/protocol.txt, "Keys"). What does not fit is refused, unless the client was told to hash it or to send it as
 * base64. Impure only for node:crypto's SHA-256 alone.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { UsageError } from "../../../core/errors.ts";
import { KEY_BYTES_MAX } from "../operations/limits.ts";
import { BASE64_MARK } from "../operations/wire-key.ts";

/** A key: text (UTF-8 on the wire) or bytes. */
export type Key = string | Uint8Array;

/**
 * What becomes of keys over 250 bytes or with bytes that memcached's text protocol cannot carry. "refuse": CACHE_KEY_INVALID.
 * "hash": SHA-256 in their place, as 43 letters behind "sha256:". "base64": sent as base64 through the meta protocol (memcached
 * >= 1.6; other clients see the raw bytes), which carries any byte and up to 186 of them; longer ones are refused.
 */
export type KeyPolicy = "refuse" | "hash" | "base64";

/**
 * The key as bytes of the wire, one a character; behind `BASE64_MARK` when it must go as base64.
 *
 * @throws UsageError CACHE_KEY_INVALID
 */
export function toWireKey(key: Key, policy: KeyPolicy): string {
  if (typeof key === "string") {
    const length = key.length;
    let index = length <= KEY_BYTES_MAX ? 0 : length;
    while (index < length) {
      const code = key.charCodeAt(index);
      if (code <= 0x20 || code >= 0x7f) break;
      index += 1;
    }
    if (index === length && length > 0 && length <= KEY_BYTES_MAX) {
      return policy === "hash" && HASHED.test(key) ? hashed(Buffer.from(key)) : key;
    }
    // Buffer.from would write U+FFFD for each half of a pair, and so make one key of many.
    if (!key.isWellFormed()) throw invalid("a key with half of a surrogate pair, which has no bytes in UTF-8");
    return unusualKey(Buffer.from(key), policy);
  }
  if (!((key as unknown) instanceof Uint8Array)) {
    throw invalid(`a key of type ${key === null ? "null" : typeof key}: it must be text or a Uint8Array`);
  }
  return unusualKey(Buffer.from(key.buffer, key.byteOffset, key.byteLength), policy);
}

/** The key with the client's prefix. What is no key stays as it is, and is refused as such. */
export function withPrefix(key: Key, prefix: string): Key {
  if (typeof key === "string") return key === "" ? key : prefix + key;
  const isKey = (key as unknown) instanceof Uint8Array && key.length > 0;
  return isKey ? Buffer.concat([Buffer.from(prefix), key]) : key;
}

/** What the policy "hash" makes. A key that looks so already is hashed itself: no two keys are sent alike. */
const HASHED = /^sha256:[\w-]{43}$/;

function hashed(bytes: Buffer): string {
  return `sha256:${hash("sha256", bytes, "base64url")}`;
}

function unusualKey(bytes: Buffer, policy: KeyPolicy): string {
  if (bytes.length === 0) throw invalid("an empty key");
  const long = bytes.length > KEY_BYTES_MAX;
  const forbidden = bytes.findIndex((byte) => byte <= 0x20 || byte === 0x7f);
  if (!long && forbidden < 0) {
    const plain = bytes.toString("latin1");
    return policy === "hash" && HASHED.test(plain) ? hashed(bytes) : plain;
  }
  if (policy === "hash") return hashed(bytes);
  if (policy === "base64") {
    const encoded = bytes.toString("base64");
    if (encoded.length > KEY_BYTES_MAX) throw invalid(`a key of ${bytes.length} bytes, at most 186 fit as base64`);
    return BASE64_MARK + encoded;
  }
  if (long)
    throw invalid(`a key of ${bytes.length} bytes, at most ${KEY_BYTES_MAX} allowed; the option keys: 'hash' allows it`);
  throw invalid(
    `a key with byte 0x${bytes[forbidden]!.toString(16).padStart(2, "0")} at ${forbidden}, no spaces or control characters allowed; ` +
      "the options keys: 'hash' and keys: 'base64' allow it",
  );
}

function invalid(what: string): UsageError {
  return new UsageError("CACHE_KEY_INVALID", `Cannot use ${what}`);
}
