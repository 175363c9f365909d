import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE } from "../../src/queue/tasks/task-columns.ts";
import { TaskStateMachine, type TaskStateMachineOptions } from "../../src/queue/tasks/task-state-machine.ts";
import { ALL_BAD_MEMBERS, withBadMember } from "./bad-members.ts";

/** `SEED=17 npm test -- queue/bad-members` runs that one; `SEEDS=10000` runs so many. */
const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["SEEDS"] ?? 40) }, (_, index) => index + 1) : [Number(only)];

for (const bad of ALL_BAD_MEMBERS) {
  const name = bad.replace(/([A-Z])/g, " $1").toLowerCase();
  test(`beside a ${name} each healthy task ends rightly and in time`, async () => {
    let calls = 0;
    for (const seed of seeds) {
      try {
        calls += await withBadMember({ seed, bad });
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}; repeat with SEED=${seed} npm test -- queue/bad-members`, {
          cause: error,
        });
      }
    }
    assert.ok(calls > seeds.length * 50);
  });
}

/** Takes results under any lease, not only the newest. */
class ForgetsTokens extends TaskStateMachine {
  override findLease(id: number): number {
    const row = this.find(id);
    return row !== NONE && this.state(row) === "active" ? row : NONE;
  }
}

/** Charges a lost worker's tasks, begun or not. */
class ChargesTheInnocent extends TaskStateMachine {
  override giveBack(row: number, nowMs: number, how: { lost?: boolean } = {}): void {
    super.giveBack(row, nowMs, { ...how, lost: true });
  }
}

for (const Broken of [ForgetsTokens, ChargesTheInnocent]) {
  const name = Broken.name
    .replace(/([A-Z])/g, " $1")
    .trim()
    .toLowerCase();
  test(`a bad member shows a state machine that ${name}`, async () => {
    const makeStateMachine = (options: TaskStateMachineOptions): TaskStateMachine => new Broken(options);
    await assert.rejects(async () => {
      for (let seed = 1; seed <= 30; seed += 1)
        for (const bad of ALL_BAD_MEMBERS) await withBadMember({ seed, bad, makeStateMachine });
    }, /healthy task \d+ (ended with|took|was charged)|dead/);
  });
}
