/**
 * ○ Tells the log when no broker of a client's URL has been there for a while, and when one is again. A broker that restarts in good
 * time is no trouble. Invariant: the two are told alternately.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";

/** 5 s: longer than the restart of a broker, or a change of the leader. */
const UNREACHABLE_MS = 5000;

export class Reachability {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #reason: () => string | undefined;
  #isTold = false;
  #cancel: Cancel | undefined;

  /** @param reason why it is not there, if that is known */
  constructor(url: string, { clock, log, reason }: { clock: Clock; log: Log; reason: () => string | undefined }) {
    this.#url = url;
    this.#clock = clock;
    this.#log = log;
    this.#reason = reason;
  }

  /** None is there now. */
  lost(): void {
    if (this.#isTold) return;
    this.#cancel ??= this.#clock.at(this.#clock.now() + UNREACHABLE_MS, () => {
      this.#isTold = true;
      this.#log("queue.broker-unreachable", { url: this.#url, reason: this.#reason() });
    });
  }

  /** One has said who it is. */
  reached(): void {
    this.stop();
    if (this.#isTold) this.#log("queue.broker-back", { url: this.#url });
    this.#isTold = false;
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
