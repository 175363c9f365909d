/**
 * A real network to break: two network namespaces joined by a pair of virtual Ethernet cards. Side B has an address for each case,
 * and each address can be cut off on its way out: the peer hears, but cannot answer. Needs root and iproute2.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";

const NETWORK = "10.77.0";
/** The server's side. */
export const SERVER_ADDRESS = `${NETWORK}.2`;

export class Lab {
  readonly a = `hf${process.pid}a`;
  readonly b = `hf${process.pid}b`;
  readonly #children: ChildProcessWithoutNullStreams[] = [];

  constructor({ addresses }: { addresses: number }) {
    ip("netns", "add", this.a);
    ip("netns", "add", this.b);
    ip("-n", this.a, "link", "add", "lab", "type", "veth", "peer", "name", "lab", "netns", this.b);
    ip("-n", this.a, "addr", "add", `${SERVER_ADDRESS}/24`, "dev", "lab");
    for (let index = 0; index < addresses; index += 1)
      ip("-n", this.b, "addr", "add", `${clientAddress(index)}/24`, "dev", "lab");
    for (const namespace of [this.a, this.b]) {
      ip("-n", namespace, "link", "set", "lo", "up");
      ip("-n", namespace, "link", "set", "lab", "up");
    }
  }

  /** Starts a program on one side. */
  run(side: "a" | "b", command: string, ...args: string[]): ChildProcessWithoutNullStreams {
    const child = spawn("ip", ["netns", "exec", this[side], command, ...args]);
    this.#children.push(child);
    return child;
  }

  /** Nothing that this client sends arrives any more. */
  cut(client: number): void {
    ip("-n", this.b, "rule", "add", "from", clientAddress(client), "blackhole");
  }

  heal(client: number): void {
    ip("-n", this.b, "rule", "del", "from", clientAddress(client), "blackhole");
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    ip("netns", "del", this.a);
    ip("netns", "del", this.b);
  }
}

export function clientAddress(client: number): string {
  return `${NETWORK}.${100 + client}`;
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}
