import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/wire.ts";

test("the bench of the wire runs, and a packet takes less than a millisecond", () => {
  const { packetsPerCpuSecond, linesPerCpuSecond } = measure(4000);
  assert.ok(packetsPerCpuSecond > 1000 && linesPerCpuSecond > 1000);
});
