/**
 * ○ Stands between the front end of a broker in a group and the broker core, which is in the same process while this broker leads
 * (`LocalCoreChannel`) and at another broker while it follows (relay.ts). When the core changes, it makes the peers known to the
 * next one. Invariant: nothing that a broker core of the past sends reaches a peer.
 */
import type { PeerConnection, Route } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import { type Frames, PROTOCOL, VERB } from "../../protocols/messages.ts";
import { PeerReplayBuffer } from "./peer-replay-buffer.ts";

/** Carries the peers' messages to a broker core. */
export interface CoreChannel {
  message(key: string, frames: Frames, idempotencyKey: string): void;
  /** Who the peer of the messages that follow is, of one that has proved a name. */
  user(key: string, user: string): void;
  gone(key: string): void;
  flush(): void;
  /** Resolves when it can take more; undefined: now. */
  ready(): Promise<void> | undefined;
}

/** Carries the broker core's messages back to the peers. */
export interface PeerChannel {
  said(key: string, frames: Frames): void;
  closed(key: string, reason: string): void;
  /** The peer's own connection. */
  peerOf(key: string): PeerConnection | undefined;
}

export interface PeerRelayOptions {
  /** Begins the idempotency keys of this broker's submissions: random, for no other broker may make the same. */
  readonly name: string;
}

/** 64 MiB remembered for peers that cannot be told to begin anew; past it such peers are closed when the leader changes. */
const REPLAY_BYTES_MAX = 64 * 1024 ** 2;

interface RelayedPeer {
  readonly connection: PeerConnection;
  readonly replay: PeerReplayBuffer;
}

export class PeerRelay implements PeerSink {
  readonly #name: string;
  readonly #peers = new Map<string, RelayedPeer>();
  #core: CoreChannel | undefined;
  #arrival = Promise.withResolvers<void>();
  #idempotencyKeys = 0;
  #replayBytes = 0;

  constructor({ name }: PeerRelayOptions) {
    this.#name = name;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  // ---- from the peers

  receive(key: string, frames: Frames, connection: () => PeerConnection): void {
    let peer = this.#peers.get(key);
    if (!peer) {
      peer = { connection: connection(), replay: new PeerReplayBuffer(() => this.#newIdempotencyKey()) };
      this.#peers.set(key, peer);
      this.#introduceUser(key, peer);
    }
    const { replay } = peer;
    const before = replay.bytes;
    const idempotencyKey = replay.heard(frames);
    this.#replayBytes += replay.bytes - before;
    if (idempotencyKey !== undefined) this.#core?.message(key, frames, idempotencyKey);
  }

  gone(key: string): void {
    const peer = this.#peers.get(key);
    if (!peer) return;
    this.#peers.delete(key);
    this.#replayBytes -= peer.replay.bytes;
    this.#core?.gone(key);
  }

  flush(): void {
    this.#core?.flush();
  }

  /** Without a broker core, or with a channel that is full, nothing more is read from the peers. */
  ready(): Promise<void> | undefined {
    return this.#core ? this.#core.ready() : this.#replayBytes > REPLAY_BYTES_MAX ? this.#arrival.promise : undefined;
  }

  // ---- the broker core

  /** There is none for now. */
  leave(): void {
    if (this.#core) this.#arrival = Promise.withResolvers();
    this.#core = undefined;
    for (const { replay } of this.#peers.values()) replay.begin();
  }

  /** There has been none for a while: peers that know other brokers of the group are told to go there. */
  sendAway(): void {
    if (this.#core) return;
    for (const { replay, connection } of this.#peers.values()) if (replay.saidHello) connection.send(ANEW);
  }

  /** The peers are connected to this broker core from now on, as if they had just come. */
  enter(core: CoreChannel): void {
    this.#core = core;
    for (const [key, peer] of this.#peers) this.#introduce(core, key, peer);
    core.flush();
    this.#arrival.resolve();
  }

  /** How this broker core sends to the peers; without effect once there is another. */
  channelOf(core: () => CoreChannel | undefined): PeerChannel {
    const peerOf = (key: string): RelayedPeer | undefined =>
      this.#core && core() === this.#core ? this.#peers.get(key) : undefined;
    return {
      said: (key, frames) => {
        const peer = peerOf(key);
        if (!peer) return;
        const { replay } = peer;
        const before = replay.bytes;
        replay.said(frames);
        this.#replayBytes += replay.bytes - before;
        peer.connection.send(frames);
      },
      peerOf: (key) => this.#peers.get(key)?.connection,
      closed: (key, reason) => peerOf(key)?.connection.close(reason),
    };
  }

  #introduce(core: CoreChannel, key: string, peer: RelayedPeer): void {
    const replayed = peer.replay.begin();
    this.#introduceUser(key, peer, core);
    if (peer.replay.saidHello) peer.connection.send(ANEW);
    else if (this.#replayBytes > REPLAY_BYTES_MAX && peer.replay.bytes > 0) {
      peer.connection.close("the leader changed, and too many requests are unanswered to repeat them");
    } else for (const { frames, idempotencyKey } of replayed) core.message(key, frames, idempotencyKey);
  }

  /** Said before a message of the peer is. */
  #introduceUser(key: string, { connection }: RelayedPeer, core = this.#core): void {
    if (connection.user !== undefined) core?.user(key, connection.user);
  }

  #newIdempotencyKey(): string {
    this.#idempotencyKeys += 1;
    return `~${this.#name}.${this.#idempotencyKeys.toString(36)}`;
  }
}

const ANEW: Frames = [PROTOCOL, VERB.ANEW];

/** The idempotency key is that of the message being handled. */
export interface RelayedPeerConnection extends PeerConnection {
  idempotencyKey: string;
}

/** To the broker core in the same process: no network, but as with one nothing reaches the peers after the term. */
export class LocalCoreChannel implements CoreChannel {
  readonly #core: PeerSink;
  readonly #peerRelay: PeerChannel;
  readonly #connections = new Map<string, RelayedPeerConnection>();
  readonly #route: Route;

  constructor(core: PeerSink, peerRelay: PeerChannel, term: number) {
    this.#core = core;
    this.#peerRelay = peerRelay;
    this.#route = { term, isRelayed: false };
  }

  message(key: string, frames: Frames, idempotencyKey: string): void {
    let connection = this.#connections.get(key);
    if (!connection) this.#connections.set(key, (connection = this.#connection(key)));
    connection.idempotencyKey = idempotencyKey;
    this.#core.receive(key, frames, () => connection);
  }

  /** Its connection says it. */
  user(): void {}

  gone(key: string): void {
    this.#connections.delete(key);
    this.#core.gone(key);
  }

  flush(): void {
    this.#core.flush();
  }

  ready(): undefined {
    return undefined;
  }

  #connection(key: string): RelayedPeerConnection {
    const { peer, rights } = this.#peerRelay.peerOf(key) ?? {};
    return {
      peer,
      rights,
      idempotencyKey: "",
      route: this.#route,
      send: (frames) => this.#peerRelay.said(key, frames),
      close: (reason) => this.#peerRelay.closed(key, reason),
    };
  }
}
