/**
 * ○ Who waits for a task's outcome. An outcome is told only when it is on disk; between its end and that moment the task is
 * `settling`, and whoever asks then waits with the others instead of reading what is not yet written.
 */
import type { TaskState } from "./life-cycle.ts";

export interface Outcome {
  readonly id: number;
  /** done, dead or cancelled; unknown: its outcome is no longer kept. */
  readonly state: TaskState | "unknown";
  /** done: the result. dead: the last error, as text. cancelled: nothing. */
  readonly bytes: Uint8Array;
}

export interface Watcher {
  ended(outcome: Outcome): void;
  /** What the worker says of its progress; the newest replaces the one before. */
  progress?(id: number, bytes: Uint8Array): void;
  /** A part of the result, in order; all attempts' parts come. */
  partial?(id: number, bytes: Uint8Array): void;
}

interface Settling {
  readonly outcome: Outcome;
  readonly watchers: Set<Watcher>;
}

export class Watchers {
  readonly #live = new Map<number, Set<Watcher>>();
  readonly #settling = new Map<number, Settling>();

  add(id: number, watcher: Watcher): void {
    const settling = this.#settling.get(id);
    const watchers = settling?.watchers ?? this.#live.get(id);
    if (watchers) watchers.add(watcher);
    else this.#live.set(id, new Set([watcher]));
  }

  remove(id: number, watcher: Watcher): void {
    this.#settling.get(id)?.watchers.delete(watcher);
    const live = this.#live.get(id);
    if (live?.delete(watcher) && live.size === 0) this.#live.delete(id);
  }

  isSettling(id: number): boolean {
    return this.#settling.has(id);
  }

  progress(id: number, bytes: Uint8Array): void {
    for (const watcher of this.#live.get(id) ?? []) watcher.progress?.(id, bytes);
  }

  partial(id: number, bytes: Uint8Array): void {
    for (const watcher of this.#live.get(id) ?? []) watcher.partial?.(id, bytes);
  }

  /** The task has ended; the outcome is being written. */
  settle(outcome: Outcome): void {
    const watchers = this.#live.get(outcome.id) ?? new Set();
    this.#live.delete(outcome.id);
    this.#settling.set(outcome.id, { outcome, watchers });
  }

  /** The outcome is on disk. */
  settled(id: number): void {
    const settling = this.#settling.get(id);
    if (!settling) return;
    this.#settling.delete(id);
    for (const watcher of settling.watchers) watcher.ended(settling.outcome);
  }
}
