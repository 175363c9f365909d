/**
 * ○ Turns samples of a connection's kernel state into what happened to its keep-alive: armed, probe sent and unanswered, answered,
 * suspended by data in flight. Linux answers a peer's probes without touching its own receive time (such a segment fails the
 * sequence check, tcp_input.c), so an ACK that arrives after a full idle period without data is the answer to a probe of ours.
 */
import type { KeepAlive } from "./keep-alive.ts";
import type { TcpInfo } from "./tcp-info.ts";

/** What happened to a connection's keep-alive. */
export type ProbeEvent =
  /** The timer runs; the next probe goes out in `nextInMs` when nothing is heard. */
  | { readonly kind: "armed"; readonly nextInMs: number }
  /** A probe went out and is not answered yet: the `unanswered`th in a row of `of`. */
  | { readonly kind: "probe"; readonly unanswered: number; readonly of: number; readonly nextInMs: number }
  /** The peer answered a probe; `missed` had gone unanswered before. */
  | { readonly kind: "answered"; readonly missed: number; readonly rttMs: number; readonly nextInMs: number }
  /** Data is in flight: the kernel sends no probes but retransmits, until it is acknowledged or the user timeout has passed. */
  | { readonly kind: "suspended"; readonly unacknowledged: number; readonly zeroWindow: boolean }
  /** The data in flight was sent again, `times` times in a row. */
  | { readonly kind: "retransmitted"; readonly times: number };

export class ProbeTracker {
  readonly #keepAlive: Omit<KeepAlive, "userTimeoutMs">;
  #heardMs: number | undefined;
  #dataSegments = 0;
  #unanswered = 0;
  #retransmits = 0;
  #suspended = false;
  #probeMs = 0;
  #probes = 0;

  constructor(keepAlive: Omit<KeepAlive, "userTimeoutMs">) {
    this.#keepAlive = keepAlive;
  }

  /** Probes sent since the first sample. */
  get probes(): number {
    return this.#probes;
  }

  /** Takes a sample; says what happened since the last. */
  sample(info: TcpInfo, nowMs: number): ProbeEvent[] {
    const heardMs = nowMs - Math.min(info.lastAckReceivedMs, info.lastDataReceivedMs);
    const first = this.#heardMs === undefined;
    const events: ProbeEvent[] = [];
    const inFlight = info.unacked > 0 || info.notSentBytes > 0;
    if (inFlight) {
      const zeroWindow = info.notSentBytes > 0 && info.probes > 0;
      if (!this.#suspended) events.push({ kind: "suspended", unacknowledged: info.unacked, zeroWindow });
      if (info.retransmits > this.#retransmits) events.push({ kind: "retransmitted", times: info.retransmits });
    } else {
      this.#sampleIdle(info, { heardMs, nowMs, events });
      if (first || this.#suspended) events.push({ kind: "armed", nextInMs: this.#keepAlive.idleMs - (nowMs - heardMs) });
      this.#unanswered = info.probes;
    }
    this.#suspended = inFlight;
    this.#retransmits = info.retransmits;
    this.#dataSegments = info.dataSegmentsIn + info.dataSegmentsOut;
    this.#heardMs = heardMs;
    return events;
  }

  #sampleIdle(info: TcpInfo, { heardMs, nowMs, events }: { heardMs: number; nowMs: number; events: ProbeEvent[] }): void {
    const { idleMs, intervalMs, count } = this.#keepAlive;
    for (let number = this.#unanswered + 1; number <= info.probes; number += 1) {
      this.#probes += 1;
      this.#probeMs = nowMs;
      events.push({ kind: "probe", unanswered: number, of: count, nextInMs: intervalMs });
    }
    const before = this.#heardMs;
    if (before === undefined || info.probes > 0 || this.#suspended) return;
    const noData = info.dataSegmentsIn + info.dataSegmentsOut === this.#dataSegments;
    const missed = this.#unanswered;
    if (missed > 0) {
      // Answered at last. The probe that was answered may be a new one, sent and answered between two samples.
      if (heardMs - this.#probeMs > intervalMs * ALMOST) this.#probes += 1;
      events.push({ kind: "answered", missed, rttMs: info.rttMs, nextInMs: this.#nextInMs(nowMs, heardMs) });
    } else if (noData && heardMs - before > idleMs * ALMOST) {
      this.#probes += 1;
      events.push({ kind: "answered", missed: 0, rttMs: info.rttMs, nextInMs: this.#nextInMs(nowMs, heardMs) });
    }
  }

  /** After an answered probe the timer runs for the interval, and then on to the idle time where that is longer. */
  #nextInMs(nowMs: number, heardMs: number): number {
    const { idleMs, intervalMs } = this.#keepAlive;
    return Math.max(idleMs, intervalMs) - (nowMs - heardMs);
  }
}

/** 0.9: kernel times are in ticks of up to 10 ms, and samples a little apart. */
const ALMOST = 0.9;
