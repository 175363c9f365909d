/**
 * ○ Items with tags: in front of the value stands which version of each tag it was stored with. Such an item counts as long as its server
 * has these versions; a tag is invalidated by losing its own.
 *
 *     tagged item    0xF7 · tags (u8) · { id (16 bytes) · version (8 bytes) } · value      flags of the value + 2^31
 */
import { Buffer } from "node:buffer";
import type { Encoded } from "./codec.ts";

/** The flag of an item with tags; no codec may use it. */
export const TAGGED_FLAG = 2 ** 31;

const MAGIC = 0xf7;
const ID_BYTES = 16;
const VERSION_BYTES = 8;
const TAG_BYTES = ID_BYTES + VERSION_BYTES;

/** 255: what the byte that counts them holds; pages of Next.js have up to 128 of their own beside those of their paths. */
export const TAGS_MAX = 255;

/** A tag and the version of it that an item was stored with. */
export interface TagVersion {
  /** 22 letters: base64url of 16 bytes. */
  readonly id: string;
  /** 16 hexadecimal digits. */
  readonly version: string;
}

/** The value with its tags before it; as it is where it has none. */
export function withTags(encoded: Encoded, tags: readonly TagVersion[]): Encoded {
  if (tags.length === 0) return encoded;
  const { bytes, flags } = encoded;
  const value = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  const out = Buffer.allocUnsafe(2 + tags.length * TAG_BYTES + value.length);
  out[0] = MAGIC;
  out[1] = tags.length;
  let at = 2;
  for (const { id, version } of tags) {
    out.write(id, at, "base64url");
    out.write(version, at + ID_BYTES, "hex");
    at += TAG_BYTES;
  }
  out.set(value, at);
  return { bytes: out, flags: flags + TAGGED_FLAG };
}

/** The tags of an item; undefined where it has none, also if its flags say so: they may be another client's. */
export function tagsOf(bytes: Buffer, flags: number): readonly TagVersion[] | undefined {
  const valueStart = valueStartOf(bytes, flags);
  if (valueStart === 0) return undefined;
  const tags: TagVersion[] = [];
  for (let at = 2; at < valueStart; at += TAG_BYTES) {
    const idEnd = at + ID_BYTES;
    tags.push({ id: bytes.toString("base64url", at, idEnd), version: bytes.toString("hex", idEnd, at + TAG_BYTES) });
  }
  return tags;
}

/** An item's value and flags without its tags. */
export function withoutTags(bytes: Buffer, flags: number): { readonly bytes: Buffer; readonly flags: number } {
  const valueStart = valueStartOf(bytes, flags);
  return valueStart === 0 ? { bytes, flags } : { bytes: bytes.subarray(valueStart), flags: flags - TAGGED_FLAG };
}

/** 0 for an item without tags. */
function valueStartOf(bytes: Buffer, flags: number): number {
  if (flags < TAGGED_FLAG || bytes[0] !== MAGIC) return 0;
  const count = bytes[1] ?? 0;
  const valueStart = 2 + count * TAG_BYTES;
  return count > 0 && count <= TAGS_MAX && valueStart <= bytes.length ? valueStart : 0;
}
