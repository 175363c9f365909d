/**
 * ○ Flows: tasks of any queues that wait for each other, added in one commit. Their numbers follow one another, each behind those of the tasks
 * that it waits for; so the first of them and their count name a flow, and any of its tasks leads to all.
 */
import { type HoldfastError, OperationError, UsageError } from "../../core/errors.ts";
import { BATCH_TASKS_MAX, CARRIED_BYTES_MAX, FLOW_EDGES_MAX } from "../limits.ts";
import { decodeHead, encodeHeadOf, encodeState } from "../tasks/task-record.ts";
import type { FlowRef, TaskSpec } from "../tasks/task-policy.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { StoreOp } from "../../store/store.ts";
import { unknownTask } from "./admin-commands.ts";
import type { CommittedEvent, StoredEventName } from "./event-entry.ts";
import type { Journal } from "./journal.ts";
import type { Outcomes } from "./outcomes.ts";
import type { ServiceContext } from "./service-context.ts";

/** One task of a flow that is to be added. */
export interface FlowTask {
  readonly queue: string;
  readonly spec: TaskSpec;
  readonly body: Uint8Array;
  /** The places of those that it waits for. */
  readonly after: readonly number[];
}

export class Flows {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #outcomes: Outcomes;
  readonly #bodyBytesMax: number;
  /** Flows on their way to the disk, by their keys. */
  readonly #unwritten = new Map<string, Promise<readonly number[]>>();

