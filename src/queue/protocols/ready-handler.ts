/**
 * ○ The lecture's dialect: a REQ that sends `Ready` gets the next task of queue `default` as a single frame, held until there is
 * one. Its next `Ready` acknowledges the task before; `Ready` and a second frame returns that frame as the result. The next task
 * comes only after the acknowledgement is on disk. A connection that breaks gives its task back.
 */
import { Buffer } from "node:buffer";
import { packFrames } from "./multipart-body.ts";
import type { Consumer, Delivery } from "../service/consumers.ts";
import type { Desk } from "../service/task-service.ts";
import type { Dialect, Wire } from "./protocol-handler.ts";
import type { LeaseRef } from "../service/dispatcher.ts";
import { EMPTY_FRAME, type Frames } from "./messages.ts";

const READY = Buffer.from("Ready");
export const LECTURE_QUEUE = "default";

export function isReady(frame: Buffer | undefined): boolean {
  return frame !== undefined && frame.equals(READY);
}

export class LectureDialect implements Dialect {
  readonly #desk: Desk;
  readonly #wire: Wire;
  readonly #consumer: Consumer;
  #lease: LeaseRef | undefined;

  constructor(desk: Desk, wire: Wire) {
    this.#desk = desk;
    this.#wire = wire;
    this.#consumer = desk.consume(LECTURE_QUEUE, {
      slots: 0,
      peer: wire.peer,
      dialect: "lecture",
      port: {
        task: (delivery) => this.#task(delivery),
        // A REQ that is at work cannot be spoken to. Its next Ready finds the lease lost, and it gets another task.
        revoked: () => (this.#lease = undefined),
        recall: () => {},
      },
    });
  }

  receive(frames: Frames): void {
    const lease = this.#lease;
    this.#lease = undefined;
    const ask = (): void => this.#desk.adjust(this.#consumer, { slots: 1, prefetch: 0 });
    const result = frames.length > 1 ? packFrames(frames.slice(1)) : EMPTY_FRAME;
    if (!lease || !this.#desk.finish(this.#consumer, lease, result, ask)) ask();
  }

  gone(): void {
    this.#desk.leave(this.#consumer, { lost: true });
  }

  #task({ id, token, body }: Delivery): void {
    this.#lease = { id, token };
    this.#desk.adjust(this.#consumer, { slots: 0, prefetch: 0 });
    this.#wire.send([Buffer.from(body.buffer, body.byteOffset, body.length)]);
  }
}
