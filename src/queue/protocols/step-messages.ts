/**
 * ○ What a worker and its broker say of the steps of a handler: STEP, STEPPED and HISTORY (docs/queue-protocol.md). What is said of a step is a
 * JSON object; its result, a signal's value or a task's body is a frame of its own.
 */
import { Buffer } from "node:buffer";
import { ERROR_CODES, type ErrorCode } from "../../core/error-codes.ts";
import { type HoldfastError, ProtocolError } from "../../core/errors.ts";
import { STEPS_MAX, TIME_MS_MAX } from "../limits.ts";
import type { StepRequest } from "../service/durable-steps.ts";
import type { EndedState } from "../tasks/life-cycle.ts";
import { type StepHistory, type StepType, STEP_TYPES } from "../tasks/step-facts.ts";
import type { TaskOptions, TaskSpec } from "../tasks/task-policy.ts";
import { isObject, readObject } from "./messages.ts";
import { RecordBatchReader } from "./record-batch.ts";

/** What a worker asks for. */
export type StepMessage = { readonly at: number; readonly name: string } & (
  | { readonly type: "step" }
  | { readonly type: "sleep"; readonly forMs: number }
  | { readonly type: "wait"; readonly forMs?: number | undefined }
  | { readonly type: "call"; readonly queue: string; readonly options: TaskOptions }
);

/** What became of it. */
export interface StepReply {
  readonly at: number;
  readonly now: "recorded" | "signalled" | "suspended" | "refused";
  /** refused: why. */
  readonly code?: ErrorCode | undefined;
  readonly message?: string | undefined;
}

/** A step that is on record, as the run that comes after is told. */
export interface RecordedStep {
  readonly at: number;
  readonly type: StepType;
  readonly name: string;
  /** wait: whether the signal came; its value is the bytes. */
  readonly signalled?: boolean | undefined;
  /** call: how the task ended; its result, or its error, is the bytes. */
  readonly state?: EndedState | undefined;
  readonly bytes: Buffer;
}

/** Stands for the answer to HISTORY, which is about no single step. */
export const WHOLE_HISTORY = -1;

export function refusal(at: number, { code, message }: HoldfastError): StepReply {
  return { at, now: "refused", code: code as ErrorCode, message };
}

/** @throws ProtocolError QUEUE_PROTOCOL, errors of `readSpec` */
export function readStep(frame: Buffer | undefined, body: Buffer, readSpec: (options: TaskOptions) => TaskSpec): StepRequest {
  const { at, name, type, forMs, queue, options = {} } = readObject(frame);
  if (!isPlace(at) || typeof name !== "string" || !(STEP_TYPES as readonly unknown[]).includes(type)) throw invalid("STEP");
  if (type === "step") return { at, name, type, result: body };
  if (type === "call") {
    if (typeof queue !== "string" || !isObject(options)) throw invalid("the queue or the options of a STEP");
    return { at, name, type, queue, spec: readSpec(options), body };
  }
  if (!isTime(forMs) && (type === "sleep" || forMs !== undefined)) throw invalid("the time of a STEP");
  return type === "sleep" ? { at, name, type, forMs: forMs as number } : { at, name, type: "wait", forMs };
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= STEPS_MAX;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= TIME_MS_MAX;
}

/** For each step u32 + a JSON object, u32 + bytes. */
export function encodeHistory({ steps, signals, outcomes }: StepHistory): Buffer {
  const parts: Buffer[] = [];
  const put = (bytes: Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  };
  for (const [at, { type, name, signalled, bytes }] of steps) {
    const outcome = type === "call" ? outcomes.get(at) : undefined;
    const value = type === "wait" && signalled ? signals.get(name) : undefined;
    const known = {
      at,
      type,
      name,
      ...(type === "wait" && { signalled: value !== undefined }),
      ...(outcome && { state: outcome.state }),
    };
    put(Buffer.from(JSON.stringify(known)));
    put(value ?? outcome?.bytes ?? bytes);
  }
  return Buffer.concat(parts);
}

/** @throws ProtocolError QUEUE_PROTOCOL */
export function readHistoryFrame(frame: Buffer | undefined): RecordedStep[] {
  const records = new RecordBatchReader(frame);
  const known: RecordedStep[] = [];
  while (records.more) {
    const { at, type, name, signalled, state } = readObject(records.body());
    if (!isPlace(at) || typeof name !== "string" || !(STEP_TYPES as readonly unknown[]).includes(type))
      throw invalid("HISTORY");
    known.push({
      at,
      type: type as StepType,
      name,
      signalled: signalled === true,
      state: state as EndedState | undefined,
      bytes: records.body(),
    });
  }
  return known;
}

const NOW: readonly unknown[] = ["recorded", "signalled", "suspended", "refused"] satisfies readonly StepReply["now"][];

/** @throws ProtocolError QUEUE_PROTOCOL */
export function readStepped(frame: Buffer | undefined): StepReply {
  const { at, now, code, message } = readObject(frame);
  if (!(isPlace(at) || at === WHOLE_HISTORY) || !NOW.includes(now)) throw invalid("STEPPED");
  const known = typeof code === "string" && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "QUEUE_PROTOCOL";
  return {
    at,
    now: now as StepReply["now"],
    ...(now === "refused" && { code: known, message: typeof message === "string" ? message : String(code) }),
  };
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", `Cannot read ${what}: it is invalid`);
}
