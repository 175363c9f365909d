/** ● A connection of session mode on a socket: bytes, ends and drained buffers go to the line, what the line writes to the socket. */
import type { Clock } from "../../core/clock.ts";
import type { ByteLink, LinkOwner } from "../bytes/byte-link.ts";
import type { LinkEnd } from "../end.ts";
import type { KeepAlive } from "../keep-alive/keep-alive.ts";
import type { Line, Wire } from "./link-connection.ts";

/** Shared by all wires of a server or client. */
export interface WireHost {
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  /** Bytes arrived. */
  received(line: Line, bytes: Buffer): void;
  /** The socket is gone; the line has been told. */
  gone(link: ByteLink, end: LinkEnd): void;
}

export class SocketWire implements Wire, LinkOwner {
  /** The line counts for itself what it writes ahead. */
  readonly unsentBytesMax = Infinity;
  /** Set by whoever joins wire and line, in the same turn. */
  line: Line | undefined;
  link: ByteLink | undefined;
  readonly #host: WireHost;

  constructor(host: WireHost) {
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

  bytes(_link: ByteLink, bytes: Buffer): void {
    this.#host.received(this.line!, bytes);
  }

  drained(): void {
    this.line?.drained();
  }

  ended(link: ByteLink, end: LinkEnd): void {
    this.line?.lost(end);
    this.#host.gone(link, end);
  }
}
