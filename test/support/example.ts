/** Runs an example as its README says, from the sources, and gathers what it prints. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** 20 s: longer is a hang. */
const WAIT_MS_MAX = 20_000;

export class Example {
  readonly child: ChildProcess;
  output = "";
  readonly #end: Promise<number | null>;

  /** @param command the file below examples/ (run by Node), or a program such as /usr/bin/python3 with its arguments */
  constructor(command: string, args: readonly string[] = []) {
    const ours = command.endsWith(".ts");
    const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", join(root, "examples", command)];
    this.child = spawn(ours ? process.execPath : command, ours ? [...node, ...args] : [...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    this.#end = once(this.child, "close").then(([code]) => code as number | null);
  }

  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const found = pattern.exec(this.output);
      if (found) return found;
      if (performance.now() > deadline || this.child.exitCode !== null) throw new Error(`no ${pattern} in:\n${this.output}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }

  ended(): Promise<number | null> {
    return this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    await this.#end;
  }
}
