/**
 * ● The events of one connection as the page draws them, each with its time and source. Packets are captured or tapped; where
 * packets cannot be captured, keep-alive events come from the kernel's counters. Keeps the last LIFELINE_EVENTS_MAX events and
 * LIFELINE_FRAMES_MAX frames. What was sent while the cable was cut is lost, whenever it becomes known.
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
  #rewritten = 0;
  #unanswered = 0;
  /** When the cable was cut, and mended. */
  readonly #cuts: { readonly fromMs: number; untilMs: number }[] = [];

  /** The newest events, oldest first. */
  get events(): readonly LifelineEvent[] {
    return this.#events;
  }

  /** How often events that were there already were changed. */
  get rewritten(): number {
    return this.#rewritten;
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
    const { sequence, acknowledgment, length } = tcp;
    const number = this.#add({
      wallMs: Number(wallNs / 1000n) / 1000,
      from: tcp.side,
      kind,
      source,
      text: summaryOf(packet),
      ...(source === "captured" && { tcp: { sequence, acknowledgment, length } }),
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
      else if (kind === "suspended") this.note("note", "data is unacknowledged: the keep-alive timer is suspended", at);
    }
  }

  /** The cable was cut at this time, or (`cut` false) mended. Packets seen meanwhile that were sent later than this count too. */
  cut(cut: boolean, wallMs: number): void {
    if (cut) this.#cuts.push({ fromMs: wallMs, untilMs: Infinity });
    else if (this.#cuts.length > 0) this.#cuts.at(-1)!.untilMs = wallMs;
    const text = cut ? "the network is cut: no packet arrives at either side" : "the network is restored";
    this.note(cut ? "cut" : "healed", text, { wallMs, source: "tapped" });
    for (const [index, event] of this.#events.entries()) this.#events[index] = this.#withFate(event);
    this.#rewritten += 1;
  }

  note(
    kind: "note" | "end" | "cut" | "healed",
    text: string,
    { wallMs, source }: { readonly wallMs: number; readonly source: Source },
  ): void {
    this.#add({ wallMs, from: "none", kind, source, text });
  }

  #add(event: Omit<LifelineEvent, "number">): number {
    this.#numbers += 1;
    this.#events.push(this.#withFate({ number: this.#numbers, ...event }));
    if (this.#events.length > LIFELINE_EVENTS_MAX) this.#events.shift();
    return this.#numbers;
  }

  #withFate(event: LifelineEvent): LifelineEvent {
    const { from, wallMs, lost: was = false } = event;
    const lost = from !== "none" && this.#cuts.some(({ fromMs, untilMs }) => wallMs >= fromMs && wallMs < untilMs);
    return lost === was ? event : { ...event, lost };
  }
}

function kindOf({ tcp }: Packet): LifelineKind | undefined {
  if (!tcp) return undefined;
  const { marks, flags, length } = tcp;
  if ((flags & TCP_FLAG.rst) !== 0) return "reset";
  if (marks.includes("keep-alive")) return "probe";
  if (marks.includes("keep-alive-ack")) return "answer";
  if (marks.some((mark) => RETRANSMISSIONS.includes(mark))) return "repeat";
  if (length > 0) return "bytes";
  if ((flags & (TCP_FLAG.fin | TCP_FLAG.syn)) !== 0) return "segment";
  return (flags & TCP_FLAG.ack) !== 0 ? "ack" : undefined;
}
