/**
 * ● One run of a command for a task: body on stdin, result from stdout. The command gets its own process group, so that stopping it
 * also stops the processes that it started. A process that keeps stdout open after the command's end delays the worker by 1 s at
 * most.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import { OperationError } from "../../core/errors.ts";
import { BODY_BYTES_MAX } from "./bodies.ts";

/** 4 KiB of stderr are kept: more than the queue stores of an error. */
const ERROR_BYTES_MAX = 4096;
/** 5 s between SIGTERM and SIGKILL for a command whose task was cancelled. */
const KILL_MS = 5000;
/** 1 s after the command's end for output of processes that it left running. */
const LEFTOVER_MS = 1000;

export interface TaskCommandOutcome {
  /** The exit code; 128 + its number after a signal. */
  readonly code: number;
  readonly result: Buffer;
  readonly errors: string;
}

export class TaskCommand {
  readonly #file: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #result: Buffer[] = [];
  #resultBytes = 0;
  #errors = EMPTY_BUFFER;
  #killTimer: NodeJS.Timeout | undefined;

  constructor([file, ...args]: readonly [string, ...string[]], environment: Readonly<Record<string, string>>) {
    this.#file = file;
    const env = { ...process.env, ...environment };
    this.#child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"], detached: true });
  }

  /**
   * Resolves when it has ended.
   *
   * @throws OperationError CLI_USAGE when it cannot be run
   */
  async run(body: Uint8Array): Promise<TaskCommandOutcome> {
    const child = this.#child;
    child.stdout.on("data", (chunk: Buffer) => this.#print(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      this.#errors = Buffer.concat([this.#errors, chunk]).subarray(-ERROR_BYTES_MAX);
    });
    // A command may ignore its stdin.
    child.stdin.on("error", () => {});
    child.stdin.end(body);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once("error", (error) =>
      reject(new OperationError("CLI_USAGE", `Cannot run ${this.#file}: ${error.message}`, { cause: error })),
    );
    child.once("exit", () => {
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, LEFTOVER_MS).unref();
    });
    child.once("close", (code, by) => resolve(code ?? 128 + (by ? constants.signals[by] : 0)));
    try {
      const code = await promise;
      if (this.#resultBytes <= BODY_BYTES_MAX) return this.#outcome(code, Buffer.concat(this.#result));
      return { code: code || 1, result: EMPTY_BUFFER, errors: `${this.#file} printed more than ${BODY_BYTES_MAX} bytes` };
    } finally {
      clearTimeout(this.#killTimer);
    }
  }

  /** Sends SIGTERM to the process group, and SIGKILL 5 s later. */
  stop(): void {
    this.#signal("SIGTERM");
    this.#killTimer ??= setTimeout(() => this.#signal("SIGKILL"), KILL_MS);
  }

  #outcome(code: number, result: Buffer): TaskCommandOutcome {
    return { code, result, errors: this.#errors.toString().trim() };
  }

  #print(chunk: Buffer): void {
    this.#resultBytes += chunk.length;
    if (this.#resultBytes <= BODY_BYTES_MAX) this.#result.push(chunk);
    else {
      this.#result.length = 0;
      this.stop();
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group has ended.
    }
  }
}
