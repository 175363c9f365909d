/**
 * ○ Runs what must not fail its caller: callbacks to peers, of which any may have left, and what follows from a commit. An error that
 * nobody expected is logged with its stack and costs at most its owner: that peer's connection is closed.
 */
import { messageOf } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";

/** Whom a callback belongs to: a peer's connection. */
export interface Owner {
  /** Who it is, for people. */
  readonly peer?: string | undefined;
  /** Ends its connection. */
  close(reason: string): void;
}

export class Guard {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Never throws. @param task the number of the task that it is about */
  run(act: () => void, owner?: Owner, task?: number): void {
    try {
      act();
    } catch (error) {
      this.report(error, { owner, task });
    }
  }

  /** An error that nobody expected: a bug. Never throws. */
  report(error: unknown, { owner, task }: { owner?: Owner | undefined; task?: number | undefined } = {}): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#log("queue.program-error", { error: messageOf(error), peer: owner?.peer, task, stack });
    try {
      owner?.close("an unexpected error; the broker's log has it");
    } catch (second) {
      this.#log("queue.program-error", { error: messageOf(second), peer: owner?.peer });
    }
  }
}
