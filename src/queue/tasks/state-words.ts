/**
 * ○ How the states of a task (life-cycle.ts) are written elsewhere: as numbers in stored rows, as words in HQ1. Both are older than
 * the states' names and never change, so that old data folders and old clients still work. Translated by this table alone;
 * docs/queue-protocol.md shows it, and a test compares the two.
 */
import { isEnded, type OutcomeState, TASK_STATES, type TaskState } from "./life-cycle.ts";

/** Blocked tasks are stored as delayed ones with FLAG_AFTER: whether they are blocked is found out anew when a store is read. */
export type StoredState = Exclude<TaskState, "blocked">;

export type WireState = "ready" | "delayed" | "leased" | "failed" | "done" | "dead" | "cancelled";

/** Counts of tasks by state. */
export type StateCounts = Readonly<Record<TaskState, number>>;

const WRITTEN: Readonly<Record<TaskState, { readonly stored: number; readonly wire: WireState }>> = {
  waiting: { stored: 1, wire: "ready" },
  delayed: { stored: 0, wire: "delayed" },
  blocked: { stored: 0, wire: "delayed" },
  active: { stored: 2, wire: "leased" },
  retrying: { stored: 3, wire: "failed" },
  completed: { stored: 4, wire: "done" },
  dead: { stored: 5, wire: "dead" },
  cancelled: { stored: 6, wire: "cancelled" },
};

/** The order of WireCounts, which is that of the stored numbers. */
export const STORED_STATES: readonly StoredState[] = TASK_STATES.filter((state) => state !== "blocked").sort(
  (a, b) => WRITTEN[a].stored - WRITTEN[b].stored,
);

export function storedNumber(state: StoredState): number {
  return WRITTEN[state].stored;
}

export function storedState(number: number): StoredState | undefined {
  return STORED_STATES[number];
}

export function wireState(state: TaskState): WireState {
  return WRITTEN[state].wire;
}

/** The states that a word of the wire stands for: none when it is no such word. @param blocked which of `delayed`, else both */
export function statesOfWire(word: unknown, blocked?: unknown): readonly TaskState[] {
  const states = TASK_STATES.filter((state) => WRITTEN[state].wire === word);
  return states.length > 1 && blocked !== undefined ? states.filter((state) => (state === "blocked") === blocked) : states;
}

/** How a task ended, as ENDED says it. */
export function endedOfWire(word: string): OutcomeState {
  if (word === "evicted") return word;
  const [state] = statesOfWire(word);
  return state && isEnded(state) ? state : "unknown";
}

/** @internal Counts in the words of the wire; blocked tasks count as delayed. */
export function wireCounts(counts: StateCounts): Record<WireState, number> {
  const sums = Object.fromEntries(STORED_STATES.map((state) => [wireState(state), counts[state]])) as Record<WireState, number>;
  sums.delayed += counts.blocked;
  return sums;
}

/** A state as somebody wrote it: by its name, or by the word of version 0.1, which is that of the wire. */
export function readState(word: string): TaskState | undefined {
  return TASK_STATES.find((state) => state === word) ?? statesOfWire(word)[0];
}
