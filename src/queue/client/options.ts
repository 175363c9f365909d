/**
 * ○ The options of clients, queues, tasks and workers: what each should be, and for who comes from BullMQ what to write instead of its
 * words. docs/how-to/migrate-from-bullmq.md shows these.
 */
import { ATTEMPTS_MAX, PRIORITY_MAX, SLOTS_MAX, THREADS_MAX } from "../limits.ts";
import {
  abortSignal,
  anything,
  duration,
  isFunction,
  isObject,
  isText,
  logOption,
  nameText,
  type OptionCheck,
  type OptionTable,
  when,
  whole,
} from "../option-check.ts";
import type { QueueSettings } from "../tasks/queue-settings.ts";
import type { AddOptions, QueueOptions } from "./queue.ts";
import { QUEUE_EVENTS } from "../service/event-entry.ts";
import type { EventsOptions } from "./queue-events.ts";
import type { WaitFor } from "./wait-options.ts";
import type { BatchWorkerOptions, WorkerOptions } from "./worker-options.ts";

const WAIT_OPTIONS: Readonly<Record<keyof WaitFor, OptionCheck>> = { timeout: duration(), signal: abortSignal };

export const WAIT: OptionTable = { act: "wait", known: WAIT_OPTIONS, bullmq: { ttl: "write 'timeout'" } };

const keyedWait = when(
  (value) =>
    isObject(value) &&
    "key" in value &&
    "wait" in value &&
    nameText(value.key) === undefined &&
    Object.keys(value).length === 2,
  'is { key, wait }, such as { key: "user-7", wait: "5s" }',
);

const ADD_OPTIONS: Readonly<Record<keyof AddOptions, OptionCheck>> = {
  ...WAIT_OPTIONS,
  priority: whole(0, PRIORITY_MAX, `; ${PRIORITY_MAX} goes first (in BullMQ 1 does)`),
  delay: duration("; a moment is 'runAt'"),
  runAt: when(
    (value) => value instanceof Date && !Number.isNaN(value.getTime()),
    'is a Date, such as new Date("2030-01-31T08:00:00Z")',
  ),
  attempts: whole(1, ATTEMPTS_MAX),
  backoff: when(
    (value) => typeof value === "number" || typeof value === "string" || (Array.isArray(value) && value.length > 0),
    "is a time such as \"5s\", or milliseconds, doubled after each failure up to 'backoffMax', or a list of such times; BullMQ's { type: \"exponential\", delay } is its delay alone, { type: \"fixed\", delay } is [delay], a function is the worker's 'backoff'",
  ),
  backoffMax: duration(),
  attemptTimeout: duration(),
  expire: duration(),
  keep: duration(),
  key: nameText,
  uniqueWhile: when((value) => value === "waiting" || value === "active", 'is "waiting" or "active"; it needs a \'key\''),
  throttle: keyedWait,
  debounce: keyedWait,
  group: nameText,
  after: when(
    (value) =>
      Array.isArray(value) &&
      value.every((each: unknown) => isText(each) || (isObject(each) && "id" in each && isText(each.id))),
    "is a list of tasks or of their ids",
  ),
  onParentDead: when(
    (value) => value === "fail" || value === "continue" || value === "wait",
    'is "fail", "continue" or "wait"',
  ),
  whenFull: when((value) => value === "refuse" || value === "wait", 'is "refuse" or "wait"'),
};

const KEPT =
  "write 'keep': how long the outcome can be read; how many a queue keeps, and dead ones for how long: configure({ keepCompleted, keepDead, keepDeadMs })";
const AFTER = "a task names in 'after' what must be done first, itself";
const PARENT_DEAD = "the task that waits says it: 'onParentDead' is fail (default), continue or wait";
const CRON = "tasks by the calendar are schedules of the queue: schedules.upsert(name, { cron, body })";
const NOTHING_TO_SET = "there is nothing to set";
const SPANS = `${NOTHING_TO_SET}: spans are made where @opentelemetry/api is installed`;

