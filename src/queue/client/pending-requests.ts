/**
 * ○ A client's requests that have no answer yet. Invariant: each settles exactly once, by its deadline at the latest; what is in
 * the table is in the heap of deadlines too.
 */
import type { ErrorCode } from "../../core/error-codes.ts";
import type { HoldfastError } from "../../core/errors.ts";
import { Heap } from "../../core/heap.ts";
import type { BrokerSession } from "./broker-session.ts";
import type { OutcomeState } from "../tasks/life-cycle.ts";
import type { TaskOptions } from "../tasks/task-policy.ts";
import type { Frames, RequestVerb } from "../protocols/messages.ts";

/** How a task ended, as bytes. */
export interface RawOutcome {
  readonly id: string;
  readonly state: OutcomeState;
  readonly bytes: Uint8Array;
  /** Why there is no result, where the state alone does not say it; `bytes` is then the message. */
  readonly code?: ErrorCode | undefined;
}

/** What a request is told beside its answer. */
export interface RequestWatcher {
  added?(ids: readonly string[]): void;
  ended?(outcome: RawOutcome): void;
  progress?(id: string, bytes: Uint8Array): void;
  partial?(id: string, bytes: Uint8Array): void;
}

/** Tasks to submit together. */
export interface RawSubmission {
  readonly queue: string;
  readonly options: TaskOptions;
  readonly bodies: readonly Uint8Array[];
}

/** What is asked, and who may answer. */
export interface Question {
  readonly verb: RequestVerb;
  /** What follows the request's number; of ADD and CALL it is made from `submission`. */
  readonly rest?: Frames;
  readonly submission?: RawSubmission;
  readonly watcher?: RequestWatcher | undefined;
  /** Makes the answer of what follows the request's number in OK or DATA. @throws ProtocolError */
  readonly read?: (answer: Frames) => unknown;
  /** The only broker that can answer. */
  readonly broker?: string | undefined;
  /** The task that is watched. */
  readonly open?: string;
  /** It changes nothing: any broker may be asked again. */
  readonly isRead?: boolean;
  /** Cancel the task when the caller's signal fires. */
  readonly cancels?: boolean;
}

export class PendingRequest {
  readonly number: number;
  readonly question: Question;
  readonly deadlineMs: number;
  /** A CALL's or WATCH's answer is its last outcome, an ADD's its ids, any other's what its question reads. */
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: HoldfastError) => void;
  /** The only broker that can answer: it was sent there, or its task lives there. */
  broker: string | undefined;
  session: BrokerSession | undefined;
  /** Ids of a CALL or WATCH whose outcome is not told yet; undefined before ADDED. One is the usual case. */
  open: string | Set<string> | undefined;
  position = -1;
  /** Takes the caller's signal off. */
  forget: (() => void) | undefined;

  constructor(
    number: number,
    question: Question,
    settle: {
      readonly deadlineMs: number;
      /** A CALL's or WATCH's answer is its last outcome, an ADD's its ids, any other's what its question reads. */
      readonly resolve: (answer: unknown) => void;
      readonly reject: (error: HoldfastError) => void;
    },
  ) {
    this.number = number;
    this.question = question;
    this.deadlineMs = settle.deadlineMs;
    this.resolve = settle.resolve;
    this.reject = settle.reject;
    this.broker = question.broker;
    this.open = question.open;
  }

  get openIds(): readonly string[] {
    const { open } = this;
    if (open === undefined) return [];
    return typeof open === "string" ? [open] : [...open];
  }

  /** Whether the outcome of this task is still to be told. */
  isOpen(id: string): boolean {
    return typeof this.open === "object" ? this.open.has(id) : this.open === id;
  }

  /** @returns whether none is left open */
  closed(id: string): boolean {
    if (typeof this.open === "object") {
      this.open.delete(id);
      return this.open.size === 0;
    }
    return true;
  }
}

export class PendingRequests {
  readonly #byNumber = new Map<number, PendingRequest>();
  readonly #deadlines = new Heap<PendingRequest>({
    before: (a, b) => a.deadlineMs < b.deadlineMs,
    setPosition: (pending, position) => (pending.position = position),
  });

  add(pending: PendingRequest): void {
    this.#byNumber.set(pending.number, pending);
    this.#deadlines.push(pending);
  }

  get(number: number): PendingRequest | undefined {
    return this.#byNumber.get(number);
  }

  values(): MapIterator<PendingRequest> {
    return this.#byNumber.values();
  }

  /** @returns false when it had settled already */
  remove(pending: PendingRequest): boolean {
    if (!this.#byNumber.delete(pending.number)) return false;
    if (pending.session) pending.session.unanswered -= 1;
    this.#deadlines.remove(pending.position);
    pending.forget?.();
    return true;
  }

  /** When the first gives up, or undefined. */
  get deadlineMs(): number | undefined {
    return this.#deadlines.peek()?.deadlineMs;
  }

  /** The first whose deadline has passed. */
  late(nowMs: number): PendingRequest | undefined {
    const pending = this.#deadlines.peek();
    return pending && pending.deadlineMs <= nowMs ? pending : undefined;
  }
}
