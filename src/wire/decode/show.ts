/**
 * ○ Untrusted bytes as text that is safe to print: control characters, escape sequences, bidirectional overrides and invalid UTF-8
 * become \xNN or \u{…}, so that a key can neither change the terminal nor imitate another key.
 */
import { utf8 } from "../../core/bytes.ts";
import { SHOWN_CHARS_MAX } from "../limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Control, format (bidi, zero width), surrogate, private and unassigned characters, and all spaces except U+0020. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** At most `charsMax` characters of the bytes, with "…" and the total length if there are more. */
export function showBytes(bytes: Uint8Array, charsMax = SHOWN_CHARS_MAX): string {
  if (bytes.length <= charsMax && bytes.every(isPlain)) return String.fromCharCode(...bytes); // the usual case: 1.5 times as many packets per second
  const head = bytes.subarray(0, charsMax * 4);
  const text = asUtf8(withoutPartialCharacter(head, bytes.length));
  const shown =
    text === undefined ? Array.from(head, escapeByte) : Array.from(text, (char) => char.replace(HIDDEN, escapeCharacter));
  if (shown.length <= charsMax && head.length === bytes.length) return shown.join("");
  return `${shown.slice(0, charsMax).join("")}… (${bytes.length} B)`;
}

/** A string, escaped in the same way. */
export function showText(text: string, charsMax = SHOWN_CHARS_MAX): string {
  return showBytes(utf8(text), charsMax);
}

function isPlain(octet: number): boolean {
  return octet >= 0x20 && octet < 0x7f;
}

function asUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined; // not UTF-8: shown byte by byte
  }
}

/** Drops the octets of a character that the cut of `head` has split. */
function withoutPartialCharacter(head: Uint8Array, total: number): Uint8Array {
  if (head.length === total) return head;
  let end = head.length;
  for (let back = 1; back <= 3 && back <= head.length; back += 1) {
    const octet = head[head.length - back]!;
    if (octet >= 0xc0) {
      end = head.length - back;
      break;
    }
    if (octet < 0x80) break;
  }
  return head.subarray(0, end);
}

function escapeByte(octet: number): string {
  return isPlain(octet) ? String.fromCharCode(octet) : `\\x${octet.toString(16).padStart(2, "0")}`;
}

function escapeCharacter(char: string): string {
  const code = char.codePointAt(0)!;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}
