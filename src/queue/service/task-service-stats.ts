/** ○ What STATS tells of the broker and of each queue: numbers that are kept anyway, put together when somebody asks. */
import type { ConsumerRing } from "./consumers.ts";
import type { StateCounts } from "../tasks/state-words.ts";
import type { WorkerRegistryStats } from "./worker-registry.ts";
import type { QueueSettings, TaskQueue } from "../tasks/task-queue.ts";

export interface TaskServiceStats extends WorkerRegistryStats {
  readonly tasks: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly endedBytes: number;
  readonly deadBytes: number;
  /** Dead tasks dropped because the bound on their bytes was reached. */
  readonly deadDropped: number;
  /** Bytes of rows and indices outside the heap. */
  readonly tableBytes: number;
  readonly bodyCacheBytes: number;
  readonly commits: number;
  readonly writes: number;
  readonly storeTrouble: string | undefined;
  readonly queues: readonly QueueStats[];
}

export interface QueueStats {
  readonly name: string;
  /** Tasks in each state. */
  readonly states: StateCounts;
  readonly bytes: number;
  readonly consumers: number;
  readonly slots: number;
  /** Since the broker started. */
  readonly added: number;
  readonly finished: number;
  /** Attempts that failed. */
  readonly failures: number;
  readonly settings: QueueSettings;
}

/** @param ring who works on the queue; undefined when nobody ever did */
export function queueStats(queue: TaskQueue, ring: ConsumerRing | undefined): QueueStats {
  const { name, bytes, added, finished, failures, settings } = queue;
  return {
    name,
    states: queue.counts(),
    bytes,
    consumers: ring?.size ?? 0,
    slots: ring?.slots ?? 0,
    added,
    finished,
    failures,
    settings,
  };
}