  constructor(context: ServiceContext, parts: { journal: Journal; outcomes: Outcomes; bodyBytesMax: number }) {
    const { journal, outcomes, bodyBytesMax } = parts;
    this.#context = context;
    this.#journal = journal;
    this.#outcomes = outcomes;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /**
   * Adds all of them, or none. The same again under a key that is known are answered with the same tasks.
   *
   * @returns the tasks' numbers, in the order given, once they are on disk
   * @throws UsageError QUEUE_FLOW_INVALID (a cycle, a place that there is not), QUEUE_TOO_MANY, QUEUE_BODY_TOO_LARGE, QUEUE_NAME_INVALID;
   * OperationError QUEUE_FULL, QUEUE_STORE_UNAVAILABLE, QUEUE_TOO_MANY
   */
  async add(tasks: readonly FlowTask[], key: string): Promise<readonly number[]> {
    this.#check(tasks);
    const order = parentsFirst(tasks);
    const queue = tasks[order[0]!]!.queue;
    const place = `${queue}\0${key}`;
    const unwritten = this.#unwritten.get(place);
    if (unwritten) return unwritten;
    const known = this.#context.stateMachine().findKeyHolder(queue, key, this.#context.nowMs());
    if (known !== NONE) return numbered(order, this.#context.stateMachine().table.f(known, ID));
    const adding = this.#add(tasks, order, key);
    this.#unwritten.set(place, adding);
    try {
      return await adding;
    } finally {
      this.#unwritten.delete(place);
    }
  }

  /** The flow that a task is of. @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE when it is of none */
  async of(id: number): Promise<FlowRef> {
    if (this.#context.stateMachine().find(id) === NONE) throw unknownTask();
    const head = (await this.#context.store.inspect(id))?.head;
    const flow = head && decodeHead(head).flow;
    if (!flow) throw new OperationError("QUEUE_TASK_STATE", "The task is of no flow");
    return flow;
  }

  /** The same, once the ends of its tasks that are there are on disk: before that none of them can be retried, and what waits for it would for ever. */
  async settled(id: number): Promise<FlowRef> {
    const flow = await this.of(id);
    await this.#outcomes.onDisk(Array.from({ length: flow.count }, (_, place) => flow.first + place));
    return flow;
  }

  /** What a task waited for, in the order in which it named them, with their results. */
  async parents(
    id: number,
  ): Promise<readonly { readonly id: number; readonly state: string; readonly bytes: Uint8Array | undefined }[]> {
    const { store } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const head = (await store.inspect(id))?.head;
    const after = head ? decodeHead(head).after : [];
    await this.#outcomes.onDisk(after);
    let bytes = 0;
    for (const parent of after) {
      const row = stateMachine.find(parent);
      if (row !== NONE) bytes += stateMachine.resultBytes(row);
    }
    if (bytes > CARRIED_BYTES_MAX)
      throw new OperationError(
        "QUEUE_BODY_TOO_LARGE",
        `Cannot tell ${bytes} bytes of results at once: at most ${CARRIED_BYTES_MAX} are allowed`,
      );
    const stateOf = (parent: number): string => {
      const row = stateMachine.find(parent);
      return row === NONE ? "unknown" : stateMachine.isEvicted(row) ? "evicted" : stateMachine.state(row);
    };
    const before = after.map(stateOf);
    const bodies = await store.read(after);
    // One that has completed meanwhile had its body there, not its result.
    if (after.some((parent, index) => stateOf(parent) === "completed" && before[index] !== "completed"))
      return this.parents(id);
    return after.map((parent, index) => {
      const state = stateOf(parent);
      return { id: parent, state, bytes: state === "completed" ? bodies[index] : undefined };
    });
  }

  #check(tasks: readonly FlowTask[]): void {
    if (tasks.length === 0 || tasks.length > BATCH_TASKS_MAX)
      throw new UsageError("QUEUE_TOO_MANY", `Cannot add a flow of ${tasks.length} tasks: 1 to ${BATCH_TASKS_MAX} are allowed`);
    let edges = 0;
    for (const { body, after } of tasks) {
      edges += after.length;
      if (body.length > this.#bodyBytesMax)
        throw new UsageError(
          "QUEUE_BODY_TOO_LARGE",
          `Cannot add a body of ${body.length} bytes: at most ${this.#bodyBytesMax} are allowed`,
        );
    }
    if (edges > FLOW_EDGES_MAX)
      throw new UsageError("QUEUE_TOO_MANY", `Cannot add a flow with ${edges} edges: at most ${FLOW_EDGES_MAX} are allowed`);
  }

  #checkRoom(tasks: readonly FlowTask[]): void {
    const { refusal } = this.#context.commits;
    if (refusal) throw refusal;
    const stateMachine = this.#context.stateMachine();
    const sums = new Map<string, { bytes: number; count: number }>();
    for (const { queue, body } of tasks) {
      const { bytes, count } = sums.get(queue) ?? { bytes: 0, count: 0 };
      sums.set(queue, { bytes: bytes + body.length, count: count + 1 });
    }
    for (const [name, { bytes, count }] of sums)
      if (stateMachine.isFull(stateMachine.queue(name), bytes, count))
        throw new OperationError("QUEUE_FULL", `Cannot add the flow: the limit in bytes of queue '${name}' is reached`);
  }

  #add(tasks: readonly FlowTask[], order: readonly number[], key: string): Promise<readonly number[]> {
    this.#checkRoom(tasks);
    const { commits, bodies } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const first = stateMachine.lastId + 1;
    const flow: FlowRef = { first, count: tasks.length };
    const numbers = numbered(order, first);
    const ops: StoreOp[] = [];
    const events: CommittedEvent[] = [];
    const rows: number[] = [];
    // Its frame is not ours.
    const owned = tasks.map(({ body }) => Uint8Array.from(body));
    const forget = (): void => {
      for (const row of rows.reverse()) stateMachine.discard(row);
    };
    try {
      for (const [place, index] of order.entries()) {
        const { queue: name, spec: given, after } = tasks[index]!;
        const spec: TaskSpec = { ...given, key: place === 0 ? key : "", flow, after: after.map((parent) => numbers[parent]!) };
        const queue = stateMachine.queue(name);
        const row = stateMachine.reserve(queue, spec, owned[index]!.length, nowMs);
        rows.push(row);
        const head = encodeHeadOf(spec, name, nowMs);
        ops.push({ kind: "add", id: numbers[index]!, head, state: encodeState(stateMachine.record(row)), body: owned[index]! });
        const event = stateMachine.state(row) as StoredEventName;
        events.push({ event, id: numbers[index]!, queue: name, attempt: 0, reason: undefined, error: "" });
      }
    } catch (error) {
      forget();
      throw error;
    }
    this.#journal.addTime(ops);
    return new Promise((resolve, reject) => {
      commits.submit({
        ops,
        events,
        refusable: true,
        done: (error) => {
          if (error) {
            this.#journal.timeNotWritten();
            forget();
            reject(error);
            return;
          }
          for (const [place, row] of rows.entries()) {
            bodies.put(first + place, owned[order[place]!]!);
            stateMachine.admit(row, nowMs);
          }
          resolve(numbers);
        },
      });
      this.#context.flush();
    });
  }
}

/** The number of each task, by its place as given. */
function numbered(order: readonly number[], first: number): number[] {
  const numbers: number[] = [];
  for (const [place, index] of order.entries()) numbers[index] = first + place;
  return numbers;
}

/** The places in an order in which each comes behind those that it waits for. @throws UsageError QUEUE_FLOW_INVALID */
function parentsFirst(tasks: readonly FlowTask[]): number[] {
  const open = tasks.map(({ after }) => after.length);
  const children: number[][] = tasks.map(() => []);
  for (const [index, { after }] of tasks.entries()) {
    if (new Set(after).size < after.length) throw invalid(`task ${index} names one that it waits for twice`);
    for (const parent of after) {
      if (children[parent] === undefined) throw invalid(`task ${index} waits for task ${parent}, which there is not`);
      children[parent].push(index);
    }
  }
  const order: number[] = [...open.keys()].filter((index) => open[index] === 0);
  for (const index of order) {
    for (const child of children[index]!) {
      open[child] = open[child]! - 1;
      if (open[child] === 0) order.push(child);
    }
  }
  const stuck = open.findIndex((count) => count > 0);
  if (stuck !== -1) throw invalid(`task ${stuck} waits for itself, over others or not: a cycle`);
  return order;
}

function invalid(why: string): HoldfastError {
  return new UsageError("QUEUE_FLOW_INVALID", `Cannot add the flow: ${why}`);
}
