/**
 * ○ What the store keeps of a failed attempt: its time in ISO 8601, a space, its error. Notes from before times were kept are the
 * error alone, and are read as such.
 */

export interface Note {
  readonly error: string;
  /** Engine time of the failure in ms; undefined in old notes. */
  readonly atMs: number | undefined;
}

const TIMED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) /;

export function encodeNote(error: string, atMs: number): string {
  return `${new Date(atMs).toISOString()} ${error}`;
}

export function decodeNote(text: string): Note {
  const time = TIMED.exec(text)?.[1];
  const atMs = time === undefined ? NaN : Date.parse(time);
  return Number.isNaN(atMs) ? { error: text, atMs: undefined } : { error: text.slice(time!.length + 1), atMs };
}
