/**
 * ○ How long to wait before the next attempt: full jitter, a uniform draw from [0, min(cap, base × 2^failures)], so that clients
 * that lost the same server do not come back together (AWS Architecture Blog, "Exponential Backoff and Jitter").
 * A server may dictate the wait once; a connection that lasted forgets the failures before it.
 */
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
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: Random;
  #failures = 0;
  #connectedAtMs: number | undefined;
  #dictatedMs: number | undefined;

  constructor({ base = BACKOFF_BASE_MS, cap = BACKOFF_CAP_MS }: BackoffOptions, random: Random) {
    this.#baseMs = durationMs(base, "base");
    this.#capMs = durationMs(cap, "cap");
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
    this.#failures = lasted ? 0 : this.#failures;
    this.#connectedAtMs = undefined;
    const boundMs = Math.min(this.#capMs, this.#baseMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30); // 2^30: far past any cap, far from overflow
    const dictatedMs = this.#dictatedMs;
    this.#dictatedMs = undefined;
    return dictatedMs ?? this.#random() * boundMs;
  }
}
