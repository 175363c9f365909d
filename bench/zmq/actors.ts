/** The bench's actors: processes that hold one end of a connection each and do so many messages when told. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { curveKeyPair, type CurveKeyPair } from "../../src/zmq/transport/curve-math.ts";
import { cpuSeconds, freePort } from "../support/process.ts";

/** Whose sockets an actor uses. `holdfast-batch` is Holdfast with the calls that the `zeromq` package does not have. */
export type Maker = "holdfast" | "holdfast-batch" | "zeromq" | "libzmq";

/** What an actor does; the pairs that go together stand in `OPPOSITE`. */
export type Role = "push" | "pull" | "request" | "reply" | "deal" | "route" | "publish" | "subscribe";

export const OPPOSITE: Readonly<Record<Role, Role>> = {
  push: "pull",
  pull: "push",
  request: "reply",
  reply: "request",
  deal: "route",
  route: "deal",
  publish: "subscribe",
  subscribe: "publish",
};

let libzmq: string | undefined;

/** Compiles the actor in C++, once; needs g++ and libzmq3-dev. */
function libzmqActor(): string {
  if (libzmq === undefined || !existsSync(libzmq)) {
    libzmq = join(mkdtempSync(join(tmpdir(), "holdfast-bench-")), "libzmq");
    execFileSync("g++", ["-O2", "-std=c++17", "-o", libzmq, join(import.meta.dirname, "libzmq.cpp"), "-lzmq"]);
  }
  return libzmq;
}

class Actor {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(maker: Maker, args: readonly string[]) {
    const command: readonly [string, ...string[]] =
      maker === "libzmq"
        ? [libzmqActor()]
        : [process.execPath, "--conditions=holdfast-source", join(import.meta.dirname, "actor.ts"), maker];
    this.#child = spawn(command[0], [...command.slice(1), ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async said(word: string): Promise<void> {
    const { value, done } = await this.#lines.next();
    if (done || value !== word) throw new Error(`An actor said ${done ? "nothing" : value} instead of ${word}`);
  }

  async run(count: number): Promise<void> {
    this.#child.stdin.write(`run ${count}\n`);
    await this.said("ok");
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 1000);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    clearTimeout(late);
    this.#reader.close();
  }
}

/** What one measurement found. */
export interface Measured {
  readonly perSecond: number;
  /** Messages per CPU second of the measured process alone. */
  readonly perCpuSecond: number;
}

/** Two actors on one connection: the measured one, and libzmq in C at the other end, so that it is never the slower. */
export class Stage {
  readonly #measured: Actor;
  readonly #opposite: Actor;

  private constructor(measured: Actor, opposite: Actor) {
    this.#measured = measured;
    this.#opposite = opposite;
  }

  static async open(maker: Maker, role: Role, { size, curve = false }: { size: number; curve?: boolean }): Promise<Stage> {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const [server, client] = [curveKeyPair(), curveKeyPair()];
    const args = (role: Role, how: "bind" | "connect", keys: CurveKeyPair): string[] => [
      role,
      how,
      endpoint,
      String(size),
      ...(curve ? [keys.publicKey, keys.secretKey, server.publicKey] : []),
    ];
    const measured = new Actor(maker, args(role, "bind", server));
    await measured.said("bound");
    const opposite = new Actor("libzmq", args(OPPOSITE[role], "connect", client));
    await opposite.said("bound");
    await Promise.all([measured.said("ready"), opposite.said("ready")]);
    return new Stage(measured, opposite);
  }

  async run(count: number): Promise<Measured> {
    const cpuBefore = cpuSeconds(this.#measured.pid);
    const start = performance.now();
    await Promise.all([this.#measured.run(count), this.#opposite.run(count)]);
    const seconds = (performance.now() - start) / 1000;
    const cpu = cpuSeconds(this.#measured.pid) - cpuBefore;
    return { perSecond: count / seconds, perCpuSecond: count / Math.max(cpu, 0.005) }; // half a tick: what cannot be told from 0
  }

  async close(): Promise<void> {
    await Promise.all([this.#measured.stop(), this.#opposite.stop()]);
  }
}
