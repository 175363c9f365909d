/**
 * ○ Bodies that are read from the store, and what becomes of reads that fail because the disk does not answer now. The task that was
 * to be given out goes back to the front, and its queue waits, longer after each failure; a task that alone fails again and again
 * is put aside, so that its queue goes on without it. Other queues never wait. Trouble is logged when it begins and ends.
 */
import type { Clock } from "../../core/clock.ts";
import { HoldfastError, messageOf, OperationError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { TaskStore } from "../stores/follower-state.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";

/** The bytes; undefined: they are not what was written, or not kept; an error: the disk did not answer. */
export type BodyReading = Uint8Array | HoldfastError | undefined;

export interface BodyReadsOptions {
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** 100 ms after the first failure, twice that after the next: a disk that hiccups costs little. */
const PAUSE_MS = 100;
/** 2 s: a queue goes on, and a result is read, so soon after the disk does, however long that was away. */
const PAUSE_MS_MAX = 2000;
/** 30 s: a task whose body alone cannot be read for an hour is tried twice a minute. */
const TASK_PAUSE_MS_MAX = 30_000;
/** The third failure in a row of one task: its queue has waited 300 ms for it, and now goes on. */
const ASIDE_FAILURES = 3;
/** 17 tries, about 25 s: then whoever waits for a result is told that it cannot be read now. */
const RESULT_TRIES = 17;

interface Trouble {
  failures: number;
  untilMs: number;
}

interface TaskTrouble {
  /** In a row. */
  failures: number;
  /** Those of them before which the disk had answered for another task since the last: it fails alone. */
  alone: number;
  answers: number;
}

export class BodyReads {
  readonly #options: BodyReadsOptions;
  readonly #queues = new Map<TaskQueue, Trouble>();
  /** Tasks whose last read failed. */
  readonly #tasks = new Map<number, TaskTrouble>();
  /** Reads of tasks that the disk has answered, ever. */
  #answers = 0;
  #closed = false;

  constructor(options: BodyReadsOptions) {
    this.#options = options;
  }

  /** All at once; when that fails, each alone, so that one bad place on the disk costs only what lies there. */
  async read(ids: readonly number[]): Promise<readonly BodyReading[]> {
    try {
      return await this.#options.store.read(ids);
    } catch (error) {
      if (ids.length > 1) return (await Promise.all(ids.map((id) => this.read([id])))).flat();
      return [error instanceof HoldfastError ? error : new OperationError("QUEUE_STORE_UNAVAILABLE", messageOf(error))];
    }
  }

  /** A result, tried again for as long as somebody may wait for it. */
  async result(id: number): Promise<BodyReading> {
    for (let tried = 1; ; tried += 1) {
      const [reading] = await this.read([id]);
      if (!(reading instanceof HoldfastError) || tried === RESULT_TRIES || this.#closed) return reading;
      if (tried === 1) this.#options.log("queue.read-failed", { task: id, error: reading.message });
      await this.#pause(pauseMs(tried, PAUSE_MS_MAX));
    }
  }

  /** @returns how long the task is to be put aside; undefined: it is to go back to the front of its queue */
  failed(queue: TaskQueue, id: number, error: HoldfastError): number | undefined {
    const nowMs = this.#options.clock.now();
    const trouble = this.#queues.get(queue) ?? { failures: 0, untilMs: -Infinity };
    // Of the tasks of one read only the first makes the pause longer.
    if (trouble.untilMs <= nowMs) {
      trouble.failures += 1;
      const forMs = pauseMs(trouble.failures, PAUSE_MS_MAX);
      trouble.untilMs = nowMs + forMs;
      // Told while the pauses grow: not every two seconds of an hour.
      if (forMs !== pauseMs(trouble.failures - 1, PAUSE_MS_MAX))
        this.#options.log("queue.read-failed", { queue: queue.name, task: id, error: error.message, pauseMs: forMs });
    }
    this.#queues.set(queue, trouble);
    const task = this.#tasks.get(id) ?? { failures: 0, alone: 0, answers: this.#answers };
    task.failures += 1;
    if (task.answers !== this.#answers) task.alone += 1;
    task.answers = this.#answers;
    this.#tasks.set(id, task);
    return task.failures < ASIDE_FAILURES ? undefined : pauseMs(ASIDE_FAILURES + task.alone, TASK_PAUSE_MS_MAX);
  }

  /** Of a task that was read: the disk answers. */
  answered(queue: TaskQueue, id: number): void {
    this.#tasks.delete(id);
    this.#answers += 1;
    if (!this.#queues.delete(queue)) return;
    this.#options.log("queue.read-again", { queue: queue.name, task: id });
  }

  /** A task that has ended is not read to be given out. */
  forget(id: number): void {
    this.#tasks.delete(id);
  }

  /** Whether the queue waits after a failure. */
  isPaused(queue: TaskQueue): boolean {
    const trouble = this.#queues.get(queue);
    return trouble !== undefined && trouble.untilMs > this.#options.clock.now();
  }

  /** In how many ms the first queue has waited long enough; Infinity when none waits. */
  get waitMs(): number {
    const nowMs = this.#options.clock.now();
    let waitMs = Infinity;
    for (const { untilMs } of this.#queues.values()) if (untilMs > nowMs) waitMs = Math.min(waitMs, untilMs - nowMs);
    return waitMs;
  }

  close(): void {
    this.#closed = true;
  }

  async #pause(forMs: number): Promise<void> {
    const { clock } = this.#options;
    await new Promise<void>((resolve) => void clock.at(clock.now() + forMs, resolve));
  }
}

function pauseMs(failures: number, maxMs: number): number {
  return Math.min(PAUSE_MS * 2 ** (failures - 1), maxMs);
}
