/**
 * ● A worker: takes tasks of one queue from every broker behind its URL and hands them to a function. Invariant: at most
 * `concurrency` handlers run at once; what was taken and not begun is given back when asked, and when the worker closes.
 */
import { Buffer } from "node:buffer";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import { messageOf } from "../../core/errors.ts";
import { type Duration, durationMs } from "../../core/units.ts";
import type { BrokerSession } from "./broker-pool.ts";
import { BrokerSubscription, type Job, type BrokerSubscriptionListener } from "./broker-subscription.ts";
import { mustFit } from "./message-size.ts";
import { QueueClient, type WorkVerb } from "./queue-client.ts";
import type { Frames } from "../protocols/messages.ts";
import type { Queue } from "./queue.ts";

/** What a handler is told beside the payload. */
export interface TaskContext {
  readonly id: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Fires when the task is cancelled, runs out of time, is another worker's by now, or the worker closes without waiting. */
  readonly signal: AbortSignal;
  /** Tells whoever watches how far it is; the newest replaces the one before. */
  progress(value: unknown): void;
  /** Sends a part of the result to whoever watches. */
  partial(value: unknown): void;
}

/** Does the work: what it resolves to is the result; when it rejects, the attempt has failed. */
export type Handler<P, R> = (payload: P, context: TaskContext) => Promise<R> | R;

/** Options of `worker`. */
export interface WorkerOptions {
  /** Handlers at once; default 1. */
  readonly concurrency?: number;
  /** Tasks taken beyond that, so as not to wait for the next; asked back when another worker is idle. Default 0. */
  readonly prefetch?: number;
  /** Signals that make it close and then end the process as they would have; default SIGTERM and SIGINT. [] = none. */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long `close` waits for running handlers; then their signals fire and their tasks are given back. Default "5s". */
  readonly drain?: Duration;
  /** Told of a handler's errors, and of results that came too late. */
  readonly onError?: (error: unknown, task: { readonly id: string; readonly attempt: number }) => void;
}

/** Thrown by a handler when no further attempt will help: the task is dead at once. */
export class GiveUp extends Error {
  /** @internal */
  override readonly name = "GiveUp";
}

/** 200 ms: when a group's leader changes all its brokers say so at about the same time. */
const DIRECT_MS = 200;
const SIGNALS_DEFAULT: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];

