/**
 * ○ A lease that is held: renewed each second, or seen to be there still, until it ends. Invariant: what `end` gives is the last version
 * that is known to be the holder's; nothing when it was lost.
 */
import type { Cancel, Clock } from "../../../core/clock.ts";
import type { ToldVersion } from "./lease.ts";

/** 1 s: a third of a placeholder's life. */
const RENEW_MS = 1000;

/** The right to store what is computed: over a version, which is renewed, or seen to be there, until nobody waits any more. */
export class RenewedLease {
  readonly #clock: Clock;
  readonly #renew: (last: ToldVersion) => Promise<ToldVersion | undefined>;
  #version: ToldVersion | undefined;
  #renewal: Promise<void> = Promise.resolve();
  #cancel: Cancel = () => {};
  #ended = false;

  constructor(
    clock: Clock,
    version: ToldVersion,
    renew: (last: ToldVersion) => Promise<ToldVersion | undefined>,
    signal: AbortSignal,
  ) {
    this.#clock = clock;
    this.#version = version;
    this.#renew = renew;
    signal.addEventListener("abort", () => void this.end(), { once: true });
    this.#renewLater(version);
  }

  /** Ends it. The version to store over; undefined when it was lost. */
  async end(): Promise<ToldVersion | undefined> {
    this.#ended = true;
    this.#cancel();
    await this.#renewal;
    return this.#version;
  }

  #renewLater(version: ToldVersion): void {
    if (this.#ended) return;
    this.#cancel = this.#clock.at(this.#clock.now() + RENEW_MS, () => {
      this.#renewal = this.#renew(version).then((renewed) => {
        this.#version = renewed;
        if (renewed) this.#renewLater(renewed);
      });
    });
  }
}
