/**
 * ○ Majordomo 0.1 and 0.2 (ZeroMQ RFC 7 and 18), workers and clients. A service is a queue of the same name; a request is a task,
 * durable like any other; the worker's reply is its result. What a worker sees as the client's address is the lease.
 */
import { Buffer } from "node:buffer";
import { packFrames, unpackFrames } from "./multipart-body.ts";
import type { Consumer, Delivery } from "../service/consumers.ts";
import type { TaskService } from "../service/task-service.ts";
import type { ProtocolHandler, PeerConnection } from "./protocol-handler.ts";
import type { LeaseRef } from "../service/dispatcher.ts";
import { type TaskSpec, SPEC_DEFAULT } from "../tasks/task-policy.ts";
import { EMPTY_FRAME, type Frames, readLease, writeLease } from "./messages.ts";
import type { Outcome, OutcomeWatcher } from "../service/outcomes.ts";

const CLIENT_1 = Buffer.from("MDPC01");
const CLIENT_2 = Buffer.from("MDPC02");
const WORKER_1 = Buffer.from("MDPW01");
const WORKER_2 = Buffer.from("MDPW02");

/** The octets of the worker's commands, by version. 0.1 has no partial replies. */
const COMMANDS = {
  1: { ready: 1, request: 2, partial: -1, final: 3, heartbeat: 4, disconnect: 5 },
  2: { ready: 1, request: 2, partial: 3, final: 4, heartbeat: 5, disconnect: 6 },
} as const;
const CLIENT_REQUEST = 1;
const CLIENT_PARTIAL = Buffer.from([2]);
const CLIENT_FINAL = Buffer.from([3]);

/** RFC 8 (MMI): services that the broker itself answers. */
const MMI_PREFIX = "mmi.";

/** 2.5 s, as in the Guide's workers and brokers; an idle worker that is silent for four of them is gone. */
const HEARTBEAT_MS = 2500;
const LIVENESS = 4;

export type MajordomoRole = { readonly role: "client" | "worker"; readonly version: 1 | 2 };

/** Which Majordomo a message's first frame names, or undefined. */
export function majordomoRole(frame: Buffer | undefined): MajordomoRole | undefined {
  if (frame?.length !== 6) return undefined;
  if (frame.equals(CLIENT_1)) return { role: "client", version: 1 };
  if (frame.equals(CLIENT_2)) return { role: "client", version: 2 };
  if (frame.equals(WORKER_1)) return { role: "worker", version: 1 };
  if (frame.equals(WORKER_2)) return { role: "worker", version: 2 };
  return undefined;
}

export class MajordomoClient implements ProtocolHandler {
  readonly #service: TaskService;
  readonly #connection: PeerConnection;
  readonly #version: 1 | 2;
  readonly #watched = new Map<number, OutcomeWatcher>();
  #gone = false;

  constructor(service: TaskService, connection: PeerConnection, version: 1 | 2) {
    this.#service = service;
    this.#connection = connection;
    this.#version = version;
  }

  receive(frames: Frames): void {
    const at = this.#version === 1 ? 1 : 2;
    const serviceName = frames[at];
    const known = this.#version === 1 || (frames[1]?.length === 1 && frames[1][0] === CLIENT_REQUEST);
    if (!known || !serviceName || frames.length <= at + 1) {
      this.#connection.close("a Majordomo request that is none");
      return;
    }
    const queue = serviceName.toString();
    const body = frames.slice(at + 1);
    if (queue.startsWith(MMI_PREFIX)) {
      this.#reply(serviceName, CLIENT_FINAL, [Buffer.from(this.#answerMmi(queue, body[0]!))]);
      return;
    }
    // Majordomo has no word for a refusal: the connection ends.
    this.#connection.rights?.must("queue:add", queue);
    const watcher: OutcomeWatcher = {
      owner: this.#connection,
      ended: (outcome) => this.#ended(serviceName, outcome),
      partial: (_id, bytes) => {
        if (this.#version === 2) this.#reply(serviceName, CLIENT_PARTIAL, unpackFrames(bytes));
      },
    };
    const { idempotencyKey } = this.#connection;
    const spec = idempotencyKey ? { ...REQUEST_SPEC, key: idempotencyKey } : REQUEST_SPEC;
    this.#service.add(
      { queue, spec, bodies: [packFrames(body)], watcher },
      {
        owner: this.#connection,
        added: ([id]) => {
          if (this.#gone) this.#service.unwatch(id!, watcher);
          else this.#watched.set(id!, watcher);
        },
        // Majordomo has no message for a refusal: without an answer the client tries again, which is right.
        refused: () => {},
      },
    );
  }

  gone(): void {
    this.#gone = true;
    for (const [id, watcher] of this.#watched) this.#service.unwatch(id, watcher);
    this.#watched.clear();
  }

  #ended(serviceName: Buffer, { id, state, bytes }: Outcome): void {
    this.#watched.delete(id);
    if (state === "completed") this.#reply(serviceName, CLIENT_FINAL, unpackFrames(bytes));
  }

  #reply(serviceName: Buffer, command: Buffer, body: readonly Buffer[]): void {
    if (this.#version === 1) this.#connection.send([CLIENT_1, serviceName, ...body]);
    else this.#connection.send([CLIENT_2, command, serviceName, ...body]);
  }

  #answerMmi(name: string, body: Buffer): string {
    if (name !== "mmi.service") return "501";
    const { rights } = this.#connection;
    const service = body.toString();
    if (rights && !rights.may("queue:add", service) && !rights.may("queue:see", service)) return "404";
    const queue = this.#service.stateMachine.findQueue(service);
    return queue && this.#service.queueStats(queue).consumers > 0 ? "200" : "404";
  }
}

