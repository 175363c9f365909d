/**
 * ○ ReadyKind queues and groups may start a task now. One at its rate is closed until a time, one at its concurrency until one of its
 * tasks stops; neither is looked at meanwhile. Invariant: what is closed until a time has a timer entry that is due no later.
 */
import { Heap } from "../../core/heap.ts";
import { NONE } from "./task-columns.ts";
import type { Group, TaskQueue, ReadyKind } from "./task-queue.ts";

type Wake = { readonly atMs: number; readonly queue: TaskQueue; readonly group: Group | undefined };

export class Throttle {
  readonly #opened: (queue: TaskQueue) => void;
  readonly #wakes = new Heap<Wake>({ before: (a, b) => a.atMs < b.atMs });

  /** @param opened told when there may be something to take */
  constructor(opened: (queue: TaskQueue) => void) {
    this.#opened = opened;
  }

  /** Takes the ready row whose turn it is and counts it as running; 0 when none may start now. */
  take(queue: TaskQueue, which: ReadyKind, nowMs: number): number {
    if (queue.settings.paused) return NONE;
    if (queue.closedUntilMs !== undefined) return NONE;
    const opensMs = queue.limiter.opensMs(queue.bounds, nowMs);
    if (opensMs > nowMs) {
      queue.closedUntilMs = opensMs;
      this.#wake(opensMs, queue, undefined);
      return NONE;
    }
    const row = queue.ready.take(which, queue.groupBounds, nowMs, (group, untilMs) => this.#wake(untilMs, queue, group));
    if (row !== NONE) queue.limiter.started(queue.bounds);
    return row;
  }

  /** Whether `take` would find something. */
  hasReady(queue: TaskQueue, which: ReadyKind): boolean {
    return queue.ready.isOpen(which) && !queue.settings.paused && queue.closedUntilMs === undefined;
  }

  /** A task runs that was not taken here: it ran before the restart. */
  started(queue: TaskQueue, group: Group): void {
    group.limiter.started(queue.groupBounds);
    queue.limiter.started(queue.bounds);
  }

  /** A running task stopped: a queue or group that waited for that opens. */
  stopped(queue: TaskQueue, group: Group): void {
    group.limiter.stopped();
    queue.limiter.stopped();
    if (group.parkedUntilMs === Infinity) {
      queue.ready.unpark(group);
      this.#opened(queue);
    }
    if (queue.closedUntilMs === Infinity) {
      queue.closedUntilMs = undefined;
      this.#opened(queue);
    }
  }

  /** The queue's bounds have changed: all opens, and closes again where it must. */
  openAll(queue: TaskQueue): void {
    queue.closedUntilMs = undefined;
    for (const group of queue.ready.groups()) queue.ready.unpark(group);
    this.#opened(queue);
  }

  /** When `tick` has something to open, or undefined. */
  get deadlineMs(): number | undefined {
    return this.#wakes.peek()?.atMs;
  }

  tick(nowMs: number): void {
    for (let wake = this.#wakes.peek(); wake && wake.atMs <= nowMs; wake = this.#wakes.peek()) {
      this.#wakes.pop();
      if (wake.group) wake.queue.ready.unpark(wake.group);
      else wake.queue.closedUntilMs = undefined;
      this.#opened(wake.queue);
    }
  }

  #wake(atMs: number, queue: TaskQueue, group: Group | undefined): void {
    if (atMs !== Infinity) this.#wakes.push({ atMs, queue, group });
  }
}
