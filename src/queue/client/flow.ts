/**
 * ● A flow: tasks of any queues that wait for each other, added together and looked after as one thing. It lives on one broker. A task of it
 * reads what it waited for with `task.parents()`.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { UsageError } from "../../core/errors.ts";
import type { OperationAnswer } from "../operations/table.ts";
import type { AddOptions, Queue, Task } from "./queue.ts";
import { mustFit } from "./payload.ts";
import { sent, startSend } from "./tracing.ts";
import { SUBMIT_TIMEOUT_MS, type WaitFor, waitOptions } from "./wait-options.ts";

/** A task of a flow. */
export interface FlowNode<P = never, R = never> extends Omit<
  AddOptions,
  "key" | "uniqueWhile" | "throttle" | "debounce" | "after" | "whenFull" | "timeout" | "signal"
> {
  readonly queue: Queue<P, R>;
  /** Its payload. */
  readonly body?: P;
  /** The names of those that must be completed first. */
  readonly after?: readonly string[];
}

/** Tasks by the names that they have in the flow. */
// oxlint-disable-next-line typescript/no-explicit-any -- each of any queue
export type FlowGraph = Readonly<Record<string, FlowNode<any, any>>>;

/** A flow that was added. Made by `flow()`. */
export class Flow<Name extends string = string> {
  /** Its tasks, by their names. */
  readonly tasks: Readonly<Record<Name, Task>>;
  readonly #queue: Queue;

  /** @internal */
  constructor(tasks: Readonly<Record<Name, Task>>, queue: Queue) {
    this.tasks = tasks;
    this.#queue = queue;
  }

  get #id(): string {
    return (Object.values(this.tasks) as Task[])[0]!.id;
  }

  /** How many of its tasks are in each state, and the first 1000 of them. @throws OperationError QUEUE_TASK_UNKNOWN */
  async get(wait: WaitFor = {}): Promise<OperationAnswer<"flow">> {
    return (await this.#queue.client.operate("flow", { id: this.#id }, waitOptions(wait))).value;
  }

  /** Cancels all of its tasks that have not ended. @returns how many */
  async cancel(wait: WaitFor = {}): Promise<number> {
    return (await this.#queue.client.operate("cancelFlow", { id: this.#id }, waitOptions(wait))).value.cancelled;
  }

  /** Makes all of its dead tasks wait again: those that died of others wait for these. @returns how many */
  async retry(wait: WaitFor = {}): Promise<number> {
    return (await this.#queue.client.operate("retryFlow", { id: this.#id }, waitOptions(wait))).value.retried;
  }
}

/**
 * Adds a flow: all of its tasks are on disk when it resolves, or none was accepted. The results of those that a task waits for stay until it has
 * ended.
 *
 * @throws UsageError QUEUE_FLOW_INVALID (a cycle, a name that there is not), QUEUE_OPTIONS_INVALID, QUEUE_PAYLOAD_INVALID, UNIT_INVALID,
 * QUEUE_TOO_MANY (10,000 tasks, 100,000 edges); errors of `Queue.add`
 * @example
 * const { tasks } = await flow({
 *   cut: { queue: videos, body: { file } },
 *   subtitles: { queue: texts, body: { file }, attempts: 3 },
 *   publish: { queue: sites, after: ["cut", "subtitles"] },
 * });
 * await tasks.publish.result();
 */
export async function flow<Graph extends FlowGraph>(graph: Graph, wait: WaitFor = {}): Promise<Flow<keyof Graph & string>> {
  const names = Object.keys(graph);
  const places = new Map(names.map((name, place) => [name, place]));
  const first = names.length > 0 ? graph[names[0]!]!.queue : undefined;
  if (!first) throw new UsageError("QUEUE_FLOW_INVALID", "Cannot add the flow: it has no task");
  const nodes = await Promise.all(
    names.map(async (name) => {
      const { queue, body, after = [], ...options } = graph[name]!;
      if (queue.client !== first.client)
        throw new UsageError(
          "QUEUE_OPTIONS_INVALID",
          "Cannot add the flow: its queues have one client, queue(name, { client })",
        );
      const bytes = Buffer.from(await queue.payload.encode(body as never));
      return {
        queue: queue.name,
        options: queue.calledTaskOptions(options),
        after: after.map((parent) => placeOf(places, name, parent)),
        ...(isUtf8(bytes) ? { body: bytes.toString() } : { base64: bytes.toString("base64") }),
      };
    }),
  );
  const span = startSend([...new Set(nodes.map((node) => node.queue))].join(","), nodes.length);
  const traced = span ? nodes.map((node) => ({ ...node, options: { ...node.options, traceparent: span.traceparent } })) : nodes;
  const body = Buffer.from(JSON.stringify(traced));
  mustFit([body]);
  // Under it the flow is sent again after a broken connection.
  const key = `~${randomBytes(9).toString("base64url")}.f`;
  const adding = first.client.operate("addFlow", { key }, { ...waitOptions(wait, SUBMIT_TIMEOUT_MS), body });
  const { value } = await (span ? sent(span, adding) : adding);
  const tasks = Object.fromEntries(names.map((name, place) => [name, graph[name]!.queue.task(value.ids[place]!) as Task]));
  return new Flow(tasks as Record<keyof Graph & string, Task>, first as unknown as Queue);
}

function placeOf(places: ReadonlyMap<string, number>, name: string, parent: string): number {
  const place = places.get(parent);
  if (place === undefined)
    throw new UsageError("QUEUE_FLOW_INVALID", `Cannot add the flow: '${name}' waits for '${parent}', which there is not`);
  return place;
}
