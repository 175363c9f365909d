/**
 * ○ What the store keeps of what went wrong with a task: `TIME/ATTEMPT ERROR`, the time in ISO 8601. Without `/ATTEMPT` it is of no
 * attempt (expired, say). What was kept before times were is the error alone, and is read as such.
 */

export interface AttemptError {
  readonly error: string;
  /** Queue time in ms; undefined where it was not kept. */
  readonly atMs: number | undefined;
  /** Which attempt failed, from 1; undefined when it was none, or not kept. */
  readonly attempt: number | undefined;
}

const TIMED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(?:\/(\d+))? /;

export function encodeAttemptError({ error, atMs, attempt }: AttemptError & { readonly atMs: number }): string {
  return `${new Date(atMs).toISOString()}${attempt === undefined ? "" : `/${attempt}`} ${error}`;
}

export function decodeAttemptError(text: string): AttemptError {
  const [head, time, attempt] = TIMED.exec(text) ?? [];
  const atMs = time === undefined ? NaN : Date.parse(time);
  if (Number.isNaN(atMs)) return { error: text, atMs: undefined, attempt: undefined };
  return { error: text.slice(head!.length), atMs, attempt: attempt === undefined ? undefined : Number(attempt) };
}