export const ADD: OptionTable = {
  act: "submit",
  known: ADD_OPTIONS,
  bullmq: {
    jobId: "write 'key': while a task with this key is known, it is the answer",
    deduplication:
      "write { key, uniqueWhile: 'active' } for its simple mode, throttle: { key, wait } where it had a ttl, debounce: { key, wait } where it had extend and replace",
    lifo: "the highest 'priority' goes first, and of one priority what came first",
    removeOnComplete: KEPT,
    removeOnFail: KEPT,
    repeat: CRON,
    repeatJobKey: CRON,
    parent: AFTER,
    failParentOnFailure: PARENT_DEAD,
    continueParentOnFailure: PARENT_DEAD,
    ignoreDependencyOnFailure: PARENT_DEAD,
    removeDependencyOnFailure: PARENT_DEAD,
    sizeLimit: "the broker has the limit 'maxBody'",
    stackTraceLimit: `${NOTHING_TO_SET}: 1 KiB of each of the last 20 errors is kept`,
    keepLogs: `${NOTHING_TO_SET}: what a handler wants to tell is 'progress' or 'partial' of its second argument`,
    timestamp: `${NOTHING_TO_SET}: the broker's clock counts`,
    rateLimiterKey: "write 'group'",
  },
  otherwise: "it is add(payload, options): a task has no name before its payload",
};

const { whenFull: _whenFull, timeout: _timeout, signal: _signal, ...EACH_OPTIONS } = ADD_OPTIONS;
const OF_ALL = "it is said of all tasks that are submitted together";

/** Of one task of many. */
export const EACH: OptionTable = {
  act: "submit",
  known: EACH_OPTIONS,
  bullmq: {
    ...ADD.bullmq,
    whenFull: OF_ALL,
    timeout: OF_ALL,
    signal: OF_ALL,
  },
};

const { key: _key, uniqueWhile: _unique, throttle: _throttle, debounce: _debounce, ...FLOW_OPTIONS } = EACH_OPTIONS;
const WITHOUT_KEY = "it is no submission of its own, and has no key";

/** Of a task of a flow, or that a handler calls. */
export const OF_FLOW: OptionTable = {
  act: "submit",
  known: FLOW_OPTIONS,
  bullmq: { ...EACH.bullmq, key: WITHOUT_KEY, uniqueWhile: WITHOUT_KEY, throttle: WITHOUT_KEY, debounce: WITHOUT_KEY },
};

const RELAYED = "the relay waits, and submits again";

/** Of one task that goes through the outbox. */
export const ENQUEUE: OptionTable = {
  act: "enqueue",
  known: EACH_OPTIONS,
  bullmq: { ...ADD.bullmq, whenFull: RELAYED, timeout: RELAYED, signal: RELAYED },
};

const LEASE =
  "a task is its worker's for as long as its process lives, its event loop blocked or not, and nothing needs to be tuned; 'attemptTimeout' of add bounds an attempt";

const WORKER_OPTIONS: Readonly<Record<keyof WorkerOptions | keyof BatchWorkerOptions, OptionCheck>> = {
  batch: when(isObject, "is { size, wait }"),
  concurrency: whole(1, SLOTS_MAX),
  threads: whole(1, THREADS_MAX),
  threadMemory: anything,
  prefetch: whole(0, SLOTS_MAX),
  signals: when(Array.isArray, "is a list of signals"),
  drain: duration(),
  backoff: when(
    (value) => isFunction(value) || Array.isArray(value) || typeof value === "number" || typeof value === "string",
    'is a time such as "5s", a list of times, or a function (attempt, error) => time',
  ),
  onError: when(isFunction, "is a function"),
  log: logOption,
};

