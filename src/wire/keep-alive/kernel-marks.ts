/**
 * ○ Derives keep-alive events of one connection from repeated readings of the kernel's counters: probes sent, answered and
 * unanswered. No packet is seen, which the source of the marks says.
 */

/** One reading of a connection's counters (link's `LinkStats`, or /proc/net/tcp). */
export interface KernelSample {
  /** Undefined while data is unacknowledged and the keep-alive timer is suspended. */
  readonly nextProbeInMs: number | undefined;
  readonly unanswered: number;
  /** A counter that changes with payload in either direction. */
  readonly bytes: number;
}

export interface KernelMark {
  readonly kind: "probe" | "answer" | "suspended" | "armed";
  readonly atMs: number;
  /** Unanswered probes up to this one. */
  readonly unanswered: number;
}

/** A change in the kernel's connection table. */
export interface KernelEvent {
  readonly source: "kernel counters";
  readonly wallMs: number;
  readonly server: string;
  readonly peer: string;
  readonly summary: string;
}

/** A poll interval and the kernel's timer slack: a deadline that moved by more is a new one. */
const REARMED_MS = 150;

export class KernelMarks {
  #unanswered = 0;
  #deadlineMs: number | undefined;
  #bytes: number | undefined;
  /** `bytes` at the start of the current countdown: unchanged at its end means that a probe was sent. */
  #bytesAtArming = 0;

  /** The marks since the previous reading. */
  update({ nextProbeInMs, unanswered, bytes }: KernelSample, nowMs: number): KernelMark[] {
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
