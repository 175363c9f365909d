/**
 * ○ Z85, ZeroMQ's text form of keys (RFC 32): four bytes are five printable characters, most significant first. A 32-byte key
 * is 40 characters. Refuses what would not come back the same: other lengths, foreign characters, a group above 2^32 - 1.
 */
import { UsageError } from "../../core/errors.ts";

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** Character code → digit, 255 for characters outside the alphabet. */
const DIGITS = new Uint8Array(128).fill(255);
for (let digit = 0; digit < ALPHABET.length; digit += 1) DIGITS[ALPHABET.charCodeAt(digit)] = digit;

/**
 * The text of some bytes.
 *
 * @throws UsageError ZMQ_Z85_INVALID when their number is no multiple of 4
 */
export function encodeZ85(bytes: Uint8Array): string {
  if (bytes.length % 4 !== 0) throw invalid(`${bytes.length} bytes are not a multiple of 4`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const value = view.getUint32(at);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += ALPHABET[Math.floor(value / power) % 85]!;
  }
  return text;
}

/**
 * The bytes of a text.
 *
 * @throws UsageError ZMQ_Z85_INVALID when its length is no multiple of 5 or a group of five is no number below 2^32
 */
export function decodeZ85(text: string): Uint8Array {
  if (text.length % 5 !== 0) throw invalid(`${text.length} characters are not a multiple of 5`);
  const bytes = new Uint8Array((text.length / 5) * 4);
  const view = new DataView(bytes.buffer);
  for (let group = 0; group < text.length / 5; group += 1) {
    let value = 0;
    for (let index = group * 5; index < group * 5 + 5; index += 1) {
      const digit = DIGITS[text.charCodeAt(index)] ?? 255;
      if (digit === 255) throw invalid(`character ${index + 1} is not in its alphabet`);
      value = value * 85 + digit;
    }
    if (value >= 2 ** 32) throw invalid(`characters ${group * 5 + 1} to ${group * 5 + 5} exceed 2^32 - 1`);
    view.setUint32(group * 4, value);
  }
  return bytes;
}

/** The text is most likely a secret key: the message must not repeat it. */
function invalid(reason: string): UsageError {
  return new UsageError("ZMQ_Z85_INVALID", `Cannot read Z85: ${reason}`);
}
