/** ○ A task for people to look at, and why it waits. */
import { showFingerprint } from "../tasks/error-fingerprint.ts";
import type { TaskStateMachine } from "../tasks/task-state-machine.ts";
import { type DeadReason, isEnded, type TaskState } from "../tasks/life-cycle.ts";
import type { KeyLifetime, TaskPolicy } from "../tasks/task-policy.ts";
import { AT, ATTEMPTS, BODY_BYTES, CREATED, ERROR, EXPIRES, ID, LOST } from "../tasks/task-columns.ts";

export interface TaskView extends Omit<TaskPolicy, "unique" | "pausesMs"> {
  /** How long its key is its own, where that is not as long as it is known. */
  readonly unique: KeyLifetime | undefined;
  readonly pausesMs: readonly number[] | undefined;
  readonly number: number;
  readonly queue: string;
  readonly state: TaskState;
  /** Of a dead task. */
  readonly reason: DeadReason | undefined;
  readonly priority: number;
  readonly group: string | undefined;
  /** Attempts that failed. */
  readonly failures: number;
  /** The fingerprint of its newest error, where that is known without the store: error-fingerprint.ts. */
  readonly error: string | undefined;
  /** Workers whose connection broke while they had it. */
  readonly lost: number;
  /** Who has it, or was the last to. */
  readonly worker: string | undefined;
  readonly createdMs: number;
  /** When its newest attempt began. */
  readonly startedMs: number | undefined;
  /** delayed, blocked, retrying: when it is due; waiting: since when, unless from the beginning; active: when its attempt runs out of time; ended: when it ended. */
  readonly atMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** Its result, or its body, had to make room: only its key and its state are remembered. */
  readonly evicted: true | undefined;
  readonly bodyBytes: number;
  readonly resultBytes: number;
}

export function viewTask(stateMachine: TaskStateMachine, row: number, nowMs: number): TaskView {
  const { table } = stateMachine;
  const policy = stateMachine.policy(row);
  const state = stateMachine.state(row);
  const finite = (value: number): number | undefined => (Number.isFinite(value) && value > 0 ? value : undefined);
  return {
    number: table.f(row, ID),
    queue: stateMachine.queueOf(row).name,
    state,
    reason: state === "dead" ? stateMachine.deadReason(row) : undefined,
    priority: stateMachine.priority(row),
    group: stateMachine.group(row) || undefined,
    failures: table.u(row, ATTEMPTS),
    error: table.u(row, ERROR) === 0 ? undefined : showFingerprint(table.u(row, ERROR)),
    lost: table.u(row, LOST),
    worker: stateMachine.worker(row) || undefined,
    createdMs: table.f(row, CREATED),
    startedMs: stateMachine.startedMs(row, isEnded(state) ? table.f(row, AT) : nowMs),
    atMs: finite(table.f(row, AT)),
    expiresMs: finite(table.f(row, EXPIRES)),
    evicted: stateMachine.isEvicted(row) || undefined,
    bodyBytes: table.u(row, BODY_BYTES),
    resultBytes: stateMachine.resultBytes(row),
    ...policy,
    unique: policy.unique || undefined,
    pausesMs: policy.pausesMs.length > 0 ? policy.pausesMs : undefined,
  };
}

/** Why a task does not run at present; undefined when it runs or has ended. */
export function whyWaiting(
  stateMachine: TaskStateMachine,
  row: number,
  { consumers, storeTrouble }: { consumers: number; storeTrouble: string | undefined },
): string | undefined {
  const state = stateMachine.state(row);
  if (state === "active" || isEnded(state)) return undefined;
  const queue = stateMachine.queueOf(row);
  if (state === "blocked") return stateMachine.dependencies.whyBlocked(row) ?? "other tasks must complete first";
  if (state === "delayed") return "its scheduled time has not been reached";
  if (state === "retrying") return "it waits for its next retry";
  if (queue.settings.paused) return "its queue is paused";
  if (storeTrouble) return storeTrouble;
  if (consumers === 0) return "no worker is connected to its queue";
  if (queue.closedUntilMs !== undefined) return "the concurrency or rate limit of its queue is reached";
  if (stateMachine.isSuspect(row)) return "workers were lost while they had it: it waits for one that has nothing else";
  if (stateMachine.isParked(row)) return "the concurrency or rate limit of its group is reached";
  return "all workers are busy with earlier tasks";
}
