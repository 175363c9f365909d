/** A handler that does what its task says: ends, fails, dies, spins, eats memory. Runs in a thread of threads.test.ts. */
import { setTimeout as pause } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import { GiveUp, type TaskContext } from "../../../src/queue/index.ts";

export interface Told {
  readonly do: string;
  readonly ms?: number;
}

let runs = 0;

export default async function handle(told: Told, task: TaskContext): Promise<unknown> {
  const { attempt, signal, progress, partial } = task;
  switch (told.do) {
    case "steps":
      return { step: await task.step("add", () => 1 + 1), signal: await task.waitFor("go"), runs: (runs += 1) };
    case "thread":
      await pause(told.ms);
      return threadId;
    case "compute": {
      const endMs = performance.now() + told.ms!;
      while (performance.now() < endMs);
      return "computed";
    }
    case "fail":
      if (attempt < 2) throw new RangeError("once");
      return attempt;
    case "give up":
      throw new GiveUp("no use");
    case "throw later":
      setTimeout(() => {
        throw new Error("later");
      });
      return pause(10_000);
    case "exit":
      process.exit(7);
    // oxlint-disable-next-line no-fallthrough
    case "spin":
      for (;;);
    case "heed": {
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => resolve());
      await promise;
      throw signal.reason;
    }
    case "eat": {
      const eaten: number[][] = [];
      for (;;) eaten.push(Array.from({ length: 100_000 }, () => Math.random()));
    }
    case "tell":
      progress({ percent: 50 });
      partial("half");
      return "whole";
    case "strange result":
      return () => {};
    default:
      throw new Error(`cannot ${told.do}`);
  }
}
