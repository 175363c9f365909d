/** A network namespace of the test's own, with loopback up: default ports are free in it, whatever else runs on the machine. Needs root. */
import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from "node:child_process";

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
