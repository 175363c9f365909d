/**
 * ○ What has changed since the last commit, in the store's words, and what is to be done once that is on disk. Invariant: a change
 * and what follows from it are one commit, and no delay is on disk without the time that it counts from.
 */
import type { GroupCommit } from "./group-commit.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { NOTE_BYTES_MAX } from "../tasks/limits.ts";
import { encodeAttemptError } from "./attempt-error.ts";
import { encodeState } from "../tasks/task-record.ts";
import type { StoreOp } from "../stores/store.ts";
import { ID } from "../tasks/task-columns.ts";

/** The setting that holds engine time. */
export const TIME_SETTING = "time";
/** 1 s between notes of what time it is: a clock set back over a restart makes delays longer by no more than that. */
const TIME_NOTE_MS = 1000;
const EMPTY = new Uint8Array(0);

/** What the journal needs of the task service. */
export interface JournalContext {
  stateMachine(): TaskStateMachine;
  nowMs(): number;
  readonly commits: GroupCommit;
}

export class Journal {
  readonly #context: JournalContext;
  #ops: StoreOp[] = [];
  #after: (() => void)[] = [];
  #lastNote = { id: 0, note: "" };
  #timeNotedMs = -Infinity;

  constructor(context: JournalContext) {
    this.#context = context;
  }

  /** The row's state record is written anew. */
  changed(row: number): void {
    const stateMachine = this.#context.stateMachine();
    this.#ops.push({ kind: "state", id: stateMachine.table.f(row, ID), state: encodeState(stateMachine.record(row)) });
  }

  /** The task ended. A dead one keeps its body; of the others the result is kept. */
  ended(row: number, state: EndedState, result: Uint8Array | undefined): void {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    const record = encodeState(stateMachine.record(row));
    if (state === "dead") this.#ops.push({ kind: "state", id, state: record });
    else this.#ops.push({ kind: "end", id, state: record, result: result ?? EMPTY });
  }

  removed(id: number): void {
    this.#ops.push({ kind: "remove", id });
  }

  /** What went wrong, with the time; `attempt` when it was one's. */
  noted(id: number, error: string, attempt: number | undefined): void {
    const note = error.slice(0, NOTE_BYTES_MAX);
    this.#lastNote = { id, note };
    this.#ops.push({ kind: "note", id, note: encodeAttemptError({ error: note, atMs: this.#context.nowMs(), attempt }) });
  }

  /** Why the task that just died did: the engine noted it right before. */
  noteOf(id: number): string {
    return this.#lastNote.id === id ? this.#lastNote.note : "";
  }

  set(name: string, value: string | undefined): void {
    this.#ops.push({ kind: "set", name, value });
  }

  /** Called once all that was written before is on disk. */
  afterwards(callback: () => void): void {
    this.#after.push(callback);
  }

  /** Hands it all over to be committed. */
  submit(): void {
    if (this.#ops.length === 0 && this.#after.length === 0) return;
    this.noteTime(this.#ops);
    const after = this.#after;
    this.#context.commits.submit({
      ops: this.#ops,
      refusable: false,
      done: () => {
        for (const callback of after) callback();
      },
    });
    this.#ops = [];
    this.#after = [];
  }

  /** With the changes, so that no delay is on disk without the time that it counts from. */
  noteTime(ops: StoreOp[]): void {
    const nowMs = this.#context.nowMs();
    if (nowMs - this.#timeNotedMs < TIME_NOTE_MS) return;
    this.#timeNotedMs = nowMs;
    ops.push({ kind: "set", name: TIME_SETTING, value: String(Math.round(nowMs)) });
  }

  /** What was to be written was not, and the time neither. */
  timeNotNoted(): void {
    this.#timeNotedMs = -Infinity;
  }
}
