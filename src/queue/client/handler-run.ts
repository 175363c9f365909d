/**
 * ○ One run of a handler with durable steps: the k-th step that it begins is the k-th on record, or is done and recorded now. Invariants: a step
 * that is on record is not run again; a run whose steps are others than those on record ends with QUEUE_STEPS_CHANGED; once a sleep or a wait
 * has ended the run, no step of it begins.
 */
import type { Buffer } from "node:buffer";
import { OperationError, UsageError } from "../../core/errors.ts";
import { type Duration, durationMs } from "../../core/units.ts";
import type { StepMessage, RecordedStep, StepReply } from "../protocols/step-messages.ts";
import { EMPTY_FRAME } from "../protocols/messages.ts";
import { type CalledTaskOptions, type ParentTask, RunEnded, type SignalOptions } from "./handler.ts";

export interface StepOutcome {
  readonly now: Exclude<StepReply["now"], "refused">;
  /** step: of an earlier run, whose result counts. wait: the signal's. */
  readonly value: Buffer | undefined;
}

/** Where steps are on record. */
export interface StepPort {
  history(): Promise<readonly RecordedStep[]>;
  record(asked: StepMessage, body: Buffer): Promise<StepOutcome>;
}

/** How values travel, what a call asks for, and the spans of a run, where somebody traces. */
export interface RunCodec {
  encode(value: unknown): Buffer;
  decode(bytes: Buffer): unknown;
  parents(id: string): Promise<ParentTask[]>;
  calledTaskOptions(options: CalledTaskOptions): Extract<StepMessage, { type: "call" }>["options"];
  tracedStep<T>(name: string, act: () => Promise<T> | T): Promise<T>;
  /** @param record adds the task, with this among its options */
  tracedCall<T>(queue: string, record: (trace: { readonly traceparent?: string }) => Promise<T>): Promise<T>;
}

export class HandlerRun {
  readonly #port: StepPort;
  readonly #codec: RunCodec;
  #history: Promise<ReadonlyMap<number, RecordedStep>> | undefined;
  #known: ReadonlyMap<number, RecordedStep> | undefined;
  readonly #names = new Set<string>();
  /** Steps that this run has begun. */
  #begun = 0;
  #ended: Error | undefined;

  constructor(port: StepPort, codec: RunCodec) {
    this.#port = port;
    this.#codec = codec;
  }

  readonly step = async <T>(name: string, act: () => Promise<T> | T): Promise<T> => {
    const at = this.#begin(name);
    const known = await this.#of(at, "step", name);
    if (known) return this.#codec.decode(known.bytes) as T;
    const value = await this.#codec.tracedStep(name, act);
    const { value: earlier } = await this.#record({ at, name, type: "step" }, this.#codec.encode(value));
    return earlier ? (this.#codec.decode(earlier) as T) : value;
  };

  readonly sleep = async (time: Duration): Promise<void> => {
    const forMs = Math.round(durationMs(time, "sleep"));
    const name = `sleep ${this.#begun + 1}`;
    const at = this.#begin(name);
    if (await this.#of(at, "sleep", name)) return;
    await this.#record({ at, name, type: "sleep", forMs }, EMPTY_FRAME);
  };

  readonly waitFor = async (name: string, { timeout }: SignalOptions = {}): Promise<unknown> => {
    const forMs = timeout === undefined ? undefined : Math.round(durationMs(timeout, "timeout"));
    const at = this.#begin(name);
    const known = await this.#of(at, "wait", name);
    if (known) return known.signalled ? this.#codec.decode(known.bytes) : undefined;
    const { value } = await this.#record({ at, name, type: "wait", forMs }, EMPTY_FRAME);
    return value && this.#codec.decode(value);
  };

  readonly call = async (
    queue: string | { readonly name: string },
    body?: unknown,
    options: CalledTaskOptions = {},
  ): Promise<unknown> => {
    const to = typeof queue === "string" ? queue : queue.name;
    const name = `call ${this.#begun + 1} ${to}`.slice(0, 100);
    const asked = { name, type: "call", queue: to, options: this.#codec.calledTaskOptions(options) } as const;
    const at = this.#begin(name);
    const known = await this.#of(at, "call", name);
    if (known?.state === "completed") return this.#codec.decode(known.bytes);
    if (known?.state === "dead")
      throw new OperationError("QUEUE_TASK_DEAD", known.bytes.toString() || `The task that was called in '${to}' is dead`);
    if (known?.state === "cancelled")
      throw new OperationError("QUEUE_TASK_CANCELLED", `The task that was called in '${to}' was cancelled`);
    const bytes = this.#codec.encode(body);
    await this.#codec.tracedCall(to, (trace) => this.#record({ at, ...asked, options: { ...asked.options, ...trace } }, bytes));
    return undefined;
  };

  /** The handler has returned. @throws OperationError QUEUE_RUN_ENDED, QUEUE_STEPS_CHANGED when steps are on record that it did not ask for */
  over(): void {
    if (this.#ended)
      throw new OperationError(
        "QUEUE_RUN_ENDED",
        "The handler returned after sleep, waitFor or call had ended its run: let their error pass",
      );
    const left = [...(this.#known ?? [])].find(([at]) => at >= this.#begun);
    if (left) throw changed(left[0], left[1], "nothing more");
  }

  /** @returns its place among the steps of the run */
  #begin(name: string): number {
    if (this.#ended)
      throw new OperationError(
        "QUEUE_RUN_ENDED",
        `Cannot begin '${name}': the run was ended by sleep, waitFor or call, whose error the handler must let pass`,
      );
    if (typeof name !== "string" || name === "")
      throw new UsageError("QUEUE_STEP_INVALID", "Cannot begin a step: its name is a text of 1 to 255 bytes");
    if (this.#names.has(name))
      throw new UsageError("QUEUE_STEP_INVALID", `Cannot begin '${name}': this run has had a step of that name`);
    this.#names.add(name);
    this.#begun += 1;
    return this.#begun - 1;
  }

  /** The step as it is on record; undefined: it is not. @throws OperationError QUEUE_STEPS_CHANGED */
  async #of(at: number, type: RecordedStep["type"], name: string): Promise<RecordedStep | undefined> {
    this.#history ??= this.#port.history().then((all) => (this.#known = new Map(all.map((each) => [each.at, each]))));
    const known = (await this.#history).get(at);
    if (this.#ended) throw this.#ended;
    if (known && (known.type !== type || known.name !== name)) throw changed(at, known, `${type} '${name}'`);
    return known;
  }

  async #record(asked: StepMessage, body: Buffer): Promise<StepOutcome> {
    if (this.#ended) throw this.#ended;
    const answered = await this.#port.record(asked, body);
    if (answered.now !== "suspended") return answered;
    this.#ended ??= new RunEnded(
      `${asked.type} '${asked.name}' has ended the run; the handler is run again when the time has come`,
    );
    throw this.#ended;
  }
}

function changed(at: number, known: RecordedStep, asked: string): OperationError {
  return new OperationError(
    "QUEUE_STEPS_CHANGED",
    `Cannot go on: step ${at + 1} of this task is on record as ${known.type} '${known.name}', and the handler now asks for ${asked}`,
  );
}
