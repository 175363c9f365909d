/** Versions of the programs and packages that Holdfast is measured against, as they are installed here. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** How each program is asked; its version is the first number with a point in what it says. */
const PROGRAMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  memcached: ["memcached", "-V"],
  redis: ["redis-server", "--version"],
  beanstalkd: ["beanstalkd", "-v"],
  "nats-server": ["nats-server", "--version"],
  mosquitto: ["mosquitto", "-h"],
  libzmq: ["pkg-config", "--modversion", "libzmq"],
};

const modules = join(import.meta.dirname, "../../node_modules");

/**
 * The versions of some peers: "memcached" a program, "npm:memcached" a package.
 *
 * @throws Error when one is not installed
 */
export function versionsOf(peers: readonly string[]): Record<string, string> {
  return Object.fromEntries(peers.map((peer) => [peer, versionOf(peer)]));
}

function versionOf(peer: string): string {
  if (peer.startsWith("npm:")) {
    const { version } = JSON.parse(readFileSync(join(modules, peer.slice(4), "package.json"), "utf8")) as { version: string };
    return version;
  }
  const [program, ...args] = PROGRAMS[peer]!;
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  const version = /\d+(\.\d+)+/.exec(`${stdout} ${stderr}`)?.[0];
  if (version === undefined) throw new Error(`Cannot ask ${peer} for its version: is it installed?`);
  return version;
}
