/**
 * ○ ADDS and CALLS: many submissions in one message. Each is a request with its own answer, as if it had come alone; only the
 * answers go out together.
 */
import { Buffer } from "node:buffer";
import { HoldfastError } from "../../../core/errors.ts";
import type { Owner } from "../../service/guard.ts";
import type { TaskService } from "../../service/task-service.ts";
import type { PeerConnection } from "../protocol-handler.ts";
import type { NativeWriter } from "./native-writer.ts";
import type { OutcomeSubscriptions, OutcomeSubscription } from "./outcome-subscriptions.ts";
import { RecordBatchReader } from "../record-batch.ts";
import { readKey, type TaskSpec } from "../../tasks/task-policy.ts";
import { asBuffer, type IdText } from "../messages.ts";
import type { SubmissionAnswer } from "../../service/submissions.ts";
import type { Outcome, OutcomeWatcher } from "../../service/outcomes.ts";

export interface BatchSubmissionsOptions {
  readonly connection: PeerConnection;
  readonly service: TaskService;
  readonly ids: IdText;
  readonly writer: NativeWriter;
  readonly subscriptions: OutcomeSubscriptions;
}

/** What came in one message. */
export interface BatchSubmissions {
  readonly queue: string;
  /** Its key, when it has one, is followed by the request's number. @throws as its reading does */
  readonly spec: () => TaskSpec;
  readonly records: Buffer | undefined;
  /** CALLS: the outcomes are wanted. */
  readonly watched: boolean;
}

/** One request of a batch: its answer and, of CALLS, its subscription to the outcome. */
class BatchedRequest implements SubmissionAnswer, OutcomeWatcher, OutcomeSubscription {
  readonly key: number;
  readonly #options: BatchSubmissionsOptions;
  #id: number | undefined;

  constructor(request: number, options: BatchSubmissionsOptions) {
    this.key = request;
    this.#options = options;
  }

  get owner(): Owner {
    return this.#options.connection;
  }

  ids(): readonly number[] {
    return this.#id === undefined ? [] : [this.#id];
  }

  added([id]: readonly number[]): void {
    this.#id = id!;
    const { service, subscriptions } = this.#options;
    if (!subscriptions.isOpen) service.unwatch(id!, this);
    this.#options.writer.addedInBatch(this.key, id!);
  }

  refused(error: HoldfastError): void {
    this.#options.subscriptions.forget(this);
    refuse(this.#options.writer, this.key, error);
  }

  ended(outcome: Outcome): void {
    this.#options.subscriptions.forget(this);
    this.#options.writer.endedInBatch(this.key, outcome);
  }

  progress(id: number, bytes: Uint8Array): void {
    const { writer, ids } = this.#options;
    writer.say("PROGRESS", numberFrame(this.key), ids.write(id), asBuffer(bytes));
  }

  partial(id: number, bytes: Uint8Array): void {
    const { writer, ids } = this.#options;
    writer.say("PARTIAL", numberFrame(this.key), ids.write(id), asBuffer(bytes));
  }
}

/** @throws ProtocolError QUEUE_PROTOCOL; records before the one that cannot be read count */
export function submitBatch({ queue, spec, records, watched }: BatchSubmissions, options: BatchSubmissionsOptions): void {
  const { service, writer, subscriptions } = options;
  const reader = new RecordBatchReader(records);
  let common: TaskSpec | undefined;
  while (reader.more) {
    const number = reader.u32();
    const body = reader.body();
    try {
      common ??= spec();
      const request = new BatchedRequest(number, options);
      if (watched) subscriptions.enter(request);
      const own = common.key === "" ? common : { ...common, key: readKey(`${common.key}${number}`) };
      service.add({ queue, spec: own, bodies: [body], watcher: watched ? request : undefined }, request);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
      refuse(writer, number, error);
    }
  }
}

function refuse(writer: NativeWriter, request: number, error: HoldfastError): void {
  writer.say("REFUSED", numberFrame(request), Buffer.from(error.code), Buffer.from(error.message));
}

function numberFrame(number: number): Buffer {
  return Buffer.from(`${number}`, "latin1");
}
