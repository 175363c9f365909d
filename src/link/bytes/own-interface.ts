/** ● Whether a network interface of this machine is down: then the silence on its connections is not the peer's. */
import { networkInterfaces } from "node:os";

/** 1 s: thousands of connections that end at once with their interface ask the system once. */
const KEPT_MS = 1000;

let runningAddresses = new Set<string>();
let readAtMs = -Infinity;

/**
 * @param address of this side of a connection
 * @returns true when no interface that is up has it
 */
export function isInterfaceDown(address: string): boolean {
  const nowMs = performance.now();
  if (nowMs - readAtMs > KEPT_MS) {
    // Node lists interfaces that are up and running (uv_interface_addresses()).
    const rows = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    runningAddresses = new Set(rows.map((row) => row.address));
    readAtMs = nowMs;
  }
  // All of 127.0.0.0/8 belongs to the loopback interface, which has one of its addresses.
  const own = address.startsWith("127.") ? "127.0.0.1" : address;
  return !runningAddresses.has(own);
}
