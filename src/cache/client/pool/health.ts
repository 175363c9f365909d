/**
 * ○ Whether a server may get requests. `ejectAfterFailures` failures in a row eject it; a reply restores it. The wait between
 * attempts to connect has full jitter: uniform in [0, min(longest, shortest × 2^(failures−1))), so that many clients of a
 * server that comes back do not connect at once.
 */
import { backoffDelayMs } from "../../../core/backoff.ts";
import type { Random } from "../../../core/random.ts";

export type HealthState = "up" | "failing" | "ejected";

export interface HealthOptions {
  readonly ejectAfterFailures: number;
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
}

export class Health {
  readonly #options: HealthOptions;
  readonly #random: Random;
  #failures = 0;
  /** No attempt to connect before this time. */
  retryAtMs = -Infinity;

  constructor(options: HealthOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  get state(): HealthState {
    if (this.#failures === 0) return "up";
    return this.#failures < this.#options.ejectAfterFailures ? "failing" : "ejected";
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * The server could not be reached, did not answer, or closed the connection.
   *
   * @param served true when it had answered on the connection that failed: the next attempt may follow at once
   */
  failed(nowMs: number, served: boolean): void {
    this.#failures += 1;
    if (served && this.state === "failing") return;
    const { backoffMsMin, backoffMsMax } = this.#options;
    const policy = { minMs: backoffMsMin, maxMs: backoffMsMax, jitter: 1 };
    this.retryAtMs = nowMs + backoffDelayMs(policy, this.#failures, this.#random);
  }

  /** A handshake succeeded: the server may get requests, and one more failure ejects it again. */
  connected(): void {
    this.#failures = Math.min(this.#failures, this.#options.ejectAfterFailures - 1);
    this.retryAtMs = -Infinity;
  }

  /** The server answered a request. */
  answered(): void {
    this.#failures = 0;
    this.retryAtMs = -Infinity;
  }
}
