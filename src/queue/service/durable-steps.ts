/**
 * ○ Steps of handlers, on record beside their tasks: told to each run, written under its lease, and what ends a run without an attempt spent
 * (sleep, wait, call). Invariants: what is recorded, and what follows from it, is one commit; a run that has lost its lease records nothing.
 * The history of a task is in memory while a run records, and until that is on disk; otherwise in the store alone.
 */
import { EMPTY, utf8 } from "../../core/bytes.ts";
import { HoldfastError, OperationError, UsageError } from "../../core/errors.ts";
import { HISTORY_BYTES_MAX, NAME_BYTES_MAX, STEPS_MAX } from "../limits.ts";
import { type EndedState, isEnded } from "../tasks/life-cycle.ts";
import { emptyHistory, outcomeFact, readHistory, stepFact, type StepHead, type StepHistory } from "../tasks/step-facts.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { TaskSpec } from "../tasks/task-policy.ts";
import { encodeHeadOf } from "../tasks/task-record.ts";
import { unknownTask } from "./admin-commands.ts";
import type { Consumer } from "./consumers.ts";
import type { Dispatcher, LeaseRef } from "./dispatcher.ts";
import type { Journal } from "./journal.ts";
import type { Inspection } from "../../store/store.ts";
import type { ServiceContext } from "./service-context.ts";

/** What a run asks for: one of its steps, by its place. */
export type StepRequest = { readonly at: number; readonly name: string } & (
  | { readonly type: "step"; readonly result: Uint8Array }
  | { readonly type: "sleep"; readonly forMs: number }
  | { readonly type: "wait"; readonly forMs: number | undefined }
  | { readonly type: "call"; readonly queue: string; readonly spec: TaskSpec; readonly body: Uint8Array }
);

/** Exactly one of these is called, once. */
export interface StepAnswer {
  /** It is on disk. @param earlier the result that an earlier run has recorded, which counts */
  recorded(earlier?: Uint8Array): void;
  /** The signal is there already: this is its value. */
  signalled(value: Uint8Array): void;
  /** The run is over; the task has another when what it waits for is there. */
  suspended(): void;
  refused(error: HoldfastError): void;
  /** The lease is another's by now. */
  lost(): void;
}

interface Kept {
  readonly history: StepHistory;
  /** Changes that are not on disk. */
  unwritten: number;
}

interface Parts {
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly bodyBytesMax: number;
}

export class DurableSteps {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #bodyBytesMax: number;
  readonly #kept = new Map<number, Kept>();
  readonly #reading = new Map<number, Promise<Kept | HoldfastError>>();
  /** Of tasks whose history is not in memory: outcomes of called tasks are being written, and the store has them afterwards. */
  readonly #writing = new Map<number, Promise<void>>();

  constructor(context: ServiceContext, { journal, dispatcher, bodyBytesMax }: Parts) {
    this.#context = context;
    this.#journal = journal;
    this.#dispatcher = dispatcher;
    this.#bodyBytesMax = bodyBytesMax;
  }

  // ---- runs

