/** ● Nothing is open beyond this machine without a warning (SECURITY.md): said once, when a part without a lock on it listens. */
import { isLoopback, parseAddress } from "../core/address.ts";

/** Warns on stderr when others than this machine can reach a part's address. Sockets in the file system are nobody else's. */
export function warnIfOpen(name: string, address: string): void {
  if (/^(ipc:\/\/|unix:)/.test(address)) return;
  const { host } = parseAddress(address.replace(/^tcp:\/\//, ""), name);
  if (!isLoopback(host)) process.stderr.write(`holdfast: warning: whoever reaches ${address} may use the ${name}\n`);
}
