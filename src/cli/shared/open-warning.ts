/** ● Warns once when a server without authentication listens on a non-loopback address (SECURITY.md). */
import { isLoopback, parseAddress } from "../../core/address.ts";
import type { Log } from "../../core/log.ts";

/**
 * Tells it when other machines can reach the server's address. Unix sockets are local.
 *
 * @param see the flag that turns authentication on
 */
export function warnIfOpen(part: "cache" | "queue" | "link", address: string, { log, see }: { log: Log; see?: string }): void {
  if (/^(ipc:\/\/|inproc:\/\/|unix:)/.test(address)) return;
  const { host } = parseAddress(address.replace(/^tcp:\/\//, ""), part);
  if (!isLoopback(host)) log(`${part}.exposed`, { address, see });
}
