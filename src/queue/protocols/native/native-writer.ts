/**
 * ○ What the broker sends on one connection of the native protocol. To a peer that reads batches (`many` in its HELLO), the
 * messages of one kind from one flush of the task service go out together. Invariant: messages about one request or one lease go
 * out in the order in which they were made.
 */
import { Buffer } from "node:buffer";
import type { Delivery } from "../../service/consumers.ts";
import type { TaskService } from "../../service/task-service.ts";
import type { PeerConnection } from "../protocol-handler.ts";
import { BATCHED_BODY_BYTES_MAX, RecordBatchWriter } from "../record-batch.ts";
import { asBuffer, type IdText, PROTOCOL, VERB, type VerbOut, writeLease } from "../messages.ts";
import type { Outcome } from "../../service/outcomes.ts";
import type { OutcomeState } from "../../tasks/life-cycle.ts";
import { wireState } from "../../tasks/state-words.ts";

export interface NativeWriterOptions {
  readonly connection: PeerConnection;
  readonly service: TaskService;
  readonly ids: IdText;
}

/** How ENDED says a state. */
export const STATE: Readonly<Record<OutcomeState, Buffer>> = {
  unknown: Buffer.from("unknown"),
  evicted: Buffer.from("evicted"),
  completed: Buffer.from(wireState("completed")),
  dead: Buffer.from(wireState("dead")),
  cancelled: Buffer.from(wireState("cancelled")),
};

export class NativeWriter {
  readonly #options: NativeWriterOptions;
  readonly #kept = new RecordBatchWriter();
  readonly #added = new RecordBatchWriter();
  readonly #ended = new RecordBatchWriter();
  readonly #tasks = new RecordBatchWriter();
  #tasksQueue = "";
  #gathering = false;
  /** The peer reads batches. */
  readsBatches = false;
  /** The peer wants to know which trace a task belongs to. */
  readsTraces = false;
  /** The peer wants to know whether steps of a task are on record. */
  readsSteps = false;
  /** The peer knows the outcome `evicted`; another is told `unknown`. */
  readsEvicted = false;

  constructor(options: NativeWriterOptions) {
    this.#options = options;
  }

  /** One message, behind all that was gathered. */
  say(verb: VerbOut, ...rest: Buffer[]): void {
    this.#flush();
    this.#options.connection.send([PROTOCOL, VERB[verb], ...rest]);
  }

  /** @param request of a CALL or a WATCH */
  ended(request: Buffer, { id, state, bytes, code }: Outcome): void {
    const why = code === undefined ? [] : [Buffer.from(code)];
    this.say("ENDED", request, this.#options.ids.write(id), STATE[this.#stateFor(state)], asBuffer(bytes), ...why);
  }

  #stateFor(state: OutcomeState): OutcomeState {
    return state === "evicted" && !this.readsEvicted ? "unknown" : state;
  }

  task({ id, token, queue, attempt, timeoutMs, body, hasSteps, trace: known }: Delivery): void {
    const trace = this.readsTraces ? known : undefined;
    const saysSteps = hasSteps && this.readsSteps;
    if (!trace && !saysSteps && this.readsBatches && body.length <= BATCHED_BODY_BYTES_MAX) {
      if (queue !== this.#tasksQueue && this.#tasks.count > 0) this.#flush();
      this.#tasksQueue = queue;
      this.#tasks.task(id, token, { attempt, timeoutMs, body });
      this.#gathered(this.#tasks);
      return;
    }
    const words = [Buffer.from(queue), Buffer.from(`${attempt}`, "latin1"), Buffer.from(`${timeoutMs}`, "latin1")];
    const about = trace ? [trace.traceparent, `${Math.max(0, Math.round(trace.waitedMs))}`] : saysSteps ? ["", ""] : [];
    if (saysSteps) about.push("steps");
    const more = about.map((word) => Buffer.from(word, "latin1"));
    this.say("TASK", writeLease(id, token), asBuffer(body), ...words, this.#options.ids.write(id), ...more);
  }

  /** @param request of ADDS or CALLS */
  addedInBatch(request: number, id: number): void {
    this.#added.added(request, id);
    this.#gathered(this.#added);
  }

  /** @param request of CALLS */
  endedInBatch(request: number, outcome: Outcome): void {
    if (outcome.bytes.length > BATCHED_BODY_BYTES_MAX || outcome.code !== undefined) {
      this.ended(Buffer.from(`${request}`, "latin1"), outcome);
      return;
    }
    this.#ended.ended(request, this.#stateFor(outcome.state), outcome.bytes);
    this.#gathered(this.#ended);
  }

  /** @param leases of DONES */
  keptInBatch(leases: readonly { readonly id: number; readonly token: number }[]): void {
    for (const { id, token } of leases) this.#kept.lease(id, token);
    this.#gathered(this.#kept);
  }

  #gathered(writer: RecordBatchWriter): void {
    if (writer.isFull) this.#flush();
    else if (!this.#gathering) {
      this.#gathering = true;
      const { service, connection } = this.#options;
      service.whenSettled(() => {
        this.#gathering = false;
        this.#flush();
      }, connection);
    }
  }

  /** A task's ADDED goes before its ENDED, whichever of them is full. */
  #flush(): void {
    if (this.#kept.count > 0) this.#send("KEPTS", this.#kept.take());
    if (this.#added.count > 0) this.#send("ADDEDS", this.#added.take());
    if (this.#ended.count > 0) this.#send("ENDEDS", this.#ended.take());
    if (this.#tasks.count > 0) this.#send("TASKS", Buffer.from(this.#tasksQueue), this.#tasks.take());
  }

  #send(verb: VerbOut, ...rest: Buffer[]): void {
    this.#options.connection.send([PROTOCOL, VERB[verb], ...rest]);
  }
}
