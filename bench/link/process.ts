/** The ends of the link bench as child processes. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface End {
  readonly pid: number;
  /** The next thing that it says. */
  next(): Promise<Record<string, number>>;
  tell(message: Record<string, number>): void;
  stop(): Promise<void>;
}

/** Starts an end; fails with its words when it breaks. */
export function startEnd(role: string, ...args: readonly (string | number)[]): End {
  const child: ChildProcess = fork(join(import.meta.dirname, "end.ts"), [role, ...args.map(String)], {
    execArgv: ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"],
  });
  return {
    pid: child.pid!,
    next: () =>
      new Promise((resolve, reject) => {
        const failed = (code: number | null): void => reject(new Error(`${role} ended with ${code}`));
        child.once("exit", failed);
        child.once("message", (message) => {
          child.off("exit", failed);
          resolve(message as Record<string, number>);
        });
      }),
    tell: (message) => void child.send(message),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
