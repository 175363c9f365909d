/**
 * ○ Heartbeats (RFC 37, "connection heartbeating"): when to send PING; when the peer is dead, because nothing at all came for a
 * while after one; and the TTL that the peer's own PINGs ask for. Any traffic counts as a sign of life. Deadlines go out as a
 * value; the owner of the clock calls `due` when `deadlineMs` has come.
 */

export interface HeartbeatOptions {
  /** Between PINGs, in ms; 0: none are sent. */
  readonly intervalMs: number;
  /** How long after a PING the peer may be silent, in ms; -1: as long as the interval. */
  readonly timeoutMs: number;
  /** What the PINGs ask of the peer: to end the connection after so many ms of silence; 0: nothing. */
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

  /** Starts pinging; only for peers that know PING. Called again it does nothing. */
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
