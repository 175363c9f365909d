/**
 * ○ Who works on what: gives tasks out to the consumers of their queue, takes leases back from those that leave, and has long
 * leases written down. Gives out nothing while the store is in trouble. What is asked for a consumer that has left does nothing.
 * Invariant: when `giveOut` runs after `gather`, each
 * consumer has the place in its ring that its leases give it.
 */
import { EMPTY } from "../../core/bytes.ts";
import { HoldfastError, readable } from "../../core/errors.ts";
import type { Journal } from "./journal.ts";
import type { ServiceContext } from "./service-context.ts";
import { Consumer, type ConsumerOptions, ConsumerRing, type Delivery, WorkerProcesses } from "./consumers.ts";
import { Suspects } from "./suspects.ts";
import type { Revocation } from "../tasks/task-state-machine-listener.ts";
import { LEASE_WRITE_MS } from "../limits.ts";
import { WorkerRegistry, type WorkerRegistryStats } from "./worker-registry.ts";
import { ATTEMPTS, BODY_BYTES, ID, NONE, TOKEN } from "../tasks/task-columns.ts";
import type { Group, ReadyKind, TaskQueue } from "../tasks/task-queue.ts";
import { decodeHead } from "../tasks/task-record.ts";

/** What a worker names when it speaks of a task that it has. */
export interface LeaseRef {
  readonly id: number;
  readonly token: number;
}

/** A task that was taken and is not given out yet. */
interface Taken extends LeaseRef {
  readonly row: number;
  readonly consumer: Consumer;
  /** In a queue with a rate: whose start was reserved. */
  readonly start: Group | undefined;
}

/** A consumer that is to be told that it no longer has a lease. */
interface Revoked extends LeaseRef {
  readonly consumer: Consumer;
  readonly why: Revocation;
}

export class Dispatcher {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #rings = new Map<TaskQueue, ConsumerRing>();
  readonly #consumers = new Map<number, Consumer>();
  readonly #workers = new WorkerRegistry();
  readonly #hosts = new WorkerProcesses();
  readonly #suspects = new Suspects((consumer) => this.#ranked(consumer));
  /** Queues where something may be given out. */
  readonly #dirty = new Set<TaskQueue>();
  /** Queues where something could be given out, were it not for the store. */
  readonly #stalled = new Set<TaskQueue>();
  /** Consumers whose leases changed and that are not ranked again yet. */
  readonly #unranked = new Set<Consumer>();
  /** Leases taken from their owners, who are not told yet. */
  #revoked: Revoked[] = [];
  /** Leases that are written down when they have lasted a while: [when, id, token]. */
  #leases: { readonly atMs: number; readonly id: number; readonly token: number }[] = [];
  readonly #recalled = new Set<number>();

  constructor(context: ServiceContext, journal: Journal) {
    this.#context = context;
    this.#journal = journal;
  }

  // ---- consumers

