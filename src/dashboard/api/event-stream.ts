/**
 * ● What happens to tasks as server-sent events: each with its cursor as its id, so that a browser that connects again goes on where it
 * was. Invariant: nothing is read from the broker before the one who listens has taken what was told.
 */
import { utf8 } from "../../core/bytes.ts";
import { OperationError } from "../../core/errors.ts";
import type { EventGap, EventsOptions, QueueEvent } from "../../queue/index.ts";
import type { QueueInspector } from "../inspectors/queue-inspector.ts";
import { EVENT_STREAMS_MAX, EVENT_STREAM_SILENCE_MS } from "../limits.ts";

let open = 0;

/** @throws OperationError QUEUE_TOO_MANY */
export function eventStream(
  inspector: QueueInspector,
  queue: string | undefined,
  options: EventsOptions,
): ReadableStream<Uint8Array> {
  if (open >= EVENT_STREAMS_MAX)
    throw new OperationError("QUEUE_TOO_MANY", `${EVENT_STREAMS_MAX} streams of events are open already`);
  const listener = inspector.listen(queue, options);
  const events = listener.events();
  let next = events.next();
  open += 1;
  let isOpen = true;
  const close = (): void => {
    listener.stop();
    if (isOpen) open -= 1;
    isOpen = false;
  };
  options.signal?.addEventListener("abort", close, { once: true });
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(utf8(": listening\n\n")),
    async pull(controller) {
      try {
        const came = await orSilence(next);
        if (came === undefined) controller.enqueue(utf8(":\n\n"));
        else if (came.done) controller.close();
        else {
          next = events.next();
          controller.enqueue(utf8(textOf(came.value)));
          return;
        }
        if (came?.done) close();
      } catch (error) {
        close();
        controller.error(error);
      }
    },
    cancel: close,
  });
}

/** undefined: nothing came for so long that who listens, and what stands between, is to see that it is still open. */
async function orSilence<T>(next: Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), EVENT_STREAM_SILENCE_MS);
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function textOf(event: QueueEvent | EventGap): string {
  return `id: ${event.cursor}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`;
}
