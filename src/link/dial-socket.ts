/** ● Makes a TCP or TLS connection within 10 s, or says why not. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import type { Clock } from "../core/clock.ts";
import { CONNECT_MS_MAX } from "./limits.ts";

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  readonly tls?: boolean | ConnectionOptions | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A connected socket without listeners; rejects with the system's or TLS's error. */
export async function dialSocket({ host, port, tls, clock, signal }: DialTarget): Promise<Socket> {
  const socket = tls
    ? connectTls({ servername: host, ...(tls === true ? {} : tls), host, port })
    : connect({ host, port, noDelay: true });
  const abort = (): void => void socket.destroy(new Error("closed"));
  const cancel = clock.at(clock.now() + CONNECT_MS_MAX, () => {
    socket.destroy(Object.assign(new Error("no answer within 10 s"), { code: "EHOSTUNREACH" }));
  });
  signal.addEventListener("abort", abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(tls ? "secureConnect" : "connect", resolve);
      socket.once("error", reject);
    });
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
  }
  socket.removeAllListeners("error");
  if (tls) socket.setNoDelay(true);
  return socket;
}
