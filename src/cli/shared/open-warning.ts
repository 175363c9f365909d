/** ● Nothing is open beyond this machine without a warning (SECURITY.md): said once, when a part without a lock on it listens. */
import { isLoopback, parseAddress } from "../../core/address.ts";

/**
 * What to warn of when others than this machine can reach a part's address; else undefined. Sockets in the file system are nobody
 * else's.
 *
 * @param remedy the flag that puts a lock on it
 */
export function openWarning(name: string, address: string, remedy?: string): string | undefined {
  if (/^(ipc:\/\/|inproc:\/\/|unix:)/.test(address)) return undefined;
  const { host } = parseAddress(address.replace(/^tcp:\/\//, ""), name);
  if (isLoopback(host)) return undefined;
  return `whoever reaches ${address} may use the ${name}${remedy === undefined ? "" : `; see ${remedy}`}`;
}

/** Warns on stderr. */
export function warnIfOpen(name: string, address: string, remedy?: string): void {
  const warning = openWarning(name, address, remedy);
  if (warning !== undefined) process.stderr.write(`holdfast: warning: ${warning}\n`);
}