  /** All that runs before this one have recorded. */
  history(
    consumer: Consumer,
    lease: LeaseRef,
    answer: Pick<StepAnswer, "refused" | "lost"> & { history(history: StepHistory): void },
  ): void {
    this.#withHistory(consumer, lease, answer, (kept, row) => {
      const { history } = kept;
      // Whoever runs again while it waits has waited for too long: that counts from now on, whatever signal comes.
      const waiting = waitFor(history);
      if (waiting?.head.untilMs !== undefined) {
        const head: StepHead = { ...waiting.head, expired: true };
        this.#write(lease.id, kept, row, () => this.#keep(lease.id, history, waiting.at, head, EMPTY));
      }
      // A signal or an outcome that is not on disk may be lost, and a run that was told of it would have been told otherwise.
      if (kept.unwritten === 0) answer.history(history);
      else this.#journal.afterwards(() => answer.history(history), consumer.port.owner);
    });
  }

  /** One step of a run. */
  record(consumer: Consumer, lease: LeaseRef, request: StepRequest, answer: StepAnswer): void {
    this.#withHistory(consumer, lease, answer, (kept, row) => {
      const refusal = this.#refusalOf(kept.history, request);
      if (refusal) answer.refused(refusal);
      else this.#record({ consumer, id: lease.id, row, kept, request, answer });
    });
  }

  /** The consumer has no lease of it any more. */
  released(id: number): void {
    const kept = this.#kept.size > 0 ? this.#kept.get(id) : undefined;
    if (kept) this.#letGo(id, kept);
  }

  /** It has ended, or is removed. */
  forget(id: number): void {
    if (this.#kept.size > 0) this.#kept.delete(id);
  }

  // ---- what runs wait for

  /**
   * Sends a task a signal: the first of a name counts, and is kept until its handler waits for it.
   *
   * @returns whether it is the first, once it is on disk
   * @throws OperationError QUEUE_TASK_UNKNOWN, QUEUE_TASK_STATE when the task has ended, QUEUE_BODY_TOO_LARGE, QUEUE_TASK_DAMAGED; UsageError
   * QUEUE_NAME_INVALID
   */
  async signal(id: number, name: string, given: Uint8Array): Promise<boolean> {
    mustBeName(name);
    if (given.length > this.#bodyBytesMax) throw tooLarge("a signal", given.length, this.#bodyBytesMax);
    // The frame that it lies in is not ours.
    const value = Uint8Array.from(given);
    this.#mustRun(id);
    const read = await this.#read(id);
    if (read instanceof HoldfastError) throw read;
    const row = this.#mustRun(id);
    const kept = this.#kept.get(id) ?? read;
    const { history } = kept;
    const isFirst = !history.signals.has(name);
    if (isFirst) {
      if (history.bytes + value.length > HISTORY_BYTES_MAX)
        throw tooLarge("a signal", history.bytes + value.length, HISTORY_BYTES_MAX);
      history.signals.set(name, value);
      history.bytes += value.length;
      this.#write(id, kept, row, () => {
        this.#journal.fact(id, { kind: "signal", name, payload: value });
        const stateMachine = this.#context.stateMachine();
        const waiting = stateMachine.state(row) === "blocked" && stateMachine.isSuspended(row) && waitFor(history, name);
        if (!waiting) return;
        this.#keep(id, history, waiting.at, { ...waiting.head, signalled: true }, EMPTY);
        stateMachine.wakeRun(row, this.#context.nowMs());
      });
    }
    await new Promise<void>((resolve) => {
      this.#journal.afterwards(resolve);
      this.#context.flush();
    });
    return isFirst;
  }

  /** A task has ended: the handler that called it, if one did, learns how, and its task is freed by the same change. */
  childEnded(id: number, state: EndedState, bytes: Uint8Array): void {
    const stateMachine = this.#context.stateMachine();
    const caller = stateMachine.callers.get(id);
    if (!caller) return;
    stateMachine.callers.delete(id);
    const row = stateMachine.find(caller.id);
    if (row === NONE || isEnded(stateMachine.state(row))) return;
    const fact = outcomeFact(caller.step, { state }, bytes);
    const kept = this.#kept.get(caller.id);
    if (kept) {
      this.#write(caller.id, kept, row, () => {
        kept.history.outcomes.set(caller.step, { state, bytes });
        this.#journal.fact(caller.id, fact);
      });
      return;
    }
    this.#journal.fact(caller.id, fact);
    const written = Promise.withResolvers<void>();
    this.#writing.set(caller.id, written.promise);
    this.#journal.afterwards(() => {
      if (this.#writing.get(caller.id) === written.promise) this.#writing.delete(caller.id);
      written.resolve();
    });
  }

  /** What is on record of a task, for people. @throws as `signal` */
  async show(id: number): Promise<StepHistory | undefined> {
    const row = this.#context.stateMachine().find(id);
    if (row === NONE || !this.#context.stateMachine().hasSteps(row)) return undefined;
    const kept = this.#kept.get(id)?.history ?? (await this.#context.store.inspect(id));
    return kept && "facts" in kept ? readHistory(kept.facts) : kept;
  }

  // ---- helpers

  #mustRun(id: number): number {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) throw unknownTask();
    const state = stateMachine.state(row);
    if (isEnded(state)) throw new OperationError("QUEUE_TASK_STATE", `Cannot signal: the task is ${state}`);
    return row;
  }

  #refusalOf(history: StepHistory, request: StepRequest): HoldfastError | undefined {
    const { at, type, name } = request;
    try {
      mustBeName(name);
      if (at >= STEPS_MAX)
        throw new OperationError("QUEUE_TOO_MANY", `Cannot record step ${at + 1}: a task has at most ${STEPS_MAX}`);
      const known = history.steps.get(at);
      if (known && (known.type !== type || known.name !== name)) throw stepsChanged(at, known, request);
      const bytes = type === "step" ? request.result : type === "call" ? request.body : EMPTY;
      if (bytes.length > this.#bodyBytesMax) throw tooLarge(`the result of step '${name}'`, bytes.length, this.#bodyBytesMax);
      if (history.bytes + bytes.length > HISTORY_BYTES_MAX)
        throw tooLarge(`step '${name}': with it, its task's steps`, history.bytes + bytes.length, HISTORY_BYTES_MAX);
      if (type === "call") this.#mustHaveRoom(request.queue, bytes.length);
      return undefined;
    } catch (error) {
      if (error instanceof HoldfastError) return error;
      throw error;
    }
  }

  #mustHaveRoom(name: string, bytes: number): void {
    const stateMachine = this.#context.stateMachine();
    const { refusal } = this.#context.commits;
    if (refusal) throw refusal;
    if (stateMachine.isFull(stateMachine.queue(name), bytes, 1))
      throw new OperationError("QUEUE_FULL", `Cannot call queue '${name}': its limit in bytes is reached`);
  }

  #record(run: {
    readonly consumer: Consumer;
    readonly id: number;
    readonly row: number;
    readonly kept: Kept;
    readonly request: StepRequest;
    readonly answer: StepAnswer;
  }): void {
    const { consumer, id, row, kept, request, answer } = run;
    const { history } = kept;
    const { at, type, name } = request;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const { owner } = consumer.port;
    const head = { type, name, atMs: Math.round(nowMs) };
    const over = (act: () => void): void => {
      this.#write(id, kept, row, () => {
        act();
        this.#dispatcher.released(consumer, id);
      });
      this.#journal.afterwards(() => answer.suspended(), owner);
    };
    if (type === "step") {
      const earlier = history.steps.get(at)?.bytes;
      const result = Uint8Array.from(request.result);
      if (!earlier) this.#write(id, kept, row, () => this.#keep(id, history, at, head, result));
      this.#journal.afterwards(() => answer.recorded(earlier), owner);
    } else if (type === "sleep") {
      const untilMs = nowMs + request.forMs;
      over(() => {
        this.#keep(id, history, at, { ...head, untilMs: Math.round(untilMs) }, EMPTY);
        stateMachine.sleep(row, untilMs);
      });
    } else if (type === "wait") {
      const value = history.signals.get(name);
      if (value) {
        this.#write(id, kept, row, () => this.#keep(id, history, at, { ...head, signalled: true }, EMPTY));
        this.#journal.afterwards(() => answer.signalled(value), owner);
        return;
      }
      const untilMs = request.forMs === undefined ? Infinity : nowMs + request.forMs;
      over(() => {
        this.#keep(id, history, at, { ...head, ...(untilMs < Infinity && { untilMs: Math.round(untilMs) }) }, EMPTY);
        stateMachine.suspend(row, untilMs);
      });
    } else over(() => this.#call(id, row, history, request));
  }

  /** The task that is called is given out once it is on disk, with the state of its caller. */
  #call(id: number, row: number, history: StepHistory, request: Extract<StepRequest, { type: "call" }>): void {
    const { at, name } = request;
    const { bodies } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const body = Uint8Array.from(request.body);
    // It belongs to the trace of its caller, unless its caller has said where in that.
    const traceparent = request.spec.traceparent ?? stateMachine.traces.of(id)?.traceparent;
    const spec: TaskSpec = { ...request.spec, key: "", caller: { id, step: at }, ...(traceparent && { traceparent }) };
    const queue = stateMachine.queue(request.queue);
    const childRow = stateMachine.reserve(queue, spec, body.length, nowMs);
    const child = stateMachine.table.f(childRow, ID);
    this.#journal.added(childRow, encodeHeadOf(spec, queue.name, nowMs), body);
    this.#keep(id, history, at, { type: "call", name, atMs: Math.round(nowMs), child }, EMPTY);
    stateMachine.suspend(row, Infinity);
    this.#journal.afterwards(() => {
      bodies.put(child, body);
      stateMachine.admit(childRow, nowMs);
      const caller = stateMachine.find(id);
      if (caller !== NONE && stateMachine.state(caller) === "blocked" && stateMachine.isSuspended(caller))
        stateMachine.dependencies.await(caller, child);
    });
  }

  #keep(id: number, history: StepHistory, at: number, head: StepHead, bytes: Uint8Array): void {
    const fact = stepFact(at, head, bytes);
    history.steps.set(at, { ...head, bytes });
    history.bytes += fact.payload.length;
    this.#journal.fact(id, fact);
  }

  /** Changes a history, and what goes with it. */
  #write(id: number, kept: Kept, row: number, change: () => void): void {
    if (this.#context.stateMachine().recorded(row)) this.#journal.changed(row);
    this.#kept.set(id, kept);
    kept.unwritten += 1;
    change();
    this.#journal.afterwards(() => {
      kept.unwritten -= 1;
      this.#letGo(id, kept);
    });
  }

  /** The store has it all, and no run asks for it. */
  #letGo(id: number, kept: Kept): void {
    if (kept.unwritten > 0 || this.#kept.get(id) !== kept) return;
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE || stateMachine.state(row) !== "active") this.#kept.delete(id);
  }

  /** At once where it is known. */
  #withHistory(
    consumer: Consumer,
    lease: LeaseRef,
    answer: Pick<StepAnswer, "refused" | "lost">,
    act: (kept: Kept, row: number) => void,
  ): void {
    const stateMachine = this.#context.stateMachine();
    const row = this.#dispatcher.heldRow(consumer, lease.id, lease.token);
    if (row === NONE) {
      answer.lost();
      return;
    }
    const kept = this.#kept.get(lease.id) ?? (stateMachine.hasSteps(row) ? undefined : this.#new(lease.id));
    if (kept) act(kept, row);
    else void this.#later(consumer, lease, answer, act);
  }

  async #later(
    consumer: Consumer,
    lease: LeaseRef,
    answer: Pick<StepAnswer, "refused" | "lost">,
    act: (kept: Kept, row: number) => void,
  ): Promise<void> {
    const { guard, flush } = this.#context;
    const kept = await this.#read(lease.id);
    guard.run(
      () => {
        const row = this.#dispatcher.heldRow(consumer, lease.id, lease.token);
        if (row === NONE) answer.lost();
        else if (!(kept instanceof HoldfastError)) {
          const now = this.#kept.get(lease.id) ?? kept;
          this.#kept.set(lease.id, now);
          act(now, row);
        } else if (kept.code === "QUEUE_TASK_DAMAGED") {
          this.#context.damaged(row, "a step of it in the store");
          this.#dispatcher.released(consumer, lease.id);
          answer.lost();
        } else answer.refused(kept);
      },
      consumer.port.owner,
      lease.id,
    );
    flush();
  }

  #new(id: number): Kept {
    const kept = { history: emptyHistory(), unwritten: 0 };
    this.#kept.set(id, kept);
    return kept;
  }

  /** Only once at a time: all that ask for it change the same. */
  #read(id: number): Promise<Kept | HoldfastError> {
    const known = this.#kept.get(id);
    if (known) return Promise.resolve(known);
    let reading = this.#reading.get(id);
    if (!reading) {
      reading = this.#readNow(id).finally(() => this.#reading.delete(id));
      this.#reading.set(id, reading);
    }
    return reading;
  }

  async #readNow(id: number): Promise<Kept | HoldfastError> {
    try {
      let kept: Inspection | undefined;
      do {
        await this.#writing.get(id);
        kept = await this.#context.store.inspect(id);
      } while (this.#writing.has(id));
      if (kept?.lacksFacts)
        return new OperationError("QUEUE_TASK_DAMAGED", "What the store keeps of the task's steps is damaged");
      return { history: readHistory(kept?.facts ?? []), unwritten: 0 };
    } catch (error) {
      if (!(error instanceof HoldfastError)) return new OperationError("QUEUE_STORE_UNAVAILABLE", String(error));
      return error.code === "QUEUE_STORE_CORRUPT" ? new OperationError("QUEUE_TASK_DAMAGED", error.message) : error;
    }
  }
}