/** Results are kept for 60 s only: a client that gave up sends a new request, and does not ask for the old one's answer. */
const REQUEST_SPEC: TaskSpec = { ...SPEC_DEFAULT, policy: { ...SPEC_DEFAULT.policy, keepMs: 60_000 } };

export class MajordomoWorker implements ProtocolHandler {
  readonly #service: TaskService;
  readonly #connection: PeerConnection;
  readonly #version: 1 | 2;
  readonly #protocol: Buffer;
  #consumer: Consumer | undefined;
  #heardMs: number | undefined;
  #spokeMs: number | undefined;
  /** It was told to stop, and has not said READY since. */
  #dismissed = false;

  constructor(service: TaskService, connection: PeerConnection, version: 1 | 2) {
    this.#service = service;
    this.#connection = connection;
    this.#version = version;
    this.#protocol = version === 1 ? WORKER_1 : WORKER_2;
  }

  receive(frames: Frames): void {
    this.#heardMs = undefined;
    if (this.#consumer) this.#service.heard(this.#consumer);
    const command = frames[1]?.length === 1 ? frames[1][0] : undefined;
    const commands = COMMANDS[this.#version];
    switch (command) {
      case commands.ready:
        this.#ready(frames[2]);
        return;
      case commands.partial:
      case commands.final:
        this.#reply(command === commands.final, frames);
        return;
      case commands.heartbeat:
        // A worker that this broker does not know: the broker was restarted. DISCONNECT makes the worker begin anew.
        if (!this.#consumer) this.#disconnect();
        return;
      case commands.disconnect:
        this.#leave(false);
        return;
      default:
        this.#disconnect();
    }
  }

  gone(): void {
    this.#leave(true);
  }

  tick(nowMs: number): void {
    if (!this.#consumer) return;
    this.#heardMs ??= nowMs;
    this.#spokeMs ??= nowMs;
    // Most implementations send nothing while they work: the connection and the task's timeout find a dead worker then.
    if (this.#consumer.held === 0 && nowMs - this.#heardMs > HEARTBEAT_MS * LIVENESS) {
      this.#disconnect();
      return;
    }
    if (nowMs - this.#spokeMs >= HEARTBEAT_MS) {
      this.#spokeMs = nowMs;
      this.#command(COMMANDS[this.#version].heartbeat);
    }
  }

  #ready(serviceName: Buffer | undefined): void {
    if (this.#consumer && this.#dismissed) {
      this.#dismissed = false;
      this.#service.adjust(this.#consumer, { slots: 1, prefetch: 0 });
      return;
    }
    if (this.#consumer || !serviceName || serviceName.length === 0) {
      this.#disconnect();
      return;
    }
    this.#connection.rights?.must("queue:work", serviceName.toString());
    this.#consumer = this.#service.consume(serviceName.toString(), {
      slots: 1,
      peer: this.#connection.peer,
      protocol: `majordomo 0.${this.#version}`,
      port: {
        owner: this.#connection,
        task: (delivery) => this.#request(delivery),
        // The one way to tell a Majordomo worker that what it does is no longer wanted.
        revoked: () => this.#dismiss(),
        recall: () => {},
      },
    });
  }

  #dismiss(): void {
    if (!this.#consumer) return;
    this.#dismissed = true;
    this.#service.adjust(this.#consumer, { slots: 0, prefetch: 0 });
    this.#command(COMMANDS[this.#version].disconnect);
  }

  #request({ id, token, body }: Delivery): void {
    this.#command(COMMANDS[this.#version].request, [writeLease(id, token), EMPTY_FRAME, ...unpackFrames(body)]);
  }

  #reply(final: boolean, frames: Frames): void {
    const lease = readLease(frames[2]);
    if (!this.#consumer || !lease || frames[3]?.length !== 0) {
      this.#disconnect();
      return;
    }
    const body = packFrames(frames.slice(4));
    // A lost lease is not the worker's fault: its reply is ignored, and it goes on.
    if (final) this.#finish(this.#consumer, lease, body);
    else this.#service.partial(this.#consumer, lease, body);
  }

  /** A reply from before the broker, or its leader, changed counts if nobody has had the task since. */
  #finish(consumer: Consumer, lease: LeaseRef, body: Buffer): void {
    if (this.#service.finish(consumer, lease, body)) return;
    if (this.#service.holding(lease) === undefined && this.#service.resume(consumer, lease))
      this.#service.finish(consumer, lease, body);
  }

  #command(octet: number, rest: readonly Buffer[] = []): void {
    this.#connection.send([this.#protocol, Buffer.from([octet]), ...rest]);
  }

  #disconnect(): void {
    this.#leave(true);
    this.#command(COMMANDS[this.#version].disconnect);
  }

  #leave(lost: boolean): void {
    if (this.#consumer) this.#service.leave(this.#consumer, { lost });
    this.#consumer = undefined;
  }
}
