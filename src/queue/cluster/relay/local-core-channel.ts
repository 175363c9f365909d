/** ○ The way from a door to the hall behind it, of the same broker: no network, but as with one nothing of the past comes through. */
import type { Way, Wire } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import type { Frames } from "../../protocols/messages.ts";
import type { DoorPort, HallPort } from "./peer-relay.ts";

interface LocalWire extends Wire {
  tag: string;
}

export class LocalHallPort implements HallPort {
  readonly #hall: PeerSink;
  readonly #door: DoorPort;
  readonly #wires = new Map<string, LocalWire>();
  readonly #way: Way;

  constructor(hall: PeerSink, door: DoorPort, term: number) {
    this.#hall = hall;
    this.#door = door;
    this.#way = { term, isRelayed: false };
  }

  message(key: string, frames: Frames, tag: string): void {
    let wire = this.#wires.get(key);
    if (!wire) this.#wires.set(key, (wire = this.#wire(key)));
    wire.tag = tag;
    this.#hall.receive(key, frames, () => wire);
  }

  gone(key: string): void {
    this.#wires.delete(key);
    this.#hall.gone(key);
  }

  flush(): void {
    this.#hall.flush();
  }

  ready(): undefined {
    return undefined;
  }

  #wire(key: string): LocalWire {
    return {
      peer: this.#door.peerName(key),
      tag: "",
      way: this.#way,
      send: (frames) => this.#door.said(key, frames),
      close: (reason) => this.#door.closed(key, reason),
    };
  }
}
