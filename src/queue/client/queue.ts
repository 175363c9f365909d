/** ● Queues as producers see them: typed payloads in, typed results out. */
import { Buffer } from "node:buffer";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { codeOf, OperationError, UsageError } from "../../core/errors.ts";
import { Ring } from "../../core/ring.ts";
import { type Duration, durationMs } from "../../core/units.ts";
import { bodyOf, eachTask, operateAll, sum, type TaskFilter, type TasksOptions, wireFilter } from "./administration.ts";
import {
  type EventGap,
  type EventsOptions,
  type HeardEvent,
  EventSubscription,
  QueueListener,
  type QueueEvent,
} from "./queue-events.ts";
import type { QueueEventName } from "../service/event-entry.ts";
import type { ClientOptions } from "./broker-pool.ts";
import type { DeadErrorGroup, TaskDetails, TaskInfo } from "../operations/answers.ts";
import type { OperationRequest, OperationAnswer } from "../operations/table.ts";
import { Schedules } from "./schedules.ts";
import { patience, SUBMIT_TIMEOUT_MS, type WaitFor, waitOptions } from "./wait-options.ts";
import { checkOptions } from "../option-check.ts";
import { ADD, EACH, ENQUEUE, EVENTS, OF_FLOW, QUEUE, SETTINGS } from "./options.ts";
import { NO_OPTIONS, QueueClient } from "./queue-client.ts";
import type { SqlDatabase } from "./sql-database.ts";
import { currentTraceparent } from "./tracing.ts";
import { OUTBOX_TABLE, toOutbox } from "./outbox.ts";
import { type Codec, isPending, jsonCodec, mustFit, Payload, type MaybePromise, textOf } from "./payload.ts";
import type { RawOutcome, RawSubmission } from "./pending-requests.ts";
import type { CalledTaskOptions, ParentTask } from "./handler.ts";
import type { OnParentDead, TaskOptions as WireOptions } from "../tasks/task-policy.ts";
import { isEnded, TASK_STATES, type TaskState } from "../tasks/life-cycle.ts";
import type { StateCounts } from "../tasks/state-words.ts";
import type { QueueSettings } from "../tasks/queue-settings.ts";

/** 10 min, as long as results are kept by default. */
const RESULT_TIMEOUT_MS = 10 * 60_000;

/** 1 day: a relay that was killed between the broker's answer and the end of the row finds the task by its key. */
const OUTBOX_KEEP_MS = 24 * 3_600_000;

/** 1000 values of progress that nobody has read: the newest replace the oldest, as each says where the task is. */
const PROGRESS_UNREAD_MAX = 1000;

/** How a queue is reached and what travels in it. */
export interface QueueOptions<P, R> extends ClientOptions {
  /** A client to share with other queues, instead of `url` or `broker`. The queue's `close` leaves it open. */
  readonly client?: QueueClient;
  /** A Standard Schema of what is submitted, checked at both ends; default none. */
  readonly payload?: StandardSchemaV1<unknown, P>;
  /** The same of results. */
  readonly result?: StandardSchemaV1<unknown, R>;
  /** How values become bytes; default JSON. */
  readonly codec?: Codec<unknown>;
}

/** A key, and how long it counts. */
export interface ThrottleOptions {
  readonly key: string;
  readonly wait: Duration;
}

