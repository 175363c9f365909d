/**
 * ● A worker: takes tasks of one queue from every broker behind its URL and hands them to a function. Invariant: at most
 * `concurrency` handlers run at once; what was taken and not begun is given back when asked, and when the worker closes.
 */
import { Buffer } from "node:buffer";
import { DRAIN_MS_MAX } from "../core/limits.ts";
import { messageOf } from "../core/errors.ts";
import { type Duration, durationMs } from "../core/units.ts";
import type { BrokerLink } from "./broker-links.ts";
import { QueueClient, type WorkListener } from "./client.ts";
import type { Frames } from "./protocol.ts";
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

const SIGNALS_DEFAULT: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];

interface Job {
  readonly link: BrokerLink;
  readonly lease: Buffer;
  readonly body: Buffer;
  readonly id: string;
  readonly attempt: number;
  readonly abort: AbortController;
}

/** Takes a queue's tasks. Made by `worker()`. */
export class Worker<P, R> {
  readonly #queue: Queue<P, R>;
  /** Its own: what is on its way to a worker that closes goes back with its connection, not to another worker's. */
  readonly #client: QueueClient;
  readonly #handler: Handler<P, R>;
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #prefetch: number;
  /** Taken and not begun, by lease. */
  readonly #waiting = new Map<string, Job>();
  readonly #running = new Map<string, Job>();
  /** Settled, not yet known to be on disk: said again when the broker was away. */
  readonly #unkept = new Map<string, { readonly job: Job; readonly say: () => void }>();
  readonly #listener: WorkListener;
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
    this.#listener = {
      up: (link) => this.#up(link),
      down: () => {},
      heard: (link, verb, frames) => this.#heard(link, verb, frames),
    };
    for (const signal of options.signals ?? SIGNALS_DEFAULT) process.once(signal, this.#onSignal);
    this.#client = new QueueClient(queue.client.options);
    this.#client.addWorker(this.#listener);
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
    for (const link of this.#client.links()) link.send("WORK", this.#name, Buffer.from("0"));
    for (const [key, job] of this.#waiting) {
      this.#waiting.delete(key);
      job.link.send("RETURN", job.lease);
    }
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
    for (const job of this.#running.values()) {
      job.abort.abort(new Error("the worker closes"));
      job.link.send("RETURN", job.lease);
    }
    this.#running.clear();
    for (const link of this.#client.links()) link.send("BYE");
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

  /** A broker is there, perhaps again: what this worker still has of it is taken up, then more is asked for. */
  #up(link: BrokerLink): void {
    const held = [...this.#waiting.values(), ...this.#running.values(), ...[...this.#unkept.values()].map(({ job }) => job)]
      // One that was told to stop is no longer ours, even while its handler has not ended.
      .filter((job) => job.link === link && !job.abort.signal.aborted)
      .map(({ lease }) => lease);
    if (held.length > 0) link.send("HOLD", this.#name, ...held);
    for (const { job, say } of this.#unkept.values()) if (job.link === link) say();
    if (this.#closing) return;
    link.send("WORK", this.#name, Buffer.from(`${this.#concurrency}`), Buffer.from(`${this.#prefetch}`));
  }

  #heard(link: BrokerLink, verb: "TASK" | "KEPT" | "LOST" | "STOP" | "RECALL", frames: Frames): void {
    if (verb === "TASK") {
      this.#taken(link, frames);
      return;
    }
    for (const lease of verb === "KEPT" ? frames.slice(2) : [frames[2]!]) this.#told(lease.toString("latin1"), verb, frames[3]);
  }

  #taken(link: BrokerLink, frames: Frames): void {
    const [, , lease, body, queue, attempt, , id] = frames;
    if (!lease || !body || queue?.toString() !== this.#queue.name) return;
    if (this.#closing) {
      link.send("RETURN", lease);
      return;
    }
    const job: Job = {
      link,
      // Kept for as long as the task runs: not the network's buffer.
      lease: Buffer.from(lease),
      body,
      id: id?.toString("latin1") ?? "",
      attempt: Number(attempt?.toString("latin1")),
      abort: new AbortController(),
    };
    this.#waiting.set(lease.toString("latin1"), job);
    this.#begin();
  }

  #told(key: string, verb: "KEPT" | "LOST" | "STOP" | "RECALL", why: Buffer | undefined): void {
    if (verb === "KEPT") this.#unkept.delete(key);
    else if (verb === "LOST") {
      const unkept = this.#unkept.get(key);
      this.#unkept.delete(key);
      if (unkept) this.#options.onError?.(new Error("the result came too late: the lease was lost"), unkept.job);
    } else if (verb === "RECALL") {
      const job = this.#waiting.get(key);
      if (job && this.#waiting.delete(key)) job.link.send("RETURN", job.lease);
    } else {
      this.#waiting.delete(key);
      this.#unkept.delete(key);
      this.#running.get(key)?.abort.abort(new Error(why?.toString() ?? "stopped"));
    }
    this.#settled();
  }

  #begin(): void {
    for (const [key, job] of this.#waiting) {
      if (this.#running.size >= this.#concurrency) return;
      this.#waiting.delete(key);
      this.#running.set(key, job);
      void this.#run(key, job);
    }
  }

  async #run(key: string, job: Job): Promise<void> {
    const { link, lease } = job;
    let say: () => void;
    try {
      const result = await this.#handle(job);
      say = () => void link.send("DONE", lease, result);
    } catch (error) {
      this.#options.onError?.(error, job);
      const rest = [Buffer.from(describe(error)), ...(error instanceof GiveUp ? [Buffer.from("final")] : [])];
      say = () => void link.send("FAIL", lease, ...rest);
    }
    // Given back meanwhile: nothing is left to say.
    if (!this.#running.delete(key)) return;
    if (!job.abort.signal.aborted) {
      this.#unkept.set(key, { job, say });
      say();
    }
    this.#begin();
    this.#settled();
  }

  async #handle({ link, lease, body, id, attempt, abort }: Job): Promise<Buffer> {
    const { payload, results } = this.#queue;
    const value = payload.direct ? payload.decodeNow(body) : await payload.decode(body);
    const send = (verb: "PROGRESS" | "PARTIAL", said: unknown): void =>
      void link.send(verb, lease, asBuffer(this.#queue.encodeAny(said)));
    const result = await this.#handler(value, {
      id,
      attempt,
      signal: abort.signal,
      progress: (said) => send("PROGRESS", said),
      partial: (said) => send("PARTIAL", said),
    });
    return asBuffer(results.direct ? results.encodeNow(result) : await results.encode(result));
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
