/**
 * ● The transport of session mode on a browser's WebSocket, which says neither when bytes leave nor why a connection ended. So what it has
 * not sent is looked at from time to time, and an end that was not asked for is `fin` after a Close, else `unreachable`.
 */
import { endOf } from "../end.ts";
import { SOCKET_AHEAD_BYTES, WEB_SOCKET_LOOK_MS } from "../limits.ts";
import type { LinkTransport } from "../session/environment.ts";
import type { LinkConnection } from "../session/link-connection.ts";

/** RFC 6455, section 7.1.5: the connection ended without a Close. */
const CLOSE_ABNORMAL = 1006;

export class BrowserTransport implements LinkTransport {
  /** Set by whoever joins transport and connection, in the same turn. */
  connection: LinkConnection | undefined;
  readonly peer: string;
  readonly #socket: WebSocket;
  #writtenBytes = 0;
  #isLooking = false;

  /** @param socket open, with its listeners still to be set */
  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.peer = new URL(socket.url).host;
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      // Text is a protocol error, which no bytes are.
      this.connection!.received(data instanceof ArrayBuffer ? new Uint8Array(data) : Uint8Array.of(0xff));
    };
    socket.onclose = ({ code }: CloseEvent) =>
      void this.connection!.lost(
        endOf(this.interfaceDown ? "interface-down" : code === CLOSE_ABNORMAL ? "unreachable" : "fin"),
      );
    socket.onerror = null;
  }

  get aheadBytes(): number {
    return this.#socket.bufferedAmount;
  }

  get takenBytes(): number {
    return this.#writtenBytes - this.aheadBytes;
  }

  get interfaceDown(): boolean {
    return (navigator as { onLine?: boolean }).onLine === false;
  }

  write(parts: readonly Uint8Array[]): void {
    for (const bytes of parts) {
      this.#socket.send(bytes as Uint8Array<ArrayBuffer>);
      this.#writtenBytes += bytes.length;
    }
    this.#look();
  }

  /** Only a server pauses. */
  pause(): void {}
  resume(): void {}

  end(): void {
    this.#socket.close();
  }

  /** The browser waits for the server's Close, which a dead one does not send: for the session this is the end. */
  destroy(): void {
    this.#socket.close();
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    queueMicrotask(() => this.connection!.lost(endOf("closed")));
  }

  #look(): void {
    if (this.#isLooking || this.aheadBytes === 0) return;
    this.#isLooking = true;
    setTimeout(() => {
      this.#isLooking = false;
      if (this.aheadBytes === 0) this.connection!.drained();
      else if (this.aheadBytes < SOCKET_AHEAD_BYTES / 2) this.connection!.flush();
      this.#look();
    }, WEB_SOCKET_LOOK_MS);
  }
}
