/**
 * ● The kernel's table of TCP connections, /proc/net/tcp and tcp6, which any user may read. Linux only; undefined elsewhere.
 * Reading it costs time in proportion to the sockets of the whole network namespace.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { codeOf } from "../../core/errors.ts";
import { endKey, parseProcNetTcp } from "./proc-net-text.ts";
import type { KernelTimer } from "./proc-net-text.ts";

/** All connections by their two ends (`endKey`); undefined where the system has no such table. */
export function kernelTimers(): Map<string, KernelTimer> | undefined {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(readIfThere);
  if (tables[0] === undefined) return undefined;
  return new Map(tables.flatMap((text) => [...parseProcNetTcp(text ?? "")]));
}

/** The timer of one socket, or undefined when it is not in the table. */
export function kernelTimer(socket: Socket): KernelTimer | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || remoteAddress === undefined) return undefined;
  const ends = { localAddress, localPort: localPort!, remoteAddress, remotePort: remotePort! };
  return kernelTimers()?.get(endKey(ends));
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
