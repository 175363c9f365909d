/** ● The board's requests to the broker, in the queue's protocol. */
import type { AskedRights } from "../../access/access-table.ts";
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
  readonly #rights: AskedRights | undefined;
  readonly #users = new Map<string, QueueInspector>();
  #client: QueueClient | undefined;

  /** @param rights of whom it asks for; undefined: it may everything */
  constructor(part: QueuePart, rights?: AskedRights) {
    this.#part = part;
    this.#rights = rights;
  }

  /**
   * The same for a user of the access file: the broker judges what it asks.
   *
   * @throws UsageError ACCESS_DENIED for a broker of another process, which knows the board's own rights alone
   */
  as(rights: AskedRights): QueueInspector {
    if (!(this.#part instanceof Broker)) {
      if (!rights.mayAll("queue:see") || !rights.mayAll("queue:manage")) throw rights.refused("queue:see", "*");
      return this;
    }
    let own = this.#users.get(rights.user);
    if (!own) this.#users.set(rights.user, (own = new QueueInspector(this.#part, rights)));
    return own;
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
    await Promise.all([this.#client?.close(), ...[...this.#users.values()].map((each) => each.close())]);
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
    const part = this.#part;
    if (!(part instanceof Broker)) return (this.#client ??= new QueueClient({ url: part.address, log }));
    const rights = this.#rights;
    const broker = rights && {
      address: part.address,
      attach: (...[send, closed]: Parameters<Broker["attach"]>) => part.attach(send, closed, rights),
    };
    return (this.#client ??= new QueueClient({ broker: broker ?? part, log }));
  }
}
