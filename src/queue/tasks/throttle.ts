/**
 * ○ Which queues and groups may start a task now. One at its rate is closed until a time, one at its concurrency until one of its
 * tasks stops; neither is looked at meanwhile. Invariants: what is closed until a time has a timer entry that is due no later; a
 * group whose starts still count against its rate is there, tasks or not.
 */
import { Heap } from "../../core/heap.ts";
import { NONE } from "./task-columns.ts";
import type { Group, ReadyKind, TaskQueue } from "./task-queue.ts";

interface Wake {
  readonly atMs: number;
  readonly queue: TaskQueue;
  readonly group: Group | undefined;
  /** Whether it opens what was closed, or looks whether the group's starts still count. */
  readonly opens: boolean;
}

export interface ThrottleListener {
  /** There may be something to take. */
  ready(queue: TaskQueue): void;
  /** Its starts no longer count. */
  startsForgotten(group: Group): void;
}

export class Throttle {
  readonly #listener: ThrottleListener;
  readonly #wakes = new Heap<Wake>({ before: (a, b) => a.atMs < b.atMs });

  constructor(listener: ThrottleListener) {
    this.#listener = listener;
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
    const row = queue.ready.take(which, nowMs, (group, untilMs) => this.#wake(untilMs, queue, group));
    if (row !== NONE) queue.limiter.started();
    return row;
  }

  /** Whether `take` would find something. */
  hasReady(queue: TaskQueue, which: ReadyKind): boolean {
    return queue.ready.isOpen(which) && !queue.settings.paused && queue.closedUntilMs === undefined;
  }

  /** A task was taken whose start counts against a rate: from now on, until a window after `gave`. */
  reserve(group: Group): void {
    group.queue.owner.limiter.reserve();
    group.limiter.reserve();
  }

  /** It was given out now, or may have been. */
  gave(group: Group, nowMs: number): void {
    const queue = group.queue.owner;
    queue.limiter.gave(queue.bounds.rate, nowMs);
    group.limiter.gave(queue.boundsOf(group).rate, nowMs);
    if (group.limiter.remembers) this.remember(group, nowMs);
    else group.queue.forget(group);
    this.#openIfInfinite(queue, group);
  }

  /** The group is there for as long as its starts count. While one is reserved that is not known: `gave` follows. */
  remember(group: Group, nowMs: number): void {
    const queue = group.queue.owner;
    const atMs = Math.max(nowMs, group.limiter.overMs(queue.boundsOf(group).rate));
    if (group.isRemembered || atMs === Infinity) return;
    group.isRemembered = true;
    this.#wakes.push({ atMs, queue, group, opens: false });
  }

  /** A task runs that was not taken here: it ran before the restart. */
  started(queue: TaskQueue, group: Group): void {
    group.limiter.started();
    queue.limiter.started();
  }

  /** A running task stopped: a queue or group that waited for that opens. */
  stopped(queue: TaskQueue, group: Group): void {
    group.limiter.stopped();
    queue.limiter.stopped();
    this.#openIfInfinite(queue, group);
  }

  /** The queue's bounds have changed: all opens, and closes again where it must. */
  openAll(queue: TaskQueue): void {
    queue.closedUntilMs = undefined;
    for (const group of queue.ready.groups()) queue.ready.unpark(group);
    this.#listener.ready(queue);
  }

  /** When `tick` has something to open or to forget, or undefined. */
  get deadlineMs(): number | undefined {
    return this.#wakes.peek()?.atMs;
  }

  tick(nowMs: number): void {
    for (let wake = this.#wakes.peek(); wake && wake.atMs <= nowMs; wake = this.#wakes.peek()) {
      this.#wakes.pop();
      if (!wake.opens) this.#forget(wake.group!, nowMs);
      else {
        if (wake.group) wake.queue.ready.unpark(wake.group);
        else wake.queue.closedUntilMs = undefined;
        this.#listener.ready(wake.queue);
      }
    }
  }

  /** Its newest start no longer counts, or others came meanwhile. */
  #forget(group: Group, nowMs: number): void {
    group.isRemembered = false;
    group.limiter.forget(group.queue.owner.boundsOf(group).rate, nowMs);
    if (group.limiter.remembers) this.remember(group, nowMs);
    else {
      group.queue.forget(group);
      this.#listener.startsForgotten(group);
    }
  }

  #openIfInfinite(queue: TaskQueue, group: Group): void {
    if (group.parkedUntilMs === Infinity) {
      queue.ready.unpark(group);
      this.#listener.ready(queue);
    }
    if (queue.closedUntilMs === Infinity) {
      queue.closedUntilMs = undefined;
      this.#listener.ready(queue);
    }
  }

  #wake(atMs: number, queue: TaskQueue, group: Group | undefined): void {
    if (atMs !== Infinity) this.#wakes.push({ atMs, queue, group, opens: true });
  }
}
