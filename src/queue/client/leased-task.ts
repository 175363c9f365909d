/**
 * ● One task that a worker has, from its TASK until its outcome is on disk or it is no longer the worker's: its state, the signal of its
 * handler, what is said of it to its broker, and its place on the board that the process's keeper reads.
 */
import { Buffer } from "node:buffer";
import { type VerbIn, writeLease } from "../protocols/messages.ts";
import { BATCHED_BODY_BYTES_MAX } from "../protocols/record-batch.ts";
import type { BrokerSession } from "./broker-session.ts";
import { HandlerRun, type StepPort } from "./handler-run.ts";
import type { TaskContext } from "./handler.ts";
import type { KeptLeases } from "./keeper.ts";
import type { TaskTrace } from "./tracing.ts";
import { onceIn } from "./once.ts";
import { OperationError } from "../../core/errors.ts";
import { type StepMessage, type RecordedStep, type StepReply, WHOLE_HISTORY } from "../protocols/step-messages.ts";
import type { RunCodec, StepOutcome } from "./handler-run.ts";

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
  /** Steps of it are on record. */
  hasSteps = false;
  /** Called when its handler has returned: throws when that is too early. */
  over: (() => void) | undefined;
  /** Its steps, once its handler has begun one. */
  steps: LeasedSteps | undefined;
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
    this.steps?.fail(reason);
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

/** A run's questions to the broker about its steps; those without an answer are asked again over the next session. */
export class LeasedSteps implements StepPort {
  readonly #task: LeasedTask;
  readonly #open = new Map<
    number,
    { readonly frames: readonly Buffer[]; readonly answer: PromiseWithResolvers<StepOutcome> }
  >();
  #history: PromiseWithResolvers<readonly RecordedStep[]> | undefined;
  /** The broker has ended the run. */
  isSuspended = false;
  #failure: Error | undefined;

  constructor(task: LeasedTask) {
    this.#task = task;
  }

  history(): Promise<readonly RecordedStep[]> {
    if (!this.#task.hasSteps) return Promise.resolve([]);
    if (this.#failure) return Promise.reject(this.#failure);
    this.#history = Promise.withResolvers();
    this.#ask("HISTORY");
    return this.#history.promise;
  }

  record(asked: StepMessage, body: Buffer): Promise<StepOutcome> {
    if (this.#failure) return Promise.reject(this.#failure);
    const frames = [Buffer.from(JSON.stringify(asked)), body];
    const answer = Promise.withResolvers<StepOutcome>();
    this.#open.set(asked.at, { frames, answer });
    this.#ask("STEP", ...frames);
    return answer.promise;
  }

  /** A session is up, perhaps another. */
  askAgain(): void {
    if (this.#history && this.#open.size === 0) this.#ask("HISTORY");
    for (const { frames } of this.#open.values()) this.#ask("STEP", ...frames);
  }

  known(known: readonly RecordedStep[]): void {
    this.#history?.resolve(known);
  }

  answered(said: StepReply, value: Buffer | undefined): void {
    if (said.at === WHOLE_HISTORY) {
      this.#history?.reject(errorOf(said));
      return;
    }
    const open = this.#open.get(said.at);
    this.#open.delete(said.at);
    if (said.now === "suspended") this.isSuspended = true;
    if (said.now === "refused") open?.answer.reject(errorOf(said));
    else open?.answer.resolve({ now: said.now, value });
  }

  /** Nothing that the run says counts any more. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#history?.reject(error);
    for (const { answer } of this.#open.values()) answer.reject(error);
    this.#open.clear();
  }

  #ask(verb: "HISTORY" | "STEP", ...frames: readonly Buffer[]): void {
    const { session } = this.#task.subscription;
    if (session?.isUp && !session.keepsSteps)
      this.fail(new OperationError("QUEUE_PROTOCOL", "Cannot record a step: the broker is of a version that records none"));
    else this.#task.send(verb, ...frames);
  }
}

function errorOf({ code = "QUEUE_PROTOCOL", message = "the broker refused a step" }: StepReply): OperationError {
  return new OperationError(code, message);
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

  readonly #codec: RunCodec;
  #run: HandlerRun | undefined;

  constructor(task: LeasedTask, codec: RunCodec) {
    const { encode } = codec;
    this.#codec = codec;
    this.#task = task;
    this.id = task.id;
    this.attempt = task.attempt;
    Object.defineProperty(this, "signal", LeasedTaskContext.#SIGNAL);
    this.once = onceIn(this.id);
    this.progress = (said) => task.send("PROGRESS", encode(said));
    this.partial = (said) => task.send("PARTIAL", encode(said));
  }

  /** Made when a handler has a step: most have none. */
  get #steps(): HandlerRun {
    this.#task.steps ??= new LeasedSteps(this.#task);
    if (!this.#run) {
      const run = (this.#run = new HandlerRun(this.#task.steps, this.#codec));
      this.#task.over = () => run.over();
    }
    return this.#run;
  }

  get step(): TaskContext["step"] {
    return this.#steps.step;
  }

  get parents(): TaskContext["parents"] {
    return () => this.#codec.parents(this.id);
  }

  get sleep(): TaskContext["sleep"] {
    return this.#steps.sleep;
  }

  get waitFor(): TaskContext["waitFor"] {
    return this.#steps.waitFor;
  }

  get call(): TaskContext["call"] {
    return this.#steps.call;
  }
}

/** Tells each broker which of its tasks have begun. */
export function sayBegun(tasks: readonly LeasedTask[]): void {
  for (const session of new Set(tasks.map(({ subscription }) => subscription.session)))
    session?.begun(tasks.filter(({ subscription }) => subscription.session === session));
}
