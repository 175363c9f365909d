/**
 * ○ Finds out from its messages which protocol a connection speaks, and passes them to that protocol's handler. One connection may
 * speak several: a REQ that works with `Ready` may also submit tasks. Knows peers by keys only. An error that nobody expected in
 * what one peer sent is logged and ends that peer's connection; nothing is sent to a peer that is gone.
 */
import { Buffer } from "node:buffer";
import { unreachable } from "../../core/assert.ts";
import { HoldfastError } from "../../core/errors.ts";
import type { CronTable } from "../service/cron.ts";
import type { TaskService } from "../service/task-service.ts";
import type { ProtocolHandler, PeerConnection } from "../protocols/protocol-handler.ts";
import { isReady, ReadyHandler } from "../protocols/ready-handler.ts";
import { MajordomoClient, majordomoRole, MajordomoWorker } from "../protocols/majordomo-handlers.ts";
import { NativeHandler } from "../protocols/native/native-handler.ts";
import type { Keepers } from "../protocols/native/worker-commands.ts";
import { EMPTY_FRAME, type Frames, type IdText, isProtocol, PROTOCOL, VERB } from "../protocols/messages.ts";

export interface ProtocolRouterOptions {
  readonly service: TaskService;
  readonly ids: IdText;
  readonly cron: CronTable;
  /** Requests one connection may have open; default 100,000. */
  readonly openMax?: number;
}

/** 100,000 open requests: 30 MB for one connection that waits for that many results. */
const OPEN_MAX = 100_000;

interface Peer {
  readonly connection: PeerConnection;
  isGone: boolean;
  readonly handlers: Map<string, ProtocolHandler>;
  /** The protocol of the last message, and what its messages begin with: the next is most likely the same. */
  last: ProtocolHandler | undefined;
  lastEnveloped: boolean;
}

export class ProtocolRouter {
  readonly #options: ProtocolRouterOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #keepers: Keepers = new Map();

  constructor(options: ProtocolRouterOptions) {
    this.#options = options;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  /**
   * A message of a peer.
   *
   * @param key names the peer: its routing id as text
   * @param frames the message without the routing id
   * @param connection makes the way back, for a peer not heard before
   */
  receive(key: string, frames: Frames, connection: () => PeerConnection): void {
    let peer = this.#peers.get(key);
    if (!peer) {
      const made: Peer = {
        connection: this.#guarded(key, connection(), () => made.isGone),
        isGone: false,
        handlers: new Map(),
        last: undefined,
        lastEnveloped: false,
      };
      peer = made;
      this.#peers.set(key, peer);
    }
    try {
      this.#receive(peer, frames);
    } catch (error) {
      // The peer's own fault, in a protocol that has no word for a refusal.
      if (error instanceof HoldfastError && error.code !== "ASSERTION_FAILED") peer.connection.close(error.message);
      else this.#options.service.guard.report(error, { owner: peer.connection });
    }
  }

  #receive(peer: Peer, frames: Frames): void {
    const enveloped = frames.length > 0 && frames[0]!.length === 0;
    const message = enveloped ? frames.slice(1) : frames;
    if (isProtocol(message[0]) && peer.last instanceof NativeHandler && peer.lastEnveloped === enveloped)
      peer.last.receive(message);
    else this.#route(peer, message, enveloped);
  }

  gone(key: string): void {
    const peer = this.#peers.get(key);
    if (!peer) return;
    this.#peers.delete(key);
    peer.isGone = true;
    const { guard } = this.#options.service;
    for (const handler of peer.handlers.values()) guard.run(() => handler.gone());
  }

  tick(nowMs: number): void {
    const { guard } = this.#options.service;
    for (const { connection, handlers } of this.#peers.values()) {
      for (const handler of handlers.values()) guard.run(() => handler.tick?.(nowMs), connection);
    }
  }

  /** The way back to a peer, for as long as it is there. Closing it is the same as the peer's going. */
  #guarded(key: string, connection: PeerConnection, isGone: () => boolean): PeerConnection {
    return {
      peer: connection.peer,
      route: connection.route,
      rights: connection.rights,
      get idempotencyKey() {
        return connection.idempotencyKey;
      },
      send: (frames) => {
        if (!isGone()) connection.send(frames);
      },
      close: (reason) => {
        if (isGone()) return;
        try {
          connection.close(reason);
        } finally {
          this.gone(key);
        }
      },
    };
  }

  #route(peer: Peer, message: Frames, enveloped: boolean): void {
    const kind = kindOf(message);
    if (!kind) {
      const connection = enveloped ? envelope(peer.connection) : peer.connection;
      const words = ["0", "QUEUE_PROTOCOL", "Cannot read a message that is neither HQ1 nor Ready nor Majordomo"];
      connection.send([PROTOCOL, VERB.REFUSED, ...words.map((word) => Buffer.from(word))]);
      return;
    }
    const name = `${kind}${enveloped ? " enveloped" : ""}`;
    let handler = peer.handlers.get(name);
    if (!handler) {
      handler = this.#make(kind, enveloped ? envelope(peer.connection) : peer.connection, enveloped);
      peer.handlers.set(name, handler);
    }
    peer.last = handler;
    peer.lastEnveloped = enveloped;
    handler.receive(message);
  }

  #make(kind: Kind, connection: PeerConnection, enveloped: boolean): ProtocolHandler {
    const { service, ids, cron, openMax = OPEN_MAX } = this.#options;
    switch (kind) {
      case "native":
        return new NativeHandler(connection, { service, ids, cron, openMax, keepers: this.#keepers, oneAnswer: enveloped });
      case "ready":
        return new ReadyHandler(service, connection);
      case "client1":
        return new MajordomoClient(service, connection, 1);
      case "client2":
        return new MajordomoClient(service, connection, 2);
      case "worker1":
        return new MajordomoWorker(service, connection, 1);
      case "worker2":
        return new MajordomoWorker(service, connection, 2);
      default:
        return unreachable(kind);
    }
  }
}

type Kind = "native" | "ready" | "client1" | "client2" | "worker1" | "worker2";

function kindOf(message: Frames): Kind | undefined {
  if (isProtocol(message[0])) return "native";
  if (isReady(message[0])) return "ready";
  const majordomo = majordomoRole(message[0]);
  return majordomo && `${majordomo.role}${majordomo.version}`;
}

/** Answers a peer that sends an empty frame first (REQ; Majordomo's DEALERs) in kind. */
function envelope(connection: PeerConnection): PeerConnection {
  return {
    peer: connection.peer,
    route: connection.route,
    rights: connection.rights,
    get idempotencyKey() {
      return connection.idempotencyKey;
    },
    send: (frames) => connection.send([EMPTY_FRAME, ...frames]),
    close: (reason) => connection.close(reason),
  };
}
