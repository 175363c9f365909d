/** ● The transport of session mode on a socket: passes bytes, ends and drained buffers to the connection, and its writes to the socket. */
import type { Clock } from "../../core/clock.ts";
import type { ByteLink, LinkOwner } from "../bytes/byte-link.ts";
import type { LinkEnd } from "../end.ts";
import type { KeepAlive } from "../keep-alive/keep-alive.ts";
import type { LinkConnection } from "./link-connection.ts";
import type { LinkTransport } from "./environment.ts";

/** Shared by all transports of a server or client. */
export interface TransportHost {
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  /** Bytes arrived. */
  received(connection: LinkConnection, bytes: Uint8Array): void;
  /** The socket is gone; `end` is what the connection's owner was told. */
  gone(link: ByteLink, end: LinkEnd): void;
}

export class SocketTransport implements LinkTransport, LinkOwner {
  /** The connection counts for itself what it writes ahead. */
  readonly unsentBytesMax = Infinity;
  /** Set by whoever joins transport and connection, in the same turn. */
  connection: LinkConnection | undefined;
  link: ByteLink | undefined;
  readonly #host: TransportHost;

  constructor(host: TransportHost) {
    this.#host = host;
  }

  get clock(): Clock {
    return this.#host.clock;
  }

  get keepAlive(): KeepAlive {
    return this.#host.keepAlive;
  }

  get peer(): string {
    return this.link!.peer;
  }

  get aheadBytes(): number {
    return this.link!.aheadBytes;
  }

  get takenBytes(): number {
    return this.link!.takenBytes;
  }

  get interfaceDown(): boolean {
    return this.link!.interfaceDown;
  }

  write(parts: readonly Uint8Array[]): void {
    this.link!.write(parts);
  }

  pause(): void {
    this.link!.pause();
  }

  resume(): void {
    this.link!.resume();
  }

  end(): void {
    this.link!.close();
  }

  destroy(): void {
    this.link!.destroySoon();
  }

  bytes(_link: ByteLink, bytes: Uint8Array): void {
    this.#host.received(this.connection!, bytes);
  }

  drained(): void {
    this.connection?.drained();
  }

  peerEnded(): void {
    this.connection!.peerEnded();
  }

  ended(link: ByteLink, end: LinkEnd): void {
    this.#host.gone(link, this.connection?.lost(end) ?? end);
  }
}
