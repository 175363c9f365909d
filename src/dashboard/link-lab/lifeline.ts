/**
 * ● One connection as the page draws it: what passed in both directions, each mark with its time and its source. Packets come
 * captured or tapped, keep-alive also from the kernel's counters where no packet can be seen. Keeps the last LIFELINE_EVENTS_MAX
 * events and LIFELINE_FRAMES_MAX frames.
 */
import { KernelMarks, RETRANSMISSIONS, summaryOf } from "../../wire/index.ts";
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

  /** @param told whether its marks become events; false where packets are captured, which show the same and better */
  kernel(
    look: KernelSample,
    { nowMs, wallMs, count, told }: { nowMs: number; wallMs: number; count: number; told: boolean },
  ): void {
    for (const { kind, atMs, unanswered } of this.#kernel.look(look, nowMs)) {
      if (!told) continue;
      const at = { wallMs: wallMs - (nowMs - atMs), source: "kernel counters" } as const;
      if (kind === "probe") {
        const text = unanswered > 0 ? `keep-alive probe, ${unanswered} of ${count} unanswered` : "keep-alive probe";
        this.#add({ ...at, from: "server", kind, text, unanswered });
      } else if (kind === "answer") this.#add({ ...at, from: "client", kind, text: "keep-alive answered" });
      else if (kind === "suspended")
        this.note("data in flight: keep-alive stands still until it is acknowledged", at.wallMs, at.source);
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

/** Plain acknowledgements are not drawn: they say nothing that the arrow before them does not. */
function kindOf({ tcp }: Packet): LifelineKind | undefined {
  if (!tcp) return undefined;
  const { marks, flags, length } = tcp;
  const [fin, syn, rst] = [1, 2, 4];
  if ((flags & rst!) !== 0) return "reset";
  if (marks.includes("keep-alive")) return "probe";
  if (marks.includes("keep-alive-ack")) return "answer";
  if (marks.some((mark) => RETRANSMISSIONS.includes(mark))) return "repeat";
  if (length > 0) return "bytes";
  return (flags & (fin! | syn!)) !== 0 ? "segment" : undefined;
}
