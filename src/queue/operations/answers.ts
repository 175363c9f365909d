/** ○ What operations answer with: tasks, queues, workers, schedules, kinds of errors. States are told by their names (life-cycle.ts). */
import { STEP_TYPES } from "../tasks/step-facts.ts";
import {
  anything,
  described,
  flag,
  listOf,
  ms,
  object,
  oneOf,
  optional,
  orNull,
  text,
  type SchemaValue,
  whole,
} from "../../core/schema.ts";
import { LATENCY_BOUNDS_MS } from "../../core/latency-histogram.ts";
import { DEAD_REASONS, TASK_STATES, type TaskState } from "../tasks/life-cycle.ts";
import { ATTEMPTS_MAX, NAME_BYTES_MAX, PRIORITY_MAX, TIME_MS_MAX } from "../limits.ts";

export const taskId = described(
  text({ pattern: /^\S+-[1-9]\d{0,15}$/, max: NAME_BYTES_MAX, says: "is a task's id, of the form BROKER-NUMBER" }),
  "A task's id, as adding it answered",
);
export const name = text({ min: 1, max: NAME_BYTES_MAX, says: `is a text of 1 to ${NAME_BYTES_MAX} characters` });
export const state = oneOf(TASK_STATES);
export const fingerprint = described(
  text({ pattern: /^[\da-f]{8}$/, says: "is the fingerprint of an error: 8 digits in hex" }),
  "What an error is called by, whatever differs from task to task in it",
);

const TASK = {
  id: taskId,
  queue: text(),
  state,
  reason: optional(described(oneOf(DEAD_REASONS), "Of a dead task")),
  priority: whole(0, PRIORITY_MAX),
  group: optional(text()),
  failures: described(whole(), "Attempts that failed"),
  lost: optional(described(whole(), "Workers whose connection broke while they had it")),
  worker: optional(described(text(), "Who works on it, or was the last to")),
  createdMs: ms,
  startedMs: optional(described(ms, "When its newest attempt began")),
  atMs: optional(
    described(ms, "Delayed, retrying: when it is due; active: when its attempt runs out of time; ended: when it ended"),
  ),
  expiresMs: optional(ms),
  evicted: optional(described(flag, "Its result, or its body, had to make room: only its key and its state are remembered")),
  bodyBytes: whole(),
  resultBytes: optional(whole()),
  error: optional(fingerprint),
  attempts: optional(whole(1, ATTEMPTS_MAX)),
  backoffMs: optional(ms),
  backoffMaxMs: optional(ms),
  pausesMs: optional(
    described(listOf(ms), "The pauses after failed attempts, where they are listed; the last one again and again"),
  ),
  unique: optional(
    described(
      anything,
      "How long its key is its own: `waiting`, `active`, or ms from when it was added; left out: as long as it is known",
    ),
  ),
  timeoutMs: optional(ms),
  keepMs: optional(ms),
} as const;

export const task = object(TASK, { open: true });
/** What is known of a task without asking the store. */
export type TaskInfo = SchemaValue<typeof task>;

export const STEP_STATES = ["done", "waits", "late", "failed"] as const;

export const taskDetails = object(
  {
    ...TASK,
    key: optional(text()),
    traceId: optional(described(text(), "Of the trace that it belongs to, as its producer said with it")),
    after: optional(described(listOf(text()), "The ids of the tasks that it waits for")),
    flow: optional(described(whole(), "Of how many tasks the flow is that it is of")),
    errors: described(
      listOf(object({ error: text(), atMs: optional(ms), attempt: optional(whole(1)) }, { open: true })),
      "What went wrong, oldest first; `attempt`: which one failed, where one did",
    ),
    steps: optional(
      described(
        listOf(
          object(
            {
              type: oneOf(STEP_TYPES),
              name: text(),
              atMs: described(ms, "When it was recorded"),
              untilMs: optional(described(ms, "sleep: until when; wait: when it is in vain")),
              task: optional(described(taskId, "call: the task that it waits for")),
              state: described(oneOf(STEP_STATES), "`waits`: it has not come; `late`: it had not come in time"),
              bytes: described(whole(), "Of its result, the signal's value, or the called task's result"),
            },
            { open: true },
          ),
        ),
        "What its handler's steps have come to, in the order in which they began",
      ),
    ),
    signals: optional(described(listOf(text()), "The signals that have come")),
    waits: optional(described(text(), "Why it does not run now")),
    progress: optional(described(text(), "The newest that its worker said of its progress")),
  },
  { open: true },
);
/** All that is known of a task, but for its body. */
export type TaskDetails = SchemaValue<typeof taskDetails>;

