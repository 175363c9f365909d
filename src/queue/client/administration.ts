/**
 * ● Operations (operations/table.ts) at all brokers that a client is connected to, as one: tasks of one after the other, counts added
 * up, a change at each.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../core/errors.ts";
import type { Duration } from "../../core/units.ts";
import type { TaskInfo } from "../operations/answers.ts";
import type { OperationRequest, OperationName, OperationAnswer } from "../operations/table.ts";
import { PAGE_TASKS_MAX } from "../operations/tasks.ts";
import { brokerOf } from "../protocols/messages.ts";
import type { TaskState } from "../tasks/life-cycle.ts";
import type { QueueClient, RequestOptions } from "./queue-client.ts";

/** Which tasks are meant. */
export interface TaskFilter {
  readonly state?: TaskState | undefined;
  readonly group?: string | undefined;
  /** The task that was added under this key. */
  readonly key?: string | undefined;
  /** The fingerprint of its newest error, as `errors()` tells it. */
  readonly error?: string | undefined;
  /** Added at this time or later. */
  readonly from?: Date | undefined;
  /** Added before this time. */
  readonly until?: Date | undefined;
}

/** Which tasks are listed, and from where on. */
export interface TasksOptions extends TaskFilter {
  /** Only tasks whose JSON body has these fields: `{ "customer.id": 42 }`. Their bodies are read one by one. */
  readonly where?: Readonly<Record<string, string | number | boolean | null>> | undefined;
  /** Only tasks after this one: the id of the last that was seen. */
  readonly after?: string | undefined;
  /** At most so many; default: all. */
  readonly limit?: number | undefined;
  /** Told after each page of a search with `where` how many bodies have been read, and how many there are in all. */
  readonly onSearched?: ((searched: number, of: number) => void) | undefined;
  /** When to give up on one page; default "10s". */
  readonly timeout?: Duration | undefined;
  /** Aborting it rejects with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** As a broker is asked. @internal */
export function wireFilter({ state, group, key, error, from, until }: TaskFilter): Omit<OperationRequest<"tasks">, "queue"> {
  return { state, group, key, error, fromMs: from?.getTime(), untilMs: until?.getTime() };
}

/** The brokers that are connected, in the order of their names. @internal */
export async function brokersOf(client: QueueClient, wait: RequestOptions): Promise<readonly string[]> {
  const connected = (): Set<string> => new Set(client.links().flatMap(({ broker }) => (broker === undefined ? [] : [broker])));
  // Whoever answers first is connected by then.
  if (connected().size === 0) await client.operate("schedules", {}, wait);
  return [...connected()].sort();
}

/** The same at every broker that is connected, or at the first that comes. @internal */
export async function operateAll<Name extends OperationName>(
  client: QueueClient,
  name: Name,
  input: OperationRequest<Name>,
  wait: RequestOptions,
): Promise<OperationAnswer<Name>[]> {
  const brokers = await brokersOf(client, wait);
  return Promise.all(brokers.map(async (broker) => (await client.operate(name, input, { ...wait, broker })).value));
}

/** Tasks of a queue, or of all, broker after broker, oldest first. @internal */
export async function* eachTask(
  client: QueueClient,
  queue: string | undefined,
  { where, after, limit = Infinity, onSearched, ...filter }: Omit<TasksOptions, "timeout" | "signal">,
  wait: RequestOptions,
): AsyncGenerator<TaskInfo, void> {
  const wanted = Object.entries(where ?? {}).map(
    ([path, value]) => `${path}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const asked = { queue, ...wireFilter(filter), ...(wanted.length > 0 && { where: wanted }) };
  const begin = after === undefined ? undefined : brokerOf(after);
  const searched = new Map<string, { searched: number; of: number }>();
  let left = limit;
  for (const broker of await brokersOf(client, wait)) {
    if (begin !== undefined && broker < begin) continue;
    let next = broker === begin ? after : undefined;
    do {
      const input = { ...asked, after: next, limit: Math.min(left, PAGE_TASKS_MAX) };
      const { value } = await client.operate("tasks", input, { ...wait, broker });
      if (value.searched !== undefined) {
        searched.set(broker, { searched: (searched.get(broker)?.searched ?? 0) + value.searched, of: value.of ?? 0 });
        const all = [...searched.values()];
        onSearched?.(sum(all.map((each) => each.searched)), sum(all.map((each) => each.of)));
      }
      yield* value.tasks;
      left -= value.tasks.length;
      if (left <= 0) return;
      next = following(value.next, next);
    } while (next !== undefined);
  }
}

/** Where a list goes on: further on each time, so that it has an end. */
function following(next: string | undefined, before: string | undefined): string | undefined {
  if (next !== undefined && before !== undefined && numberOf(next) <= numberOf(before))
    throw new ProtocolError("QUEUE_PROTOCOL", `The broker's list after ${before} goes on after ${next}`);
  return next;
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The body of a task, or a result, beside what an operation answered. @internal */
export function bodyOf(body: Uint8Array | undefined): Buffer {
  return Buffer.from(body ?? []);
}