/** What can be asked for with a task. Durations as "5s" or in ms. */
export interface AddOptions {
  /** 0 (default) to 255; higher goes first. */
  readonly priority?: number;
  /** Not to be started before this time has passed. */
  readonly delay?: Duration;
  /** Not to be started before the broker's wall clock says so; instead of `delay`. */
  readonly runAt?: Date;
  /** Attempts before the task is dead; default 5. */
  readonly attempts?: number;
  /**
   * Pause before the second attempt, doubled each time, half of it by chance; default "1s". A list says each pause as it is, the last one again
   * and again: `["10s"]` is always the same.
   */
  readonly backoff?: Duration | readonly Duration[];
  /** The longest pause; default "5m". */
  readonly backoffMax?: Duration;
  /**
   * How long one attempt may run. Default: no bound while its worker answers; 10 min while that does not answer because something holds
   * its event loop.
   */
  readonly attemptTimeout?: Duration;
  /** Dead if no worker took it within this time. */
  readonly expire?: Duration;
  /** How long the outcome can be read after the end; default "10m". */
  readonly keep?: Duration;
  /**
   * While a task with the same key is known to the queue, that task is the answer. Several payloads are one submission under the key:
   * the same again are answered with the same tasks, others are refused (QUEUE_KEY_CONFLICT).
   */
  readonly key?: string;
  /**
   * `key` is this task's only until it has begun ("waiting") or has ended ("active"): then another may be added under it. Default: as long as it
   * is known.
   */
  readonly uniqueWhile?: "waiting" | "active";
  /** Instead of `key`: the first wins. Whatever is added under the key within `wait` from then on is this task. */
  readonly throttle?: ThrottleOptions;
  /**
   * Instead of `key` and `delay`: the last wins. Due when nothing has been added under the key for `wait`, with the last payload and priority; what
   * else was asked for stays as the first said. Once it has begun the next is another task.
   */
  readonly debounce?: ThrottleOptions;
  /** Tasks of a group share the queue's bounds for groups, and groups take turns. */
  readonly group?: string;
  /** Tasks that must be completed first; they stay known while this one waits. */
  readonly after?: readonly (string | { readonly id: string })[];
  /**
   * When one of those is dead or cancelled: this one is dead too ("fail", the default), runs as if that one were completed
   * ("continue"), or waits until that one was retried and is completed ("wait").
   */
  readonly onParentDead?: OnParentDead;
  /** What to do when the queue is full; default "refuse". */
  readonly whenFull?: "refuse" | "wait";
  /** When to give up; default "10s" for add, "10m" for call and result. */
  readonly timeout?: Duration;
  /** Aborting it rejects with ABORTED; `call` cancels its task too. */
  readonly signal?: AbortSignal;
}

/** What can be asked for with a task that goes through the application's database. */
export interface EnqueueOptions extends Omit<AddOptions, "timeout" | "signal" | "whenFull"> {
  /** As `outboxTable` made it. Default "holdfast_outbox". */
  readonly table?: string;
}

/** What can be asked for with one task of many. Either each has a key of its own (`key`, `throttle` or `debounce`), or none has. */
export type EachOptions = Omit<AddOptions, "whenFull" | "timeout" | "signal">;

/** What can be asked for with many tasks, and with each of them. */
export interface AddManyOptions<P> extends AddOptions {
  /** What one task asks for beyond what all do, or instead. */
  readonly each?: (payload: P, index: number) => EachOptions;
}

/** All that is known of a task. */
export type KnownTask<P, R> = TaskDetails & {
  /** As it travels: the payload, or the result of a task that is completed; empty where neither is kept. */
  readonly body: Buffer;
  readonly payload?: P;
  readonly result?: R;
};

/** From where on a function is called with events. */
export interface OnOptions extends Omit<EventsOptions, "events"> {
  /** Events were lost to this listener. Default: the log tells it. */
  readonly onGap?: (gap: EventGap) => void;
}

/** What may be changed of a task that has not begun. */
export interface TaskUpdate<P> {
  /** Due so long from now; 0: at once. */
  readonly delay?: Duration | undefined;
  /** 0 to 255; higher goes first. */
  readonly priority?: number | undefined;
  /** Its payload. */
  readonly body?: P | undefined;
}

/** A task that was submitted. */
export class Task<R = unknown> {
  /** Names it at all brokers. */
  readonly id: string;
  readonly #queue: Queue<never, R>;

  /** @internal */
  constructor(id: string, queue: Queue<never, R>) {
    this.id = id;
    this.#queue = queue;
  }

  /**
   * Waits for its result, over reconnects and restarts of the broker.
   *
   * @throws OperationError QUEUE_TASK_DEAD (the message is the last error), QUEUE_TASK_DAMAGED, QUEUE_TASK_CANCELLED,
   * QUEUE_TASK_UNKNOWN, QUEUE_RESULT_EVICTED, QUEUE_STORE_UNAVAILABLE (its result cannot be read now), QUEUE_UNREACHABLE at the deadline,
   * ABORTED
   */
  result(wait: WaitFor = {}): Promise<R> {
    return this.#queue.resultOf(this.id, wait);
  }

  /**
   * What the worker says of its progress, newest last, until the task has ended. Of an active task the last that was said comes at
   * once; a reader that is slow gets the newest 1000.
   *
   * @throws UsageError QUEUE_PAYLOAD_INVALID for what the queue's codec cannot read; the task goes on; errors of `result` but
   * QUEUE_TASK_DEAD and QUEUE_TASK_CANCELLED
   */
  progress(wait: WaitFor = {}): AsyncIterableIterator<unknown> {
    return this.#queue.told(this.id, "progress", wait);
  }

