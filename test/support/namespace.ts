/**
 * Network namespaces of a test's own: default ports are free in them, whatever else runs on the machine. `Namespace` stays between
 * commands and needs root; `ownNamespace` is for one command, and works for others where the kernel lets users make namespaces.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess, type SpawnOptions } from "node:child_process";

let counter = 0;

export class Namespace {
  readonly name = `holdfast-${process.pid}-${(counter += 1)}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    execFileSync("ip", ["-n", this.name, "link", "set", "lo", "up"]);
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn("ip", ["netns", "exec", this.name, command, ...args], options);
  }

  /** Runs a command to its end and returns what it printed. */
  run(
    command: string,
    args: readonly string[],
    { input, env }: { input?: string | Uint8Array; env?: NodeJS.ProcessEnv } = {},
  ): string {
    return execFileSync("ip", ["netns", "exec", this.name, command, ...args], {
      input,
      env,
      encoding: "utf8",
      maxBuffer: 64 * 1024 ** 2,
    });
  }

  /** Removes the namespace; processes still in it keep it until they end. */
  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "del", this.name]);
  }
}

/** As PID 1's children, all that a command started ends with it. */
const APART = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

let own: readonly string[] | undefined | "unknown" = "unknown";

/**
 * The words before a command that give it a network (loopback still down) and processes of its own.
 *
 * @returns undefined where this user may not make namespaces
 */
export function ownNamespace(): readonly string[] | undefined {
  const ways = [
    ["unshare", ...APART],
    ["unshare", "--user", "--map-root-user", ...APART],
  ];
  if (own === "unknown")
    own = ways.find(([command, ...flags]) => succeeds(command!, ...flags, "ip", "link", "set", "lo", "up"));
  return own;
}

function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
