/**
 * A shell of its own network, processes and /etc/hosts: names that a test gives its addresses, ports that nobody else has, and nothing
 * of it left when the shell ends. Needs root.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** One name with several addresses, as the lines of a hosts file. */
export function hostsFile(name: string, addresses: readonly string[]): string {
  return `127.0.0.1 localhost\n${addresses.map((address) => `${address} ${name}\n`).join("")}`;
}

/** Starts a command in a folder, where `hosts` is its /etc/hosts: what is written there later is what names are from then on. */
export function inHostsNamespace(folder: string, hosts: string, command: readonly string[]): ChildProcess {
  const file = join(folder, "hosts");
  writeFileSync(file, hosts);
  const apart = ["-m", "-n", "-p", "-f", "--kill-child", "--mount-proc"];
  const prepare = 'ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@"';
  const env = { ...process.env, PATH: `${join(root, "bin")}:${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  return spawn("unshare", [...apart, "sh", "-c", prepare, file, ...command], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
