/**
 * ○ Group commit: one batch is being written while the next gathers, so that a slow disk makes batches larger and not answers
 * slower one after the other. What cannot be written is of two kinds: new tasks are refused, for their producers can keep them;
 * everything else (results, acknowledgements) is kept here in order and tried again until the disk takes it. Invariant: what
 * follows from a commit cannot fail it, nor what follows from another.
 */
import type { Clock } from "../core/clock.ts";
import { messageOf, OperationError } from "../core/errors.ts";
import type { StoreOp } from "./store.ts";

/** @typeParam Event what a commit tells of itself, for whoever records that */
export interface Commit<Event = never> {
  /** May grow until `taken` is told. */
  readonly ops: readonly StoreOp[];
  /** Refused instead of tried again when the store cannot write. */
  readonly refusable: boolean;
  /** What it does, in the order in which it is to be told; may grow as `ops` may. */
  readonly events?: readonly Event[];
  /** Called once: written, or (refusable ones only) why not. */
  readonly done: (error?: OperationError) => void;
  /** Called when it is about to be written or refused: no changes can be added to it any more. */
  readonly taken?: () => void;
}

/** Calls and never throws. */
export interface CallGuard {
  run(act: () => void): void;
}

/** What goes along with a batch, and is called once that is written, before its commits' `done`. */
export interface BatchRecord {
  readonly op: StoreOp | undefined;
  written(): void;
}

export interface GroupCommitOptions<Event = never> {
  /** Makes the record of a batch; one at a time: a batch that could not be written is recorded again with the next. */
  record?(events: readonly Event[]): BatchRecord;
  write(ops: readonly StoreOp[]): Promise<void>;
  readonly clock: Clock;
  /** Runs what must not fail its caller: an error of one commit's owner harms no other. */
  readonly guard: CallGuard;
  /** What is written, for people: "the queue's store". */
  readonly what: string;
  /** Told once when it cannot be written, and (undefined) when it can again, after so long. */
  troubled(trouble: OperationError | undefined, forMs: number): void;
  /** Called after each batch, when all its `done`s have run. */
  settled(): void;
  /** One commit a batch instead of as many as are there. */
  readonly single?: boolean;
  /** How long a write may take before new tasks are refused; undefined = as long as it takes. */
  patienceMs?(): number | undefined;
  /** Why new tasks are refused although the store writes; undefined = they are not. */
  full?(): string | undefined;
}

/** 4096 changes: about 10 ms of SQLite's time, so that nobody waits longer than that for the batch before. */
const BATCH_OPS_MAX = 4096;
/** 8 MiB: the same bound for large bodies. */
const BATCH_BYTES_MAX = 8 * 1024 ** 2;
/** 250 ms between tries while the disk is full: soon enough for a person who just made room. */
const RETRY_MS = 250;

export class GroupCommit<Event = never> {
  readonly #record: GroupCommitOptions<Event>["record"];
  readonly #write: (ops: readonly StoreOp[]) => Promise<void>;
  readonly #clock: Clock;
  readonly #guard: CallGuard;
  readonly #settled: () => void;
  readonly #single: boolean;
  readonly #patienceMs: () => number | undefined;
  readonly #full: () => string | undefined;
  readonly #what: string;
  readonly #tellTrouble: GroupCommitOptions<Event>["troubled"];
  #waiting: Commit<Event>[] = [];
  #writing: Promise<void> | undefined;
  #trouble: OperationError | undefined;
  #troubleSinceMs = 0;
  #idle: (() => void)[] = [];
  #batches = 0;
  #ops = 0;

  constructor({
    record,
    write,
    clock,
    guard,
    what,
    troubled,
    settled,
    single = false,
    patienceMs,
    full,
  }: GroupCommitOptions<Event>) {
    this.#record = record;
    this.#write = write;
    this.#clock = clock;
    this.#guard = guard;
    this.#what = what;
    this.#tellTrouble = troubled;
    this.#settled = () => guard.run(settled);
    this.#single = single;
    this.#patienceMs = patienceMs ?? (() => undefined);
    this.#full = full ?? (() => undefined);
  }

  /** Why the store cannot write at present, or undefined. */
  get trouble(): OperationError | undefined {
    return this.#trouble;
  }

  /** Why new tasks are refused at present, or undefined. */
  get refusal(): OperationError | undefined {
    const full = this.#full();
    return full === undefined ? this.#trouble : new OperationError("QUEUE_STORE_UNAVAILABLE", full);
  }

  /** Each commit is a batch of its own. */
  get single(): boolean {
    return this.#single;
  }

