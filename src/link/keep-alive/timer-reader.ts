/**
 * ○ Reads from a connection's timer in /proc/net/tcp what TCP_INFO would have said, as far as it shows: probes unanswered, data in
 * flight, and when the peer was heard. The timer is set anew only when it fires: to the interval when a probe went out, else to
 * what is left of the idle time since something was received (tcp_keepalive_timer() in tcp_timer.c).
 */
import type { KeepAlive } from "./keep-alive.ts";
import type { KernelTimer } from "./proc-net-text.ts";
import type { TcpInfo } from "./tcp-info.ts";

/** 100 ms: ticks of the timer wheel on long waits, and the time that reading takes. */
const SLACK_MS = 100;

export class TimerReader {
  readonly #keepAlive: Omit<KeepAlive, "userTimeoutMs">;
  readonly #everyMs: number;
  #heardMs: number | undefined;
  #firesAtMs = 0;
  #unanswered = 0;
  #dataSegments = 0;

  constructor(keepAlive: Omit<KeepAlive, "userTimeoutMs">, everyMs: number) {
    this.#keepAlive = keepAlive;
    this.#everyMs = everyMs;
  }

  read({ timer, firesInMs, unanswered }: KernelTimer, nowMs: number): TcpInfo {
    const { idleMs, intervalMs } = this.#keepAlive;
    this.#heardMs ??= nowMs - Math.max(0, idleMs - firesInMs);
    if (timer === "keep-alive" && unanswered === 0) {
      const setAnew = nowMs + firesInMs > this.#firesAtMs + SLACK_MS;
      const toInterval = firesInMs <= intervalMs && firesInMs >= intervalMs - this.#everyMs - SLACK_MS;
      if (this.#unanswered > 0) this.#heardMs = nowMs;
      else if (this.#firesAtMs > 0 && setAnew && toInterval) this.#heardMs = nowMs - (intervalMs - firesInMs);
      else if (this.#firesAtMs > 0 && setAnew) {
        this.#heardMs = nowMs - Math.max(0, idleMs - firesInMs);
        this.#dataSegments += 1;
      }
      this.#firesAtMs = nowMs + firesInMs;
    }
    this.#unanswered = timer === "keep-alive" ? unanswered : 0;
    const silentMs = nowMs - this.#heardMs;
    return {
      state: 1,
      retransmits: 0,
      probes: this.#unanswered,
      unacked: timer === "retransmit" ? 1 : 0,
      lastDataSentMs: silentMs,
      lastDataReceivedMs: silentMs,
      lastAckReceivedMs: silentMs,
      rttMs: 0,
      totalRetransmits: 0,
      bytesAcked: 0,
      segmentsOut: 0,
      segmentsIn: 0,
      notSentBytes: timer === "zero-window" ? 1 : 0,
      dataSegmentsOut: 0,
      dataSegmentsIn: this.#dataSegments,
    };
  }
}
