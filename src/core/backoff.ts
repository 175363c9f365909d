/** ○ How long to wait before the next attempt, after some have failed: exponential backoff, each part with its own numbers. */
import type { Random } from "./random.ts";

export interface BackoffPolicy {
  /** Upper bound of the first wait; it doubles with each failure. */
  readonly minMs: number;
  /** Upper bound of every wait. */
  readonly maxMs: number;
  /**
   * The share of the wait that is left to chance, 0 to 1. 1 is full jitter, so that clients that lost the same server do not come
   * back together (AWS Architecture Blog, "Exponential Backoff and Jitter").
   */
  readonly jitter: number;
}

/** @param failures attempts that have failed in a row, from 1 on */
export function backoffDelayMs({ minMs, maxMs, jitter }: BackoffPolicy, failures: number, random: Random): number {
  const boundMs = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 40)); // 2^40: far past any bound, far from overflow
  return jitter === 0 ? boundMs : boundMs * (1 - jitter) + boundMs * jitter * random();
}
