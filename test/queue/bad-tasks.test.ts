import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueueSettings } from "../../src/queue/tasks/queue-settings.ts";
import { NONE } from "../../src/queue/tasks/task-columns.ts";
import type { TaskQueue } from "../../src/queue/tasks/task-queue.ts";
import { TaskStateMachine, type TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { ALL_BAD_TASKS, type BadTask, withBadTask } from "./bad-tasks.ts";

/** `SEED=17 npm test -- queue/bad-tasks` runs that one; `SEEDS=10000` runs so many. */
const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["SEEDS"] ?? 20) }, (_, index) => index + 1) : [Number(only)];

for (const bad of ALL_BAD_TASKS) {
  const name = bad.replace(/([A-Z])/g, " $1").toLowerCase();
  test(`beside ${name} each healthy task ends rightly and in time`, async () => {
    let calls = 0;
    for (const seed of seeds) {
      try {
        calls += await withBadTask({ seed, bad });
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}; repeat with SEED=${seed} npm test -- queue/bad-tasks`, {
          cause: error,
        });
      }
    }
    assert.ok(calls > seeds.length * 50);
  });
}

/** Charges whatever a lost worker had, begun or not. */
class ChargesTheInnocent extends TaskStateMachine {
  override giveBack(row: number, nowMs: number, how: { lost?: boolean } = {}): void {
    super.giveBack(row, nowMs, { ...how, lost: true });
  }
}

/** Lets a task that killed processes run beside others. */
class TrustsTheSuspect extends TaskStateMachine {
  override isSuspect(): boolean {
    return false;
  }
}

/** Takes the time of the queue for that of the wall clock. */
class TakesTheWrongClock extends TaskStateMachine {
  override tick(nowMs: number): void {
    super.tick(nowMs, nowMs);
  }
}

/** Does not heed what was set. */
class IgnoresAging extends TaskStateMachine {
  override configure(named: TaskQueue, settings: QueueSettings, nowMs: number): void {
    super.configure(named, { ...settings, agingMs: 0 }, nowMs);
  }
}

class IgnoresRates extends TaskStateMachine {
  override configure(named: TaskQueue, settings: QueueSettings, nowMs: number): void {
    super.configure(named, { ...settings, groupRate: null }, nowMs);
  }
}

class ForgetsKeys extends TaskStateMachine {
  override findKeyHolder(): number {
    return NONE;
  }
}

const VARIANTS: readonly [new (options: TaskStateMachineOptions) => TaskStateMachine, BadTask, RegExp][] = [
  [ChargesTheInnocent, "crashLoop", /was charged with/],
  [TrustsTheSuspect, "poison", /ended with|took/],
  [TakesTheWrongClock, "steppingClock", /before the wall clock said so/],
  [IgnoresAging, "flood", /took/],
  [IgnoresRates, "hog", /starts of a group/],
  [ForgetsKeys, "keyThief", /taken under the key of one|ran under keys/],
];

for (const [Broken, bad, caughtBy] of VARIANTS) {
  test(`${bad} shows a state machine that ${Broken.name
    .replace(/([A-Z])/g, " $1")
    .trim()
    .toLowerCase()}`, async () => {
    const makeStateMachine = (options: TaskStateMachineOptions): TaskStateMachine => new Broken(options);
    await assert.rejects(async () => {
      for (let seed = 1; seed <= 30; seed += 1) await withBadTask({ seed, bad, makeStateMachine });
    }, caughtBy);
  });
}
