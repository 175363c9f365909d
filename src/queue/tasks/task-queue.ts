/** ○ One named queue: its settings, its waiting tasks, its counts. */
import { UsageError } from "../../core/errors.ts";
import { type GroupQueueTable, ReadyQueue } from "./ready-queue.ts";
import { type TaskState, stateCode, TASK_STATES } from "./life-cycle.ts";
import type { StateCounts } from "./state-words.ts";
import { type Bounds, RateLimiter, type Rate } from "./rate-limiter.ts";
import { TIME_MS_MAX } from "./limits.ts";
import type { TaskColumns } from "./task-columns.ts";

/** What can be set for a queue at run time; kept over restarts. */
export interface QueueSettings {
  /** No task is given out while true. */
  readonly paused?: boolean;
  /** Bytes of waiting tasks (bodies + 128 each); default: the broker's bound. */
  readonly bytesMax?: number;
  /** Tasks running at once; null or left out = no bound. */
  readonly concurrency?: number | null;
  /** Tasks started in a stretch of time. */
  readonly rate?: Rate | null;
  /** Tasks of one group at a worker at once. */
  readonly groupConcurrency?: number | null;
  /** Tasks of one group started in a stretch of time. */
  readonly groupRate?: Rate | null;
}

export class TaskQueue {
  readonly name: string;
  readonly ready: ReadyQueue;
  readonly limiter = new RateLimiter();
  settings: QueueSettings = {};
  bounds: Bounds = {};
  groupBounds: Bounds = {};
  /** Set while the queue's own rate keeps it shut. */
  shutUntilMs: number | undefined;
  /** Bytes of tasks that have not ended. */
  bytes = 0;
  added = 0;
  finished = 0;
  failures = 0;
  /** Who takes tasks from it now. */
  consumers = 0;
  readonly #counts = new Array<number>(TASK_STATES.length).fill(0);

  constructor(name: string, table: TaskColumns, groupQueues: GroupQueueTable) {
    this.name = name;
    this.ready = new ReadyQueue(this, table, groupQueues);
  }

  count(state: TaskState): number {
    return this.#counts[stateCode(state)]!;
  }

  counted(state: TaskState, by: 1 | -1): void {
    this.#counts[stateCode(state)]! += by;
  }

  /** Nothing would be missed without it: no task, no consumer, no setting. */
  get isUnused(): boolean {
    if (this.consumers > 0 || this.bytes > 0) return false;
    for (const count of this.#counts) if (count > 0) return false;
    for (const _ in this.settings) return false;
    return true;
  }

  /** Tasks in each state. */
  counts(): StateCounts {
    return Object.fromEntries(TASK_STATES.map((state) => [state, this.count(state)])) as StateCounts;
  }

  configure(settings: QueueSettings): void {
    this.settings = settings;
    this.bounds = { concurrency: settings.concurrency ?? undefined, rate: settings.rate ?? undefined };
    this.groupBounds = { concurrency: settings.groupConcurrency ?? undefined, rate: settings.groupRate ?? undefined };
  }
}

/** Without what says the default, so that a queue set back to it can be forgotten. */
export function withoutDefaults(settings: QueueSettings): QueueSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== false));
}

const CHECKS: Readonly<Record<keyof QueueSettings, (value: unknown) => boolean>> = {
  paused: (value) => typeof value === "boolean",
  bytesMax: (value) => isCount(value, 1),
  concurrency: (value) => value === null || isCount(value, 1),
  rate: isRate,
  groupConcurrency: (value) => value === null || isCount(value, 1),
  groupRate: isRate,
};

/**
 * Checks settings that came from outside.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function readSettings(value: unknown): QueueSettings {
  if (typeof value !== "object" || value === null) throw invalid("settings", "are an object");
  for (const [name, setting] of Object.entries(value)) {
    if (!Object.hasOwn(CHECKS, name)) throw invalid(name, "is unknown");
    if (!CHECKS[name as keyof QueueSettings](setting)) throw invalid(name, "is out of range");
  }
  return value;
}

function isCount(value: unknown, low: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= low;
}

function isRate(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object" || value === undefined) return false;
  const { count, perMs } = value as Partial<Rate>;
  return isCount(count, 1) && isCount(perMs, 1) && perMs! <= TIME_MS_MAX && Object.keys(value).length === 2;
}

function invalid(name: string, reason: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot set: '${name}' ${reason}`);
}
