/**
 * ● The events of one connection as the page draws them, each with its time and source. Packets are captured or tapped; where
 * packets cannot be captured, keep-alive events come from the kernel's counters. Keeps the last LIFELINE_EVENTS_MAX events and
 * LIFELINE_FRAMES_MAX frames.
 */
import { KernelMarks, RETRANSMISSIONS, TCP_FLAG, summaryOf } from "../../wire/index.ts";
import type { CapturedFrame, KernelSample, Packet, Source } from "../../wire/index.ts";
import type { LifelineEvent, LifelineKind } from "./lab-state.ts";
import { LIFELINE_EVENTS_MAX, LIFELINE_FRAMES_MAX } from "../limits.ts";

export class Lifeline {
  readonly #events: LifelineEvent[] = [];
  readonly #frames = new Map<number, CapturedFrame>();
  readonly #kernel = new KernelMarks();
  #numbers = 0;
  #unanswered = 0;

  /** The newest events, oldest first. */
  get events(): readonly LifelineEvent[] {
    return this.#events;
  }

  /** The frames kept, in order, for a pcapng file. */
  get frames(): Iterable<CapturedFrame> {
    return this.#frames.values();
  }

  /** The frame behind an event. */
  frame(number: number): CapturedFrame | undefined {
    return this.#frames.get(number);
  }

  packet(frame: CapturedFrame, packet: Packet): void {
    const { tcp, source, wallNs } = packet;
    if (!tcp) return;
    const kind = kindOf(packet);
    if (kind === undefined) return;
    if (kind === "probe") this.#unanswered += 1;
    else if (tcp.side === "client") this.#unanswered = 0;
    const number = this.#add({
      wallMs: Number(wallNs / 1000n) / 1000,
      from: tcp.side,
      kind,
      source,
      text: summaryOf(packet),
      ...(kind === "probe" && { unanswered: this.#unanswered }),
    });
    this.#frames.set(number, frame);
    if (this.#frames.size > LIFELINE_FRAMES_MAX) this.#frames.delete(this.#frames.keys().next().value!);
  }

  /** @param recorded whether its marks become events; false while packets are captured, which show the same more exactly */
  kernel(
    sample: KernelSample,
    { nowMs, wallMs, count, recorded }: { nowMs: number; wallMs: number; count: number; recorded: boolean },
  ): void {
    for (const { kind, atMs, unanswered } of this.#kernel.update(sample, nowMs)) {
      if (!recorded) continue;
      const at = { wallMs: wallMs - (nowMs - atMs), source: "kernel counters" } as const;
      if (kind === "probe") {
        const text = unanswered > 0 ? `keep-alive probe, ${unanswered} of ${count} unanswered` : "keep-alive probe";
        this.#add({ ...at, from: "server", kind, text, unanswered });
      } else if (kind === "answer") this.#add({ ...at, from: "client", kind, text: "keep-alive answered" });
      else if (kind === "suspended")
        this.note("data is unacknowledged: the keep-alive timer is suspended", at.wallMs, at.source);
    }
  }

  end(text: string, wallMs: number, source: Source): void {
    this.#add({ wallMs, from: "none", kind: "end", source, text });
  }

  note(text: string, wallMs: number, source: Source): void {
    this.#add({ wallMs, from: "none", kind: "note", source, text });
  }

  #add(event: Omit<LifelineEvent, "number">): number {
    this.#numbers += 1;
    this.#events.push({ number: this.#numbers, ...event });
    if (this.#events.length > LIFELINE_EVENTS_MAX) this.#events.shift();
    return this.#numbers;
  }
}

/** Plain acknowledgements are not drawn: they add nothing to the arrow before them. */
function kindOf({ tcp }: Packet): LifelineKind | undefined {
  if (!tcp) return undefined;
  const { marks, flags, length } = tcp;
  if ((flags & TCP_FLAG.rst) !== 0) return "reset";
  if (marks.includes("keep-alive")) return "probe";
  if (marks.includes("keep-alive-ack")) return "answer";
  if (marks.some((mark) => RETRANSMISSIONS.includes(mark))) return "repeat";
  if (length > 0) return "bytes";
  return (flags & (TCP_FLAG.fin | TCP_FLAG.syn)) !== 0 ? "segment" : undefined;
}
