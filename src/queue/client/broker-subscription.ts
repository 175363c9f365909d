/**
 * ○ A worker's subscription at one broker: the tasks it has from there, and the one link over which they are spoken of. Several links may lead to
 * the same broker; work comes over one of them, and moves to another when that goes down. Invariant: a task stays in `jobs` from
 * its TASK until its outcome is on disk, or it is no longer the worker's.
 */
import { Buffer } from "node:buffer";
import type { BrokerSession } from "./broker-pool.ts";
import { BATCHED_BODY_BYTES_MAX, RecordBatchReader } from "../protocols/record-batch.ts";
import { EMPTY_FRAME, type Frames, readLease, readNumber, readText, type VerbIn, writeLease } from "../protocols/messages.ts";

/** How an attempt ended. */
export type Ending =
  | { readonly kind: "done"; readonly result: Buffer }
  /** `final`: no attempt will help. */
  | { readonly kind: "failed"; readonly error: string; readonly final: boolean };

/** One task that the worker has. */
export class Job {
  readonly subscription: BrokerSubscription;
  readonly number: number;
  /** Names the lease: greater than that of any lease before at this broker. */
  readonly token: number;
  readonly attempt: number;
  readonly body: Buffer;
  /** running: its handler runs. ended: that is said, and not yet known to be on disk. over: it is no longer ours. */
  state: "waiting" | "running" | "ended" | "over" = "waiting";
  ending: Ending | undefined;
  #abort: AbortController | undefined;
  #stopped: Error | undefined;

  constructor(
    subscription: BrokerSubscription,
    lease: { number: number; token: number },
    { attempt, body }: { attempt: number; body: Buffer },
  ) {
    this.subscription = subscription;
    this.number = lease.number;
    this.token = lease.token;
    this.attempt = attempt;
    this.body = body;
  }

  get id(): string {
    return `${this.subscription.broker}-${this.number}`;
  }

  /** Made when a handler asks for it: most do not. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#stopped) this.#abort.abort(this.#stopped);
    }
    return this.#abort.signal;
  }

  /** Whether its handler was told to stop: nothing it says counts any more. */
  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  stop(reason: Error): void {
    this.#stopped ??= reason;
    this.#abort?.abort(reason);
  }

  say(verb: VerbIn, ...rest: Buffer[]): void {
    this.subscription.link?.send(verb, writeLease(this.number, this.token), ...rest);
  }

  /** Says how it ended, over whichever link there is. */
  sayEnding(): void {
    const { link } = this.subscription;
    const { ending } = this;
    if (!link || !ending) return;
    if (ending.kind === "failed") {
      this.say("FAIL", Buffer.from(ending.error), ...(ending.final ? [Buffer.from("final")] : []));
    } else if (link.isUp && link.readsBatches && ending.result.length <= BATCHED_BODY_BYTES_MAX) {
      link.sender.done(this.number, this.token, ending.result);
    } else this.say("DONE", ending.result);
  }
}

/** What hears of a subscription's tasks. */
export interface BrokerSubscriptionListener {
  taken(job: Job): void;
  /** The outcome is on disk. */
  kept(job: Job): void;
  /** The outcome was refused: the task is another's by now. */
  lost(job: Job): void;
  /** The broker wants it back if it has not begun. */
  recalled(job: Job): void;
  stopped(job: Job, why: string): void;
}

export class BrokerSubscription {
  readonly broker: string;
  readonly jobs = new Map<number, Job>();
  readonly #queue: string;
  readonly #listener: BrokerSubscriptionListener;
  /** Where work comes from; undefined while no link to the broker is up. */
  link: BrokerSession | undefined;

  constructor(broker: string, queue: string, listener: BrokerSubscriptionListener) {
    this.broker = broker;
    this.#queue = queue;
    this.#listener = listener;
  }

  /** Works over this link from now on: what the worker still has is taken up there, and what it has ended is said again. */
  open(link: BrokerSession): void {
    this.link = link;
    // One that was told to stop is no longer ours, even while its handler has not ended.
    const held = [...this.jobs.values()].filter((job) => !job.isStopped);
    if (held.length === 0) return;
    link.send("HOLD", Buffer.from(this.#queue), ...held.map(({ number, token }) => writeLease(number, token)));
    for (const job of held) if (job.state === "ended") job.sayEnding();
  }

  hear(verb: string, frames: Frames): void {
    switch (verb) {
      case "TASK":
        this.#task(frames);
        return;
      case "TASKS":
        if (readText(frames[2]) === this.#queue) this.#tasks(new RecordBatchReader(frames[3]));
        return;
      case "KEPT":
        for (const frame of frames.slice(2)) this.#kept(readLease(frame)?.token);
        return;
      case "KEPTS":
        this.#kepts(new RecordBatchReader(frames[2]));
        return;
      default:
        this.#told(verb, this.jobs.get(readLease(frames[2])?.token ?? -1), readText(frames[3]));
    }
  }

  #task([, , leaseFrame, body, queue, attempt]: Frames): void {
    const lease = readLease(leaseFrame);
    if (!lease || readText(queue) !== this.#queue) return;
    this.#take(lease, readNumber(attempt) ?? 1, body ?? EMPTY_FRAME);
  }

  #tasks(records: RecordBatchReader): void {
    while (records.more) {
      const lease = { id: records.u64(), token: records.u64() };
      const attempt = records.u32();
      records.u64();
      this.#take(lease, attempt, records.body());
    }
  }

  #take({ id, token }: { id: number; token: number }, attempt: number, body: Buffer): void {
    const job = new Job(this, { number: id, token }, { attempt, body });
    this.jobs.set(token, job);
    this.#listener.taken(job);
  }

  #kepts(records: RecordBatchReader): void {
    while (records.more) {
      records.u64();
      this.#kept(records.u64());
    }
  }

  #kept(token: number | undefined): void {
    const job = this.jobs.get(token ?? -1);
    if (job?.state === "ended") this.#listener.kept(job);
  }

  #told(verb: string, job: Job | undefined, why: string): void {
    if (!job) return;
    if (verb === "LOST") this.#listener.lost(job);
    else if (verb === "RECALL") this.#listener.recalled(job);
    else if (verb === "STOP") this.#listener.stopped(job, why || "stopped");
  }
}
