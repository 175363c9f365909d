/**
 * ● A handler of many: tasks that a worker has taken are gathered, handed to it together, and each has an outcome of its own. Invariant: a
 * task is in one batch, and is settled once that has ended; at most `atOnce` batches run at a time.
 */
import type { Clock, Cancel } from "../../core/clock.ts";
import { UsageError } from "../../core/errors.ts";
import { type Duration, durationMs } from "../../core/units.ts";
import { SLOTS_MAX } from "../limits.ts";
import { checkOptions, duration, whole } from "../option-check.ts";
import type { Handler, TaskContext } from "./handler.ts";

/** How tasks are put together for a handler of many. */
export interface BatchOptions {
  /** Tasks in a batch at most: the handler is called as soon as there are so many. */
  readonly size: number;
  /** How long the first of them waits for others; default "50ms". 0: what is there is handed over at once. */
  readonly wait?: Duration;
}

/** Of one task of a batch: its result, or a promise of it; an Error, or a promise that rejects, is a failed attempt of this task alone. */
export type BatchOutcome<R> = R | Error | Promise<R | Error>;

/**
 * Does the work of many tasks at once. It returns an outcome for each, in their order, or nothing when all are completed and have no result; when
 * it throws the attempts of all have failed.
 */
export type BatchHandler<P, R> = (
  payloads: readonly P[],
  tasks: readonly TaskContext[],
) => Promise<readonly BatchOutcome<R>[] | void> | readonly BatchOutcome<R>[] | void;

/** 50 ms: longer than brokers take to send what they have, and nobody notices. */
const WAIT_DEFAULT = "50ms";

interface Member<P, R> {
  readonly payload: P;
  readonly context: TaskContext;
  readonly resolve: (result: R | PromiseLike<R>) => void;
  readonly reject: (error: unknown) => void;
}

export class Batches<P, R> {
  /** Tasks in a batch at most. */
  readonly size: number;
  readonly #handler: BatchHandler<P, R>;
  readonly #atOnce: number;
  readonly #waitMs: number;
  readonly #clock: Clock;
  #gathered: Member<P, R>[] = [];
  #running = 0;
  /** The first has waited long enough. */
  #isDue = false;
  #cancelWait: Cancel | undefined;
  #flushing = false;

  /** @throws UsageError QUEUE_OPTIONS_INVALID, UNIT_INVALID */
  constructor(handler: BatchHandler<P, R>, options: BatchOptions, { atOnce, clock }: { atOnce: number; clock: Clock }) {
    checkBatch(options, atOnce);
    this.#handler = handler;
    this.size = options.size;
    this.#waitMs = durationMs(options.wait ?? WAIT_DEFAULT, "wait");
    this.#atOnce = atOnce;
    this.#clock = clock;
  }

  /** What the worker runs for each task. */
  readonly handler: Handler<P, R> = (payload, context) => {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#gathered.push({ payload, context, resolve, reject });
    if (this.#gathered.length === 1) this.#wait();
    this.#begin();
    return promise;
  };

  /** Nothing more is waited for: no other tasks will come. */
  flush(): void {
    this.#flushing = true;
    this.#begin();
  }

  #wait(): void {
    this.#isDue = false;
    this.#cancelWait?.();
    this.#cancelWait = this.#clock.at(this.#clock.now() + this.#waitMs, () => {
      this.#isDue = true;
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#running < this.#atOnce && this.#gathered.length > 0) {
      const isFull = this.#gathered.length >= this.size;
      if (!isFull && !this.#isDue && !this.#flushing) return;
      const batch = this.#gathered.splice(0, this.size);
      if (this.#gathered.length > 0) this.#wait();
      else this.#cancelWait?.();
      this.#running += 1;
      void this.#run(batch).finally(() => {
        this.#running -= 1;
        this.#begin();
      });
    }
  }

  /** Never rejects. */
  async #run(batch: readonly Member<P, R>[]): Promise<void> {
    try {
      const outcomes = await this.#handler(
        batch.map(({ payload }) => payload),
        batch.map(({ context }) => context),
      );
      const settled = await Promise.allSettled(outcomesOf(batch.length, outcomes).map((each) => Promise.resolve(each)));
      for (const [index, outcome] of settled.entries()) {
        const { resolve, reject } = batch[index]!;
        if (outcome.status === "rejected") reject(outcome.reason);
        else if (outcome.value instanceof Error) reject(outcome.value);
        else resolve(outcome.value);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** @throws UsageError QUEUE_BATCH_INVALID when it is not one outcome for each task */
function outcomesOf<R>(count: number, outcomes: readonly BatchOutcome<R>[] | void): readonly BatchOutcome<R>[] {
  if (outcomes === undefined) return Array.from({ length: count }, () => undefined as R);
  if (Array.isArray(outcomes) && outcomes.length === count) return outcomes;
  const what = Array.isArray(outcomes) ? `${outcomes.length} outcomes` : `a value of type ${typeof outcomes}`;
  throw new UsageError("QUEUE_BATCH_INVALID", `Cannot settle a batch of ${count} tasks: its handler returned ${what}`);
}

/** @throws UsageError QUEUE_OPTIONS_INVALID */
function checkBatch(options: BatchOptions, atOnce: number): void {
  const act = "start the worker";
  checkOptions(options, { act, known: { size: whole(1, SLOTS_MAX), wait: duration() }, bullmq: {} });
  if (options.size === undefined) throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot ${act}: 'batch' says no 'size'`);
  if (options.size * atOnce > SLOTS_MAX)
    throw new UsageError(
      "QUEUE_OPTIONS_INVALID",
      `Cannot ${act}: ${atOnce} batches of ${options.size} are more than ${SLOTS_MAX} tasks`,
    );
}
