/**
 * ○ Checks of what cannot happen. An assertion that fails is a bug in Holdfast, never the caller's or the peer's fault:
 * those get a UsageError or a ProtocolError (errors.ts).
 */
import { AssertionFailed } from "./errors.ts";

/**
 * Throws when an invariant does not hold.
 *
 * @param invariant the invariant in words, as it should have been: "used bytes never exceed the page"
 * @throws AssertionFailed with code ASSERTION_FAILED
 */
export function assert(holds: boolean, invariant: string): asserts holds {
  if (!holds) throw new AssertionFailed(invariant);
}

/** The value, asserted to be there. For look-ups that an invariant says cannot miss. */
export function present<T>(value: T | undefined | null, invariant: string): T {
  if (value === undefined || value === null) throw new AssertionFailed(invariant);
  return value;
}

/** Marks a branch that the types say is never reached, so that a new case is a compile error. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`no case for ${String(value)}`);
}
