/** ○ The way from a peer relay to the broker core behind it, of the same broker: no network, but as with one nothing of the past comes through. */
import type { Route, PeerConnection } from "../../protocols/protocol-handler.ts";
import type { PeerSink } from "../../broker/front-end.ts";
import type { Frames } from "../../protocols/messages.ts";
import type { PeerChannel, CoreChannel } from "./peer-relay.ts";

interface LocalPeerConnection extends PeerConnection {
  idempotencyKey: string;
}

export class LocalCoreChannel implements CoreChannel {
  readonly #core: PeerSink;
  readonly #peerRelay: PeerChannel;
  readonly #connections = new Map<string, LocalPeerConnection>();
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

  #connection(key: string): LocalPeerConnection {
    return {
      peer: this.#peerRelay.peerName(key),
      idempotencyKey: "",
      route: this.#route,
      send: (frames) => this.#peerRelay.said(key, frames),
      close: (reason) => this.#peerRelay.closed(key, reason),
    };
  }
}
