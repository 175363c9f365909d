/**
 * ○ A broker's front door in a group: its peers, and the hall that they are led to, which is here while this broker leads and elsewhere
 * while it follows. When the hall changes it makes the peers known to the next one. Invariant: nothing that a hall of the past says
 * reaches a peer.
 */
import type { Wire } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import { type Frames, PROTOCOL, VERB } from "../../protocols/messages.ts";
import { PeerMemory } from "./peer-replay-buffer.ts";

/** The way to a hall. */
export interface HallPort {
  message(key: string, frames: Frames, tag: string): void;
  gone(key: string): void;
  flush(): void;
  /** Not yet: it has enough to carry. */
  ready(): Promise<void> | undefined;
}

/** What comes back from it. */
export interface DoorPort {
  said(key: string, frames: Frames): void;
  closed(key: string, reason: string): void;
  /** Who it is, for people. */
  peerName(key: string): string | undefined;
}

export interface DoorOptions {
  /** Makes the tags of this door's submissions: by chance, for no other door may make the same. */
  readonly name: string;
}

/** 64 MiB of messages remembered for peers that cannot be told to begin anew; past it the largest is let go when the leader changes. */
const REMEMBERED_BYTES_MAX = 64 * 1024 ** 2;

interface DoorPeer {
  readonly wire: Wire;
  readonly memory: PeerMemory;
}

export class Door implements PeerSink {
  readonly #name: string;
  readonly #peers = new Map<string, DoorPeer>();
  #hall: HallPort | undefined;
  #arrival = Promise.withResolvers<void>();
  #tags = 0;
  #rememberedBytes = 0;

  constructor({ name }: DoorOptions) {
    this.#name = name;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  // ---- from the peers

  receive(key: string, frames: Frames, wire: () => Wire): void {
    let peer = this.#peers.get(key);
    if (!peer) this.#peers.set(key, (peer = { wire: wire(), memory: new PeerMemory(() => this.#newTag()) }));
    const { memory } = peer;
    const before = memory.bytes;
    const tag = memory.heard(frames);
    this.#rememberedBytes += memory.bytes - before;
    if (tag !== undefined) this.#hall?.message(key, frames, tag);
  }

  gone(key: string): void {
    const peer = this.#peers.get(key);
    if (!peer) return;
    this.#peers.delete(key);
    this.#rememberedBytes -= peer.memory.bytes;
    this.#hall?.gone(key);
  }

  flush(): void {
    this.#hall?.flush();
  }

  /** With no hall to go to, or one that has enough to carry, what peers say stays with them. */
  ready(): Promise<void> | undefined {
    return this.#hall ? this.#hall.ready() : this.#rememberedBytes > REMEMBERED_BYTES_MAX ? this.#arrival.promise : undefined;
  }

  // ---- the hall

  /** There is none for now. */
  leave(): void {
    if (this.#hall) this.#arrival = Promise.withResolvers();
    this.#hall = undefined;
    for (const { memory } of this.#peers.values()) memory.begin();
  }

  /** There has been none for a while: those that know other doors of the group go there. They are welcome again with the next hall. */
  sendAway(): void {
    if (this.#hall) return;
    for (const { memory, wire } of this.#peers.values()) if (memory.saidHello) wire.send(ANEW);
  }

  /** The peers are led to this hall from now on, as if they had just come. */
  enter(hall: HallPort): void {
    this.#hall = hall;
    for (const [key, peer] of this.#peers) this.#introduce(hall, key, peer);
    hall.flush();
    this.#arrival.resolve();
  }

  /** How this hall speaks to the peers: silent once there is another. */
  portOf(hall: () => HallPort | undefined): DoorPort {
    const peerOf = (key: string): DoorPeer | undefined =>
      this.#hall && hall() === this.#hall ? this.#peers.get(key) : undefined;
    return {
      said: (key, frames) => {
        const peer = peerOf(key);
        if (!peer) return;
        const { memory } = peer;
        const before = memory.bytes;
        memory.said(frames);
        this.#rememberedBytes += memory.bytes - before;
        peer.wire.send(frames);
      },
      peerName: (key) => this.#peers.get(key)?.wire.peer,
      closed: (key, reason) => peerOf(key)?.wire.close(reason),
    };
  }

  #introduce(hall: HallPort, key: string, peer: DoorPeer): void {
    const remembered = peer.memory.begin();
    if (peer.memory.saidHello) peer.wire.send(ANEW);
    else if (this.#rememberedBytes > REMEMBERED_BYTES_MAX && peer.memory.bytes > 0) {
      peer.wire.close("the leader changed, and too much is unanswered to be asked again");
    } else for (const { frames, tag } of remembered) hall.message(key, frames, tag);
  }

  #newTag(): string {
    this.#tags += 1;
    return `~${this.#name}.${this.#tags.toString(36)}`;
  }
}

const ANEW: Frames = [PROTOCOL, VERB.ANEW];
