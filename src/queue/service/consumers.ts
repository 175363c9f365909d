/**
 * ○ Who wants tasks of which queue, and whose turn it is. A consumer has `slots` (tasks it works on at once) and `prefetch` (more
 * that it may have so as not to wait for the next). An idle slot anywhere goes before any prefetch, longest-waiting first; and
 * when an idle slot finds nothing ready, a prefetched task is recalled from the consumer that has the most.
 */
import type { LeaseOwner } from "../tasks/leases.ts";
import type { Owner } from "./guard.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";

/** One worker's subscription to one queue. */
export class Consumer {
  readonly queue: TaskQueue;
  readonly leaseOwner: LeaseOwner;
  readonly port: ConsumerPort;
  /** Its leases are written down, to be resumed after the broker or the connection was away. */
  readonly resumable: boolean;
  /** Its name and its protocol, for STATS. */
  readonly peer: string;
  readonly protocol: string;
  slots: number;
  prefetch: number;

  constructor(queue: TaskQueue, leaseOwner: LeaseOwner, options: ConsumerOptions) {
    const { port, slots, prefetch = 0, resumable = false, peer = "", protocol = "" } = options;
    this.queue = queue;
    this.leaseOwner = leaseOwner;
    this.port = port;
    this.resumable = resumable;
    this.peer = peer;
    this.protocol = protocol;
    this.slots = slots;
    this.prefetch = prefetch;
  }

  get held(): number {
    return this.leaseOwner.leases.count;
  }
}

export interface Delivery {
  readonly id: number;
  /** Fencing token: a result counts only with the newest one. */
  readonly token: number;
  readonly queue: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** 0 = no bound. */
  readonly timeoutMs: number;
  readonly body: Uint8Array;
}

/** How the worker of a consumer is told. */
export interface ConsumerPort {
  /** Its connection. */
  readonly owner?: Owner;
  task(delivery: Delivery): void;
  /** Stop: the lease is over (timeout, cancelled). */
  revoked(id: number, token: number, why: "timeout" | "cancelled"): void;
  /** Give it back, if work on it has not begun. */
  recall(id: number, token: number): void;
}

export interface ConsumerOptions {
  readonly port: ConsumerPort;
  readonly slots: number;
  readonly prefetch?: number;
  readonly resumable?: boolean;
  readonly peer?: string | undefined;
  readonly protocol?: string;
}

export class ConsumerRing {
  readonly #idle = new Set<Consumer>();
  readonly #spare = new Set<Consumer>();
  /** Those that hold more than their slots. */
  readonly #over = new Set<Consumer>();
  readonly #all = new Set<Consumer>();

  get size(): number {
    return this.#all.size;
  }

  get slots(): number {
    let slots = 0;
    for (const consumer of this.#all) slots += consumer.slots;
    return slots;
  }

  get idle(): boolean {
    return this.#idle.size > 0;
  }

  add(consumer: Consumer): void {
    this.#all.add(consumer);
    this.ranked(consumer);
  }

  remove(consumer: Consumer): void {
    for (const set of [this.#all, this.#idle, this.#spare, this.#over]) set.delete(consumer);
  }

  /** Its slots, prefetch or leases have changed: puts it where it now belongs, keeping its turn when that is where it was. */
  ranked(consumer: Consumer): void {
    if (!this.#all.has(consumer)) return;
    const { held, slots, prefetch } = consumer;
    put(this.#idle, consumer, held < slots);
    put(this.#spare, consumer, held >= slots && held < slots + prefetch);
    put(this.#over, consumer, held > slots);
  }

  /** Who gets the next task, or undefined. */
  next(): Consumer | undefined {
    for (const consumer of this.#idle) return consumer;
    for (const consumer of this.#spare) return consumer;
    return undefined;
  }

  /** It got a task: behind the others. */
  served(consumer: Consumer): void {
    this.#idle.delete(consumer);
    this.#spare.delete(consumer);
    this.ranked(consumer);
  }

  /** The one that has the most tasks beyond its slots, or undefined. */
  mostLoaded(): Consumer | undefined {
    let most: Consumer | undefined;
    for (const consumer of this.#over) {
      if (!most || consumer.held - consumer.slots > most.held - most.slots) most = consumer;
    }
    return most;
  }
}

function put(set: Set<Consumer>, consumer: Consumer, belongs: boolean): void {
  if (belongs) set.add(consumer);
  else set.delete(consumer);
}
