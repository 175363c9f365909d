/** A peer in a process of its own: operations go out as lines of JSON, one answer a line comes back. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Options, Peer, Shown, SocketType, Step } from "./peer.ts";

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

export class ProcessPeer implements Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  /** Operations go one at a time: the peer is a single thread. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async authenticate(passwords: Readonly<Record<string, string>>, keys: readonly string[]): Promise<void> {
    await this.#ask({ do: "authenticate", passwords, keys });
  }

  async open(name: string, type: SocketType, options: Options): Promise<void> {
    await this.#ask({ do: "open", name, type, options });
  }

  async bind(name: string, endpoint: string): Promise<string> {
    return (await this.#ask({ do: "bind", name, endpoint })) as string;
  }

  async connect(name: string, endpoint: string): Promise<void> {
    await this.#ask({ do: "connect", name, endpoint });
  }

  async run(name: string, steps: readonly Step[]): Promise<Shown[]> {
    return (await this.#ask({ do: "run", name, steps })) as Shown[];
  }

  async wait(name: string, event: string): Promise<void> {
    await this.#ask({ do: "wait", name, event });
  }

  async close(name: string): Promise<string[]> {
    return (await this.#ask({ do: "close", name })) as string[];
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    clearTimeout(late);
    this.#reader.close();
  }

  async #ask(request: { do: string } & Record<string, unknown>): Promise<unknown> {
    const answer = this.#before.then(async () => {
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value: line, done } = await this.#lines.next();
      if (done) throw new Error(`The peer ended at ${JSON.stringify(request)}`);
      return JSON.parse(line) as Answer;
    });
    this.#before = answer.catch(() => {});
    const { value, error } = await answer;
    if (error !== undefined) throw new Error(`${request.do} ${String(request["name"])}: ${error}`);
    return value;
  }
}

/** libzmq as Debian has it, through pyzmq. */
export function pyzmqPeer(octetsFile: string): Peer {
  return new ProcessPeer("/usr/bin/python3", [join(import.meta.dirname, "peer.py"), octetsFile]);
}

/** libzmq as the `zeromq` package has it. */
export function addonPeer(octetsFile: string): Peer {
  return new ProcessPeer(process.execPath, [join(import.meta.dirname, "node-peer.ts"), octetsFile]);
}
