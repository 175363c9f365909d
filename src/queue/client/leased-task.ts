/**
 * ● One task that a worker has, from its TASK until its outcome is on disk or it is no longer the worker's: its state, the signal of its
 * handler, what is said of it to its broker, and its place on the board that the process's keeper reads.
 */
import { Buffer } from "node:buffer";
import { type VerbIn, writeLease } from "../protocols/messages.ts";
import { BATCHED_BODY_BYTES_MAX } from "../protocols/record-batch.ts";
import type { BrokerSession } from "./broker-session.ts";
import type { TaskContext } from "./handler.ts";
import type { KeptLeases } from "./keeper.ts";
import type { TaskTrace } from "./tracing.ts";
import { onceIn } from "./once.ts";

/** How an attempt ended. `final`: no further attempt will help. */
type Ending =
  | { readonly kind: "done"; readonly result: Buffer }
  | { readonly kind: "failed"; readonly error: string; readonly final: boolean; readonly pauseMs: number | undefined }
  /** To be tried again: no attempt is spent. */
  | { readonly kind: "again"; readonly why: string; readonly afterMs: number };

/** What the worker has from one broker. */
export interface Subscription {
  readonly broker: string;
  /** By their tokens, which are greater than that of any lease before at this broker. */
  readonly tasks: Map<number, LeasedTask>;
  /** Its leases outlive a handler that blocks the event loop; undefined with a broker in the process, or one that knows no keepers. */
  kept: KeptLeases | undefined;
  /** Where work comes from; undefined while no session with the broker is up. */
  session: BrokerSession | undefined;
}

/** One task that the worker has. */
export class LeasedTask {
  readonly subscription: Subscription;
  readonly token: number;
  readonly attempt: number;
  readonly body: Buffer;
  /** running: its handler runs. ended: the broker was told, and has not confirmed it. over: it is no longer this worker's. */
  state: "waiting" | "running" | "ended" | "over" = "waiting";
  ending: Ending | undefined;
  /** The task's number at its broker. */
  readonly number: number;
  /** Its producer's, where that is traced. */
  trace: TaskTrace | undefined;
  #place = -1;
  #abort: AbortController | undefined;
  #stopped: Error | undefined;

  constructor(subscription: Subscription, { id, token }: { id: number; token: number }, attempt: number, body: Buffer) {
    this.subscription = subscription;
    this.number = id;
    this.token = token;
    this.attempt = attempt;
    this.body = body;
  }

  get id(): string {
    return `${this.subscription.broker}-${this.number}`;
  }

  /** It runs. */
  enterBoard(): void {
    this.#place = this.subscription.kept?.board.put(this.number, this.token) ?? -1;
  }

  leaveBoard(): void {
    this.subscription.kept?.board.clear(this.#place);
    this.#place = -1;
  }

  /** The lease as a frame. */
  get lease(): Buffer {
    return writeLease(this.number, this.token);
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

  send(verb: VerbIn, ...rest: Buffer[]): void {
    this.subscription.session?.send(verb, this.lease, ...rest);
  }

  /** Tells the broker how it ended, over the session of the moment. */
  sendEnding(): void {
    const { session } = this.subscription;
    const { ending } = this;
    if (!session || !ending) return;
    if (ending.kind === "again")
      this.send("FAIL", ...[ending.why, "again", `${ending.afterMs}`].map((word) => Buffer.from(word)));
    else if (ending.kind === "failed") {
      const { error, final, pauseMs } = ending;
      const words = final ? [error, "final"] : pauseMs === undefined ? [error] : [error, "after", `${pauseMs}`];
      this.send("FAIL", ...words.map((word) => Buffer.from(word)));
    } else if (session.isUp && session.readsBatches && ending.result.length <= BATCHED_BODY_BYTES_MAX) {
      session.done(this.number, this.token, ending.result);
    } else this.send("DONE", ending.result);
  }
}

/** What the task's handler is told. */
export class LeasedTaskContext implements TaskContext {
  /**
   * Of each context as its own, so that a copy of the context has it, and with one getter for all: a literal's getter would give each
   * context a hidden class to itself, 1.4 KB of it.
   */
  static readonly #SIGNAL: PropertyDescriptor & ThisType<LeasedTaskContext> = {
    enumerable: true,
    get() {
      return this.#task.signal;
    },
  };

  readonly #task: LeasedTask;
  readonly id: string;
  readonly attempt: number;
  declare readonly signal: AbortSignal;
  readonly once: TaskContext["once"];
  readonly progress: (said: unknown) => void;
  readonly partial: (said: unknown) => void;

  constructor(task: LeasedTask, encode: (said: unknown) => Buffer) {
    this.#task = task;
    this.id = task.id;
    this.attempt = task.attempt;
    Object.defineProperty(this, "signal", LeasedTaskContext.#SIGNAL);
    this.once = onceIn(this.id);
    this.progress = (said) => task.send("PROGRESS", encode(said));
    this.partial = (said) => task.send("PARTIAL", encode(said));
  }
}

/** Tells each broker which of its tasks have begun. */
export function sayBegun(tasks: readonly LeasedTask[]): void {
  for (const session of new Set(tasks.map(({ subscription }) => subscription.session)))
    session?.begun(tasks.filter(({ subscription }) => subscription.session === session));
}
