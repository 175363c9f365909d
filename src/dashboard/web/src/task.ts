/** ○ A task as the server tells of it. */
import type { TaskState } from "../../../queue/tasks/life-cycle.ts";

export interface TaskRow {
  readonly id: string;
  readonly state: TaskState;
  /** Why a dead task is dead. */
  readonly reason?: string;
  readonly queue: string;
  readonly priority: number;
  readonly group?: string;
  readonly failures: number;
  readonly lost?: number;
  readonly attempts?: number;
  readonly timeoutMs?: number;
  readonly createdMs: number;
  /** When its newest attempt began. */
  readonly startedMs?: number;
  /** Who works on it, or was the last to. */
  readonly worker?: string;
  readonly atMs?: number;
  readonly expiresMs?: number;
  readonly bodyBytes: number;
  readonly resultBytes?: number;
  /** The fingerprint of its newest error. */
  readonly error?: string;
}

export interface TaskDetail extends TaskRow {
  readonly key?: string;
  /** How long the key is its own (ms from when it was added); left out: as long as it is known. */
  readonly unique?: "waiting" | "active" | number;
  /** Of the trace that it belongs to. */
  readonly traceId?: string;
  /** The ids of the tasks that it waits for. */
  readonly after?: readonly string[];
  /** What went wrong, oldest first; with the attempt that failed, unless none did, for example when the task expired. */
  readonly errors: readonly { readonly error: string; readonly atMs?: number; readonly attempt?: number }[];
  /** Of how many tasks its flow is. */
  readonly flow?: number;
  /** What its handler's steps have come to. */
  readonly steps?: readonly {
    readonly type: "step" | "sleep" | "wait" | "call";
    readonly name: string;
    readonly atMs: number;
    readonly untilMs?: number;
    readonly task?: string;
    readonly state: "done" | "waits" | "late" | "failed";
    readonly bytes: number;
  }[];
  readonly waits?: string;
  /** The newest that its worker said of its progress. */
  readonly progress?: string;
}

/** The flow that a task is of. */
export interface FlowDetail {
  readonly count: number;
  /** How many of its tasks are in each state. */
  readonly states: Readonly<Record<string, number>>;
  /** The first 1000 of them. */
  readonly tasks: readonly { readonly id: string; readonly state: TaskState }[];
}

/** Dead tasks with the same kind of error. */
export interface ErrorRow {
  /** The kind's fingerprint. */
  readonly error: string;
  readonly text: string;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The id of one of them. */
  readonly example: string;
}
