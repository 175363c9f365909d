/**
 * ○ The worker's half of the native protocol: a connection's consumers, the tasks it is given and what it says of them. Invariant:
 * whatever a worker says of a lease that is not its own (any more) is answered LOST and changes nothing. A process may have
 * connections, its keepers, that say nothing of tasks but stay when the others break: what these had begun goes on under one of them.
 */
import { Buffer } from "node:buffer";
import { ProtocolError } from "../../../core/errors.ts";
import type { Consumer } from "../../service/consumers.ts";
import type { TaskService } from "../../service/task-service.ts";
import type { PeerConnection } from "../protocol-handler.ts";
import type { NativeWriter } from "./native-writer.ts";
import type { LeaseRef } from "../../service/dispatcher.ts";
import { SLOTS_MAX, TIME_MS_MAX } from "../../limits.ts";
import type { RecordBatchReader } from "../record-batch.ts";
import type { TaskOptions, TaskSpec } from "../../tasks/task-policy.ts";
import { encodeHistory, readStep, refusal, type StepReply, WHOLE_HISTORY } from "../step-messages.ts";
import { asBuffer, EMPTY_FRAME, type Frames, readLease, readNumber, writeLease } from "../messages.ts";

export interface WorkerCommandsOptions {
  readonly connection: PeerConnection;
  readonly service: TaskService;
  readonly writer: NativeWriter;
  readonly keepers: Keepers;
}

/** The keepers of each process that has any: one at each door of a group. */
export type Keepers = Map<string, Set<WorkerCommands>>;

export class WorkerCommands {
  readonly #connection: PeerConnection;
  readonly #service: TaskService;
  readonly #writer: NativeWriter;
  readonly #consumers = new Map<string, Consumer>();
  #saysBegun = false;
  /** The name of its process, if it gave one. */
  #host: string | undefined;
  #keeps = false;
  readonly #keepers: Keepers;
  /** Leases whose end was just written: sent in one KEPT. */
  #kept: Buffer[] = [];

  constructor({ connection, service, writer, keepers }: WorkerCommandsOptions) {
    this.#keepers = keepers;
    this.#connection = connection;
    this.#service = service;
    this.#writer = writer;
  }

  /**
   * What its HELLO said: whether it says which tasks have begun, the name of its process, and whether it is the keeper of that. Counts for
   * offers from now on.
   */
  introduced({ saysBegun, host, keeps }: { saysBegun: boolean; host: unknown; keeps: boolean }): void {
    this.#keepNoMore();
    const isName = typeof host === "string" && host !== "" && host.length <= PROCESS_NAME_CHARACTERS_MAX;
    this.#saysBegun = saysBegun;
    // A process keeps what is its own user's.
    const { rights } = this.#connection;
    this.#host = !isName ? undefined : rights ? `${rights.user} ${host}` : host;
    this.#keeps = keeps && isName;
    if (!this.#keeps) return;
    const keepers = this.#keepers.get(this.#host!);
    if (keepers) keepers.add(this);
    else this.#keepers.set(this.#host!, new Set([this]));
  }

  #keepNoMore(): void {
    const keepers = this.#keepers.get(this.#host ?? "");
    if (keepers?.delete(this) && keepers.size === 0) this.#keepers.delete(this.#host!);
  }

