/**
 * ○ ADDS and CALLS of the own protocol: many submissions in one message. Each is a request of its own, with its own answer, as if it
 * had come alone; only what is said goes out together.
 */
import { Buffer } from "node:buffer";
import { HoldfastError } from "../../../core/errors.ts";
import type { Desk } from "../../service/task-service.ts";
import type { OwnSpeaker } from "./native-writer.ts";
import type { OwnWatches, Watch } from "./outcome-subscriptions.ts";
import { ManyReader } from "../record-batch.ts";
import { readKey, type TaskSpec } from "../../tasks/task-policy.ts";
import { asBuffer, type IdText } from "../messages.ts";
import type { SubmissionAnswer } from "../../service/submissions.ts";
import type { Outcome, Watcher } from "../../service/outcome-watchers.ts";

export interface OwnManyOptions {
  readonly desk: Desk;
  readonly ids: IdText;
  readonly speaker: OwnSpeaker;
  readonly watches: OwnWatches;
}

/** What came in one message. */
export interface ManySubmissions {
  readonly queue: string;
  /** Its key, when it has one, is followed by the request's number. @throws as its reading does */
  readonly spec: () => TaskSpec;
  readonly records: Buffer | undefined;
  /** CALLS: the outcomes are wanted. */
  readonly watched: boolean;
}

/** One request of a message of many: its answer and, of CALLS, its watch. */
class ManyRequest implements SubmissionAnswer, Watcher, Watch {
  readonly key: number;
  readonly #options: OwnManyOptions;
  #id: number | undefined;

  constructor(request: number, options: OwnManyOptions) {
    this.key = request;
    this.#options = options;
  }

  ids(): readonly number[] {
    return this.#id === undefined ? [] : [this.#id];
  }

  added([id]: readonly number[]): void {
    this.#id = id!;
    this.#options.speaker.addedOfMany(this.key, id!);
  }

  refused(error: HoldfastError): void {
    this.#options.watches.forget(this);
    refuse(this.#options.speaker, this.key, error);
  }

  ended(outcome: Outcome): void {
    this.#options.watches.forget(this);
    this.#options.speaker.endedOfMany(this.key, outcome);
  }

  progress(id: number, bytes: Uint8Array): void {
    const { speaker, ids } = this.#options;
    speaker.say("PROGRESS", numberFrame(this.key), ids.write(id), asBuffer(bytes));
  }

  partial(id: number, bytes: Uint8Array): void {
    const { speaker, ids } = this.#options;
    speaker.say("PARTIAL", numberFrame(this.key), ids.write(id), asBuffer(bytes));
  }
}

/** @throws ProtocolError QUEUE_PROTOCOL; records before the one that cannot be read count */
export function submitMany({ queue, spec, records, watched }: ManySubmissions, options: OwnManyOptions): void {
  const { desk, speaker, watches } = options;
  const reader = new ManyReader(records);
  let common: TaskSpec | undefined;
  while (reader.more) {
    const number = reader.u32();
    const body = reader.body();
    try {
      common ??= spec();
      const request = new ManyRequest(number, options);
      if (watched) watches.enter(request);
      const own = common.key === "" ? common : { ...common, key: readKey(`${common.key}${number}`) };
      desk.add({ queue, spec: own, bodies: [body], watcher: watched ? request : undefined }, request);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
      refuse(speaker, number, error);
    }
  }
}

function refuse(speaker: OwnSpeaker, request: number, error: HoldfastError): void {
  speaker.say("REFUSED", numberFrame(request), Buffer.from(error.code), Buffer.from(error.message));
}

function numberFrame(number: number): Buffer {
  return Buffer.from(`${number}`, "latin1");
}
