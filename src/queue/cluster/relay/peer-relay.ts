/**
 * ○ A broker's front end in a group: its peers, and the broker core that they are led to, which is here while this broker leads and elsewhere
 * while it follows. When the broker core changes it makes the peers known to the next one. Invariant: nothing that a broker core of the past says
 * reaches a peer.
 */
import type { PeerConnection } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import { type Frames, PROTOCOL, VERB } from "../../protocols/messages.ts";
import { PeerReplayBuffer } from "./peer-replay-buffer.ts";

/** The way to a broker core. */
export interface CoreChannel {
  message(key: string, frames: Frames, idempotencyKey: string): void;
  gone(key: string): void;
  flush(): void;
  /** Not yet: it has enough to carry. */
  ready(): Promise<void> | undefined;
}

/** What comes back from it. */
export interface PeerChannel {
  said(key: string, frames: Frames): void;
  closed(key: string, reason: string): void;
  /** Who it is, for people. */
  peerName(key: string): string | undefined;
}

export interface PeerRelayOptions {
  /** Makes the idempotency keys of this peer relay's submissions: by chance, for no other peer relay may make the same. */
  readonly name: string;
}

/** 64 MiB of messages remembered for peers that cannot be told to begin anew; past it the largest is let go when the leader changes. */
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
    if (!peer)
      this.#peers.set(
        key,
        (peer = { connection: connection(), replay: new PeerReplayBuffer(() => this.#newIdempotencyKey()) }),
      );
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

  /** With no broker core to go to, or one that has enough to carry, what peers say stays with them. */
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

  /** There has been none for a while: those that know other brokers of the group go there. They are welcome again with the next broker core. */
  sendAway(): void {
    if (this.#core) return;
    for (const { replay, connection } of this.#peers.values()) if (replay.saidHello) connection.send(ANEW);
  }

  /** The peers are led to this broker core from now on, as if they had just come. */
  enter(core: CoreChannel): void {
    this.#core = core;
    for (const [key, peer] of this.#peers) this.#introduce(core, key, peer);
    core.flush();
    this.#arrival.resolve();
  }

  /** How this broker core speaks to the peers: silent once there is another. */
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
      peerName: (key) => this.#peers.get(key)?.connection.peer,
      closed: (key, reason) => peerOf(key)?.connection.close(reason),
    };
  }

  #introduce(core: CoreChannel, key: string, peer: RelayedPeer): void {
    const replayed = peer.replay.begin();
    if (peer.replay.saidHello) peer.connection.send(ANEW);
    else if (this.#replayBytes > REPLAY_BYTES_MAX && peer.replay.bytes > 0) {
      peer.connection.close("the leader changed, and too many requests are unanswered to repeat them");
    } else for (const { frames, idempotencyKey } of replayed) core.message(key, frames, idempotencyKey);
  }

  #newIdempotencyKey(): string {
    this.#idempotencyKeys += 1;
    return `~${this.#name}.${this.#idempotencyKeys.toString(36)}`;
  }
}

const ANEW: Frames = [PROTOCOL, VERB.ANEW];
