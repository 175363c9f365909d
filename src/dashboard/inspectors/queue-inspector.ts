/** ● The queue view's requests to the broker, in the queue's protocol: pages of tasks, one task, and the actions. */
import { Broker, QueueClient, bytesCodec, queue, worker, type Codec } from "../../queue/index.ts";
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
    return this.#json("LIST", { ...filter, limit: TASKS_PAGE_MAX });
  }

  /** When the oldest waiting task of each queue was added, in ms since 1970; null without one. */
  async oldest(queues: readonly string[]): Promise<Record<string, number | null>> {
    const found: [string, number | null][] = [];
    for (const queue of queues) {
      const { tasks } = (await this.#json("LIST", { queue, state: "ready", limit: 1 })) as { tasks: { createdMs: number }[] };
      found.push([queue, tasks[0]?.createdMs ?? null]);
    }
    return Object.fromEntries(found);
  }

  /** One task: its properties, and its body (or result) if requested. */
  async show(id: string, { body }: { body: boolean }): Promise<{ task: unknown; body: string | undefined; bodyBytes: number }> {
    const [json, bytes] = await this.#request("SHOW", [Buffer.from(id)], id);
    return {
      task: JSON.parse(json?.toString() ?? "{}"),
      body: body && bytes ? bytes.toString("utf8") : undefined,
      bodyBytes: bytes?.length ?? 0,
    };
  }

  /** Adds a task; resolves to its id once it is stored. */
  async add({ queue, body, delayMs }: { queue: string; body: string; delayMs: number }): Promise<{ id: string }> {
    const options = delayMs > 0 ? { delayMs } : {};
    const [id] = await this.#open().add({ queue, options, bodies: [Buffer.from(body)] }, { timeoutMs: REQUEST_MS_MAX });
    return { id: id ?? "" };
  }

  async retry(id: string): Promise<void> {
    await this.#request("RETRY", [Buffer.from(id)], id);
  }

  async cancel(id: string): Promise<void> {
    await this.#open().cancel(id, { timeoutMs: REQUEST_MS_MAX });
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#request("SET", [Buffer.from(queue), Buffer.from(JSON.stringify({ paused }))]);
  }

  /** Processes one task; resolves once its result is stored, or to undefined if no task arrived. */
  async workOnce(name: string): Promise<{ task: string; body: string } | undefined> {
    const lesson = queue<Buffer, Buffer>(name, { client: this.#open(), codec: bytesCodec as Codec<unknown> });
    const done = Promise.withResolvers<{ task: string; body: string } | undefined>();
    const oneTask = worker(
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
    await oneTask.close();
    return outcome;
  }

  /** Deletes the ended tasks of one state. */
  async purge(queue: string, state: "done" | "dead" | "cancelled"): Promise<unknown> {
    const [json] = await this.#request("PURGE", [Buffer.from(queue), Buffer.from(state)]);
    return JSON.parse(json?.toString() ?? "{}");
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  async #json(verb: "LIST", filter: object): Promise<unknown> {
    const [json] = await this.#request(verb, [Buffer.from(JSON.stringify(filter))]);
    return JSON.parse(json?.toString() ?? "{}");
  }

  #request(verb: "LIST" | "SHOW" | "RETRY" | "SET" | "PURGE", rest: Buffer[], id?: string): Promise<readonly Buffer[]> {
    return this.#open().ask(verb, rest, { timeoutMs: REQUEST_MS_MAX, ...(id !== undefined && { id }) });
  }

  /** In-process for a broker of this process, else over the network. */
  #open(): QueueClient {
    return (this.#client ??= new QueueClient(
      this.#part instanceof Broker ? { broker: this.#part } : { url: this.#part.address },
    ));
  }
}
