/** ○ How long callers wait for an answer. */
import { type Duration, durationMs } from "../../core/units.ts";
import { checkOptions } from "../option-check.ts";
import { WAIT } from "./options.ts";

/** 10 s: a broker that restarts is back by then. */
export const SUBMIT_TIMEOUT_MS = 10_000;

/** When to give up waiting. */
export interface WaitFor {
  /** Default "10s"; of `call` and `result` "10m". */
  readonly timeout?: Duration;
  /** Aborting it rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID */
export function waitOptions(wait: WaitFor, defaultMs = SUBMIT_TIMEOUT_MS): Patience {
  checkOptions(wait, WAIT);
  return patience(wait, defaultMs);
}

/** The same of options that were checked. */
export function patience({ timeout, signal }: WaitFor, defaultMs: number): Patience {
  return { timeoutMs: timeout === undefined ? defaultMs : durationMs(timeout, "timeout"), signal };
}
