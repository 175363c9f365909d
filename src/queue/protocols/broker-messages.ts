/**
 * ○ What a broker says to its clients, read and checked: the one edge at which a client takes bytes from its peer
 * (docs/queue-protocol.md has the messages). Invariant: what is returned is what its type says; anything else is a ProtocolError,
 * which costs the connection. The records of a batch are read by RecordBatchReader, one after the other; answers to inspection by
 * broker-answers.ts.
 */
import type { Buffer } from "node:buffer";
import { ERROR_CODES, type ErrorCode } from "../../core/error-codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { LeaseRef } from "../service/dispatcher.ts";
import type { OutcomeState } from "../tasks/life-cycle.ts";
import { endedOfWire } from "../tasks/state-words.ts";
import {
  EMPTY_FRAME,
  type Frames,
  isProtocol,
  isTaskId,
  readLease,
  readNumber,
  readObject,
  readText,
  verbOf,
} from "./messages.ts";
import { RecordBatchReader } from "./record-batch.ts";
import { readHistoryFrame, readStepped, type RecordedStep, type StepReply } from "./step-messages.ts";

/** Who the broker is. */
export interface WelcomeMessage {
  readonly verb: "WELCOME";
  /** The request that it answers. */
  readonly request: string;
  /** The first part of its tasks' ids. */
  readonly broker: string;
  readonly load: number;
  readonly readsBatches: boolean;
  /** It wants to hear which tasks have begun. */
  readonly readsBegun: boolean;
  /** A process may have a keeper: a connection that stays when others break. */
  readonly hasKeepers: boolean;
  /** It keeps which trace a task belongs to. */
  readonly readsTraces: boolean;
  /** It records the steps of handlers. */
  readonly keepsSteps: boolean;
  /** Of the group's leader; 0 without a group. */
  readonly term: number;
  readonly isRelayed: boolean;
}

/** To a request of this number. */
export type AnswerMessage =
  | { readonly verb: "ADDED"; readonly request: number; readonly ids: readonly string[] }
  | {
      readonly verb: "ENDED";
      readonly request: number;
      readonly id: string;
      readonly state: OutcomeState;
      readonly bytes: Buffer;
      /** Why there is no result, where the state alone does not say it. */
      readonly code: ErrorCode | undefined;
    }
  | { readonly verb: "PROGRESS" | "PARTIAL"; readonly request: number; readonly id: string; readonly bytes: Buffer }
  | { readonly verb: "OK" | "DATA"; readonly request: number; readonly rest: Frames }
  /** Without a request the refusal is of a message that could not be read. */
  | { readonly verb: "REFUSED"; readonly request: number | undefined; readonly code: string; readonly message: string };

/** To a worker. */
export type WorkMessage =
  | {
      readonly verb: "TASK";
      readonly lease: LeaseRef;
      readonly queue: string;
      readonly attempt: number;
      readonly body: Buffer;
      /** Which trace it belongs to, and how long it has waited since it was added. */
      readonly trace: { readonly traceparent: string; readonly waitedMs: number } | undefined;
      /** Steps of its handler are on record. */
      readonly hasSteps: boolean;
    }
  | { readonly verb: "HISTORY"; readonly lease: LeaseRef; readonly known: readonly RecordedStep[] }
  | { readonly verb: "STEPPED"; readonly lease: LeaseRef; readonly said: StepReply; readonly value: Buffer | undefined }
  | { readonly verb: "TASKS"; readonly queue: string; readonly records: RecordBatchReader }
  | { readonly verb: "KEPT"; readonly leases: readonly LeaseRef[] }
  | { readonly verb: "KEPTS"; readonly records: RecordBatchReader }
  | { readonly verb: "LOST" | "STOP" | "RECALL"; readonly lease: LeaseRef; readonly why: string };

export type AboutConnection =
  | { readonly verb: "BEAT" | "ANEW" }
  /** It reads its tasks, of which it has so many percent, and answers once it has them all. */
  | { readonly verb: "STARTING"; readonly percent: number };

export type BrokerMessage =
  | WelcomeMessage
  | AboutConnection
  | AnswerMessage
  | { readonly verb: "ADDEDS" | "ENDEDS"; readonly records: RecordBatchReader }
  | WorkMessage;

