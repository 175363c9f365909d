/** The bench of links runs to its end, though so briefly that its figures mean nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkBench, TINY } from "../../bench/link.ts";

test("the links' bench measures memory in both modes, the CPU of heartbeats, and messages against ws and MQTT", async () => {
  const findings = await linkBench(TINY);
  assert.equal(findings.length, 4);
  assert.deepEqual(Object.keys(findings[3]!.ratios), ["ws", "mqtt"]);
  for (const { median } of Object.values(findings[3]!.figures)) assert.ok(median > 0);
});
