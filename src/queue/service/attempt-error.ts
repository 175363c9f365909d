/**
 * ○ What the store keeps of what went wrong with a task: `TIME/ATTEMPT ERROR`, the time in ISO 8601. Without `/ATTEMPT` it is of no
 * attempt (expired, say). Notes from before times were kept are the error alone, and are read as such.
 */

export interface AttemptError {
  readonly error: string;
  /** TaskStateMachine time in ms; undefined in old notes. */
  readonly atMs: number | undefined;
  /** Which attempt failed, from 1; undefined when it was none, and in old notes. */
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
