/** ● Makes a TCP or TLS connection within 10 s, or says why not. */
import { connect, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import type { Clock } from "../../core/clock.ts";
import { HOST_DEFAULT } from "../../core/limits.ts";
import { CONNECT_MS_MAX, PORT_DEFAULT } from "../limits.ts";

/** Where and how to connect. */
export interface DialOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 12345. */
  readonly port?: number;
  /** The address of this machine to connect from. Default: the system's choice. */
  readonly localAddress?: string;
  /** TLS: true, or Node's own options (`ca`, `cert`, `key`, `servername` …). */
  readonly tls?: boolean | ConnectionOptions;
}

/** A connected socket without listeners; rejects with the system's or TLS's error. */
export async function dialSocket(
  { host = HOST_DEFAULT, port = PORT_DEFAULT, localAddress, tls }: DialOptions,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<Socket> {
  const target = { host, port, ...(localAddress === undefined ? {} : { localAddress }) };
  const socket = tls
    ? connectTls({ servername: isIP(host) ? "" : host, ...(tls === true ? {} : tls), ...target })
    : connect({ ...target, noDelay: true });
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