/** The step at which a handler waits for this signal, or for any, now: its last. */
function waitFor({ steps }: StepHistory, name?: string): { readonly at: number; readonly head: StepHead } | undefined {
  let last: { readonly at: number; readonly head: StepHead } | undefined;
  for (const [at, { bytes: _, ...head }] of steps) if (!last || at > last.at) last = { at, head };
  if (last?.head.type !== "wait" || last.head.signalled || last.head.expired) return undefined;
  return name === undefined || last.head.name === name ? last : undefined;
}

function stepsChanged(at: number, known: StepHead, asked: StepRequest): OperationError {
  return new OperationError(
    "QUEUE_STEPS_CHANGED",
    `Cannot go on: step ${at + 1} of this task is on record as ${known.type} '${known.name}', and the handler now asks for ${asked.type} '${asked.name}'`,
  );
}

/** @throws UsageError QUEUE_NAME_INVALID */
function mustBeName(name: string): void {
  const { length } = utf8(name);
  if (length === 0 || length > NAME_BYTES_MAX)
    throw new UsageError(
      "QUEUE_NAME_INVALID",
      `Cannot use '${name.slice(0, 40)}' as the name of a step or a signal: 1 to ${NAME_BYTES_MAX} bytes are allowed`,
    );
}

function tooLarge(what: string, bytes: number, bytesMax: number): OperationError {
  return new OperationError("QUEUE_BODY_TOO_LARGE", `Cannot keep ${what}: ${bytes} bytes, at most ${bytesMax} are allowed`);
}
