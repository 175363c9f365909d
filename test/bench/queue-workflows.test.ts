import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/queue-workflows.ts";

test("a step costs no more than a task, and a flow no more than its tasks one by one, in a tiny run", async () => {
  const { task, step, single, flow } = await measure(500);
  // Wanted are 1.3 and 0.7; a short run on a loaded machine is not what they are measured with.
  assert.ok(
    step.cpuMicroseconds < 2 * task.cpuMicroseconds,
    `a step ${step.cpuMicroseconds} us, a task ${task.cpuMicroseconds} us`,
  );
  assert.ok(flow.perSecond > 0.3 * single.perSecond, `flows ${flow.perSecond}/s, single ${single.perSecond}/s`);
});
