/** A TCP relay between client and server whose connections a test can reset, or stop relaying in silence. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface Proxy {
  readonly port: number;
  /** Where new connections lead. */
  target: number;
  /** Ends every connection with RST on both sides. */
  reset(): void;
  close(): Promise<void>;
}

export async function proxyTo(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let target = targetPort;
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get target() {
      return target;
    },
    set target(port) {
      target = port;
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
