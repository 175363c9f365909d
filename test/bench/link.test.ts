/** The bench of links runs to its end, though so briefly that its figures mean nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkBench, TINY } from "../../bench/link.ts";

test("the links' bench measures memory in both modes, the CPU of heartbeats, messages against ws and MQTT, and stored ones", async () => {
  const findings = await linkBench(TINY);
  assert.equal(findings.length, 5);
  const [messages, stored] = findings.slice(3);
  assert.deepEqual(Object.keys(messages!.ratios), ["ws", "mqtt"]);
  for (const { figures } of [messages!, stored!]) for (const { median } of Object.values(figures)) assert.ok(median > 0);
});