  get stats(): { batches: number; ops: number; waiting: number } {
    return { batches: this.#batches, ops: this.#ops, waiting: this.#waiting.length };
  }

  submit(commit: Commit<Event>): void {
    const refusal = commit.refusable ? this.refusal : undefined;
    if (refusal) {
      this.#done([commit], refusal);
      return;
    }
    this.#waiting.push(commit);
    this.#writing ??= this.#run();
  }

  /** Resolves when nothing waits. While the store cannot write, that is not before it can. */
  async drained(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    // What is submitted in the same turn goes into the first batch, not into the second.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#next();
      this.#take(batch);
      const ops = batch.length === 1 ? [...batch[0]!.ops] : batch.flatMap((commit) => commit.ops);
      const record = this.#recordOf(batch);
      if (record?.op) ops.push(record.op);
      const wasFull = this.#full() !== undefined;
      try {
        await this.#writeUntilPatienceEnds(this.#write(ops));
      } catch (error) {
        if (!wasFull && this.#full() !== undefined) {
          // The store has given up its reserve: what is not new goes on at once.
          this.#refuse(batch, this.refusal!);
          this.#settled();
          continue;
        }
        this.#troubled(batch, error);
        this.#settled();
        if (this.#waiting.length > 0) await this.#pause();
        continue;
      }
      if (this.#trouble) this.#recovered();
      this.#batches += 1;
      this.#ops += ops.length;
      if (record) this.#guard.run(record.written);
      this.#done(batch);
      this.#settled();
    }
    this.#writing = undefined;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** What waits behind a write that takes too long is refused; the write itself goes on. */
  async #writeUntilPatienceEnds(writing: Promise<void>): Promise<void> {
    const patienceMs = this.#patienceMs();
    if (patienceMs === undefined) return writing;
    const cancel = this.#clock.at(this.#clock.now() + patienceMs, () => {
      this.#troubled([], new OperationError("QUEUE_STORE_UNAVAILABLE", `no answer within ${patienceMs} ms`));
      this.#settled();
    });
    try {
      return await writing;
    } finally {
      cancel();
    }
  }

  #recordOf(batch: readonly Commit<Event>[]): BatchRecord | undefined {
    const events = batch.flatMap((commit) => commit.events ?? []);
    return events.length > 0 ? this.#record?.(events) : undefined;
  }

  #next(): Commit<Event>[] {
    if (this.#single) return this.#waiting.splice(0, 1);
    let ops = 0;
    let bytes = 0;
    let count = 0;
    for (const commit of this.#waiting) {
      if (count > 0 && (ops + commit.ops.length > BATCH_OPS_MAX || bytes > BATCH_BYTES_MAX)) break;
      for (const op of commit.ops)
        bytes += op.kind === "add" || op.kind === "rewrite" ? op.body.length : op.kind === "end" ? op.result.length : 0;
      ops += commit.ops.length;
      count += 1;
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }

  #recovered(): void {
    this.#trouble = undefined;
    this.#tellTrouble(undefined, Math.round(this.#clock.now() - this.#troubleSinceMs));
  }

  #troubled(batch: readonly Commit<Event>[], error: unknown): void {
    const isNew = !this.#trouble;
    this.#trouble = new OperationError("QUEUE_STORE_UNAVAILABLE", `Cannot write ${this.#what}: ${messageOf(error)}`, {
      cause: error,
    });
    if (isNew) {
      this.#troubleSinceMs = this.#clock.now();
      this.#tellTrouble(this.#trouble, 0);
    }
    this.#refuse(batch, this.refusal!);
    // With nothing to try again, an empty batch finds out when the store can write again.
    if (this.#waiting.length === 0 && batch.length > 0) this.#waiting.push({ ops: [], refusable: false, done: () => {} });
  }

  /** Of these and of what waits the new tasks are refused. */
  #refuse(batch: readonly Commit<Event>[], refusal: OperationError): void {
    this.#take(this.#waiting);
    const all = [...batch, ...this.#waiting];
    this.#waiting = all.filter((commit) => !commit.refusable);
    this.#done(
      all.filter((commit) => commit.refusable),
      refusal,
    );
  }

  #take(commits: readonly Commit<Event>[]): void {
    for (const { taken } of commits) if (taken) this.#guard.run(taken);
  }

  #done(commits: readonly Commit<Event>[], error?: OperationError): void {
    for (const { done } of commits) this.#guard.run(() => done(error));
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#clock.at(this.#clock.now() + RETRY_MS, resolve);
    });
  }
}