const rate = optional(orNull(object({ count: whole(1), perMs: whole(1, TIME_MS_MAX) })));

/** Settings of a queue; null: the default. */
export const SETTINGS = {
  paused: optional(flag),
  bytesMax: optional(described(whole(1), "Bytes of waiting tasks")),
  concurrency: optional(orNull(described(whole(1), "Tasks running at once"))),
  rate,
  groupConcurrency: optional(orNull(described(whole(1), "Tasks of one group running at once"))),
  groupRate: rate,
  groups: optional(
    orNull(described(anything, "Groups with bounds of their own, by name: `{ concurrency, rate }`; null: as all others")),
  ),
  keepCompleted: optional(orNull(described(whole(), "So many completed tasks are kept at most"))),
  keepDead: optional(orNull(described(whole(), "So many dead tasks are kept at most"))),
  keepCompletedMs: optional(orNull(described(whole(0, TIME_MS_MAX), "For so long completed tasks are kept at most"))),
  keepDeadMs: optional(orNull(described(whole(0, TIME_MS_MAX), "For so long dead tasks are kept; default 14 days"))),
  agingMs: optional(orNull(whole(0, TIME_MS_MAX))),
} as const;

const counts = object(
  Object.fromEntries(TASK_STATES.map((each) => [each, whole()])) as Record<TaskState, ReturnType<typeof whole>>,
  {
    open: true,
  },
);

/** Durations counted in buckets: core/latency-histogram.ts. */
const latencies = optional(
  described(
    object({ counts: listOf(whole()), sumMs: ms }, { open: true }),
    `How many took up to ${LATENCY_BOUNDS_MS.join(", ")} ms, and longer; since the broker started`,
  ),
);

export const queueStats = object(
  {
    name: text(),
    states: described(counts, "Tasks in each state"),
    bytes: whole(),
    consumers: described(whole(), "Workers"),
    slots: described(whole(), "Tasks that they work on at once"),
    added: described(whole(), "Since the broker started"),
    finished: described(whole(), "Since the broker started"),
    failures: described(whole(), "Attempts that failed since the broker started"),
    settings: object(SETTINGS, { open: true }),
    waitingSinceMs: optional(described(ms, "Since when the task that has waited longest waits")),
    waits: latencies,
    runs: latencies,
  },
  { open: true },
);

export const errorGroup = object(
  {
    error: fingerprint,
    text: described(text(), "The error with … for what differs from task to task"),
    count: whole(),
    firstMs: described(ms, "When the first of them died"),
    lastMs: ms,
    example: taskId,
  },
  { open: true },
);
/** Dead tasks of one queue with the same kind of error. */
export type DeadErrorGroup = SchemaValue<typeof errorGroup>;

export const worker = object(
  {
    peer: text(),
    dialect: described(text(), "Its protocol"),
    queue: text(),
    slots: described(whole(), "Tasks it works on at once"),
    held: described(whole(), "Tasks it has now"),
    sinceMs: ms,
    leftMs: optional(described(ms, "It has left")),
    lost: optional(described(flag, "Its connection broke, or it fell silent")),
  },
  { open: true },
);
/** One worker of one queue. */
export type WorkerInfo = SchemaValue<typeof worker>;

const SCHEDULE = {
  expression: described(
    text({ min: 1, max: 200 }),
    "Minute hour day month weekday, with an optional field for seconds in front",
  ),
  queue: name,
  timeZone: optional(described(text(), "An IANA name such as Europe/Berlin; default UTC")),
  missed: optional(described(oneOf(["latest", "skip", "all"]), "What to do with runs missed while the broker was away")),
  options: optional(described(object({}, { open: true }), "Options of its tasks, as of any submission")),
} as const;

export const newSchedule = object({ name, ...SCHEDULE });

export const schedule = object(
  {
    name: text(),
    ...SCHEDULE,
    lastMs: optional(described(ms, "Until when all runs were made, or decided not to be")),
    nextMs: optional(described(ms, "When it runs next")),
    nextRunsMs: optional(described(listOf(ms), "When it runs next, as often as was asked for")),
  },
  { open: true },
);
/** When tasks are added by the calendar, under a name. */
export type Schedule = SchemaValue<typeof schedule>;
