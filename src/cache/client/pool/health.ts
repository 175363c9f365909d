/**
 * ○ Whether a server is worth asking. `failures` in a row eject it; a reply brings it back. Between attempts to connect lies a
 * wait with full jitter.
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
   * The server did not connect, did not answer, or broke off.
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

  /** The server greets again: it may be asked, and one more failure ejects it again. */
  greeted(): void {
    this.#failures = Math.min(this.#failures, this.#options.ejectAfterFailures - 1);
    this.retryAtMs = -Infinity;
  }

  /** The server answered a question. */
  answered(): void {
    this.#failures = 0;
    this.retryAtMs = -Infinity;
  }
}
