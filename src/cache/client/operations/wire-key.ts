/**
 * ○ Wire keys: keys as they are sent, one byte a character. A key that must go as base64 through the meta protocol is its base64
 * behind a mark, so that one string says both.
 */
import { Buffer } from "node:buffer";

/** The mark of a wire key in base64: a space can begin no plain key. */
export const BASE64_MARK = " ";

/** True for a wire key that goes as base64. */
export function isBase64(wireKey: string): boolean {
  return wireKey.startsWith(BASE64_MARK);
}

/** The wire key of a key as its server keeps it. */
export function wireKeyOf(key: Buffer): string {
  const plain = key.every((byte) => byte > 0x20 && byte !== 0x7f);
  return plain ? key.toString("latin1") : BASE64_MARK + key.toString("base64");
}

/** The text whose hash places a key on a server: the raw bytes, so that base64 does not move it. */
export function placementKey(wireKey: string): string {
  return isBase64(wireKey) ? Buffer.from(wireKey.slice(1), "base64").toString("latin1") : wireKey;
}