  /** The peer said something. */
  heard(): void {
    for (const consumer of this.#consumers.values()) this.#service.heard(consumer);
  }

  /**
   * Offers to work on a queue, or changes the offer.
   *
   * @throws ProtocolError QUEUE_PROTOCOL
   */
  offer(queue: string, [slotsFrame, prefetchFrame]: Frames): void {
    const slots = readNumber(slotsFrame);
    const prefetch = prefetchFrame?.length ? readNumber(prefetchFrame) : 0;
    if (this.#keeps) throw new ProtocolError("QUEUE_PROTOCOL", "Cannot WORK as the keeper of a process");
    if (slots === undefined || prefetch === undefined || slots + prefetch > SLOTS_MAX) {
      throw new ProtocolError("QUEUE_PROTOCOL", `Invalid WORK: slots and prefetch must be numbers of at most ${SLOTS_MAX}`);
    }
    const known = this.#consumers.get(queue);
    if (known) this.#service.adjust(known, { slots, prefetch });
    else this.#consume(queue, slots, prefetch);
  }

  /**
   * Work on these has begun. What it says of leases that are not its own changes nothing and has no answer.
   *
   * @throws ProtocolError QUEUE_PROTOCOL; leases before the one that cannot be read count
   */
  begun(frames: Frames): void {
    for (const frame of frames.slice(2)) this.#begun(readLeaseOrRefuse(frame));
  }

  /** @throws ProtocolError QUEUE_PROTOCOL; records before the one that cannot be read count */
  beguns(records: RecordBatchReader): void {
    while (records.more) this.#begun({ id: records.u64(), token: records.u64() });
  }

  #begun(lease: LeaseRef): void {
    const consumer = this.#service.holding(lease);
    if (consumer && this.#owns(consumer)) this.#service.begun(consumer, lease);
  }

  done(frames: Frames): void {
    this.#settle(frames, (consumer, lease, kept) => this.#service.finish(consumer, lease, frames[3] ?? EMPTY_FRAME, kept));
  }

  /**
   * Results of many: each counts for itself.
   *
   * @throws ProtocolError QUEUE_PROTOCOL; records before the one that cannot be read count
   */
  dones(records: RecordBatchReader): void {
    const kept: LeaseRef[] = [];
    this.#service.afterwards(() => this.#writer.keptInBatch(kept), this.#connection);
    while (records.more) {
      const lease = { id: records.u64(), token: records.u64() };
      const result = records.body();
      const consumer = this.#service.holding(lease);
      if (consumer && this.#owns(consumer) && this.#service.finish(consumer, lease, result)) kept.push(lease);
      else this.#writer.say("LOST", writeLease(lease.id, lease.token));
    }
  }

  fail(frames: Frames): void {
    const error = frames[3]?.toString() ?? "";
    const how = frames[4]?.toString("latin1");
    if (how !== "again" && how !== "after") {
      this.#settle(frames, (consumer, lease, kept) =>
        this.#service.fail(consumer, lease, { error, final: how === "final" }, kept),
      );
      return;
    }
    const pauseMs = readNumber(frames[5]);
    if (pauseMs === undefined || pauseMs > TIME_MS_MAX)
      throw new ProtocolError("QUEUE_PROTOCOL", `Invalid FAIL: '${how}' is followed by a number of ms`);
    const failure = { error, pauseMs, isFree: how === "again" };
    this.#settle(frames, (consumer, lease, kept) => this.#service.fail(consumer, lease, failure, kept));
  }

  giveBack(frames: Frames): void {
    this.#settle(frames, (consumer, lease) => this.#service.giveBack(consumer, lease));
  }

  progress(frames: Frames): void {
    this.#settle(frames, (consumer, lease) => this.#service.progress(consumer, lease, frames[3] ?? EMPTY_FRAME));
  }

  partial(frames: Frames): void {
    this.#settle(frames, (consumer, lease) => this.#service.partial(consumer, lease, frames[3] ?? EMPTY_FRAME));
  }

  /** What earlier runs of a task have recorded. */
  history(frames: Frames): void {
    const frame = frames[2]!;
    this.#inRun(frame, (consumer, lease) =>
      this.#service.steps.history(consumer, lease, {
        history: (history) => this.#writer.say("HISTORY", frame, encodeHistory(history)),
        refused: (error) => this.#stepped(frame, refusal(WHOLE_HISTORY, error)),
        lost: () => this.#writer.say("LOST", frame),
      }),
    );
  }

  /** One step of a run. @throws ProtocolError QUEUE_PROTOCOL, errors of a called task's options */
  step(frames: Frames, readSpec: (options: TaskOptions) => TaskSpec): void {
    const frame = frames[2]!;
    const request = readStep(frames[3], frames[4] ?? EMPTY_FRAME, readSpec);
    const { at } = request;
    // A worker adds to other queues what it may add there as a client.
    const { rights } = this.#connection;
    if (request.type === "call" && rights && !rights.may("queue:add", request.queue)) {
      this.#stepped(frame, refusal(at, rights.refused("queue:add", request.queue)));
      return;
    }
    this.#inRun(frame, (consumer, lease) =>
      this.#service.steps.record(consumer, lease, request, {
        recorded: (earlier) => this.#stepped(frame, { at, now: "recorded" }, earlier),
        signalled: (value) => this.#stepped(frame, { at, now: "signalled" }, value),
        suspended: () => this.#stepped(frame, { at, now: "suspended" }),
        refused: (error) => this.#stepped(frame, refusal(at, error)),
        lost: () => this.#writer.say("LOST", frame),
      }),
    );
  }

  #inRun(frame: Buffer, act: (consumer: Consumer, lease: LeaseRef) => void): void {
    const lease = readLeaseOrRefuse(frame);
    const consumer = this.#service.holding(lease);
    if (consumer && this.#owns(consumer)) act(consumer, lease);
    else this.#writer.say("LOST", frame);
  }

  #stepped(frame: Buffer, said: StepReply, value?: Uint8Array): void {
    this.#writer.say("STEPPED", frame, Buffer.from(JSON.stringify(said)), ...(value ? [asBuffer(value)] : []));
  }

  /** Resumes leases that it had before it, or the broker, was away. */
  hold(queue: string, leases: Frames): void {
    const consumer = this.#consumer(queue);
    for (const frame of leases) {
      if (!this.#service.resume(consumer, readLeaseOrRefuse(frame))) this.#writer.say("STOP", frame, LOST_REASON);
    }
  }

  /** Gives everything back; `lost`: the worker is gone without BYE. While its process lives only what it has not begun. */
  leaveAll({ lost }: { lost: boolean }): void {
    this.#keepNoMore();
    const [keeper] = (lost && this.#keepers.get(this.#host ?? "")) || [];
    for (const consumer of this.#consumers.values()) {
      if (keeper) this.#service.keep(consumer, keeper.#consumer(consumer.queue.name));
      this.#service.leave(consumer, { lost });
    }
    this.#consumers.clear();
  }

  #settle(frames: Frames, act: (consumer: Consumer, lease: LeaseRef, kept: () => void) => boolean): void {
    const frame = frames[2]!;
    const lease = readLeaseOrRefuse(frame);
    const consumer = this.#service.holding(lease);
    if (!consumer || !this.#owns(consumer) || !act(consumer, lease, () => this.#keep(frame))) this.#writer.say("LOST", frame);
  }

  #owns(consumer: Consumer): boolean {
    return this.#consumers.get(consumer.queue.name) === consumer;
  }

  /** One KEPT for all that one commit wrote. */
  #keep(frame: Buffer): void {
    if (this.#kept.push(frame) > 1) return;
    this.#service.whenSettled(() => {
      const kept = this.#kept;
      this.#kept = [];
      this.#writer.say("KEPT", ...kept);
    }, this.#connection);
  }

  #consumer(queue: string): Consumer {
    return this.#consumers.get(queue) ?? this.#consume(queue, 0, 0);
  }

  #consume(queue: string, slots: number, prefetch: number): Consumer {
    const consumer = this.#service.consume(queue, {
      slots,
      prefetch,
      resumable: true,
      peer: this.#connection.peer,
      protocol: "own",
      saysBegun: this.#saysBegun,
      host: this.#host ?? this,
      keeps: this.#keeps,
      port: {
        owner: this.#connection,
        task: (delivery) => this.#writer.task(delivery),
        revoked: (id, token, why) => this.#writer.say("STOP", writeLease(id, token), Buffer.from(why)),
        recall: (id, token) => this.#writer.say("RECALL", writeLease(id, token)),
      },
    });
    this.#consumers.set(queue, consumer);
    return consumer;
  }
}

/** 64 characters: a UUID has 36. */
const PROCESS_NAME_CHARACTERS_MAX = 64;
const LOST_REASON = Buffer.from("lost");

function readLeaseOrRefuse(frame: Buffer | undefined): LeaseRef {
  const lease = readLease(frame);
  if (!lease) throw new ProtocolError("QUEUE_PROTOCOL", "Invalid lease: it must be returned as received with TASK");
  return lease;
}
