/**
 * ○ The life of a task: one table of states and events. What the table does not list cannot happen; the picture in
 * docs/queue-protocol.md is drawn from it (`lifeCyclePicture`) and a test compares the two.
 */
import { assert } from "../../core/assert.ts";

/** The states, in the order of the numbers that stand for them on disk. Never reorder: append. */
export const TASK_STATES = ["delayed", "ready", "leased", "failed", "done", "dead", "cancelled"] as const;

/**
 * - `delayed`: waits for its time or for other tasks
 * - `ready`: waits for a worker
 * - `leased`: a worker has it
 * - `failed`: its last attempt failed; waits out its backoff
 * - `done`, `dead` (out of attempts, or expired), `cancelled`: ended; kept for a while so that the outcome can be read
 */
export type TaskState = (typeof TASK_STATES)[number];

/** What can happen to a task. */
export type TaskEvent = "due" | "lease" | "finish" | "retry" | "giveBack" | "bury" | "cancel" | "expire" | "redrive";

export const NEXT: Readonly<Record<TaskState, Partial<Record<TaskEvent, TaskState>>>> = {
  delayed: { due: "ready", cancel: "cancelled", expire: "dead", bury: "dead" },
  ready: { lease: "leased", cancel: "cancelled", expire: "dead" },
  leased: { finish: "done", retry: "failed", giveBack: "ready", bury: "dead", cancel: "cancelled" },
  failed: { due: "ready", cancel: "cancelled", expire: "dead" },
  done: {},
  dead: { redrive: "ready" },
  cancelled: {},
};

const CODE_OF: Readonly<Record<TaskState, number>> = {
  delayed: 0,
  ready: 1,
  leased: 2,
  failed: 3,
  done: 4,
  dead: 5,
  cancelled: 6,
};

/** The number that stands for a state in rows and on disk. */
export function stateCode(state: TaskState): number {
  return CODE_OF[state];
}

export function stateOf(code: number): TaskState | undefined {
  return TASK_STATES[code];
}

/** True when nothing more happens to a task by itself. */
export function isEnded(state: TaskState): boolean {
  return state === "done" || state === "dead" || state === "cancelled";
}

/** The state after an event that the caller knows to be legal. */
export function mustNext(state: TaskState, event: TaskEvent): TaskState {
  const after = NEXT[state][event];
  assert(after !== undefined, `a ${state} task never meets '${event}'`);
  return after;
}

/** The table as a Mermaid state diagram. */
export function lifeCyclePicture(): string {
  const lines = ["stateDiagram-v2", "  [*] --> delayed: add (later, or after others)", "  [*] --> ready: add"];
  for (const state of TASK_STATES) {
    for (const [event, after] of Object.entries(NEXT[state])) lines.push(`  ${state} --> ${after}: ${event}`);
  }
  for (const state of TASK_STATES) if (isEnded(state)) lines.push(`  ${state} --> [*]: remove`);
  return lines.join("\n");
}
