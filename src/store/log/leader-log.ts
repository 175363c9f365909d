/**
 * ● One term of leadership as a store: what is written is appended to the log right behind what this leader knows to be its end.
 * Once another has written there the term is over: nothing that was asked is answered any more, as after a crash. Invariant: an
 * entry is in the replica after it is in the log, and in the same order.
 */
import { factBytes } from "../facts.ts";
import { setImmediate as pause } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { encodeOps } from "../op-codec.ts";
import type { Inspection, StoredEvents, StoredTask, Store, StoreOp, StoreOpening } from "../store.ts";
import { LogCompaction } from "./log-compaction.ts";
import { BATCH, type EntryHead } from "./log-codec.ts";
import type { LogInfo, GroupLog } from "./log.ts";
import type { Replica } from "./replica.ts";

export interface LeaderLogOptions<State> {
  readonly log: GroupLog;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly writer: string;
  readonly epoch: number;
  /** Where the log ends: this term's `lead`. */
  readonly lastSequence: number;
  /** The log as it was shortly before. */
  readonly info: LogInfo;
  readonly compactionFloorBytes?: number | undefined;
  nextSerial(): number;
  /** All tasks as the replica has them, if they are in memory. */
  standby(): Promise<State | undefined>;
  /** Another leads. Told once. */
  lost(): void;
  message(text: string): void;
}

/** 2 s: by then a cluster that did not just lose a server has answered. */
const PATIENCE_MS = 2000;
/** 256 KiB of copies with each batch: a round of a gigabyte takes some thousand batches, and none of them waits long for it. */
const PORTION_BYTES = 256 * 1024;
/** What JetStream keeps of a message beside its bytes: subject, headers and its own record, about this much. */
const MESSAGE_OVERHEAD_BYTES = 150;

export class LeaderLog<State = never> implements Store<State> {
  readonly patienceMs = PATIENCE_MS;
  readonly #options: LeaderLogOptions<State>;
  readonly #log: GroupLog;
  readonly #replica: Replica;
  readonly #compaction: LogCompaction;
  #lastSequence: number;
  #lastId: number;
  /** When the last append that succeeded was sent, in the clock's ms. */
  #surelyLedMs: number;
  #unansweredMs = Infinity;
  #turn: Promise<void> = Promise.resolve();
  /** The last task that the round has copied. */
  #copied = 0;
  #over = false;
  #closing = false;

  constructor(options: LeaderLogOptions<State>) {
    this.#options = options;
    this.#log = options.log;
    this.#replica = options.replica;
    this.#lastSequence = options.lastSequence;
    this.#lastId = options.replica.lastId;
    this.#surelyLedMs = options.clock.now();
    const { info, compactionFloorBytes } = options;
    const floor = compactionFloorBytes === undefined ? {} : { floorBytes: compactionFloorBytes };
    this.#compaction = new LogCompaction({ bytesMax: info.bytesMax, ...floor }, info.bytes);
  }

  /** Whether another has taken over. */
  get isOver(): boolean {
    return this.#over;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** No other can have led before this, in the clock's ms. */
  get surelyLedMs(): number {
    return this.#surelyLedMs;
  }

  /** When the append was sent that has no outcome yet, in the clock's ms; Infinity when there is none. */
  get unansweredMs(): number {
    return this.#unansweredMs;
  }

  get logBytes(): number {
    return this.#compaction.logBytes;
  }

  async open(): Promise<StoreOpening<State>> {
    const { epoch } = this.#options;
    const standby = await this.#options.standby();
    const { lastId, settings, lastEvent } = this.#replica;
    return { epoch, lastId, settings: new Map(settings), lastEvent, standby };
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.#replica.tasks();
  }

  write(ops: readonly StoreOp[]): Promise<void> {
    return this.#inTurn(async () => {
      const liveBytes = bytesOf(ops);
      if (ops.some(({ kind }) => kind === "add" || kind === "keep") && !this.#compaction.hasRoom(liveBytes)) {
        if (this.#compaction.isDue) this.#startCompaction();
        throw new OperationError("QUEUE_STORE_FULL", "The queue's log is nearly full; the rest is reserved for results");
      }
      await this.#append(ops, { liveBytes });
      if (this.#compaction.isDue) this.#startCompaction();
    });
  }

  async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#replica.read(ids);
  }

  async inspect(id: number): Promise<Inspection | undefined> {
    return this.#replica.inspect(id);
  }

