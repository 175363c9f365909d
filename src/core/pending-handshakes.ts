/**
 * ● The sockets of a TLS server whose handshake is not over. They are nobody's connection yet, and `server.close()` waits for them:
 * whoever stops the server ends them here, so that no stranger can hold the stop up.
 */
import type { Server, Socket } from "node:net";

export class PendingHandshakes {
  readonly #sockets = new Map<string, Socket>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      const peer = peerOf(socket);
      this.#sockets.set(peer, socket);
      socket.once("close", () => {
        if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
      });
    });
    server.on("secureConnection", (socket: Socket) => void this.#sockets.delete(peerOf(socket)));
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Ends the oldest of the address that has most; false when there is only one handshake. */
  destroyOldest(): boolean {
    if (this.#sockets.size < 2) return false;
    const byAddress = new Map<string, Socket[]>();
    for (const [peer, socket] of this.#sockets) {
      const address = peer.slice(0, peer.lastIndexOf(" "));
      const sockets = byAddress.get(address);
      if (sockets) sockets.push(socket);
      else byAddress.set(address, [socket]);
    }
    let most: Socket[] = [];
    for (const sockets of byAddress.values()) if (sockets.length > most.length) most = sockets;
    most[0]?.destroy();
    return true;
  }

  destroy(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

/** A TLS socket hides the one below it; the peer's address names both. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
