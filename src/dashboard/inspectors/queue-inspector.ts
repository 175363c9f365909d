/** ● The queue view's requests to the broker, in the queue's protocol: pages of tasks, one task, and the actions. */
import { isUtf8 } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import {
  Broker,
  QueueClient,
  UNDO_TASKS_MAX,
  bytesCodec,
  deadErrors,
  listTasks,
  purgeTasks,
  queue,
  retryTasks,
  showTask,
  undoPurge,
  worker,
  type Codec,
} from "../../queue/index.ts";
import { showBytes } from "../../wire/index.ts";
import { BULK_MS_MAX, REQUEST_MS_MAX, SHOWN_BYTES_MAX, TASKS_PAGE_MAX, UNDO_MS, WORK_MS_MAX } from "../limits.ts";
import type { QueuePart } from "../snapshot/monitored-parts.ts";

/** A task as the page shows it. */
interface ShownTask {
  readonly task: unknown;
  readonly bodyBytes: number;
  readonly text?: string;
  readonly hex?: string;
}

interface PurgeAnswer {
  readonly removed: number;
  readonly undo: readonly string[];
  readonly undoMs: number;
}

export class QueueInspector {
  readonly #part: QueuePart;
  #client: QueueClient | undefined;

  constructor(part: QueuePart) {
    this.#part = part;
  }

  /** A page of tasks, newest numbers last: `{ tasks, next }`. */
  list(filter: { queue?: string; state?: string; error?: string; after?: number }): Promise<unknown> {
    return listTasks(this.#open(), { ...filter, limit: TASKS_PAGE_MAX }, REQUEST_MS_MAX);
  }

  /** What the dead tasks of a queue died of, the most frequent first. */
  errors(queue: string): ReturnType<typeof deadErrors> {
    return deadErrors(this.#open(), queue, REQUEST_MS_MAX);
  }

  /** One task: its properties, and the beginning of its body (or result) if requested: as text where it is text, else in hex. */
  async show(id: string, { body }: { body: boolean }): Promise<ShownTask> {
    const { task, body: bytes } = await showTask(this.#open(), id, REQUEST_MS_MAX);
    if (!body) return { task, bodyBytes: bytes.length };
    const shown = bytes.subarray(0, SHOWN_BYTES_MAX);
    const text = isUtf8(bytes) ? shown.toString("utf8") : undefined;
    return { task, bodyBytes: bytes.length, ...(text === undefined ? { hex: shown.toString("hex") } : { text }) };
  }

  /** The whole body, or result. */
  async bytes(id: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array((await showTask(this.#open(), id, REQUEST_MS_MAX)).body);
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

  /**
   * Removes the tasks that have ended in one state, or those of them with this error. For `undoMs` `undo` brings them back; more than the
   * broker keeps for that are removed at once, and `undo` is empty.
   */
  async purge({ queue, state, error }: { queue: string; state: string; error: string }): Promise<PurgeAnswer> {
    const filter = { queue, state, error: error || undefined };
    const count = await this.#count(filter);
    const undoMs = count <= UNDO_TASKS_MAX ? UNDO_MS : undefined;
    return { ...(await purgeTasks(this.#open(), { ...filter, undoMs }, BULK_MS_MAX)), undoMs: UNDO_MS };
  }

  async #count({ queue, state, error }: { queue: string; state: string; error: string | undefined }): Promise<number> {
    if (error !== undefined) return (await this.errors(queue)).groups.find((group) => group.error === error)?.count ?? 0;
    return this.#part.stats().queues.find(({ name }) => name === queue)?.states[state as "dead"] ?? 0;
  }

  /** Brings back what was removed. @returns how many tasks */
  undo(keys: readonly string[]): Promise<number> {
    return undoPurge(this.#open(), keys, BULK_MS_MAX);
  }

  /** Makes all dead tasks of a queue, or those with this error, ready again. @returns how many */
  retryAll({ queue, error }: { queue: string; error: string }): Promise<number> {
    return retryTasks(this.#open(), { queue, error: error || undefined }, BULK_MS_MAX);
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
