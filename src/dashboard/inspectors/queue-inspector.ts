/** ● The queue view's requests to the broker, in the queue's protocol: pages of tasks, one task, and the actions. */
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import {
  Broker,
  QueueClient,
  bytesCodec,
  listTasks,
  purgeTasks,
  queue,
  showTask,
  worker,
  type Codec,
} from "../../queue/index.ts";
import { showBytes } from "../../wire/index.ts";
import { REQUEST_MS_MAX, TASKS_PAGE_MAX, WORK_MS_MAX } from "../limits.ts";
import type { QueuePart } from "../snapshot/monitored-parts.ts";

export class QueueInspector {
  readonly #part: QueuePart;
  #client: QueueClient | undefined;

  constructor(part: QueuePart) {
    this.#part = part;
  }

  /** A page of tasks, newest numbers last: `{ tasks, next }`. */
  list(filter: { queue?: string; state?: string; after?: number }): Promise<unknown> {
    return listTasks(this.#open(), { ...filter, limit: TASKS_PAGE_MAX }, REQUEST_MS_MAX);
  }

  /** One task: its properties, and its body (or result) if requested. */
  async show(id: string, { body }: { body: boolean }): Promise<{ task: unknown; body: string | undefined; bodyBytes: number }> {
    const { task, body: bytes } = await showTask(this.#open(), id, REQUEST_MS_MAX);
    return { task, body: body ? bytes.toString("utf8") : undefined, bodyBytes: bytes.length };
  }

  /** Adds a task; resolves to its id once it is stored. */
  async add({ queue, body, delayMs }: { queue: string; body: string; delayMs: number }): Promise<{ id: string }> {
    const options = delayMs > 0 ? { delayMs } : {};
    const [id] = await this.#open().add({ queue, options, bodies: [Buffer.from(body)] }, { timeoutMs: REQUEST_MS_MAX });
    return { id: id ?? "" };
  }

  async retry(id: string): Promise<void> {
    await this.#open().ask("RETRY", [Buffer.from(id)], { timeoutMs: REQUEST_MS_MAX, id });
  }

  async cancel(id: string): Promise<void> {
    await this.#open().cancel(id, { timeoutMs: REQUEST_MS_MAX });
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#open().ask("SET", [Buffer.from(queue), Buffer.from(JSON.stringify({ paused }))], { timeoutMs: REQUEST_MS_MAX });
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

  /** Deletes the ended tasks of one state. */
  purge(queue: string, state: string): Promise<{ removed: number }> {
    return purgeTasks(this.#open(), { queue, state }, REQUEST_MS_MAX);
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
