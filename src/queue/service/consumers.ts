/**
 * ○ Who wants tasks of which queue, and whose turn it is. A consumer has `slots` (tasks it works on at once) and `prefetch` (more
 * that it may have so as not to wait for the next). An idle slot anywhere goes before any prefetch, longest-waiting first; and
 * when an idle slot finds nothing ready, a prefetched task is recalled from the consumer that has the most. One that may have frozen
 * gets what nobody else can take, one task at a time, until it says something. A consumer that is
 * reserved for suspects gets nothing else, and neither do the others of its process: what kills a process kills all that runs in it.
 */
import type { LeaseOwner } from "../tasks/leases.ts";
import type { Owner } from "./guard.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";

/** A process with consumers: they die together. */
export class WorkerProcess {
  /** Whatever names it; undefined when it is known by its one consumer alone. */
  readonly name: unknown;
  readonly consumers = new Set<Consumer>();
  /** The one that is reserved for suspects. */
  reserved: Consumer | undefined;

  constructor(name: unknown) {
    this.name = name;
  }

  get isIdle(): boolean {
    for (const { held } of this.consumers) if (held > 0) return false;
    return true;
  }

  get held(): number {
    let held = 0;
    for (const consumer of this.consumers) held += consumer.held;
    return held;
  }
}

/** The processes with consumers, by whatever names them. */
export class WorkerProcesses {
  readonly #named = new Map<unknown, WorkerProcess>();

  /** @param name undefined: one of its own */
  of(name: unknown): WorkerProcess {
    const host = this.#named.get(name) ?? new WorkerProcess(name);
    if (name !== undefined) this.#named.set(name, host);
    return host;
  }

  leave(consumer: Consumer): void {
    const { consumers, name } = consumer.host;
    consumers.delete(consumer);
    if (consumers.size === 0) this.#named.delete(name);
  }
}

/** One worker's subscription to one queue. */
export class Consumer {
  readonly queue: TaskQueue;
  readonly host: WorkerProcess;
  readonly leaseOwner: LeaseOwner;
  readonly port: ConsumerPort;
  /** Its leases are written down, to be resumed after the broker or the connection was away. */
  readonly resumable: boolean;
  /** Its name and its protocol, for STATS. */
  readonly peer: string;
  readonly protocol: string;
  /** It says of each task that it has begun. Of another one the oldest tasks, as many as it works on at once, count as begun. */
  readonly saysBegun: boolean;
  #slots = 0;
  #slotsMost = 1;
  prefetch: number;
  /** It did not end a task in its time and has said nothing since: it may have frozen. */
  isDoubted = false;

  constructor(queue: TaskQueue, leaseOwner: LeaseOwner, host: WorkerProcess, options: ConsumerOptions) {
    const { port, slots, prefetch = 0, resumable = false, peer = "", protocol = "", saysBegun = false } = options;
    this.queue = queue;
    this.host = host;
    this.saysBegun = saysBegun;
    this.leaseOwner = leaseOwner;
    this.port = port;
    this.resumable = resumable;
    this.peer = peer;
    this.protocol = protocol;
    this.slots = slots;
    this.prefetch = prefetch;
  }

  get slots(): number {
    return this.#slots;
  }

  set slots(slots: number) {
    this.#slots = slots;
    this.#slotsMost = Math.max(slots, this.#slotsMost);
  }

  /** The most that it may have begun of what it has. */
  get slotsMost(): number {
    return this.#slotsMost;
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
  /** Steps of its handler are on record. */
  readonly hasSteps: boolean;
  /** The trace that it belongs to, and for how long it has waited for this worker. */
  readonly trace: { readonly traceparent: string; readonly waitedMs: number } | undefined;
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
  readonly saysBegun?: boolean;
  /** Its process, by whatever names it; left out: one of its own. */
  readonly host?: unknown;
  /** It is given nothing: it keeps what another consumer of its process has begun, when that one's connection breaks. */
  readonly keeps?: boolean;
}

export class ConsumerRing {
  readonly #idle = new Set<Consumer>();
  readonly #spare = new Set<Consumer>();
  /** Those that may have frozen and have nothing now: one task shows. */
  readonly #doubted = new Set<Consumer>();
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
    for (const set of [this.#all, this.#idle, this.#spare, this.#doubted, this.#over]) set.delete(consumer);
  }

  /** Its slots, prefetch or leases have changed: puts it where it now belongs, keeping its turn when that is where it was. */
  ranked(consumer: Consumer): void {
    if (!this.#all.has(consumer)) return;
    const { held, slots, prefetch, isDoubted } = consumer;
    const isOpen = consumer.host.reserved === undefined;
    put(this.#idle, consumer, isOpen && !isDoubted && held < slots);
    put(this.#spare, consumer, isOpen && !isDoubted && held >= slots && held < slots + prefetch);
    put(this.#doubted, consumer, isOpen && isDoubted && held === 0 && slots > 0);
    put(this.#over, consumer, held > slots);
  }

  /** Who gets the next task, or undefined. */
  next(): Consumer | undefined {
    for (const consumer of this.#idle) return consumer;
    for (const consumer of this.#spare) return consumer;
    for (const consumer of this.#doubted) return consumer;
    return undefined;
  }

  /** It got a task: behind the others. */
  served(consumer: Consumer): void {
    this.#idle.delete(consumer);
    this.#spare.delete(consumer);
    this.#doubted.delete(consumer);
    this.ranked(consumer);
  }

  /** Whose process has the least to do, of those that take tasks and are not reserved; or undefined. */
  leastLoaded(): Consumer | undefined {
    let least: Consumer | undefined;
    for (const consumer of this.#all) {
      if (consumer.slots === 0 || consumer.host.reserved) continue;
      if (!least || (least.isDoubted && !consumer.isDoubted)) least = consumer;
      else if (consumer.isDoubted === least.isDoubted && consumer.host.held < least.host.held) least = consumer;
    }
    return least;
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
