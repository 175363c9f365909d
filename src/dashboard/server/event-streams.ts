/**
 * ● Server-sent events for the open pages. At most one event is buffered per page: a page that does not read gets the newest one
 * when it reads again, so a stalled browser costs no memory.
 */
import { utf8 } from "../../core/bytes.ts";
import { STREAMS_MAX } from "../limits.ts";

interface Stream {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** The newest event while the page is not reading; sent when it reads again. */
  late: Uint8Array | undefined;
}

export class EventStreams {
  readonly #open = new Set<Stream>();

  get size(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#open.size >= STREAMS_MAX;
  }

  /** A new page's stream, starting with this event. */
  open(name: string, data: unknown): ReadableStream<Uint8Array> {
    let stream: Stream;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = { controller, late: undefined };
          this.#open.add(stream);
          controller.enqueue(encode(name, data));
        },
        pull: (controller) => {
          if (!stream.late) return;
          controller.enqueue(stream.late);
          stream.late = undefined;
        },
        cancel: () => void this.#open.delete(stream),
      },
      { highWaterMark: 1 },
    );
  }

  /** Sends an event to all pages; it is encoded once. */
  send(name: string, data: unknown): void {
    if (this.#open.size === 0) return;
    const event = encode(name, data);
    for (const stream of this.#open) {
      if ((stream.controller.desiredSize ?? 0) > 0) stream.controller.enqueue(event);
      else stream.late = event;
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const { controller } of this.#open) controller.close();
    this.#open.clear();
  }
}

function encode(name: string, data: unknown): Uint8Array {
  return utf8(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
