/**
 * ○ Every error that leaves Holdfast. Three kinds tell whose move it is: theirs (ProtocolError: the peer broke the protocol),
 * yours (UsageError: the caller asked for something impossible), the environment's (OperationError: timeout, unreachable, full).
 * `code` is stable and listed in error-codes.ts; messages may change. A miss is a value, never an error.
 */
import type { ErrorCode } from "./error-codes.ts";

/** Base of all errors of Holdfast: an Error with a stable `code`. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;

  /** @param message action + reason + value, without a full stop: "Cannot read key: 300 bytes, at most 250 allowed" */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Theirs: the peer sent what its protocol forbids. Costs at most that one connection. */
export class ProtocolError extends HoldfastError {}

/** Yours: an argument, an option or an order of calls that cannot work. Never reaches the wire. */
export class UsageError extends HoldfastError {}

/** The environment's: a deadline passed, a peer is gone, a bound is reached, a disk is full. Trying again may help. */
export class OperationError extends HoldfastError {}

/** A bug in Holdfast. See assert.ts. */
export class AssertionFailed extends HoldfastError {
  constructor(invariant: string) {
    super("ASSERTION_FAILED", `Broken invariant: ${invariant}`);
  }
}

/** What a function reads; undefined where that is not what it should be. */
export function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** The `code` of any error, ours or Node's (ECONNREFUSED …), or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** An error's message; for what is no Error, its text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
