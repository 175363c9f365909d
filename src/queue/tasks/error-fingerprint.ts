/**
 * ○ What an error is called by, so that ten thousand failures are a few kinds: its first line without what differs from task to task
 * (numbers, ids, addresses, quoted text), as 32 bits. Equal over restarts and brokers: people keep it in URLs.
 */

/** 300 characters of the first line: what comes after is data. */
const LINE_CHARS_MAX = 300;

/** Codes that people tell errors apart by: "status 503", "HTTP 404". */
const CODE = /^(?:status|code|http|errno|exit)\W/i;

/** Such a code; text in quotes; a word with a digit or an @. */
const DIFFERS =
  /\b(?:status|code|http|errno|exit)\W{1,3}\d{1,3}\b|"[^"]*"|`[^`]*`|“[^”]*”|(?<!\w)'[^']*'(?!\w)|[^\s,;()[\]{}"'`]*[\d@][^\s,;()[\]{}"'`]*/gi;

/** A whole number that stands for the kind of an error; never 0. */
export function errorFingerprint(error: string): number {
  return hash(errorKind(error)) || 1;
}

/** The first line with `…` for whatever differs from task to task. */
export function errorKind(error: string): string {
  const line = error.trimStart().split("\n", 1)[0]!.slice(0, LINE_CHARS_MAX);
  return line.replaceAll(DIFFERS, (found) => (CODE.test(found) ? found : "…")).trimEnd();
}

/** As text: 8 digits in hex. */
export function showFingerprint(error: number): string {
  return error.toString(16).padStart(8, "0");
}

/** undefined: no fingerprint. */
export function readFingerprint(text: unknown): number | undefined {
  return typeof text === "string" && /^[\da-f]{8}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** FNV-1a over UTF-16. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