/** @throws ProtocolError QUEUE_PROTOCOL for what no broker says */
export function readBrokerMessage(frames: Frames): BrokerMessage {
  if (!isProtocol(frames[0])) throw invalid("a message that is not HQ1");
  const verb = verbOf(frames[1]);
  switch (verb) {
    case "WELCOME":
      return readWelcome(frames);
    case "STARTING":
      return readStarting(frames);
    case "BEAT":
    case "ANEW":
      return { verb };
    case "ADDED":
      return { verb, request: requestOf(frames), ids: readIds(frames.slice(3)) };
    case "ENDED":
      return {
        verb,
        request: requestOf(frames),
        id: readId(frames[3]),
        state: readState(frames[4]),
        bytes: frames[5] ?? EMPTY_FRAME,
        code: readCode(frames[6]),
      };
    case "PROGRESS":
    case "PARTIAL":
      return { verb, request: requestOf(frames), id: readId(frames[3]), bytes: frames[4] ?? EMPTY_FRAME };
    case "OK":
    case "DATA":
      return { verb, request: requestOf(frames), rest: frames.slice(3) };
    case "REFUSED":
      return { verb, request: readNumber(frames[2]), code: readText(frames[3]), message: readText(frames[4]) };
    case "ADDEDS":
    case "ENDEDS":
      return { verb, records: new RecordBatchReader(frames[2]) };
    default:
      return readWorkMessage(verb, frames);
  }
}

function readWorkMessage(verb: string | undefined, frames: Frames): WorkMessage {
  switch (verb) {
    case "TASK":
      return {
        verb,
        lease: leaseOf(frames[2]),
        queue: readText(frames[4]),
        attempt: readNumber(frames[5]) ?? invalidly("the attempt of a TASK"),
        body: frames[3] ?? EMPTY_FRAME,
        hasSteps: frames[10] !== undefined,
        trace: frames[8]?.length ? { traceparent: traceparentOf(frames[8]), waitedMs: readNumber(frames[9]) ?? 0 } : undefined,
      };
    case "TASKS":
      return { verb, queue: readText(frames[2]), records: new RecordBatchReader(frames[3]) };
    case "KEPT":
      return { verb, leases: frames.slice(2).map(leaseOf) };
    case "KEPTS":
      return { verb, records: new RecordBatchReader(frames[2]) };
    case "HISTORY":
      return { verb, lease: leaseOf(frames[2]), known: readHistoryFrame(frames[3]) };
    case "STEPPED":
      return { verb, lease: leaseOf(frames[2]), said: readStepped(frames[3]), value: frames[4] };
    case "LOST":
    case "STOP":
    case "RECALL":
      return { verb, lease: leaseOf(frames[2]), why: readText(frames[3]) };
    default:
      throw invalid("a verb that no broker says");
  }
}

function traceparentOf(frame: Buffer): string {
  const text = readText(frame);
  if (!/^00-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(text)) throw invalid("the traceparent of a TASK");
  return text;
}

function readWelcome(frames: Frames): WelcomeMessage {
  const { broker, load = 0, many, begun, keeps, traces, steps, term = 0, relayed } = readObject(frames[3]);
  if (typeof broker !== "string" || !isTaskId(`${broker}-1`)) throw invalid("the broker's name in WELCOME");
  if (typeof load !== "number" || load < 0) throw invalid("the load in WELCOME");
  if (!Number.isSafeInteger(term) || (term as number) < 0) throw invalid("the term in WELCOME");
  return {
    verb: "WELCOME",
    request: readText(frames[2]),
    broker,
    load,
    readsBatches: many === 1,
    readsBegun: begun === 1,
    hasKeepers: keeps === 1,
    readsTraces: traces === 1,
    keepsSteps: steps === 1,
    term: term as number,
    isRelayed: relayed === 1,
  };
}

function readStarting(frames: Frames): AboutConnection {
  const { percent } = readObject(frames[3]);
  return typeof percent === "number" && percent >= 0 && percent <= 100
    ? { verb: "STARTING", percent }
    : invalidly("the percent in STARTING");
}

function requestOf(frames: Frames): number {
  return readNumber(frames[2]) ?? invalidly("a request's number");
}

function leaseOf(frame: Buffer | undefined): LeaseRef {
  return readLease(frame) ?? invalidly("a lease");
}

function readIds(frames: Frames): readonly string[] {
  if (frames.length === 0) throw invalid("an ADDED without ids");
  return frames.map(readId);
}

function readId(frame: Buffer | undefined): string {
  const id = readText(frame);
  return isTaskId(id) ? id : invalidly("a task's id");
}

function readState(frame: Buffer | undefined): OutcomeState {
  const word = readText(frame);
  const state = endedOfWire(word);
  return state === "unknown" && word !== "unknown" ? invalidly("the state in ENDED") : state;
}

/** undefined: there is none, or a newer broker's that says nothing here. */
function readCode(frame: Buffer | undefined): ErrorCode | undefined {
  const code = readText(frame);
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : undefined;
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("QUEUE_PROTOCOL", `Cannot read what the broker said: ${what} is invalid`);
}

function invalidly(what: string): never {
  throw invalid(what);
}
