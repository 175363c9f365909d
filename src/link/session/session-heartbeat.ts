/**
 * ○ Finds a peer whose process does not answer. Received bytes of any kind put the next ping off; what is sent does not, for it
 * proves nothing about the peer. Dead is who was not heard for interval + timeout.
 * A deadline noticed late means that this process slept: what the peer sent meanwhile may lie unread, so it gets another timeout.
 */
import { LATE_MS } from "../limits.ts";

export type HeartbeatDue = "nothing" | "ping" | "dead";

export class SessionHeartbeat {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  /** Silence before a ping. The server waits a little longer, so that as a rule the client's ping serves both. */
  readonly #pingAfterMs: number;
  #heardMs: number;
  #deathMs: number | undefined;

  constructor({
    intervalMs,
    timeoutMs,
    role,
    nowMs,
  }: {
    intervalMs: number;
    timeoutMs: number;
    role: "client" | "server";
    nowMs: number;
  }) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#pingAfterMs = role === "client" ? intervalMs : intervalMs + timeoutMs / 4;
    this.#heardMs = nowMs;
  }

  /** When `due` wants to be asked. */
  get deadlineMs(): number {
    return this.#deathMs ?? this.#heardMs + this.#pingAfterMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#deathMs = undefined;
  }

  /** The peer is to be asked now, and has no longer than the timeout to answer. */
  probe(nowMs: number): void {
    this.#deathMs ??= nowMs + this.#timeoutMs;
  }

  due(nowMs: number): HeartbeatDue {
    const deadlineMs = this.deadlineMs;
    if (nowMs < deadlineMs) return "nothing";
    if (this.#deathMs !== undefined && nowMs - deadlineMs < LATE_MS) return "dead";
    this.#deathMs = this.#deathMs === undefined ? this.#heardMs + this.#intervalMs + this.#timeoutMs : nowMs + this.#timeoutMs;
    if (this.#deathMs <= nowMs) this.#deathMs = nowMs + this.#timeoutMs;
    return "ping";
  }
}
