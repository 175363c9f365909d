/** ● The queue view's requests to the broker, in the queue's protocol: pages of tasks, one task, and the actions. */
import { isUtf8 } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import {
  Broker,
  bytesCodec,
  type Codec,
  type OperationRequest,
  type OperationName,
  type OperationAnswer,
  queue,
  QueueClient,
  worker,
} from "../../queue/index.ts";
import { showBytes } from "../../wire/index.ts";
import { REQUEST_MS_MAX, SHOWN_BYTES_MAX, WORK_MS_MAX } from "../limits.ts";
import type { QueuePart } from "../snapshot/monitored-parts.ts";

/** A task as the page shows it. */
interface ShownTask {
  readonly task: unknown;
  readonly bodyBytes: number;
  readonly text?: string;
  readonly hex?: string;
}

export class QueueInspector {
  readonly #part: QueuePart;
  #client: QueueClient | undefined;

  constructor(part: QueuePart) {
    this.#part = part;
  }

  /** An operation of the broker. */
  async operate<Name extends OperationName>(
    name: Name,
    input: OperationRequest<Name>,
    timeoutMs = REQUEST_MS_MAX,
  ): Promise<OperationAnswer<Name>> {
    return (await this.#open().operate(name, input, { timeoutMs })).value;
  }

  /** One task: its properties, and the beginning of its body (or result) if requested: as text where it is text, else in hex. */
  async show(id: string, { body }: { body: boolean }): Promise<ShownTask> {
    const { value: task, body: bytes = EMPTY_BUFFER } = await this.#open().operate(
      "get",
      { id, body },
      { timeoutMs: REQUEST_MS_MAX },
    );
    const bodyBytes = task.state === "completed" ? (task.resultBytes ?? 0) : task.bodyBytes;
    if (!body) return { task, bodyBytes };
    const shown = bytes.subarray(0, SHOWN_BYTES_MAX);
    const text = isUtf8(bytes) ? shown.toString("utf8") : undefined;
    return { task, bodyBytes, ...(text === undefined ? { hex: shown.toString("hex") } : { text }) };
  }

  /** The whole body, or result. */
  async bytes(id: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array((await this.#open().operate("get", { id }, { timeoutMs: REQUEST_MS_MAX })).body ?? []);
  }

  /** Adds a task; resolves to its id once it is stored. */
  async add({ queue, body, delayMs }: { queue: string; body: string; delayMs: number }): Promise<{ id: string }> {
    const options = delayMs > 0 ? { delayMs } : {};
    const [id] = await this.#open().add({ queue, options, bodies: [Buffer.from(body)] }, { timeoutMs: REQUEST_MS_MAX });
    return { id: id ?? "" };
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

  /** In-process for a broker of this process, else over the network. */
  #open(): QueueClient {
    // Whoever looks at the page is told what fails.
    const log = false;
    return (this.#client ??= new QueueClient(
      this.#part instanceof Broker ? { broker: this.#part, log } : { url: this.#part.address, log },
    ));
  }
}
