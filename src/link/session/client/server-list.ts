/**
 * ○ Where a client's servers are, which of them is tried next, and after how long. Tried in turn, with a short wait chosen by chance between
 * two of them; once all were tried the waits grow (backoff.ts). One that was there for a while is tried first when its connection ends,
 * unless it said that it goes down.
 */
import type { Random } from "../../../core/random.ts";
import { durationMs } from "../../../core/units.ts";
import { Backoff } from "../../backoff.ts";
import type { BackoffOptions } from "../../backoff.ts";
import type { LinkEnd } from "../../end.ts";
import { BACKOFF_BASE_MS, BACKOFF_FORGET_MS } from "../../limits.ts";

export class ServerList<Address = unknown> {
  readonly #addresses: readonly [Address, ...Address[]];
  readonly #backoff: Backoff;
  readonly #random: Random;
  readonly #betweenMs: number;
  #at = 0;
  /** Since one was there. */
  #tried = 0;
  #openedMs: number | undefined;

  constructor(addresses: readonly [Address, ...Address[]], backoff: BackoffOptions, random: Random) {
    this.#addresses = addresses;
    this.#backoff = new Backoff(backoff, random);
    this.#random = random;
    this.#betweenMs = durationMs(backoff.base ?? BACKOFF_BASE_MS, "base");
  }

  /** The one to be tried. */
  get current(): Address {
    return this.#addresses[this.#at]!;
  }

  /** It took the session. */
  opened(nowMs: number): void {
    this.#openedMs = nowMs;
    this.#backoff.connected(nowMs);
  }

  /** Its word on when to come back, which is about itself: another one may be asked at once. */
  dictate(ms: number): void {
    if (this.#addresses.length === 1) this.#backoff.dictate(ms);
  }

  /**
   * Its connection ended, or could not be made.
   *
   * @returns how long to wait before `current` is tried, in ms
   */
  ended(nowMs: number, { reason }: LinkEnd): number {
    const hasLasted = this.#openedMs !== undefined && nowMs - this.#openedMs >= BACKOFF_FORGET_MS;
    this.#openedMs = undefined;
    if (hasLasted) this.#tried = 0;
    if (hasLasted && reason !== "drained") return this.#backoff.next(nowMs);
    this.#at = (this.#at + 1) % this.#addresses.length;
    this.#tried += 1;
    return this.#tried % this.#addresses.length === 0 ? this.#backoff.next(nowMs) : this.#random() * this.#betweenMs;
  }
}