/** Takes a queue's tasks. Made by `worker()`. */
export class Worker<P, R> {
  readonly #queue: Queue<P, R>;
  /** Its own: what is on its way to a worker that closes goes back with its connection, not to another worker's. */
  readonly #client: QueueClient;
  readonly #handler: Handler<P, R>;
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #prefetch: number;
  readonly #subscriptions = new Map<string, BrokerSubscription>();
  readonly #waiting = new Set<Job>();
  readonly #running = new Set<Job>();
  /** Ended, and not yet known to be on disk. */
  readonly #unkept = new Set<Job>();
  readonly #onSignal = (signal: NodeJS.Signals): void => void this.#end(signal);
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** @internal */
  constructor(queue: Queue<P, R>, handler: Handler<P, R>, options: WorkerOptions) {
    this.#queue = queue;
    this.#handler = handler;
    this.#options = options;
    this.#concurrency = options.concurrency ?? 1;
    this.#prefetch = options.prefetch ?? 0;
    for (const signal of options.signals ?? SIGNALS_DEFAULT) process.once(signal, this.#onSignal);
    this.#client = new QueueClient(queue.client.options);
    this.#client.addWorker({
      up: (link) => this.#up(link),
      down: (link) => this.#down(link),
      heard: (link, verb, frames) => this.#heard(link, verb, frames),
    });
  }

  /** Tasks whose handlers run now. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Takes no more, gives back what was not begun, and waits for what runs; after `drain` gives that back too. May be called twice.
   * The queue stays open: a worker has connections of its own.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { signals = SIGNALS_DEFAULT, drain = DRAIN_MS_MAX } = this.#options;
    for (const { link } of this.#subscriptions.values()) link?.send("WORK", this.#name, Buffer.from("0"));
    for (const job of this.#waiting) this.#giveBack(job);
    if (this.#running.size > 0 || this.#unkept.size > 0) {
      const { clock } = this.#client;
      await new Promise<void>((resolve) => {
        const cancel = clock.at(clock.now() + durationMs(drain, "drain"), resolve);
        this.#idle = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const job of this.#running) {
      job.stop(new Error("the worker closes"));
      this.#giveBack(job);
    }
    for (const { link } of this.#subscriptions.values()) link?.send("BYE");
    await this.#client.close();
    for (const signal of signals) process.off(signal, this.#onSignal);
  }

  /** A signal of the system: closes, then lets the signal do what it would have done. */
  async #end(signal: NodeJS.Signals): Promise<void> {
    await this.close();
    process.kill(process.pid, signal);
  }

  get #name(): Buffer {
    return Buffer.from(this.#queue.name);
  }

  /** A link to a broker is there, perhaps again. It is worked over unless another to the same broker is. */
  #up(link: BrokerSession): void {
    const broker = link.broker!;
    let subscription = this.#subscriptions.get(broker);
    if (!subscription)
      this.#subscriptions.set(broker, (subscription = new BrokerSubscription(broker, this.#queue.name, this.#listener)));
    if (subscription.link === link) this.#open(subscription, link);
    else if (subscription.link === undefined) this.#openSoon(subscription);
  }

  #down(link: BrokerSession): void {
    const subscription = this.#subscriptions.get(link.broker ?? "");
    if (subscription?.link !== link) return;
    subscription.link = undefined;
    this.#openSoon(subscription);
  }

  /** A way that another broker's broker hands on is taken only when none leads to the broker itself. */
  #openSoon(subscription: BrokerSubscription): void {
    const link = this.#client.linkTo(subscription.broker);
    if (!link?.isRelayed) {
      if (link) this.#open(subscription, link);
      return;
    }
    const { clock } = this.#client;
    clock.at(clock.now() + DIRECT_MS, () => {
      const best = subscription.link === undefined ? this.#client.linkTo(subscription.broker) : undefined;
      if (best) this.#open(subscription, best);
    });
  }

  /** What this worker still has of the broker is taken up, then more is asked for. */
  #open(subscription: BrokerSubscription, link: BrokerSession): void {
    subscription.open(link);
    if (this.#closing) return;
    link.send("WORK", this.#name, Buffer.from(`${this.#concurrency}`), Buffer.from(`${this.#prefetch}`));
  }

  #heard(link: BrokerSession, verb: WorkVerb, frames: Frames): void {
    const subscription = this.#subscriptions.get(link.broker ?? "");
    if (subscription?.link !== link) return;
    subscription.hear(verb, frames);
    this.#begin();
    this.#settled();
  }

  readonly #listener: BrokerSubscriptionListener = {
    taken: (job) => {
      if (this.#closing) this.#giveBack(job);
      else this.#waiting.add(job);
    },
    kept: (job) => this.#over(job),
    lost: (job) => {
      if (job.state !== "ended") return;
      this.#over(job);
      this.#options.onError?.(new Error("the result came too late: the lease was lost"), job);
    },
    recalled: (job) => {
      if (job.state === "waiting") this.#giveBack(job);
    },
    stopped: (job, why) => {
      job.stop(new Error(why));
      if (job.state !== "running") this.#over(job);
    },
  };

  #giveBack(job: Job): void {
    job.say("RETURN");
    this.#over(job);
  }

  /** It is not ours any more. */
  #over(job: Job): void {
    job.state = "over";
    job.subscription.jobs.delete(job.token);
    this.#waiting.delete(job);
    this.#running.delete(job);
    this.#unkept.delete(job);
  }

  #begin(): void {
    for (const job of this.#waiting) {
      if (this.#running.size >= this.#concurrency) return;
      this.#waiting.delete(job);
      job.state = "running";
      this.#running.add(job);
      void this.#run(job);
    }
  }

  async #run(job: Job): Promise<void> {
    const { payload, results } = this.#queue;
    try {
      const value = payload.direct ? payload.decodeNow(job.body) : await payload.decode(job.body);
      const result = await this.#handler(value, this.#context(job));
      const bytes = asBuffer(results.direct ? results.encodeNow(result) : await results.encode(result));
      mustFit([bytes]);
      job.ending = { kind: "done", result: bytes };
    } catch (error) {
      this.#options.onError?.(error, job);
      job.ending = { kind: "failed", error: describe(error), final: error instanceof GiveUp };
    }
    this.#ended(job);
    this.#begin();
    this.#settled();
  }

  #ended(job: Job): void {
    // Given back meanwhile: nothing is left to say.
    if (!this.#running.delete(job)) return;
    if (job.isStopped) {
      this.#over(job);
      return;
    }
    job.state = "ended";
    this.#unkept.add(job);
    job.sayEnding();
  }

  #context(job: Job): TaskContext {
    const tell = (verb: "PROGRESS" | "PARTIAL", said: unknown): void => {
      const bytes = asBuffer(this.#queue.encodeAny(said));
      mustFit([bytes]);
      job.say(verb, bytes);
    };
    return {
      id: job.id,
      attempt: job.attempt,
      get signal() {
        return job.signal;
      },
      progress: (said) => tell("PROGRESS", said),
      partial: (said) => tell("PARTIAL", said),
    };
  }

  #settled(): void {
    if (this.#running.size === 0 && this.#unkept.size === 0) this.#idle?.();
  }
}

/**
 * Starts a worker on a queue.
 *
 * @example
 * const running = worker(emails, async (email, { signal }) => send(email, { signal }), { concurrency: 10 });
 * await running.close();
 */
export function worker<P, R>(queue: Queue<P, R>, handler: Handler<P, R>, options: WorkerOptions = {}): Worker<P, R> {
  return new Worker(queue, handler, options);
}

/** The error as it is kept with the task: its message, then where it came from. */
function describe(error: unknown): string {
  if (!(error instanceof Error) || !error.stack) return messageOf(error);
  return error.stack.startsWith(error.name) ? error.stack : `${error.message}\n${error.stack}`;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
