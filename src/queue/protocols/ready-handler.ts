/**
 * ○ The `Ready` protocol: a REQ that sends `Ready` gets the next task of queue `default` as a single frame, held until there is
 * one. Its next `Ready` acknowledges the task before; `Ready` and a second frame returns that frame as the result. The next task
 * comes only after the acknowledgement is on disk. A connection that breaks gives its task back.
 */
import { Buffer } from "node:buffer";
import { packFrames } from "./multipart-body.ts";
import type { Consumer, Delivery } from "../service/consumers.ts";
import type { TaskService } from "../service/task-service.ts";
import type { ProtocolHandler, PeerConnection } from "./protocol-handler.ts";
import type { LeaseRef } from "../service/dispatcher.ts";
import { EMPTY_FRAME, type Frames } from "./messages.ts";

const READY = Buffer.from("Ready");
export const READY_PROTOCOL_QUEUE = "default";

export function isReady(frame: Buffer | undefined): boolean {
  return frame !== undefined && frame.equals(READY);
}

export class ReadyHandler implements ProtocolHandler {
  readonly #service: TaskService;
  readonly #connection: PeerConnection;
  readonly #consumer: Consumer;
  #lease: LeaseRef | undefined;

  constructor(service: TaskService, connection: PeerConnection) {
    this.#service = service;
    this.#connection = connection;
    // REQ has no word for a refusal: the connection ends.
    connection.rights?.must("queue:work", READY_PROTOCOL_QUEUE);
    this.#consumer = service.consume(READY_PROTOCOL_QUEUE, {
      slots: 0,
      peer: connection.peer,
      protocol: "lecture",
      port: {
        owner: connection,
        task: (delivery) => this.#task(delivery),
        // A REQ that works cannot be sent anything. Its next Ready finds the lease lost, and it gets another task.
        revoked: () => (this.#lease = undefined),
        recall: () => {},
      },
    });
  }

  receive(frames: Frames): void {
    this.#service.heard(this.#consumer);
    const lease = this.#lease;
    this.#lease = undefined;
    const ask = (): void => this.#service.adjust(this.#consumer, { slots: 1, prefetch: 0 });
    const result = frames.length > 1 ? packFrames(frames.slice(1)) : EMPTY_FRAME;
    if (!lease || !this.#service.finish(this.#consumer, lease, result, ask)) ask();
  }

  gone(): void {
    this.#service.leave(this.#consumer, { lost: true });
  }

  #task({ id, token, body }: Delivery): void {
    this.#lease = { id, token };
    this.#service.adjust(this.#consumer, { slots: 0, prefetch: 0 });
    this.#connection.send([Buffer.from(body.buffer, body.byteOffset, body.length)]);
  }
}