  consume(queueName: string, options: ConsumerOptions): Consumer {
    const stateMachine = this.#context.stateMachine();
    const queue = stateMachine.queue(queueName);
    const { host, keeps = false, peer = "" } = options;
    const consumer = new Consumer(queue, stateMachine.addLeaseOwner({ keeps, worker: peer }), this.#hosts.of(host), options);
    consumer.host.consumers.add(consumer);
    this.#consumers.set(consumer.leaseOwner.index, consumer);
    if (keeps) return consumer;
    this.#workers.joined(consumer, this.#context.nowMs());
    let ring = this.#rings.get(queue);
    if (!ring) this.#rings.set(queue, (ring = new ConsumerRing()));
    ring.add(consumer);
    queue.consumers = ring.size;
    this.#dirty.add(queue);
    return consumer;
  }

  adjust(consumer: Consumer, { slots, prefetch }: { slots: number; prefetch: number }): void {
    if (!this.#isHere(consumer)) return;
    consumer.slots = slots;
    consumer.prefetch = prefetch;
    this.#ranked(consumer);
  }

  leave(consumer: Consumer, { lost }: { lost: boolean }): void {
    if (!this.#isHere(consumer)) return;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    this.#workers.left(consumer, { nowMs, lost });
    const ring = this.#rings.get(consumer.queue);
    if (ring) {
      ring.remove(consumer);
      consumer.queue.consumers = ring.size;
      if (ring.size === 0) this.#rings.delete(consumer.queue);
    }
    const rows = [...consumer.leaseOwner.leases.rows()];
    for (let place = rows.length - 1; place >= 0; place -= 1) {
      const row = rows[place]!;
      this.#recalled.delete(stateMachine.table.f(row, ID));
      const hasBegun = consumer.saysBegun ? stateMachine.hasBegun(row) : place < consumer.slotsMost;
      const kind = lost && hasBegun ? "lost" : "returned";
      this.#context.events.note(stateMachine.table.f(row, ID), kind, nowMs, consumer.peer);
      stateMachine.giveBack(row, nowMs, { lost: lost && hasBegun });
    }
    this.#consumers.delete(consumer.leaseOwner.index);
    stateMachine.removeLeaseOwner(consumer.leaseOwner);
    this.#hosts.leave(consumer);
    this.#suspects.release(consumer);
    if (consumer.host.reserved) this.#dirty.add(consumer.host.reserved.queue);
  }

  /** The connection of the first broke. What it has begun goes on under the second, which keeps it: their process lives. */
  keep(broken: Consumer, keeper: Consumer): void {
    const stateMachine = this.#context.stateMachine();
    const begun = [...broken.leaseOwner.leases.rows()].filter((row) => stateMachine.hasBegun(row));
    const nowMs = this.#context.nowMs();
    for (const row of begun) {
      stateMachine.handOver(row, keeper.leaseOwner, nowMs);
      this.#context.events.note(stateMachine.table.f(row, ID), "kept", nowMs, broken.peer);
    }
  }

  /** The worker says that work on a task has begun. */
  begun(consumer: Consumer, lease: LeaseRef): void {
    const row = this.heldRow(consumer, lease.id, lease.token);
    if (row === NONE) return;
    const nowMs = this.#context.nowMs();
    this.#context.stateMachine().begun(row, nowMs);
    this.#context.events.note(lease.id, "begun", nowMs, consumer.peer);
  }

  /** The consumer with this lease owner's number. */
  consumer(leaseOwner: number): Consumer | undefined {
    return this.#consumers.get(leaseOwner);
  }

  /** The consumers of a queue; undefined while it has none. */
  ring(queue: TaskQueue): ConsumerRing | undefined {
    return this.#rings.get(queue);
  }

  get workerStats(): WorkerRegistryStats {
    return this.#workers.stats(this.#context.nowMs());
  }

  // ---- leases

  /** The active row, if this consumer still has it under this token. */
  heldRow(consumer: Consumer, id: number, token: number): number {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.findLease(id, token);
    return row !== NONE && this.#consumers.get(stateMachine.leaseOwner(row)) === consumer ? row : NONE;
  }

  /** Who has this lease; undefined: it is lost. */
  holding(lease: LeaseRef): Consumer | undefined {
    const stateMachine = this.#context.stateMachine();
    const row = stateMachine.findLease(lease.id, lease.token);
    return row === NONE ? undefined : this.#consumers.get(stateMachine.leaseOwner(row));
  }

  /** A worker that was cut off is back with a lease from before, of its own queue; true when it has it again, or has it anyway. */
  resume(consumer: Consumer, lease: LeaseRef): boolean {
    if (!this.#isHere(consumer)) return false;
    const stateMachine = this.#context.stateMachine();
    const known = stateMachine.find(lease.id);
    if (known === NONE || stateMachine.queueOf(known) !== consumer.queue) return false;
    const holding = this.holding(lease);
    const nowMs = this.#context.nowMs();
    if (holding) {
      if (!isSameWorker(holding, consumer)) return false;
      if (holding === consumer || consumer.leaseOwner.keeps) return true;
      // It came back over another connection before the first was found broken, or another one kept it.
      stateMachine.handOver(stateMachine.findLease(lease.id, lease.token), consumer.leaseOwner, nowMs);
      this.released(holding, lease.id);
    } else if (!stateMachine.resume(lease.id, lease.token, consumer.leaseOwner, nowMs)) return false;
    this.#context.events.note(lease.id, "resumed", nowMs, consumer.peer);
    if (stateMachine.isSuspect(stateMachine.findLease(lease.id, lease.token))) this.#suspects.resumed(consumer);
    this.#ranked(consumer);
    return true;
  }

  /** The consumer no longer has this task. */
  released(consumer: Consumer, id: number): void {
    this.#recalled.delete(id);
    this.#ranked(consumer);
  }

  /** A lease was taken from its owner. `gather` tells and ranks it later: the state machine is in the middle of a change. */
  revoked(row: number, leaseOwner: number, why: Revocation): void {
    const { table } = this.#context.stateMachine();
    const id = table.f(row, ID);
    this.#recalled.delete(id);
    const consumer = this.#consumers.get(leaseOwner);
    if (!consumer) return;
    if (why === "timeout") {
      consumer.isDoubted = true;
      this.#context.events.note(id, "timedOut", this.#context.nowMs(), consumer.peer);
    }
    this.#revoked.push({ consumer, id, token: table.f(row, TOKEN), why });
    this.#unranked.add(consumer);
  }

  /** The worker said something. */
  heard(consumer: Consumer): void {
    if (!consumer.isDoubted) return;
    consumer.isDoubted = false;
    this.#ranked(consumer);
  }

  #isHere(consumer: Consumer): boolean {
    return this.#consumers.get(consumer.leaseOwner.index) === consumer;
  }

  /** Its slots or leases have changed: puts it where it now belongs, and looks whether it can be given something. */
  #ranked(consumer: Consumer): void {
    this.#rings.get(consumer.queue)?.ranked(consumer);
    this.#dirty.add(consumer.queue);
    const { reserved } = consumer.host;
    if (reserved) this.#dirty.add(reserved.queue);
  }

  /** Calls a consumer back, if it has not left; it may leave during the call. */
  #tell(consumer: Consumer, id: number, callback: () => void): void {
    if (this.#isHere(consumer)) this.#context.guard.run(callback, consumer.port.owner, id);
  }

  // ---- time

  /** When `tick` has something to do, in queue time, or Infinity. */
  get deadlineMs(): number {
    let atMs = Infinity;
    if (this.#leases.length > 0) atMs = Math.min(atMs, this.#leases[0]!.atMs);
    return Math.min(atMs, this.#context.nowMs() + this.#context.reads.waitMs);
  }

  tick(nowMs: number): void {
    this.#writeLeases(nowMs);
  }

  // ---- giving out

  /** There may be something to take. */
  ready(queue: TaskQueue): void {
    this.#dirty.add(queue);
  }

  /** Tells and ranks the consumers whose leases were taken, and finds where something may be given out again. */
  gather(): void {
    for (const { consumer, id, token, why } of this.#revoked.splice(0)) {
      this.#tell(consumer, id, () => consumer.port.revoked(id, token, why));
    }
    for (const consumer of this.#unranked) this.#ranked(consumer);
    this.#unranked.clear();
    for (const queue of this.#stalled) {
      if (!this.#mayGiveOut(queue)) continue;
      this.#stalled.delete(queue);
      this.#dirty.add(queue);
    }
  }

  /** Whether `giveOut` would look at anything. */
  get hasWork(): boolean {
    return this.#dirty.size > 0;
  }

  /** Gives out what can be given out. */
  giveOut(): void {
    for (const queue of this.#dirty) {
      this.#dirty.delete(queue);
      this.#context.guard.run(() => this.#dispatch(queue));
    }
  }

  #dispatch(queue: TaskQueue): void {
    const ring = this.#rings.get(queue);
    if (!ring) return;
    if (!this.#mayGiveOut(queue)) {
      this.#stalled.add(queue);
      return;
    }
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const missing: Taken[] = [];
    const give = (consumer: Consumer, which: ReadyKind): boolean => {
      // What lies at a worker before it begins would count when it is given, not when it starts.
      if (queue.isRated && consumer.held >= consumer.slots) return false;
      const row = stateMachine.take(queue, consumer.leaseOwner, nowMs, which);
      if (row === NONE) return false;
      ring.served(consumer);
      const id = stateMachine.table.f(row, ID);
      const token = stateMachine.table.f(row, TOKEN);
      const start = queue.isRated ? stateMachine.groupOf(row) : undefined;
      const body = stateMachine.table.u(row, BODY_BYTES) === 0 ? EMPTY : this.#context.bodies.get(id);
      if (body) this.#give({ row, id, token, consumer, start }, body);
      else missing.push({ row, id, token, consumer, start });
      return true;
    };
    this.#suspects.dispatch(queue, ring, {
      wait: () => stateMachine.hasReady(queue, "suspects"),
      give: (consumer) => give(consumer, "suspects"),
    });
    for (let consumer = ring.next(); consumer && give(consumer, "others"); consumer = ring.next());
    if (missing.length > 0) void this.#readBodies(missing);
    if (ring.idle && !stateMachine.hasReady(queue)) this.#recall(ring);
  }

  /** The store takes what follows from it, and its bodies could be read the last time. */
  #mayGiveOut(queue: TaskQueue): boolean {
    return !this.#context.commits.trouble && !this.#context.reads.isPaused(queue);
  }

  /** Gives it to its worker; in a queue with a rate once its start is on disk, since the disk may make it wait for long. */
  #give(taken: Taken, body: Uint8Array): void {
    const { start } = taken;
    if (this.#context.stateMachine().lacksTrace(taken.row)) {
      void this.#readTrace(taken, body);
      return;
    }
    if (!start) {
      this.#deliver(taken, body);
      return;
    }
    this.#journal.starts.changed(start);
    this.#journal.afterwards(() => {
      this.#over(taken);
      if (this.heldRow(taken.consumer, taken.id, taken.token) === taken.row) this.#deliver(taken, body);
    });
  }

  /** Its start is no longer reserved. */
  #over({ start }: Taken): void {
    if (!start) return;
    this.#context.stateMachine().gave(start, this.#context.nowMs());
    this.#journal.starts.changed(start);
  }

  /** Given out once it is known which trace it belongs to, or that its head cannot be read: a task does not wait for that. */
  async #readTrace(taken: Taken, body: Uint8Array): Promise<void> {
    const { row, id, token, consumer } = taken;
    const { store } = this.#context;
    let head: Uint8Array | undefined;
    try {
      head = (await store.inspect(id))?.head;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
    const traceparent = head && readable(() => decodeHead(head))?.traceparent;
    this.#context.stateMachine().traces.read(id, traceparent ?? "");
    if (this.heldRow(consumer, id, token) === row) this.#give(taken, body);
    else this.#over(taken);
    this.#context.flush();
  }

  #deliver({ consumer, row, id, token }: Taken, body: Uint8Array): void {
    const stateMachine = this.#context.stateMachine();
    const { table } = stateMachine;
    const nowMs = this.#context.nowMs();
    stateMachine.given(row, nowMs);
    this.#context.events.note(id, "given", nowMs, consumer.peer);
    const { ring } = this.#context;
    const queue = consumer.queue.name;
    const attempt = table.u(row, ATTEMPTS) + 1;
    if (ring.isWanted("active", queue)) ring.live({ event: "active", id, queue, attempt, worker: consumer.peer });
    if (consumer.resumable) this.#leases.push({ atMs: nowMs + LEASE_WRITE_MS, id, token });
    const trace = stateMachine.isTraced(row) ? stateMachine.traces.of(id) : undefined;
    const delivery: Delivery = {
      id,
      token,
      queue,
      attempt,
      timeoutMs: stateMachine.policy(row).timeoutMs,
      body,
      hasSteps: stateMachine.hasSteps(row),
      trace: trace?.traceparent ? { traceparent: trace.traceparent, waitedMs: nowMs - trace.sinceMs } : undefined,
    };
    this.#tell(consumer, id, () => consumer.port.task(delivery));
  }

  async #readBodies(missing: readonly Taken[]): Promise<void> {
    const { reads } = this.#context;
    const readings = await reads.read(missing.map(({ id }) => id));
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    missing.forEach((taken, index) => {
      const { row, id, token, consumer } = taken;
      const reading = readings[index];
      const asideMs = reading instanceof HoldfastError ? reads.failed(consumer.queue, id, reading) : undefined;
      if (!(reading instanceof HoldfastError)) reads.answered(consumer.queue, id);
      const isHeld = this.heldRow(consumer, id, token) === row;
      if (isHeld && reading instanceof Uint8Array) {
        this.#give(taken, reading);
        return;
      }
      this.#over(taken);
      if (!isHeld) return;
      if (reading === undefined) this.#context.damaged(row, "its body in the store");
      else if (asideMs === undefined) stateMachine.giveBack(row, nowMs);
      else stateMachine.postpone(row, nowMs + asideMs);
      this.released(consumer, id);
    });
    this.#context.flush();
  }

  /** An idle slot finds nothing ready: one prefetched task is asked back. */
  #recall(ring: ConsumerRing): void {
    const consumer = ring.mostLoaded();
    if (!consumer) return;
    const { table } = this.#context.stateMachine();
    const row = consumer.leaseOwner.leases.tail;
    const id = table.f(row, ID);
    if (this.#recalled.has(id)) return;
    this.#recalled.add(id);
    const token = table.f(row, TOKEN);
    this.#tell(consumer, id, () => consumer.port.recall(id, token));
  }

  #writeLeases(nowMs: number): void {
    const stateMachine = this.#context.stateMachine();
    let count = 0;
    for (const { atMs, id, token } of this.#leases) {
      if (atMs > nowMs) break;
      count += 1;
      const row = stateMachine.findLease(id, token);
      if (row === NONE) continue;
      stateMachine.leaseWritten(row);
      this.#journal.changed(row);
    }
    if (count > 0) this.#leases.splice(0, count);
  }
}

/** Leases can be guessed, the name of a process cannot. A worker that gives none is known by its leases alone. */
function isSameWorker(holding: Consumer, consumer: Consumer): boolean {
  return holding.host === consumer.host || typeof holding.host.name !== "string";
}
