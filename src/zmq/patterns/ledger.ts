/**
 * ○ What peers make the sockets of a context keep: messages that arrived and were not taken, or not whole, what waits for peers that do
 * not read, subscriptions, the connections themselves. Invariant: `bytes` is what all pipes hold, and what was added beside them.
 *
 * Below half of the bound nothing happens. Past it a peer that holds more than an even share of the next quarter is read and sent to no
 * more, so that others go on; the last quarter is left for the message of which most has arrived, so that one after the other becomes
 * whole and can be taken. At the bound itself nothing is taken from anybody.
 */
import { OperationError } from "../../core/errors.ts";

/** What the ledger does with a pipe. */
export interface LedgerPipe {
  /** Of a message that has not arrived whole. */
  readonly incompleteBytes: number;
  /** Whether it may be read and sent to was decided anew. */
  ledgerChanged(): void;
  /** Ends the connection. */
  end(reason: Error): void;
}

export class Ledger {
  readonly #onFull: () => void;
  readonly #pipes = new Set<LedgerPipe>();
  #bound = Infinity;
  /** The connections, whatever they carry. */
  #connectionBytes = 0;
  #dataBytes = 0;
  /** Where `#dataBytes` begins to be too much, and where it no longer is. */
  #high = Infinity;
  #low = Infinity;
  #share = Infinity;
  #full = false;
  /** While it is full: the pipe whose message may become whole. */
  #favourite: LedgerPipe | undefined;
  /** The pipe that was ended to make room. */
  #ending: LedgerPipe | undefined;

  /** @param onFull called when half of the bound is reached: `endStalled` is to be called some time later */
  constructor(onFull: () => void = () => {}) {
    this.#onFull = onFull;
  }

  get bytes(): number {
    return this.#dataBytes + this.#connectionBytes;
  }

  /** Whether it is a context's, not that of pipes within the process. */
  get isShared(): boolean {
    return this !== INPROC_LEDGER;
  }

  /** Whether it has a bound. */
  get isBounded(): boolean {
    return this.#bound < Infinity;
  }

  /** Whether some peers are read and sent to no more. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Whether nobody more is to come in. */
  get isExhausted(): boolean {
    return this.bytes >= this.#bound;
  }

  /** @param bytes 0: no bound */
  setBound(bytes: number): void {
    this.#bound = bytes === 0 ? Infinity : bytes;
    this.#measure();
  }

  enter(pipe: LedgerPipe): void {
    this.#pipes.add(pipe);
  }

  leave(pipe: LedgerPipe): void {
    this.#pipes.delete(pipe);
    if (this.#ending === pipe) this.#ending = undefined;
    if (this.#favourite === pipe) this.#choose();
  }

  /** A connection came, or went: negative. */
  addConnection(bytes: number): void {
    this.#connectionBytes += bytes;
    this.#measure();
  }

  /** More is kept, or less: negative. */
  add(bytes: number): void {
    this.#dataBytes += bytes;
    if (this.#full ? this.#dataBytes < this.#low : this.#dataBytes >= this.#high) this.#turn();
    if (this.#full && this.isExhausted) this.#endMost();
  }

  /** Whether one peer may make us keep so many bytes of one kind. */
  mayHold(bytes: number): boolean {
    return !this.#full || (bytes < this.#share && !this.isExhausted);
  }

  /** Whether a pipe's message is to become whole before others'. */
  isFavourite(pipe: LedgerPipe): boolean {
    return pipe === this.#favourite;
  }

  /** While it is full: more has come of a message, or it has become whole. */
  incompleteChanged(pipe: LedgerPipe, completed: boolean): void {
    const isFavourite = pipe === this.#favourite;
    if (isFavourite ? completed : this.#favourite === undefined && pipe.incompleteBytes > this.#share) this.#choose();
  }

  /** Ends the pipe that was to complete its message and has not, unless it was chosen after the last call. @returns the one chosen now */
  endStalled(chosenBefore: LedgerPipe | undefined): LedgerPipe | undefined {
    if (!this.#full) return undefined;
    if (this.#favourite !== undefined && this.#favourite === chosenBefore) this.#endMost();
    return this.#favourite;
  }

  /** Ends the pipe of whose message most has arrived, and no other before its memory is free. */
  #endMost(): void {
    if (this.#ending !== undefined && this.#ending.incompleteBytes > 0) return;
    if (this.#favourite === undefined) this.#choose();
    this.#ending = this.#favourite;
    this.#ending?.end(new OperationError("ERR_ZMTP_STALLED", "Peer did not complete its message while memory was used up"));
  }

  /** The thresholds follow what the connections leave. */
  #measure(): void {
    const room = Math.max(0, this.#bound - this.#connectionBytes);
    this.#high = room / 2;
    this.#low = room * (3 / 8);
    this.#measureShare();
    this.add(0);
  }

  #measureShare(): void {
    this.#share = this.#high / 2 / Math.max(1, this.#pipes.size);
  }

  #turn(): void {
    this.#full = !this.#full;
    if (this.#full) {
      this.#measureShare();
      this.#choose();
      this.#onFull();
    } else this.#favourite = undefined;
    for (const pipe of this.#pipes) pipe.ledgerChanged();
  }

  #choose(): void {
    this.#favourite = undefined;
    if (!this.#full) return;
    let most = this.#share;
    for (const pipe of this.#pipes) {
      if (pipe.incompleteBytes <= most || pipe === this.#ending) continue;
      most = pipe.incompleteBytes;
      this.#favourite = pipe;
    }
    this.#favourite?.ledgerChanged();
  }
}

/** What sockets of one process send each other is their application's alone: it has no bound but the pipes' own. */
export const INPROC_LEDGER = new Ledger();
