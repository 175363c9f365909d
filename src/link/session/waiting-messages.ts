/**
 * ○ Messages that wait to be written, in lanes: urgent ones, the others, streams. Invariant: a lane keeps the order in which messages were
 * pushed; one that was settled while it waits is passed over.
 */
import { Ring } from "../../core/ring.ts";
import type { OutgoingMessage } from "./outgoing-message.ts";

export type Lane = "urgent" | "normal" | "streams";

export class WaitingMessages {
  readonly #lanes: Readonly<Record<Lane, Ring<OutgoingMessage>>> = {
    urgent: new Ring(),
    normal: new Ring(),
    streams: new Ring(),
  };

  /** Nothing is urgent, and no stream waits. */
  get isPlain(): boolean {
    return this.#lanes.urgent.length + this.#lanes.streams.length === 0;
  }

  /** When the first of a lane is to be given up. */
  get oldestDeadlineMs(): number {
    let earliestMs = Infinity;
    for (const lane of LANES) earliestMs = Math.min(earliestMs, this.peek(lane)?.deadlineMs ?? Infinity);
    return earliestMs;
  }

  push(message: OutgoingMessage): void {
    this.#lanes[laneOf(message)].push(message);
  }

  /** Back to the front of its lane. */
  unshift(message: OutgoingMessage): void {
    this.#lanes[laneOf(message)].unshift(message);
  }

  peek(name: Lane): OutgoingMessage | undefined {
    const lane = this.#lanes[name];
    let message = lane.peek();
    for (; message && !message.open; message = lane.peek()) lane.shift();
    return message;
  }

  /** Removes what `peek` gave. */
  shift(name: Lane): void {
    this.#lanes[name].shift();
  }

  /** All, lane by lane. */
  drain(): OutgoingMessage[] {
    return LANES.flatMap((lane) => this.#lanes[lane].drain()).filter(({ open }) => open);
  }
}

/** The one to give up first comes first. */
export const LANES: readonly Lane[] = ["normal", "urgent", "streams"];

export function laneOf({ urgent, stream }: OutgoingMessage): Lane {
  return stream ? "streams" : urgent ? "urgent" : "normal";
}
