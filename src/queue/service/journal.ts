/**
 * ○ What has changed since the last commit, as changes of the store, and what is to be done once that is on disk. Invariant: a
 * change and what follows from it are one commit, and no delay is on disk without the time that it counts from.
 */
import { EMPTY, utf8 } from "../../core/bytes.ts";
import type { Owner } from "./guard.ts";
import type { ServiceContext } from "./service-context.ts";
import { StartHistory } from "./start-history.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { ERROR_BYTES_MAX } from "../limits.ts";
import { type CommittedEvent, errorLine } from "./event-entry.ts";
import { encodeAttemptError } from "./attempt-error.ts";
import { encodeState } from "../tasks/task-record.ts";
import type { Fact, StoreOp } from "../../store/store.ts";
import { ID } from "../tasks/task-columns.ts";

/** The setting that holds queue time. */
export const TIME_SETTING = "time";
/** 1 s between writes of the time: a clock set back over a restart makes delays longer by no more than that. */
const TIME_WRITE_MS = 1000;

interface Following {
  readonly callback: () => void;
  readonly owner: Owner | undefined;
}

export class Journal {
  readonly #context: ServiceContext;
  /** What it has changed goes along with each commit. */
  readonly starts = new StartHistory();
  #ops: StoreOp[] = [];
  #events: CommittedEvent[] = [];
  #after: Following[] = [];
  /** When the last commit was on disk whose callbacks of `afterwards` were called, or are. */
  storedMs = 0;
  /** How often a task's head or body was written anew. */
  rewrites = 0;
  #lastError = { id: 0, error: "" };
  #timeWrittenMs = -Infinity;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** The row's state record is written anew. */
  changed(row: number): void {
    const stateMachine = this.#context.stateMachine();
    this.#ops.push({ kind: "state", id: stateMachine.table.f(row, ID), state: encodeState(stateMachine.record(row)) });
    this.#entered(row);
  }

  /** Its head, and perhaps its body, are others from now on. */
  rewritten(row: number, head: Uint8Array, body: Uint8Array): void {
    const stateMachine = this.#context.stateMachine();
    const state = encodeState(stateMachine.record(row));
    this.rewrites += 1;
    this.#ops.push({ kind: "rewrite", id: stateMachine.table.f(row, ID), head, state, body });
    this.#entered(row);
  }

  /** The task ended. A dead one keeps its body; of the others the result is kept. */
  ended(row: number, state: EndedState, result: Uint8Array | undefined): void {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    const record = encodeState(stateMachine.record(row));
    if (state === "dead") this.#ops.push({ kind: "state", id, state: record });
    else this.#ops.push({ kind: "end", id, state: record, result: result ?? EMPTY });
    const queue = stateMachine.queueOf(row).name;
    const reason = state === "dead" ? stateMachine.deadReason(row) : undefined;
    this.#events.push({
      event: state,
      id,
      queue,
      attempt: 0,
      reason,
      error: state === "dead" ? errorLine(this.errorOf(id)) : "",
    });
  }

  /** The state that it is in is told once that is on disk; an `active` one was told when it was given out. */
  #entered(row: number): void {
    const stateMachine = this.#context.stateMachine();
    const event = stateMachine.state(row);
    if (event === "active") return;
    const queue = stateMachine.queueOf(row).name;
    this.#events.push({ event, id: stateMachine.table.f(row, ID), queue, attempt: 0, reason: undefined, error: "" });
  }

  /** Of an ended task neither result nor body is kept any more. */
  evicted(row: number): void {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    this.#ops.push({ kind: "end", id, state: encodeState(stateMachine.record(row)), result: EMPTY });
  }

  /** A new task. */
  added(row: number, head: Uint8Array, body: Uint8Array): void {
    const stateMachine = this.#context.stateMachine();
    const state = encodeState(stateMachine.record(row));
    this.#ops.push({ kind: "add", id: stateMachine.table.f(row, ID), head, state, body });
    this.#entered(row);
  }

  /** One more fact of a task. */
  fact(id: number, fact: Fact): void {
    this.#ops.push({ kind: "fact", id, fact });
  }

  removed(id: number): void {
    this.#ops.push({ kind: "remove", id });
  }

  /** What went wrong, with the time; `attempt` when an attempt failed. */
  addError(row: number, text: string, attempt: number | undefined): void {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    const error = text.slice(0, ERROR_BYTES_MAX);
    this.#lastError = { id, error };
    if (attempt !== undefined) {
      const queue = stateMachine.queueOf(row).name;
      this.#events.push({ event: "failed", id, queue, attempt, reason: undefined, error: errorLine(error) });
    }
    const payload = utf8(encodeAttemptError({ error, atMs: this.#context.nowMs(), attempt }));
    this.#ops.push({ kind: "fact", id, fact: { kind: "error", name: "", payload } });
  }

  /** Why the task that just died did: its error was added right before. */
  errorOf(id: number): string {
    return this.#lastError.id === id ? this.#lastError.error : "";
  }

  set(name: string, value: string | undefined): void {
    this.#ops.push({ kind: "set", name, value });
  }

  /** Called once all that was written before is on disk. @param owner whose callback it is */
  afterwards(callback: () => void, owner?: Owner): void {
    this.#after.push({ callback, owner });
  }

  /** Hands it all over to be committed. */
  submit(): void {
    if (this.#ops.length === 0 && this.#after.length === 0) return;
    this.starts.addTo(this.#ops);
    this.addTime(this.#ops);
    const after = this.#after;
    const { commits, guard } = this.#context;
    commits.submit({
      ops: this.#ops,
      events: this.#events,
      refusable: false,
      done: () => {
        this.storedMs = this.#context.nowMs();
        for (const { callback, owner } of after) guard.run(callback, owner);
      },
    });
    this.#ops = [];
    this.#events = [];
    this.#after = [];
  }

  /** With the changes, so that no delay is on disk without the time that it counts from. */
  addTime(ops: StoreOp[]): void {
    const nowMs = this.#context.nowMs();
    if (nowMs - this.#timeWrittenMs < TIME_WRITE_MS) return;
    this.#timeWrittenMs = nowMs;
    ops.push({ kind: "set", name: TIME_SETTING, value: String(Math.round(nowMs)) });
  }

  /** What was to be written was not, and neither was the time. */
  timeNotWritten(): void {
    this.#timeWrittenMs = -Infinity;
  }
}
