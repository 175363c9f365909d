/**
 * ○ Who waits for a task's outcome. An outcome is told only when it is on disk; between its end and that moment the task is
 * `settling`, and whoever asks then waits with the others instead of reading what is not yet written.
 */
import type { OutcomeState } from "../tasks/life-cycle.ts";

export interface Outcome {
  readonly id: number;
  readonly state: OutcomeState;
  /** completed: the result. dead: the last error, as text. cancelled: nothing. */
  readonly bytes: Uint8Array;
}

export interface OutcomeWatcher {
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

export class OutcomeWatchers {
  readonly #live = new Map<number, WatcherOrMore>();
  readonly #settling = new Map<number, Settling>();

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

  progress(id: number, bytes: Uint8Array): void {
    for (const watcher of all(this.#live.get(id))) watcher.progress?.(id, bytes);
  }

  partial(id: number, bytes: Uint8Array): void {
    for (const watcher of all(this.#live.get(id))) watcher.partial?.(id, bytes);
  }

  /** The task has ended; the outcome is being written. */
  settle(outcome: Outcome): void {
    this.#settling.set(outcome.id, { outcome, watchers: this.#live.get(outcome.id) });
    this.#live.delete(outcome.id);
  }

  /** The outcome is on disk. */
  settled(id: number): void {
    const settling = this.#settling.get(id);
    if (!settling) return;
    this.#settling.delete(id);
    for (const watcher of all(settling.watchers)) watcher.ended(settling.outcome);
  }
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
