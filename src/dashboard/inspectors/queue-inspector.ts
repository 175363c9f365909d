/** ● The board's requests to the broker, in the queue's protocol. */
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { codeOf, OperationError } from "../../core/errors.ts";
import {
  Broker,
  bytesCodec,
  type Codec,
  type EventsOptions,
  type OperationRequest,
  type OperationName,
  type OperationAnswer,
  queue,
  QueueClient,
  QueueListener,
  worker,
} from "../../queue/index.ts";
import { showBytes } from "../../wire/index.ts";
import { BULK_MS_MAX, REQUEST_MS_MAX, WORK_MS_MAX } from "../limits.ts";
import type { QueuePart } from "../snapshot/monitored-parts.ts";

interface NewTask {
  readonly queue: string;
  readonly options: object;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export class QueueInspector {
  readonly #part: QueuePart;
  #client: QueueClient | undefined;

  constructor(part: QueuePart) {
    this.#part = part;
  }

  /** An operation of the broker, with the body that comes with the answer. */
  operate<Name extends OperationName>(
    name: Name,
    input: OperationRequest<Name>,
    options: { readonly by?: string; readonly body?: Uint8Array | undefined } = {},
  ): Promise<{ readonly value: OperationAnswer<Name>; readonly body: Uint8Array | undefined }> {
    const { id, waitMs = 0 } = input as { readonly id?: string; readonly waitMs?: number };
    if (id !== undefined) this.#mustBeOurs(id);
    const timeoutMs = waitMs + (id === undefined ? BULK_MS_MAX : REQUEST_MS_MAX);
    return this.#open().operate(name, input, { ...options, timeoutMs });
  }

  /** What happens to the tasks of a queue, or of all. */
  listen(name: string | undefined, options: EventsOptions): QueueListener {
    return new QueueListener(this.#open(), name, options);
  }

  /** Adds a task; resolves to its id once it is stored. */
  add({ queue: into, options, body, signal }: NewTask): Promise<readonly string[]> {
    return this.#open().add({ queue: into, options, bodies: [body] }, { timeoutMs: REQUEST_MS_MAX, signal });
  }

  /** How a task ended; undefined when it has not within this time. */
  async outcome(
    id: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<QueueClient["watch"]>> | undefined> {
    this.#mustBeOurs(id);
    try {
      return await this.#open().watch(id, {}, { timeoutMs: waitMs, signal });
    } catch (error) {
      if (codeOf(error) === "QUEUE_UNREACHABLE") return undefined;
      throw error;
    }
  }

  /** Processes one task; resolves once its result is stored, or to undefined if no task arrived. */
  async workOnce(name: string): Promise<{ task: string; body: string } | undefined> {
    const lesson = queue<Buffer, Buffer>(name, { client: this.#open(), codec: bytesCodec as Codec<unknown> });
    const done = Promise.withResolvers<{ task: string; body: string } | undefined>();
    const oneTask = worker(
      lesson,
      (body, { id }) => {
        done.resolve({ task: id, body: showBytes(Buffer.from(body)) });
        return Promise.resolve(EMPTY_BUFFER);
      },
      { signals: [] },
    );
    const timer = setTimeout(() => done.resolve(undefined), WORK_MS_MAX);
    const outcome = await done.promise;
    clearTimeout(timer);
    await oneTask.close();
    return outcome;
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  /** Another broker's id is known at once to be none of this one, instead of when nobody has answered. */
  #mustBeOurs(id: string): void {
    if (this.#part instanceof Broker && !id.startsWith(`${this.#part.id}-`))
      throw new OperationError("QUEUE_TASK_UNKNOWN", `No task ${id} is known here: this broker's begin with ${this.#part.id}`);
  }

  /** In-process for a broker of this process, else over the network. */
  #open(): QueueClient {
    // Whoever looks at the page is told what fails.
    const log = false;
    return (this.#client ??= new QueueClient(
      this.#part instanceof Broker ? { broker: this.#part, log } : { url: this.#part.address, log },
    ));
  }
}
