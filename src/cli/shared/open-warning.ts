/** ● Warns once when a server without authentication listens on a non-loopback address (SECURITY.md). */
import { isLoopback, parseAddress } from "../../core/address.ts";

/**
 * The warning for a server whose address other machines can reach; else undefined. Unix sockets are local.
 *
 * @param remedy the flag that turns authentication on
 */
export function openWarning(name: string, address: string, remedy?: string): string | undefined {
  if (/^(ipc:\/\/|inproc:\/\/|unix:)/.test(address)) return undefined;
  const { host } = parseAddress(address.replace(/^tcp:\/\//, ""), name);
  if (isLoopback(host)) return undefined;
  return `the ${name} at ${address} accepts clients from the network without authentication${remedy === undefined ? "" : `; see ${remedy}`}`;
}

/** Warns on stderr. */
export function warnIfOpen(name: string, address: string, remedy?: string): void {
  const warning = openWarning(name, address, remedy);
  if (warning !== undefined) process.stderr.write(`holdfast: warning: ${warning}\n`);
}
