/**
 * ○ How tasks ended, told to whoever waits for it. An outcome is told only when it is on disk; between its end and that moment the
 * task is `settling`, and whoever asks then waits with the others instead of reading what is not yet written. What ended earlier is
 * read back from the store.
 */
import { EMPTY, utf8 } from "../../core/bytes.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import { HoldfastError, messageOf, OperationError } from "../../core/errors.ts";
import type { BodyReading } from "./body-reads.ts";
import type { Owner } from "./guard.ts";
import type { LeaseRef } from "./dispatcher.ts";
import { LastProgress } from "./last-progress.ts";
import type { ServiceContext } from "./service-context.ts";
import type { Journal } from "./journal.ts";
import { type EndedState, isEnded, type OutcomeState } from "../tasks/life-cycle.ts";
import { errorTexts } from "../../store/facts.ts";
import { decodeAttemptError } from "./attempt-error.ts";
import { ATTEMPTS, ID, NONE, TOKEN } from "../tasks/task-columns.ts";

/** 1 KiB of progress is told to those who listen to a queue; all of it to those who watch the task. */
const PROGRESS_TOLD_BYTES_MAX = 1024;

export interface Outcome {
  readonly id: number;
  readonly state: OutcomeState;
  /** completed: the result. dead, or a code: the last error, as text. cancelled: nothing. */
  readonly bytes: Uint8Array;
  /** dead: QUEUE_TASK_DAMAGED where that is why. unknown: why it cannot be told now. */
  readonly code?: ErrorCode | undefined;
}

export interface OutcomeWatcher {
  /** The connection of the peer that watches. */
  readonly owner?: Owner | undefined;
  ended(outcome: Outcome): void;
  /** What the worker says of its progress; the newest replaces the one before. */
  progress?(id: number, bytes: Uint8Array): void;
  /** A part of the result, in order; all attempts' parts come. */
  partial?(id: number, bytes: Uint8Array): void;
}

/** Mostly one; a set only where there are more. */
type WatcherOrMore = OutcomeWatcher | Set<OutcomeWatcher>;

interface Settling {
  readonly outcome: Outcome;
  watchers: WatcherOrMore | undefined;
}

export class Outcomes {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #live = new Map<number, WatcherOrMore>();
  readonly #settling = new Map<number, Settling>();
  readonly #progress = new LastProgress();

  constructor(context: ServiceContext, journal: Journal) {
    this.#context = context;
    this.#journal = journal;
  }

