/**
 * ○ How long to wait before the next attempt to connect: exponential backoff with full jitter. A server may dictate the wait once; a
 * connection that lasted forgets the failures before it.
 */
import { backoffDelayMs, type BackoffPolicy } from "../core/backoff.ts";
import { durationMs } from "../core/units.ts";
import type { Duration } from "../core/units.ts";
import type { Random } from "../core/random.ts";
import { BACKOFF_BASE_MS, BACKOFF_CAP_MS, BACKOFF_FORGET_MS } from "./limits.ts";

/** Waiting times between attempts to connect. */
export interface BackoffOptions {
  /** Upper bound of the first wait. Default 250 ms. */
  readonly base?: Duration;
  /** Upper bound of every wait. Default 30 s. */
  readonly cap?: Duration;
}

export class Backoff {
  readonly #policy: BackoffPolicy;
  readonly #random: Random;
  #failures = 0;
  #connectedAtMs: number | undefined;
  #dictatedMs: number | undefined;

  constructor({ base = BACKOFF_BASE_MS, cap = BACKOFF_CAP_MS }: BackoffOptions, random: Random) {
    this.#policy = { minMs: durationMs(base, "base"), maxMs: durationMs(cap, "cap"), jitter: 1 };
    this.#random = random;
  }

  connected(nowMs: number): void {
    this.#connectedAtMs = nowMs;
  }

  /** The server's word on when to come back; holds for the next wait. */
  dictate(ms: number): void {
    this.#dictatedMs = ms;
  }

  /** The wait after an attempt or a connection that ended now. */
  next(nowMs: number): number {
    const lasted = this.#connectedAtMs !== undefined && nowMs - this.#connectedAtMs >= BACKOFF_FORGET_MS;
    this.#failures = lasted ? 1 : this.#failures + 1;
    this.#connectedAtMs = undefined;
    const dictatedMs = this.#dictatedMs;
    this.#dictatedMs = undefined;
    return dictatedMs ?? backoffDelayMs(this.#policy, this.#failures, this.#random);
  }
}
