/**
 * ● What a client says to one broker. Submissions and results of one turn of the event loop go out together, when the broker reads many
 * in one message; whatever else is said goes out behind them. Invariant: what was taken in has been sent, or the connection went
 * down meanwhile: then it is its owner's to say again.
 */
import { Buffer } from "node:buffer";
import type { BrokerConnection } from "./broker-connection.ts";
import { RecordBatchWriter } from "../protocols/record-batch.ts";
import { type Frames, PROTOCOL, VERB, type VerbIn } from "../protocols/messages.ts";

/** 50 ms until what a broker did not take is offered again: it reads slower than we write, and has a million messages to read. */
const AGAIN_MS = 50;

/** Which submissions can go in one message. */
export interface BatchHead {
  readonly verb: "ADDS" | "CALLS";
  readonly queue: string;
  /** The options' frame: with a key, which each request's number follows. */
  readonly options: Buffer;
}

export class SessionWriter {
  readonly #connection: () => BrokerConnection;
  readonly #submissions = new RecordBatchWriter();
  readonly #results = new RecordBatchWriter();
  #head: BatchHead | undefined;
  /** Messages that the connection did not take. */
  #unsent: Frames[] = [];
  #scheduled = false;
  #retrying = false;

  constructor(connection: () => BrokerConnection) {
    this.#connection = connection;
  }

  /** @returns false when it was not sent: the connection is down, or the broker does not read */
  send(verb: VerbIn, rest: readonly Buffer[]): boolean {
    this.flush();
    return this.#unsent.length === 0 && this.#connection().send([PROTOCOL, VERB[verb], ...rest]);
  }

  /** A submission of one body; `head` is compared by what it is, so keep it. */
  submit(head: BatchHead, request: number, body: Uint8Array): void {
    if (head !== this.#head && this.#submissions.count > 0) this.flush();
    this.#head = head;
    this.#submissions.submission(request, body);
    this.#gathered(this.#submissions);
  }

  done(id: number, token: number, result: Uint8Array): void {
    this.#results.done(id, token, result);
    this.#gathered(this.#results);
  }

  /** Sends what was gathered. */
  flush(): void {
    if (this.#results.count > 0) this.#unsent.push([PROTOCOL, VERB.DONES, this.#results.take()]);
    if (this.#submissions.count > 0) {
      const { verb, queue, options } = this.#head!;
      this.#unsent.push([PROTOCOL, VERB[verb], Buffer.from(queue), options, this.#submissions.take()]);
    }
    while (this.#unsent.length > 0 && this.#connection().send(this.#unsent[0]!)) this.#unsent.shift();
    if (this.#unsent.length > 0) this.#again();
  }

  /** The connection is down. */
  drop(): void {
    if (this.#results.count > 0) this.#results.take();
    if (this.#submissions.count > 0) this.#submissions.take();
    this.#unsent = [];
  }

  #gathered(writer: RecordBatchWriter): void {
    if (writer.isFull) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(flushScheduled, this);
    }
  }

  #again(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    const again = (): void => {
      this.#retrying = false;
      this.flush();
    };
    setTimeout(again, AGAIN_MS).unref();
  }

  /** @internal */
  flushNow(): void {
    this.#scheduled = false;
    this.flush();
  }
}

function flushScheduled(sender: SessionWriter): void {
  sender.flushNow();
}
