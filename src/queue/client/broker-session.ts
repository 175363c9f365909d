/**
 * ● One broker as a client sees it: the connection, what is known of the broker, and what is sent to it. Submissions and results of
 * one turn of the event loop go out together when the broker reads batches; whatever else is sent goes out behind them. Invariant:
 * what was taken in has been sent, or the connection went down meanwhile: then it is for the caller to send again.
 */
import { Buffer } from "node:buffer";
import type { BrokerConnection } from "./broker-connection.ts";
import { RecordBatchWriter } from "../protocols/record-batch.ts";
import { type Frames, PROTOCOL, VERB, type VerbIn, writeLease } from "../protocols/messages.ts";

/** 50 ms until what a broker did not take is offered again: it reads slower than we write, and has a million messages to read. */
const AGAIN_MS = 50;

/** Which submissions can go in one message. */
export interface BatchHead {
  readonly verb: "ADDS" | "CALLS";
  readonly queue: string;
  /** The options' frame: with a key, which each request's number follows. */
  readonly options: Buffer;
}

export class BrokerSession {
  readonly connection: BrokerConnection;
  isConnected = false;
  /** Requests can be sent: connected, and not known to lead to a leader of the past. */
  isUp = false;
  /** It reads many in one message, by its last WELCOME. */
  readsBatches = false;
  /** It wants to be told which tasks have begun, by its last WELCOME. */
  readsBegun = false;
  /** The process may have a keeper with it, by its last WELCOME. */
  hasKeepers = false;
  /** It keeps which trace a task belongs to, by its last WELCOME. */
  readsTraces = false;
  /** It records the steps of handlers, by its last WELCOME. */
  keepsSteps = false;
  /** Its id, once it has said WELCOME. */
  broker: string | undefined;
  /** Tasks it had to do, by its last WELCOME. */
  load = 0;
  /** In a group of brokers: the leader's term, by its last WELCOME; else 0. */
  term = 0;
  /** Its broker only relays: another of the group leads. */
  isRelayed = false;
  /** Our requests that it has not answered. */
  unanswered = 0;
  readonly #submissions = new RecordBatchWriter();
  readonly #begun = new RecordBatchWriter();
  readonly #results = new RecordBatchWriter();
  #head: BatchHead | undefined;
  /** Messages that the connection did not take. */
  #unsent: Frames[] = [];
  #scheduled = false;
  #retrying = false;

  constructor(connect: (session: BrokerSession) => BrokerConnection) {
    this.connection = connect(this);
  }

  /** @returns false when it was not sent: the broker is down, or does not read */
  send(verb: VerbIn, ...rest: Buffer[]): boolean {
    if (!this.isUp) return false;
    this.#flush();
    return this.#unsent.length === 0 && this.connection.send([PROTOCOL, VERB[verb], ...rest]);
  }

  /** A submission of one body, to a broker that reads batches. `head` is compared by identity: use one for all that can go together. */
  submit(head: BatchHead, request: number, body: Uint8Array): void {
    if (head !== this.#head && this.#submissions.count > 0) this.#flush();
    this.#head = head;
    this.#submissions.submission(request, body);
    this.#gathered(this.#submissions);
  }

  /** Work on these tasks begins now: on its way before this turn of the event loop ends. */
  begun(leases: readonly { readonly number: number; readonly token: number }[]): void {
    if (!this.readsBegun) return;
    if (!this.readsBatches) {
      this.send("BEGUN", ...leases.map(({ number, token }) => writeLease(number, token)));
      return;
    }
    for (const { number, token } of leases) this.#begun.lease(number, token);
    this.send("BEGUNS", this.#begun.take());
  }

  /** A task's result, to a broker that reads batches. */
  done(id: number, token: number, result: Uint8Array): void {
    this.#results.done(id, token, result);
    this.#gathered(this.#results);
  }

  /** The connection is down: what was not sent is dropped. */
  drop(): void {
    if (this.#results.count > 0) this.#results.take();
    if (this.#submissions.count > 0) this.#submissions.take();
    this.#unsent = [];
  }

  #gathered(writer: RecordBatchWriter): void {
    if (writer.isFull) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    if (this.#results.count > 0) this.#unsent.push([PROTOCOL, VERB.DONES, this.#results.take()]);
    if (this.#submissions.count > 0) {
      const { verb, queue, options } = this.#head!;
      this.#unsent.push([PROTOCOL, VERB[verb], Buffer.from(queue), options, this.#submissions.take()]);
    }
    while (this.#unsent.length > 0 && this.connection.send(this.#unsent[0]!)) this.#unsent.shift();
    if (this.#unsent.length > 0) this.#flushLater();
  }

  #flushLater(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    const again = (): void => {
      this.#retrying = false;
      this.#flush();
    };
    setTimeout(again, AGAIN_MS).unref();
  }
}
