/**
 * ○ Keeps consumers free for suspects: tasks whose workers died twice while they had begun (SUSPECT_LOSSES). A suspect is given to a
 * consumer whose process has nothing else, and nothing is given to that process until it has ended, so that of all that dies with
 * a process at most one is innocent: the suspect itself. Where all processes are at work the one that has the least is let run
 * empty. Invariant: a consumer is reserved while a suspect of its queue waits or runs, and at most half of a queue's consumers are, but
 * always one may be: suspects hold up the others as little as the others hold them up.
 */
import type { Consumer, ConsumerRing } from "./consumers.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";

/** The suspects of one queue. */
export interface WaitingSuspects {
  /** Whether one could be given out. */
  wait(): boolean;
  /** Gives one to this consumer. @returns false when a bound was met: none may start now */
  give(consumer: Consumer): boolean;
}

export class Suspects {
  readonly #ranked: (consumer: Consumer) => void;
  /** By queue the reserved consumers, and whether each runs a suspect now. */
  readonly #reserved = new Map<TaskQueue, Map<Consumer, boolean>>();

  /** @param ranked told of each consumer that is open or closed to other tasks from now on */
  constructor(ranked: (consumer: Consumer) => void) {
    this.#ranked = ranked;
  }

  /** Gives out suspects where that can be, and reserves or lets go consumers as that requires. */
  dispatch(queue: TaskQueue, ring: ConsumerRing, suspects: WaitingSuspects): void {
    const reserved = this.#reserved.get(queue);
    for (const [consumer, runs] of reserved ?? []) {
      if (runs && consumer.held > 0) continue;
      if (consumer.slots === 0 || !suspects.wait()) this.release(consumer);
      else this.#giveIfIdle(consumer, suspects);
    }
    const most = Math.max(1, Math.floor(ring.size / 2));
    while ((this.#reserved.get(queue)?.size ?? 0) < most && suspects.wait()) {
      const consumer = ring.leastLoaded();
      if (!consumer) return;
      this.#reserve(consumer, false);
      this.#giveIfIdle(consumer, suspects);
    }
  }

  /** It has a suspect from before its connection broke. */
  resumed(consumer: Consumer): void {
    if (!consumer.host.reserved) this.#reserve(consumer, true);
  }

  /** It is open to all tasks again, or has left. */
  release(consumer: Consumer): void {
    const { host, queue } = consumer;
    if (host.reserved !== consumer) return;
    host.reserved = undefined;
    const reserved = this.#reserved.get(queue)!;
    reserved.delete(consumer);
    if (reserved.size === 0) this.#reserved.delete(queue);
    for (const each of host.consumers) this.#ranked(each);
  }

  #reserve(consumer: Consumer, runs: boolean): void {
    const { host, queue } = consumer;
    host.reserved = consumer;
    const reserved = this.#reserved.get(queue);
    if (reserved) reserved.set(consumer, runs);
    else this.#reserved.set(queue, new Map([[consumer, runs]]));
    for (const each of host.consumers) this.#ranked(each);
  }

  #giveIfIdle(consumer: Consumer, suspects: WaitingSuspects): void {
    if (!consumer.host.isIdle) return;
    if (suspects.give(consumer)) this.#reserved.get(consumer.queue)!.set(consumer, true);
    else this.release(consumer);
  }
}
