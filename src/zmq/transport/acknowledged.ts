/**
 * ● Whether the other side's kernel has all that was written to a TCP connection, FIN included: Linux tells the state of every
 * connection, and leaves FIN_WAIT1 when the FIN is acknowledged, which comes last.
 */
import { readFile } from "node:fs/promises";
import type { Socket as Stream } from "node:net";

/** In `/proc/net/tcp` (Linux, include/net/tcp_states.h). */
const FIN_WAIT1 = "04";

/** @returns undefined where the system does not tell */
export async function isAcknowledged({ localPort, remotePort, remoteFamily }: Stream): Promise<boolean | undefined> {
  if (localPort === undefined || remotePort === undefined) return true; // no TCP: what is written is there
  let table: string;
  try {
    table = await readFile(remoteFamily === "IPv6" ? "/proc/net/tcp6" : "/proc/net/tcp", "latin1");
  } catch {
    return undefined;
  }
  return !new RegExp(`^ *\\d+: [0-9A-F]+:${port(localPort)} [0-9A-F]+:${port(remotePort)} ${FIN_WAIT1} `, "m").test(table);
}

function port(number: number): string {
  return number.toString(16).toUpperCase().padStart(4, "0");
}
