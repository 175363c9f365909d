/**
 * ● Server-sent events for the open pages. For each page and kind of event at most one is buffered, the newest: a page that does not
 * read misses none of the kinds when it reads again, and a stalled browser costs no memory.
 */
import { utf8 } from "../../core/bytes.ts";
import { STREAMS_MAX } from "../limits.ts";

interface Stream {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** The newest event of each kind while the page is not reading, the longest waiting first. */
  readonly late: Map<string, Uint8Array>;
}

export class EventStreams {
  readonly #open = new Set<Stream>();

  get size(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#open.size >= STREAMS_MAX;
  }

  /**
   * A new page's stream, starting with these events, one a kind.
   *
   * @param signal fires when the page has gone; some runtimes cancel the stream then, others fire this, some do both
   */
  open(events: Readonly<Record<string, unknown>>, signal?: AbortSignal): ReadableStream<Uint8Array> {
    const late = new Map(Object.entries(events).map(([name, data]) => [name, encode(name, data)]));
    let stream: Stream;
    signal?.addEventListener("abort", () => void this.#open.delete(stream), { once: true });
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = { controller, late };
          this.#open.add(stream);
        },
        pull: () => sendLate(stream),
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
      // One that waits keeps its turn: what changes often holds up nothing else.
      stream.late.set(name, event);
      if ((stream.controller.desiredSize ?? 0) > 0) sendLate(stream);
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const { controller } of this.#open) controller.close();
    this.#open.clear();
  }
}

function sendLate({ controller, late }: Stream): void {
  for (const [name, event] of late) {
    late.delete(name);
    controller.enqueue(event);
    return;
  }
}

function encode(name: string, data: unknown): Uint8Array {
  return utf8(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
