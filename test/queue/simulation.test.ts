import assert from "node:assert/strict";
import { test } from "node:test";
import { TaskStateMachine, type TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { NONE } from "../../src/queue/tasks/task-columns.ts";
import { simulate } from "./simulation.ts";

/** `SEED=17 npm test -- queue/simulation` runs that one; `SEEDS=50000` runs so many. */
const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["SEEDS"] ?? 400) }, (_, index) => index + 1) : [Number(only)];

test("hundreds of seeds of crashes, broken lines, full disks and jumping clocks lose no task and run none under two leases", async () => {
  const sum = { tasks: 0, done: 0, dead: 0, cancelled: 0 };
  for (const seed of seeds) {
    try {
      const counts = await simulate({ seed });
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += counts[key];
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}; repeat with SEED=${seed} npm test -- queue/simulation`, {
        cause: error,
      });
    }
  }
  if (only === undefined) assert.ok(sum.done > sum.tasks / 2 && sum.dead > 0 && sum.cancelled > 0, JSON.stringify(sum));
});

/** Takes results under any lease, not only the newest. */
class ForgetsTokens extends TaskStateMachine {
  override findLease(id: number): number {
    const row = this.find(id);
    return row !== NONE && this.state(row) === "active" ? row : NONE;
  }
}

/** Loses a task now and then when its worker's connection breaks. */
class LosesTasks extends TaskStateMachine {
  #count = 0;

  override giveBack(row: number, nowMs: number, how: { lost?: boolean } = {}): void {
    this.#count += 1;
    super.giveBack(row, nowMs, how);
    if (this.#count % 10 === 0) this.queueOf(row).ready.remove(row);
  }
}

/** Believes that no run has recorded anything. */
class ForgetsSteps extends TaskStateMachine {
  override hasSteps(): boolean {
    return false;
  }
}

const VARIANTS = [
  [ForgetsSteps, /^step \w+ of workflow \d+ came to .* and then to/],
  [ForgetsTokens, /came to .* and then to|^the outcome under the lost lease .* was kept$|was leased again under token/],
  [LosesTasks, /a row|counts its ready rows|never answered|still ready|ended with QUEUE_UNREACHABLE/],
] as const;

for (const [Broken, caughtBy] of VARIANTS) {
  test(`the simulation catches a state machine that ${Broken.name
    .replace(/([A-Z])/g, " $1")
    .trim()
    .toLowerCase()}`, async () => {
    const makeStateMachine = (options: TaskStateMachineOptions): TaskStateMachine => new Broken(options);
    await assert.rejects(
      async () => {
        for (let seed = 1; seed <= 100; seed += 1) await simulate({ seed, makeStateMachine });
      },
      { message: caughtBy },
    );
  });
}
