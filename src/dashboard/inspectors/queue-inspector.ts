/** ● What the queue view asks of the broker, over the queue's own protocol: pages of tasks, one task, and the actions. */
import { Broker, QueueClient, bytesCodec, listTasks, purgeTasks, queue, showTask, worker } from "../../queue/index.ts";
import type { Codec } from "../../queue/index.ts";
import { showBytes } from "../../wire/index.ts";
import { ASK_MS_MAX, TASKS_PAGE_MAX, WORK_MS_MAX } from "../limits.ts";
import type { QueuePart } from "../snapshot/monitored-parts.ts";

const WAIT = { timeoutMs: ASK_MS_MAX };

export class QueueInspector {
  readonly #part: QueuePart;
  #client: QueueClient | undefined;

  constructor(part: QueuePart) {
    this.#part = part;
  }

  /** A page of tasks, newest numbers last: `{ tasks, next }`. */
  list(asked: { queue?: string; state?: string; after?: number }): Promise<unknown> {
    return listTasks(this.#open(), { ...asked, limit: TASKS_PAGE_MAX }, ASK_MS_MAX);
  }

  /** When the oldest task that waits in each queue was added, in ms since 1970; null where none waits. */
  async oldest(queues: readonly string[]): Promise<Record<string, number | null>> {
    const found: [string, number | null][] = [];
    for (const queue of queues) {
      const { tasks } = await listTasks(this.#open(), { queue, state: "waiting", limit: 1 }, ASK_MS_MAX);
      found.push([queue, tasks[0]?.createdMs ?? null]);
    }
    return Object.fromEntries(found);
  }

  /** One task: what is known of it, and its body (or result) when asked for. */
  async show(id: string, { body }: { body: boolean }): Promise<{ task: unknown; body: string | undefined; bodyBytes: number }> {
    const { task, body: bytes } = await showTask(this.#open(), id, ASK_MS_MAX);
    return { task, body: body ? bytes.toString("utf8") : undefined, bodyBytes: bytes.length };
  }

  /** Adds a task; resolves to its id when it is on disk. */
  async add({ queue, body, delayMs }: { queue: string; body: string; delayMs: number }): Promise<{ id: string }> {
    const options = delayMs > 0 ? { delayMs } : {};
    const [id] = await this.#open().add({ queue, options, bodies: [Buffer.from(body)] }, WAIT);
    return { id: id ?? "" };
  }

  async retry(id: string): Promise<void> {
    await this.#open().ask("RETRY", [Buffer.from(id)], { ...WAIT, id });
  }

  async cancel(id: string): Promise<void> {
    await this.#open().cancel(id, WAIT);
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#open().ask("SET", [Buffer.from(queue), Buffer.from(JSON.stringify({ paused }))], WAIT);
  }

  /** Stands in as a worker for one task; resolves when its outcome is on disk, or to undefined when no task came. */
  async workOnce(name: string): Promise<{ task: string; body: string } | undefined> {
    const lesson = queue<Buffer, Buffer>(name, { client: this.#open(), codec: bytesCodec as Codec<unknown> });
    const done = Promise.withResolvers<{ task: string; body: string } | undefined>();
    const standIn = worker(
      lesson,
      (body, { id }) => {
        done.resolve({ task: id, body: showBytes(Buffer.from(body)) });
        return Promise.resolve(Buffer.alloc(0));
      },
      { signals: [] },
    );
    const timer = setTimeout(() => done.resolve(undefined), WORK_MS_MAX);
    const outcome = await done.promise;
    clearTimeout(timer);
    await standIn.close();
    return outcome;
  }

  /** Forgets the ended tasks of one state. */
  purge(queue: string, state: string): Promise<{ removed: number }> {
    return purgeTasks(this.#open(), { queue, state }, ASK_MS_MAX);
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  /** Within the process where the broker is ours, else over the network. */
  #open(): QueueClient {
    return (this.#client ??= new QueueClient(
      this.#part instanceof Broker ? { broker: this.#part } : { url: this.#part.address },
    ));
  }
}
