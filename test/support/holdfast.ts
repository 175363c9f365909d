/** Runs `bin/holdfast …` as a user would: a child process whose output is read line by line. */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Namespace } from "./namespace.ts";

const launcher = join(import.meta.dirname, "../../bin/holdfast");

/** 20 s: an order of magnitude over the slowest start seen on a loaded 2-core machine; longer is a hang. */
const WAIT_MS_MAX = 20_000;

export interface RunOptions {
  readonly namespace?: Namespace;
  readonly launcher?: string;
  readonly cwd?: string;
  /** Beside the environment that there is. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Holdfast {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(args: readonly string[], { namespace, launcher: path = launcher, cwd, env }: RunOptions = {}) {
    const options: SpawnOptions = { cwd, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] };
    this.child = namespace ? namespace.spawn(path, args, options) : spawn(path, args, options);
    this.child.stdout!.setEncoding("latin1").on("data", (text: string) => (this.stdout += text));
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.#exit = once(this.child, "close").then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  /** Resolves when stdout has matched; rejects with all output when the process ends or 20 s pass before. */
  async printed(pattern: RegExp, stream: "stdout" | "stderr" = "stdout"): Promise<RegExpExecArray> {
    const deadline = performance.now() + WAIT_MS_MAX;
    const source = stream === "stdout" ? this.child.stdout! : this.child.stderr!;
    for (;;) {
      const found = pattern.exec(this[stream]);
      if (found) return found;
      const waitMs = deadline - performance.now();
      if (waitMs <= 0 || source.readableEnded) throw new Error(`no ${pattern} in ${stream}:\n${this.stdout}\n${this.stderr}`);
      const signal = AbortSignal.timeout(Math.ceil(waitMs));
      await Promise.race([once(source, "data", { signal }), once(source, "end", { signal })]).catch(() => {});
    }
  }

  /** Waits for the end of the process. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }> {
    return { ...(await this.#exit), stdout: this.stdout, stderr: this.stderr };
  }

  /** Asks it to stop and waits until it has. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
