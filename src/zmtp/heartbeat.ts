/**
 * ○ Heartbeats (RFC 37, "connection heartbeating"): PING when it is time, the peer dead when nothing at all came for a while
 * after one, and the peer's own demand (the TTL of its PINGs) kept. Any traffic counts as a sign of life. Deadlines go out as a
 * value; whoever holds the clock calls `due` when `deadlineMs` has come.
 */

export interface HeartbeatOptions {
  /** Between PINGs, in ms; 0: none are sent. */
  readonly intervalMs: number;
  /** How long after a PING the peer may be silent, in ms; -1: as long as the interval. */
  readonly timeoutMs: number;
  /** What the PINGs ask of the peer: to give us up after so long a silence, in ms; 0: nothing. */
  readonly ttlMs: number;
}

export class Heartbeat {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #pingAtMs = Number.POSITIVE_INFINITY;
  #deadAtMs = Number.POSITIVE_INFINITY;
  #expiredAtMs = Number.POSITIVE_INFINITY;

  constructor({ intervalMs, timeoutMs }: HeartbeatOptions) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs < 0 ? intervalMs : timeoutMs;
  }

  /** Starts pinging; for peers that know PING only. Again when called again: nothing. */
  start(nowMs: number): void {
    if (this.#intervalMs > 0 && this.#pingAtMs === Number.POSITIVE_INFINITY) this.#pingAtMs = nowMs + this.#intervalMs;
  }

  /** When `due` wants to be called; Infinity: never. */
  get deadlineMs(): number {
    return Math.min(this.#pingAtMs, this.#deadAtMs, this.#expiredAtMs);
  }

  /** Octets arrived. */
  heard(): void {
    this.#deadAtMs = Number.POSITIVE_INFINITY;
    this.#expiredAtMs = Number.POSITIVE_INFINITY;
  }

  /** A PING arrived; its TTL runs from now unless one runs already. */
  pinged(ttlMs: number, nowMs: number): void {
    if (ttlMs > 0 && this.#expiredAtMs === Number.POSITIVE_INFINITY) this.#expiredAtMs = nowMs + ttlMs;
  }

  /** What is to be done now: send a PING, give the peer up, or nothing. */
  due(nowMs: number): "ping" | "dead" | undefined {
    if (nowMs >= this.#deadAtMs || nowMs >= this.#expiredAtMs) return "dead";
    if (nowMs < this.#pingAtMs) return undefined;
    this.#pingAtMs = nowMs + this.#intervalMs;
    if (this.#deadAtMs === Number.POSITIVE_INFINITY && this.#timeoutMs > 0) this.#deadAtMs = nowMs + this.#timeoutMs;
    return "ping";
  }
}
