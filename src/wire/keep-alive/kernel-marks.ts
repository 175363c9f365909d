/**
 * ○ What the kernel's counters tell of one connection's keep-alive, looked at again and again: each probe that went out, whether it
 * was answered, and how many were not. No packet is seen; the marks say so with their source.
 */

/** One look at a connection (link's `LinkStats`, or /proc/net/tcp). */
export interface KernelSample {
  /** Undefined while data is in flight, when the kernel runs no keep-alive timer. */
  readonly nextProbeInMs: number | undefined;
  readonly unanswered: number;
  /** Anything that changes when payload passes in either direction. */
  readonly bytes: number;
}

export interface KernelMark {
  readonly kind: "probe" | "answer" | "suspended" | "armed";
  readonly atMs: number;
  /** Probes out and unanswered, with this one. */
  readonly unanswered: number;
}

/** A timer that fires is looked at late by one look and the kernel's own slack: a new deadline this far behind the old one is new. */
const REARMED_MS = 150;

export class KernelMarks {
  #unanswered = 0;
  #deadlineMs: number | undefined;
  #bytes: number | undefined;
  /** Bytes when the running countdown began: unchanged when it ends means that a probe went out. */
  #bytesAtArming = 0;

  /** The marks since the look before. */
  look({ nextProbeInMs, unanswered, bytes }: KernelSample, nowMs: number): KernelMark[] {
    const marks: KernelMark[] = [];
    const deadlineMs = nextProbeInMs === undefined ? undefined : nowMs + nextProbeInMs;
    const first = this.#bytes === undefined;
    const before = this.#deadlineMs;
    const fired =
      before !== undefined && deadlineMs !== undefined && deadlineMs > before + REARMED_MS && nowMs >= before - REARMED_MS;
    if (unanswered > this.#unanswered) {
      for (let count = this.#unanswered + 1; count <= unanswered; count += 1) {
        marks.push({ kind: "probe", atMs: Math.min(before ?? nowMs, nowMs), unanswered: count });
      }
    } else if (this.#unanswered > 0 && unanswered === 0) {
      marks.push({ kind: "answer", atMs: nowMs, unanswered: 0 });
    } else if (fired && unanswered === 0 && bytes === this.#bytesAtArming) {
      marks.push({ kind: "probe", atMs: before, unanswered: 0 }, { kind: "answer", atMs: before, unanswered: 0 });
    }
    if (!first && before !== undefined && deadlineMs === undefined) marks.push({ kind: "suspended", atMs: nowMs, unanswered });
    if (before === undefined && deadlineMs !== undefined) marks.push({ kind: "armed", atMs: nowMs, unanswered });
    if (before === undefined || fired) this.#bytesAtArming = bytes;
    if (deadlineMs === undefined || before === undefined || fired || Math.abs(deadlineMs - before) > REARMED_MS) {
      this.#deadlineMs = deadlineMs;
    }
    this.#unanswered = unanswered;
    this.#bytes = bytes;
    return marks;
  }
}