export const WORKER: OptionTable = {
  act: "start the worker",
  known: WORKER_OPTIONS,
  bullmq: {
    lockDuration: LEASE,
    lockRenewTime: LEASE,
    skipLockRenewal: LEASE,
    stalledInterval: LEASE,
    maxStalledCount: LEASE,
    skipStalledCheck: LEASE,
    limiter: "the queue has the limits: configure({ rate: { count: 100, perMs: 1000 } })",
    connection: "a worker connects as its queue does: queue(name, { url })",
    prefix: "the queue's name is all there is",
    name: "the queue's name is all there is",
    useWorkerThreads:
      'give the module\'s URL as the handler: worker(queue, new URL("./handler.js", import.meta.url), { threads })',
    autorun: "a worker runs from when it is made",
    removeOnComplete: KEPT,
    removeOnFail: KEPT,
    drainDelay: `${NOTHING_TO_SET}: tasks come by themselves`,
    runRetryDelay: `${NOTHING_TO_SET}: the connection is made again by itself`,
    settings: "write 'backoff': (attempt, error) => time",
    metrics: "the broker counts: 'holdfast stats' and the dashboard",
    telemetry: SPANS,
  },
};

const isCodec = (value: unknown): boolean =>
  isObject(value) && "encode" in value && isFunction(value.encode) && "decode" in value && isFunction(value.decode);
/** Schemas are objects or functions, by their library. */
const schema = when(
  (value) => (isObject(value) || isFunction(value)) && "~standard" in (value as object),
  "is a Standard Schema",
);

const QUEUE_OPTIONS: Readonly<Record<keyof QueueOptions<unknown, unknown>, OptionCheck>> = {
  url: when(isText, "is text such as tcp://HOST:PORT"),
  broker: when(isObject, "is a Broker"),
  security: when(isObject, "is { plain } or { curve }"),
  lookup: when(isFunction, "is a function"),
  log: logOption,
  clock: anything,
  connect: anything,
  client: when(isObject, "is a QueueClient"),
  payload: schema,
  result: schema,
  codec: when(isCodec, "has the functions encode and decode"),
};

export const QUEUE: OptionTable = {
  act: "open the queue",
  known: QUEUE_OPTIONS,
  bullmq: {
    connection: "write 'url': \"tcp://HOST:PORT\", where the broker listens",
    prefix: "the queue's name is all there is",
    defaultJobOptions: "options are given with each add",
    limiter: "configure({ rate: { count: 100, perMs: 1000 } }) limits a queue",
    streams: NOTHING_TO_SET,
    settings: NOTHING_TO_SET,
    telemetry: SPANS,
    skipVersionCheck: NOTHING_TO_SET,
  },
};

const QUEUE_SETTINGS: Readonly<Record<keyof QueueSettings, OptionCheck>> = {
  paused: anything,
  bytesMax: anything,
  concurrency: anything,
  rate: anything,
  groupConcurrency: anything,
  groupRate: anything,
  groups: anything,
  keepCompleted: anything,
  keepDead: anything,
  keepCompletedMs: anything,
  keepDeadMs: anything,
  agingMs: anything,
};

const EVENTS_OPTIONS: Readonly<Record<keyof EventsOptions | "onGap", OptionCheck>> = {
  events: when(
    (value) => Array.isArray(value) && value.every((each) => QUEUE_EVENTS.some((event) => event === each)),
    `is a list of ${QUEUE_EVENTS.join(", ")}`,
  ),
  after: when(isText, 'is the cursor of an event, or "oldest"'),
  signal: abortSignal,
  onGap: when(isFunction, "is a function"),
};

export const EVENTS: OptionTable = {
  act: "listen",
  known: EVENTS_OPTIONS,
  bullmq: {
    lastEventId: "write 'after': the cursor of the last event",
    autorun: NOTHING_TO_SET,
    blockingTimeout: NOTHING_TO_SET,
  },
};

/** What values should be the broker says. */
export const SETTINGS: OptionTable = {
  act: "set",
  known: QUEUE_SETTINGS,
  bullmq: {
    limiter: "write 'rate': { count: 100, perMs: 1000 }",
    max: "write 'rate': { count: 100, perMs: 1000 }",
    duration: "write 'rate': { count: 100, perMs: 1000 }",
    globalConcurrency: "write 'concurrency'",
  },
};
