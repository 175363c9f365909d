/**
 * ○ The life of a task: one table of states and events. What the table does not list cannot happen; the picture in
 * docs/queue-protocol.md is drawn from it (`lifeCyclePicture`) and a test compares the two. How the states are written on disk and
 * on the wire: state-words.ts.
 */
import { assert } from "../../core/assert.ts";

/** The states, in the order in which they are shown. */
export const TASK_STATES = ["waiting", "delayed", "blocked", "active", "retrying", "completed", "dead", "cancelled"] as const;

/**
 * - `waiting`: for a worker
 * - `delayed`: its time has not come, or its handler sleeps
 * - `blocked`: a task named in its `after` is not completed, or its handler waits for a signal or for a task that it called
 * - `active`: a worker has it, under a lease
 * - `retrying`: its last attempt failed; the next one comes after the backoff
 * - `completed`, `dead` (why: `DeadReason`), `cancelled`: ended; kept for a while so that the outcome can be read
 */
export type TaskState = (typeof TASK_STATES)[number];

export type EndedState = "completed" | "dead" | "cancelled";

/**
 * How a task ended; `evicted`: completed, but its result had to make room for newer ones; `unknown`: no such task is known, or its
 * outcome is no longer kept.
 */
export type OutcomeState = EndedState | "evicted" | "unknown";

/**
 * Why a task is dead:
 * - `attempts`: its last attempt failed
 * - `final`: its handler said that no attempt will help
 * - `expired`: no worker took it in time
 * - `lost`: the connections of too many workers broke while they had it
 * - `damaged`: what the store keeps of it is not what was written
 * - `parent`: a task named in its `after` is dead or cancelled
 */
export type DeadReason = (typeof DEAD_REASONS)[number];

export const DEAD_REASONS = ["attempts", "expired", "lost", "damaged", "parent", "final"] as const;

/** What can happen to a task. */
export type TaskEvent =
  | "due"
  | "delay"
  | "unblock"
  | "lease"
  | "finish"
  | "retry"
  | "postpone"
  | "sleep"
  | "wait"
  | "giveBack"
  | "bury"
  | "damage"
  | "cancel"
  | "expire"
  | "redrive"
  | "redriveBlocked";

export const NEXT: Readonly<Record<TaskState, Partial<Record<TaskEvent, TaskState>>>> = {
  waiting: { lease: "active", delay: "delayed", cancel: "cancelled", expire: "dead", damage: "dead" },
  delayed: { due: "waiting", cancel: "cancelled", expire: "dead" },
  blocked: { unblock: "delayed", due: "waiting", cancel: "cancelled", expire: "dead", bury: "dead" },
  active: {
    finish: "completed",
    retry: "retrying",
    postpone: "retrying",
    sleep: "delayed",
    wait: "blocked",
    giveBack: "waiting",
    bury: "dead",
    damage: "dead",
    cancel: "cancelled",
  },
  retrying: { due: "waiting", cancel: "cancelled", expire: "dead" },
  completed: { damage: "dead" },
  dead: { redrive: "waiting", redriveBlocked: "blocked" },
  cancelled: {},
};

const CODE_OF = Object.fromEntries(TASK_STATES.map((state, code) => [state, code])) as Record<TaskState, number>;

/** The number that stands for a state in memory: its place in TASK_STATES. */
export function stateCode(state: TaskState): number {
  return CODE_OF[state];
}

/** True when nothing more happens to a task by itself. */
export function isEnded(state: TaskState): state is EndedState {
  return state === "completed" || state === "dead" || state === "cancelled";
}

/** The state after an event that the caller knows to be legal. */
export function mustNext(state: TaskState, event: TaskEvent): TaskState {
  const after = NEXT[state][event];
  assert(after !== undefined, `a ${state} task never meets '${event}'`);
  return after;
}

/** The table as a Mermaid state diagram. */
export function lifeCyclePicture(): string {
  const lines = [
    "stateDiagram-v2",
    "  [*] --> waiting: add",
    "  [*] --> delayed: add (later)",
    "  [*] --> blocked: add (after others)",
  ];
  for (const state of TASK_STATES) {
    for (const [event, after] of Object.entries(NEXT[state])) lines.push(`  ${state} --> ${after}: ${event}`);
  }
  for (const state of TASK_STATES) if (isEnded(state)) lines.push(`  ${state} --> [*]: remove`);
  return lines.join("\n");
}