  async events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    return this.#replica.events(from, bytesMax);
  }

  /** Makes sure that this still leads: an entry without changes goes through. Never resolves when it does not. */
  confirm(): Promise<void> {
    return this.#inTurn(() => this.#append([], {}));
  }

  /** It is known that another leads: the outcome of the append under way is read from the log by the follower. */
  end(): void {
    this.#over = true;
  }

  /** Waits for what is being written. The log and the replica stay open. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#over) return;
    await this.#turn;
  }

  /** One at a time, in the order asked. */
  async #inTurn(act: () => Promise<void>): Promise<void> {
    const before = this.#turn;
    const turn = Promise.withResolvers<void>();
    this.#turn = turn.promise;
    await before;
    try {
      await act();
    } finally {
      turn.resolve();
    }
  }

  async #append(ops: readonly StoreOp[], { copiedBytes = 0, liveBytes = 0 }): Promise<void> {
    if (this.#over) return this.#never();
    await this.#replica.room();
    for (const op of ops) if ((op.kind === "add" || op.kind === "keep") && op.id > this.#lastId) this.#lastId = op.id;
    const { clock, epoch, writer } = this.#options;
    const head: EntryHead = { kind: BATCH, epoch, serial: this.#options.nextSerial(), writer, lastId: this.#lastId };
    const payload = encodeOps(ops);
    const sentMs = clock.now();
    this.#unansweredMs = sentMs;
    const appended = await this.#log.append(head, payload, this.#lastSequence).finally(() => (this.#unansweredMs = Infinity));
    if (this.#over) return this.#never();
    if (appended.kind === "fenced") {
      this.#over = true;
      this.#options.lost();
      return this.#never();
    }
    const messages = appended.sequence - this.#lastSequence;
    this.#lastSequence = appended.sequence;
    if (appended.kind === "refused") throw appended.error;
    this.#surelyLedMs = sentMs;
    this.#compaction.wrote({ bytes: payload.length + messages * MESSAGE_OVERHEAD_BYTES, copiedBytes, liveBytes });
    this.#taken(appended.sequence, head, ops);
  }

  /** It is in the log: whatever is wrong with this broker's copy, it is written, and must not be appended again. */
  #taken(sequence: number, head: EntryHead, ops: readonly StoreOp[]): void {
    try {
      this.#replica.take(sequence, head, ops);
    } catch (error) {
      this.#options.message(`program error: the local copy did not take entry ${sequence}: ${stackOf(error)}`);
    }
  }

  #never(): Promise<never> {
    return new Promise(() => {});
  }

  // ---- compaction

  #startCompaction(): void {
    this.#compaction.begin(this.#lastSequence + 1);
    this.#copied = 0;
    void this.#compact();
  }

  /** Copies portion after portion; between two of them others write. */
  async #compact(): Promise<void> {
    const { message } = this.#options;
    try {
      await this.#inTurn(() => this.#append(this.#settings(), {}));
      while (!this.#closing && (await this.#copy())) await pause();
      if (this.#closing || this.#over) return;
      const sequence = this.#compaction.end();
      await this.#log.purgeBefore(sequence);
      this.#compaction.measured((await this.#log.info()).bytes);
      message(`the log was compacted up to ${sequence}; it holds ${this.#compaction.logBytes} bytes`);
    } catch (error) {
      message(`the log could not be compacted: ${String(error)}`);
      if (this.#compaction.isRunning) this.#compaction.end();
    }
  }

  /** @returns whether there was anything left to copy */
  async #copy(): Promise<boolean> {
    let last: StoreOp | undefined;
    await this.#inTurn(async () => {
      // Read and appended in one turn: no change of a task comes between its reading and its copy.
      const portion = await this.#replica.whole(this.#copied, PORTION_BYTES);
      last = portion.at(-1);
      if (last) await this.#append(portion, { copiedBytes: bytesOf(portion) });
    });
    if (last?.kind === "keep") this.#copied = last.id;
    return last !== undefined;
  }

  #settings(): StoreOp[] {
    return [...this.#replica.settings].map(([name, value]): StoreOp => ({ kind: "set", name, value }));
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function bytesOf(ops: readonly StoreOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.kind === "add" || op.kind === "keep" || op.kind === "rewrite")
      bytes += 21 + op.head.length + op.state.length + op.body.length;
    else if (op.kind === "end") bytes += 17 + op.state.length + op.result.length;
    if (op.kind === "keep") bytes += factBytes(op.facts);
  }
  return bytes;
}
