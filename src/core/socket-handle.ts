/**
 * ● What Node's sockets do through `_handle`, the libuv handle below them. It is no documented property; it has been there since
 * Node 0.10, and tests notice should it go.
 */
import { Socket } from "node:net";
import type { Server, SocketConstructorOpts } from "node:net";

interface Handle {
  readonly fd?: number;
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/** Bun (1.4) lets a new socket take an accepted one's handle, and never reads from it. */
const ADOPTS_HANDLES = !("bun" in process.versions);

/**
 * An accepted, paused connection as a new, paused socket that reads into one buffer of the caller's: `net.createServer` has no
 * `onread`, only the constructor of Socket has, and a Buffer per chunk would be garbage at every read.
 *
 * @returns undefined where that cannot be done: on other runtimes, and over TLS, whose bytes come from the decryption; `accepted` is
 * then as it was, else it is used up
 */
export function readInto(accepted: Socket, onread: SocketConstructorOpts["onread"]): Socket | undefined {
  const handle = handleOf(accepted);
  if (!handle || !ADOPTS_HANDLES || "encrypted" in accepted) return undefined;
  (accepted as unknown as { _handle: null })._handle = null; // the new socket's from now on
  const { allowHalfOpen } = accepted;
  const socket = new Socket({ handle, onread, allowHalfOpen, pauseOnCreate: true } as object);
  accepted.destroy();
  return socket;
}

/** The file descriptor of a net or TLS socket or server, or undefined before it has one, after it closed, and on Windows. */
export function descriptorOf(socket: Socket | Server): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/** Bytes written to a socket that the kernel has taken so far. */
export function takenBytes(socket: Socket): number {
  const handle = handleOf(socket);
  return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
}

function handleOf(socket: Socket | Server): Handle | null | undefined {
  return (socket as { _handle?: Handle | null })._handle;
}