  /** Parts of the result as they come, until the task has ended. Errors as of `progress`. */
  partials(wait: WaitFor = {}): AsyncIterableIterator<unknown> {
    return this.#queue.told(this.id, "partial", wait);
  }

  /**
   * Ends the task, wherever it is; a running handler's signal fires.
   *
   * @throws OperationError QUEUE_TASK_STATE when it has ended already
   */
  async cancel(wait: WaitFor = {}): Promise<void> {
    await this.#queue.client.cancel(this.id, waitOptions(wait, SUBMIT_TIMEOUT_MS));
  }
}

/** A queue at one broker or several. Made by `queue()`. */
export class Queue<P = unknown, R = unknown> {
  /** As given to `queue`. */
  readonly name: string;
  /** What talks to the brokers. */
  readonly client: QueueClient;
  /** @internal */
  readonly payload: Payload<P>;
  /** @internal */
  readonly results: Payload<R>;
  readonly #codec: Codec<unknown>;
  readonly #said: Payload<unknown>;
  readonly #ownsClient: boolean;
  /** Tasks that are added by the calendar. */
  readonly schedules: Schedules<P> = new Schedules(this as unknown as Queue<P, never>);

  /** @internal */
  constructor(name: string, options: QueueOptions<P, R>) {
    checkOptions(options, QUEUE);
    this.name = name;
    this.client = options.client ?? new QueueClient(options);
    this.#ownsClient = options.client === undefined;
    this.#codec = options.codec ?? jsonCodec;
    this.payload = new Payload("payload", this.#codec as Codec<P>, options.payload);
    this.#said = new Payload("what the worker said", this.#codec, undefined);
    this.results = new Payload("result", this.#codec as Codec<R>, options.result);
  }

  /**
   * Submits a task. Resolves when the broker has it on disk.
   *
   * @throws OperationError QUEUE_FULL, QUEUE_STORE_UNAVAILABLE, QUEUE_TASK_UNKNOWN (a task of `after`), QUEUE_UNREACHABLE at the deadline,
   * ABORTED; UsageError QUEUE_OPTIONS_INVALID, QUEUE_PAYLOAD_INVALID, UNIT_INVALID
   */
  async add(payload: P, options: AddOptions = NOTHING): Promise<Task<R>> {
    const encoded = this.payload.encode(payload);
    const body = isPending(encoded) ? await encoded : encoded;
    const [id] = await this.client.add(this.#submission([body], options), patience(options, SUBMIT_TIMEOUT_MS));
    return this.task(id!);
  }

  /**
   * Writes a task into the outbox of the application's database (`outboxTable`), in the transaction that `db` is in: a relay (`outboxRelay`) takes
   * it to the broker after the commit, once, and never when it is rolled back. `delay` counts from now.
   *
   * @param db anything with `query(text, values)`: a connection of package `pg` in a transaction, an adapter over SQLite
   * @throws UsageError QUEUE_OPTIONS_INVALID, QUEUE_PAYLOAD_INVALID, UNIT_INVALID, and what the database throws
   * @example
   * await client.query("BEGIN");
   * await client.query("INSERT INTO orders (id) VALUES ($1)", [id]);
   * await mails.enqueue(client, { to, order: id });
   * await client.query("COMMIT");
   */
  async enqueue(db: SqlDatabase, payload: P, { table = OUTBOX_TABLE, ...options }: EnqueueOptions = {}): Promise<void> {
    checkOptions(options, ENQUEUE);
    const nowMs = this.client.clock.wallMs();
    const { delayMs = 0, ...wire } = wireOptions(options);
    const runAtMs = Math.max(wire.runAtMs ?? 0, delayMs && Math.ceil(nowMs + delayMs));
    const asked = { keepMs: OUTBOX_KEEP_MS, ...wire, ...(runAtMs > 0 && { runAtMs }) };
    const body = await this.payload.encode(payload);
    mustFit([body]);
    const traceparent = currentTraceparent();
    await toOutbox(db, { queue: this.name, options: { ...asked, traceparent }, body, table, nowMs });
  }

  /**
   * Submits tasks together: all of them are on disk when it resolves, or none was accepted. Errors as of `add`, and
   * OperationError QUEUE_KEY_CONFLICT where its key is known for other payloads.
   *
   * Where each has a key of its own, those under keys that other tasks have are those tasks; the rest is added, all of it or none.
   *
   * @example
   * await mails.addMany(all, { attempts: 3, each: ({ urgent }) => ({ priority: urgent ? 9 : 0 }) });
   */
  async addMany(payloads: readonly P[], { each, ...options }: AddManyOptions<P> = NOTHING): Promise<Task<R>[]> {
    const encoded = payloads.map((payload) => this.payload.encode(payload));
    const bodies = encoded.some(isPending)
      ? await Promise.all(encoded.map((each) => Promise.resolve(each)))
      : (encoded as Uint8Array[]);
    const common = this.#submission(bodies, options);
    const submission = each ? withEach(common, payloads.map(each)) : common;
    const ids = await this.client.add(submission, patience(options, SUBMIT_TIMEOUT_MS));
    return ids.map((id) => this.task(id));
  }

  /**
   * Submits a task and waits for its result, over reconnects and restarts of the broker. When the signal fires the task is
   * cancelled too.
   *
   * @throws errors of `add` and of `Task.result`
   */
  async call(payload: P, options: AddOptions = NOTHING): Promise<R> {
    const encoded = this.payload.encode(payload);
    const body = isPending(encoded) ? await encoded : encoded;
    const outcome = await this.client.call(this.#submission([body], options), patience(options, RESULT_TIMEOUT_MS));
    return this.#resultFrom(outcome);
  }

  /** A task by its id, as `add` gave it, perhaps to another process. */
  task(id: string): Task<R> {
    return new Task(id, this as unknown as Queue<never, R>);
  }

  /** Sets the queue's own bounds at every broker that is connected, e.g. `{ paused: true }` or `{ groupConcurrency: 2 }`. */
  async configure(settings: QueueSettings, wait: WaitFor = {}): Promise<void> {
    checkOptions(settings, SETTINGS);
    await operateAll(this.client, "set", { queue: this.name, ...settings }, waitOptions(wait));
  }

  // ---- administration

  /**
   * The queue's tasks, oldest first, from any place on: those of ten million are found as fast as those of ten. Complete: a task that is
   * there from the first page to the last, and passes, is told.
   *
   * @example
   * for await (const { id, error } of emails.tasks({ state: "dead", limit: 100 })) console.log(id, error);
   */
  tasks({ timeout, signal, ...search }: TasksOptions = {}): AsyncIterableIterator<TaskInfo> {
    return eachTask(
      this.client,
      this.name,
      search,
      waitOptions({ ...(timeout !== undefined && { timeout }), ...(signal && { signal }) }),
    );
  }

  /** How many tasks are in each state. */
  async counts(wait: WaitFor = {}): Promise<StateCounts> {
    const all = await operateAll(this.client, "queues", { queue: this.name }, waitOptions(wait));
    const states = all.flatMap(({ queues }) => queues.map((each) => each.states));
    return Object.fromEntries(TASK_STATES.map((state) => [state, sum(states.map((each) => each[state]))])) as StateCounts;
  }

  /** All that is known of a task; undefined when it is not known, or no longer. */
  async get(id: string, wait: WaitFor = {}): Promise<KnownTask<P, R> | undefined> {
    try {
      const { value, body } = await this.client.operate("get", { id }, waitOptions(wait));
      return { ...value, ...(await this.#decoded(value.state, bodyOf(body))) };
    } catch (error) {
      if (codeOf(error) === "QUEUE_TASK_UNKNOWN") return undefined;
      throw error;
    }
  }

  /** What its dead tasks died of, the most frequent kind of error first; `error` of a kind is what filters take. */
  async errors(wait: WaitFor = {}): Promise<DeadErrorGroup[]> {
    const all = await operateAll(this.client, "errors", { queue: this.name }, waitOptions(wait));
    return all.flatMap(({ groups }) => groups).sort((a, b) => b.count - a.count);
  }

  /**
   * Makes a dead task, or all that pass the filter, wait for a worker again, with all their attempts.
   *
   * @returns how many
   * @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE (of one task: it is not dead)
   */
  async retry(which: string | TaskFilter, wait: WaitFor = {}): Promise<number> {
    return sum((await this.#operate("retry", which, wait)).map(({ retried }) => retried));
  }

  /** Cancels a task that has not ended, or all that pass. Returns and throws as `retry`. */
  async cancel(which: string | TaskFilter, wait: WaitFor = {}): Promise<number> {
    return sum((await this.#operate("cancel", which, wait)).map(({ cancelled }) => cancelled));
  }

  /** Makes a delayed or retrying task, or all that pass, wait for a worker now. Returns and throws as `retry`. */
  async promote(which: string | TaskFilter, wait: WaitFor = {}): Promise<number> {
    return sum((await this.#operate("promote", which, wait)).map(({ promoted }) => promoted));
  }

  /**
   * Changes a task that has not begun: `delay` from now, `priority`, its payload.
   *
   * @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE (it has begun, or ended), QUEUE_BODY_TOO_LARGE, QUEUE_FULL
   */
  async update(id: string, { delay, priority, body }: TaskUpdate<P>, wait: WaitFor = {}): Promise<void> {
    const delayMs = delay === undefined ? undefined : Math.round(durationMs(delay, "delay"));
    const bytes = body === undefined ? undefined : await this.payload.encode(body);
    await this.client.operate("update", { id, delayMs, priority }, { ...waitOptions(wait), body: bytes });
  }

  /**
   * Sends a task a signal, for which its handler waits, or will wait, with `task.waitFor(name)`. The first of a name counts.
   *
   * @param value what `waitFor` resolves to
   * @returns whether it is the first of this name
   * @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE (the task has ended), QUEUE_BODY_TOO_LARGE; UsageError QUEUE_NAME_INVALID
   */
  async signal(id: string, name: string, value: unknown = true, wait: WaitFor = {}): Promise<boolean> {
    const body = this.#codec.encode(value);
    const { value: answer } = await this.client.operate("signal", { id, name }, { ...waitOptions(wait), body });
    return answer.first;
  }

  /** Forgets a task that has ended, or all that pass; a filter names a state. Returns and throws as `retry`. */
  async remove(which: string | TaskFilter, wait: WaitFor = {}): Promise<number> {
    return sum((await this.#operate("remove", which, wait)).map(({ removed }) => removed));
  }

  /** Removes all tasks that wait for a worker; with `delayed` also those that wait for their time or for others. @returns how many */
  async drain({ delayed = false, ...wait }: WaitFor & { readonly delayed?: boolean } = {}): Promise<number> {
    const all = await operateAll(this.client, "drain", { queue: this.name, delayed }, waitOptions(wait));
    return sum(all.map(({ removed }) => removed));
  }

  /** Gives out no task until `resume`, over restarts too. What runs goes on. */
  async pause(wait: WaitFor = {}): Promise<void> {
    await operateAll(this.client, "pause", { queue: this.name }, waitOptions(wait));
  }

  /** Gives out tasks again. */
  async resume(wait: WaitFor = {}): Promise<void> {
    await operateAll(this.client, "resume", { queue: this.name }, waitOptions(wait));
  }

  // ---- events

  /**
   * What happens to this queue's tasks, at least once each: what is on disk comes in order from the cursor `after` on, over reconnects, restarts of
   * the broker and takeovers in a group. A `gap` is told where events were lost: they are kept for an hour, 64 MiB of them. `active` and
   * `progress` are live only, and come when they are asked for.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID, OperationError ACCESS_DENIED
   * @example
   * for await (const event of mails.events({ events: ["completed", "dead"], after: await lastCursor() })) {
   *   if (event.event === "dead") await alert(event.id, event.error);
   *   await keepCursor(event.cursor);
   * }
   */
  async *events(options: EventsOptions = {}): AsyncIterableIterator<HeardEvent | EventGap> {
    checkOptions(options, EVENTS);
    for await (const event of new QueueListener(this.client, this.name, options).events())
      yield event.event === "gap" ? event : this.#withProgress(event);
  }

  /**
   * Calls a function with each such event of this queue's tasks, one after the other, from now or from a cursor on. What it throws or rejects
   * with is told in the log (`queue.listener-failed`), and so are events that are lost to it (`queue.events-lost`), unless `onGap` hears of them.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID
   * @example
   * const listening = mails.on("dead", ({ id, reason, error }) => alert(`${id}: ${reason}, ${error}`));
   * await listening.ready;
   * listening.stop();
   */
  on<Name extends QueueEventName>(
    event: Name,
    listener: (event: HeardEvent & { readonly event: Name }) => MaybePromise<void>,
    { onGap, ...options }: OnOptions = {},
  ): EventSubscription {
    checkOptions({ ...options, events: [event], ...(onGap && { onGap }) }, EVENTS);
    const heard = new QueueListener(this.client, this.name, { ...options, events: [event] });
    const { log } = this.client;
    const run = async (): Promise<void> => {
      for await (const each of heard.events()) {
        try {
          if (each.event === "gap") {
            if (onGap) onGap(each);
            else log("queue.events-lost", { queue: this.name, event });
          } else await listener((await this.#withProgress(each)) as HeardEvent & { readonly event: Name });
        } catch (error) {
          log("queue.listener-failed", { queue: this.name, event: each.event, error });
        }
      }
    };
    run().catch((error: unknown) => {
      if (codeOf(error) !== "CLOSED") log("queue.listener-failed", { queue: this.name, event, error });
    });
    return new EventSubscription(heard);
  }

  async #withProgress(event: QueueEvent): Promise<HeardEvent> {
    if (event.event !== "progress" || event.progress === undefined) return event;
    try {
      return { ...event, progress: await this.#said.decode(Buffer.from(event.progress)) };
    } catch {
      return event; // cut, or none of this codec's: the text
    }
  }

  #operate<Name extends "retry" | "cancel" | "promote" | "remove">(
    name: Name,
    which: string | TaskFilter,
    wait: WaitFor,
  ): Promise<OperationAnswer<Name>[]> {
    const asked = waitOptions(wait);
    if (typeof which === "string")
      return this.client.operate(name, { id: which } as OperationRequest<Name>, asked).then(({ value }) => [value]);
    return operateAll(this.client, name, { queue: this.name, ...wireFilter(which) } as OperationRequest<Name>, asked);
  }

  /** What it is depends on the state; bytes that are none of this codec's are told as bytes alone. */
  async #decoded(state: TaskState, body: Buffer): Promise<{ body: Buffer; payload?: P; result?: R }> {
    try {
      if (state === "completed") return { body, result: await this.results.decode(body) };
      return { body, ...(state === "cancelled" ? {} : { payload: await this.payload.decode(body) }) };
    } catch {
      return { body };
    }
  }

  /** Closes the connections, unless the client is shared. What is pending is rejected with CLOSED. */
  async close(): Promise<void> {
    if (this.#ownsClient) await this.client.close();
  }

  /** @internal */
  wait(wait: WaitFor): ReturnType<typeof waitOptions> {
    return waitOptions(wait);
  }

  /** @internal */
  wireOptions(options: AddOptions): WireOptions {
    return wireOptions(options);
  }

  /** @internal */
  encodeAny(value: unknown): Uint8Array {
    return this.#codec.encode(value);
  }

  /** @internal */
  async parentsOf(client: QueueClient, id: string): Promise<ParentTask[]> {
    const { value, body } = await client.operate("parents", { id }, waitOptions({}));
    let at = 0;
    return value.parents.map(({ id: parent, state, bytes }): ParentTask => {
      const open = TASK_STATES.find((each) => each === state && !isEnded(each));
      if (open)
        throw new OperationError(
          "QUEUE_TASK_STATE",
          `Task ${parent}, which this one waits for, is ${open}: the broker has forgotten its end, and with it this run`,
        );
      const told = { id: parent, state: state as ParentTask["state"] };
      if (bytes === undefined) return told;
      at += bytes;
      return { ...told, result: this.#codec.decode(bodyOf(body).subarray(at - bytes, at)) };
    });
  }

  /** @internal */
  decodeAny(bytes: Uint8Array): unknown {
    return this.#codec.decode(bytes);
  }

  /** @internal */
  calledTaskOptions(options: CalledTaskOptions): WireOptions {
    checkOptions(options, OF_FLOW);
    return wireOptions(options);
  }

  /** @internal */
  async resultOf(id: string, wait: WaitFor): Promise<R> {
    return this.#resultFrom(await this.client.watch(id, {}, waitOptions(wait, RESULT_TIMEOUT_MS)));
  }

  /** @internal Values that come while the task has not ended. */
  async *told(id: string, kind: "progress" | "partial", wait: WaitFor): AsyncIterableIterator<unknown> {
    // Decoded when they are asked for: bytes that are none of this codec's are an error of whoever reads them.
    const values = new Ring<Uint8Array>();
    let wake = (): void => {};
    let ended = false;
    const hear = (_id: string, bytes: Uint8Array): void => {
      if (kind === "progress" && values.length === PROGRESS_UNREAD_MAX) values.shift();
      values.push(bytes);
      wake();
    };
    const stop = new AbortController();
    const signal = wait.signal ? AbortSignal.any([wait.signal, stop.signal]) : stop.signal;
    let failure: unknown;
    const watching = this.client
      .watch(id, { [kind]: hear }, { ...waitOptions(wait, RESULT_TIMEOUT_MS), signal })
      .catch((error: unknown) => (failure = error))
      .finally(() => {
        ended = true;
        wake();
      });
    try {
      for (;;) {
        if (values.length > 0) yield this.#said.decode(values.shift()!);
        else if (ended) break;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      if (failure) throw failure;
    } finally {
      stop.abort();
      await watching;
    }
  }

  #submission(bodies: readonly Uint8Array[], options: AddOptions): RawSubmission {
    return { queue: this.name, options: options === NOTHING ? NO_OPTIONS : wireOptions(options), bodies };
  }

  #resultFrom({ id, state, bytes, code }: RawOutcome): MaybePromise<R> {
    if (code !== undefined) throw new OperationError(code, textOf(bytes) || `Task ${id} has no result`);
    if (state === "completed") return this.results.decode(bytes);
    if (state === "dead") throw new OperationError("QUEUE_TASK_DEAD", textOf(bytes) || `Task ${id} is dead`);
    if (state === "cancelled") throw new OperationError("QUEUE_TASK_CANCELLED", `Task ${id} was cancelled`);
    if (state === "evicted")
      throw new OperationError(
        "QUEUE_RESULT_EVICTED",
        `Task ${id} is completed, but its result had to make room for newer ones`,
      );
    throw new OperationError("QUEUE_TASK_UNKNOWN", `Task ${id} is unknown, or its result is no longer stored`);
  }
}

/**
 * A queue, by its name. Payload and result types are as given or as the schemas say.
 *
 * @example
 * const emails = queue<Email, Receipt>("emails", { url: "tcp://127.0.0.1:5555" });
 * const receipt = await emails.call({ to: "ada@example.org" });
 */
export function queue<P = unknown, R = unknown>(name: string, options: QueueOptions<P, R> = {}): Queue<P, R> {
  return new Queue(name, options);
}

const NOTHING: AddOptions = {};

const DURATIONS = [
  ["delay", "delayMs"],
  ["backoffMax", "backoffMaxMs"],
  ["attemptTimeout", "timeoutMs"],
  ["expire", "expireMs"],
  ["keep", "keepMs"],
] as const;

/** @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID */
function wireOptions(options: AddOptions): WireOptions {
  checkOptions(options, ADD);
  const wire: Record<string, unknown> = {};
  for (const [name, wireName] of DURATIONS) {
    const value = options[name];
    if (value !== undefined) wire[wireName] = wireMs(value, name);
  }
  const { backoff, throttle, debounce } = options;
  if (backoff !== undefined)
    wire["backoffMs"] = isList(backoff) ? backoff.map((each) => wireMs(each, "backoff")) : wireMs(backoff, "backoff");
  for (const name of ["priority", "attempts", "key", "uniqueWhile", "group", "onParentDead", "whenFull"] as const) {
    if (options[name] !== undefined) wire[name] = options[name];
  }
  if (options.key !== undefined && (throttle ?? debounce))
    throw new UsageError(
      "QUEUE_OPTIONS_INVALID",
      "Cannot submit: 'throttle' and 'debounce' have the key, and 'key' is not said beside them",
    );
  if (throttle) Object.assign(wire, { key: throttle.key, throttleMs: wireMs(throttle.wait, "throttle.wait") });
  if (debounce) Object.assign(wire, { key: debounce.key, debounceMs: wireMs(debounce.wait, "debounce.wait") });
  if (options.runAt) wire["runAtMs"] = options.runAt.getTime();
  if (options.after) wire["after"] = options.after.map((task) => (typeof task === "string" ? task : task.id));
  return Object.keys(wire).length > 0 ? wire : NO_OPTIONS;
}

function isList(backoff: Duration | readonly Duration[]): backoff is readonly Duration[] {
  return Array.isArray(backoff);
}

function wireMs(value: Duration, name: string): number {
  return Math.round(durationMs(value, name));
}

/** @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID */
function withEach(submission: RawSubmission, asked: readonly EachOptions[]): RawSubmission {
  const each = asked.map((options) => {
    checkOptions(options, EACH);
    return wireOptions(options);
  });
  return { ...submission, options: { ...submission.options, each } };
}
