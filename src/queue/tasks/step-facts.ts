/**
 * ○ The steps of a task's handler as the store keeps them, one fact each (src/store/store.ts), named by the place of the step among those
 * that a run begins: 0, 1, … Its payload: a JSON object with its length before it (u16), then bytes where it has any. A task that was
 * called leaves its outcome as a fact of its own, under the same name.
 */
import { Buffer } from "node:buffer";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Fact } from "../../store/store.ts";
import type { EndedState } from "./life-cycle.ts";

export const STEP_TYPES = ["step", "sleep", "wait", "call"] as const;
export type StepType = (typeof STEP_TYPES)[number];

/** What is kept of a step beside its result. */
export interface StepHead {
  readonly type: StepType;
  readonly name: string;
  /** Queue time at which it was recorded. */
  readonly atMs: number;
  /** sleep: until when. wait: when it is in vain. */
  readonly untilMs?: number | undefined;
  /** wait: the signal came while it waited, or before. Of a run that finds it without, the time was over. */
  readonly signalled?: true | undefined;
  /** Of a wait: its time was over, and a run was told so. */
  readonly expired?: true | undefined;
  /** call: the number of the task that it waits for. */
  readonly child?: number | undefined;
}

export interface OutcomeHead {
  readonly state: EndedState;
}

/** All that is known of a task's steps. */
export interface StepHistory {
  /** By their places. */
  readonly steps: Map<number, StepHead & { readonly bytes: Uint8Array }>;
  readonly signals: Map<string, Uint8Array>;
  /** How called tasks ended, by the places of the steps. */
  readonly outcomes: Map<number, OutcomeHead & { readonly bytes: Uint8Array }>;
  /** Of all facts. */
  bytes: number;
}

export function emptyHistory(): StepHistory {
  return { steps: new Map(), signals: new Map(), outcomes: new Map(), bytes: 0 };
}

export function stepFact(at: number, head: StepHead, bytes: Uint8Array): Fact {
  return { kind: "step", name: `${at}`, payload: withHead(head, bytes) };
}

export function outcomeFact(at: number, head: OutcomeHead, bytes: Uint8Array): Fact {
  return { kind: "outcome", name: `${at}`, payload: withHead(head, bytes) };
}

/** @throws ProtocolError QUEUE_STORE_CORRUPT */
export function readHistory(facts: readonly Fact[]): StepHistory {
  const history = emptyHistory();
  for (const { kind, name, payload } of facts) {
    if (kind === "error") continue;
    history.bytes += payload.length;
    if (kind === "signal") history.signals.set(name, payload);
    else if (kind === "step") history.steps.set(Number(name), withoutHead(payload) as StepHead & { bytes: Uint8Array });
    else history.outcomes.set(Number(name), withoutHead(payload) as OutcomeHead & { bytes: Uint8Array });
  }
  return history;
}

function withHead(head: object, bytes: Uint8Array): Uint8Array {
  const text = utf8(JSON.stringify(head));
  const out = new Uint8Array(2 + text.length + bytes.length);
  out[0] = text.length >>> 8;
  out[1] = text.length;
  out.set(text, 2);
  out.set(bytes, 2 + text.length);
  return out;
}

function withoutHead(payload: Uint8Array): { readonly bytes: Uint8Array } {
  const end = 2 + ((payload[0]! << 8) | payload[1]!);
  try {
    const head = JSON.parse(Buffer.from(payload.subarray(2, end)).toString()) as object;
    return { ...head, bytes: payload.subarray(end) };
  } catch (cause) {
    throw new ProtocolError("QUEUE_STORE_CORRUPT", "Cannot read a step that the store keeps", { cause });
  }
}