  /**
   * Tells the outcome once the task has ended and that is on disk; at once when it is already. Of an active task the last progress
   * is told first.
   *
   * @returns false when no such task is known
   */
  watch(id: number, watcher: OutcomeWatcher): boolean {
    if (this.isSettling(id)) {
      this.add(id, watcher);
      return true;
    }
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row === NONE) return false;
    const state = stateMachine.state(row);
    if (!isEnded(state)) {
      this.add(id, watcher);
      if (state === "active") this.#catchUp({ id, token: stateMachine.table.f(row, TOKEN) }, watcher);
    } else if (state === "completed" && stateMachine.isEvicted(row)) this.tell(watcher, { id, state: "evicted", bytes: EMPTY });
    else void this.#readBack(row, state, watcher);
    return true;
  }

  /** For a task that is known not to have been told yet. */
  add(id: number, watcher: OutcomeWatcher): void {
    const settling = this.#settling.get(id);
    if (settling) settling.watchers = withOne(settling.watchers, watcher);
    else this.#live.set(id, withOne(this.#live.get(id), watcher));
  }

  remove(id: number, watcher: OutcomeWatcher): void {
    const settling = this.#settling.get(id);
    if (settling) settling.watchers = withoutOne(settling.watchers, watcher);
    const left = withoutOne(this.#live.get(id), watcher);
    if (left) this.#live.set(id, left);
    else this.#live.delete(id);
  }

  isSettling(id: number): boolean {
    return this.#settling.has(id);
  }

  /** Resolves once the ends of these that are there are on disk: until then the store has their bodies in the place of their results. */
  async onDisk(ids: readonly number[]): Promise<void> {
    while (ids.some((id) => this.isSettling(id))) {
      const written = new Promise<void>((resolve) => this.#journal.afterwards(resolve));
      this.#context.flush();
      await written;
    }
  }

  progress(lease: LeaseRef, bytes: Uint8Array): void {
    const { guard } = this.#context;
    const { id } = lease;
    this.#progress.said(lease, bytes);
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    const queue = stateMachine.queueOf(row).name;
    const attempt = stateMachine.table.u(row, ATTEMPTS) + 1;
    const { ring } = this.#context;
    if (ring.isWanted("progress", queue))
      ring.live({ event: "progress", id, queue, attempt, said: bytes.slice(0, PROGRESS_TOLD_BYTES_MAX) });
    for (const watcher of all(this.#live.get(id))) guard.run(() => watcher.progress?.(id, bytes), watcher.owner, id);
  }

  /** The newest progress under this lease. */
  newestProgress(lease: LeaseRef): Uint8Array | undefined {
    return this.#progress.of(lease);
  }

  /** One who comes late is told where the task is. */
  #catchUp(lease: LeaseRef, watcher: OutcomeWatcher): void {
    const last = this.#progress.of(lease);
    if (last) this.#context.guard.run(() => watcher.progress?.(lease.id, last), watcher.owner, lease.id);
  }

  partial(id: number, bytes: Uint8Array): void {
    const { guard } = this.#context;
    for (const watcher of all(this.#live.get(id))) guard.run(() => watcher.partial?.(id, bytes), watcher.owner, id);
  }

  /** A task ended: that is written, then told. */
  ended(row: number, state: EndedState, result: Uint8Array | undefined): void {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    if (state === "dead") {
      const facts = { task: id, queue: stateMachine.queueOf(row).name, reason: stateMachine.deadReason(row) };
      this.#context.log("queue.task-dead", facts);
    }
    this.#journal.ended(row, state, result);
    const bytes = state === "completed" ? result! : state === "dead" ? utf8(this.#journal.errorOf(id)) : EMPTY;
    this.#settling.set(id, { outcome: this.#outcome(row, state, bytes), watchers: this.#live.get(id) });
    this.#live.delete(id);
    this.#progress.forget(id);
    this.#journal.afterwards(() => this.#settled(id));
  }

  /** The outcome is on disk. */
  #settled(id: number): void {
    const settling = this.#settling.get(id);
    if (!settling) return;
    this.#settling.delete(id);
    this.#context.events.note(id, "outcomeStored", this.#journal.storedMs);
    const { watchers, outcome } = settling;
    if (watchers instanceof Set) for (const watcher of watchers) this.tell(watcher, outcome);
    else if (watchers) this.tell(watchers, outcome);
  }

  /** Tells one watcher. */
  tell(watcher: OutcomeWatcher, outcome: Outcome): void {
    this.#context.guard.run(() => watcher.ended(outcome), watcher.owner, outcome.id);
  }

  async #readBack(row: number, state: EndedState, watcher: OutcomeWatcher): Promise<void> {
    const { reads, flush } = this.#context;
    const id = this.#context.stateMachine().table.f(row, ID);
    const { code } = this.#outcome(row, state, EMPTY);
    const reading = state === "completed" ? await reads.result(id) : state === "dead" ? await this.#lastError(id) : EMPTY;
    if (reading instanceof Uint8Array) this.tell(watcher, { id, state, bytes: reading, ...(code && { code }) });
    else if (reading) this.tell(watcher, { id, state: "unknown", bytes: utf8(reading.message), code: reading.code });
    else this.#unreadable(id, watcher);
    flush();
  }

  async #lastError(id: number): Promise<BodyReading> {
    try {
      return utf8(lastError(errorTexts((await this.#context.store.inspect(id))?.facts)));
    } catch (error) {
      return error instanceof HoldfastError ? error : new OperationError("QUEUE_STORE_UNAVAILABLE", messageOf(error));
    }
  }

  /** Its result is not what was written, or it was forgotten meanwhile. */
  #unreadable(id: number, watcher: OutcomeWatcher): void {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.find(id);
    if (row !== NONE && stateMachine.state(row) === "completed") this.#context.damaged(row, "its result in the store");
    if (!this.watch(id, watcher)) this.tell(watcher, { id, state: "unknown", bytes: EMPTY });
  }

  #outcome(row: number, state: EndedState, bytes: Uint8Array): Outcome {
    const stateMachine = this.#context.stateMachine();
    const id = stateMachine.table.f(row, ID);
    return stateMachine.isDamaged(row) ? { id, state, bytes, code: "QUEUE_TASK_DAMAGED" } : { id, state, bytes };
  }
}

function lastError(texts: readonly string[]): string {
  const text = texts.at(-1);
  return text === undefined ? "" : decodeAttemptError(text).error;
}

function withOne(watchers: WatcherOrMore | undefined, watcher: OutcomeWatcher): WatcherOrMore {
  if (watchers === undefined || watchers === watcher) return watcher;
  if (watchers instanceof Set) return watchers.add(watcher);
  return new Set([watchers, watcher]);
}

function withoutOne(watchers: WatcherOrMore | undefined, watcher: OutcomeWatcher): WatcherOrMore | undefined {
  if (!(watchers instanceof Set)) return watchers === watcher ? undefined : watchers;
  watchers.delete(watcher);
  return watchers.size > 0 ? watchers : undefined;
}

function all(watchers: WatcherOrMore | undefined): Iterable<OutcomeWatcher> {
  if (watchers === undefined) return NOBODY;
  return watchers instanceof Set ? watchers : [watchers];
}

const NOBODY: readonly OutcomeWatcher[] = [];
