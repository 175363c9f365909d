/** The torture of links in its short form: each trouble, ours alone. Its ledger counts here too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TINY, tortureBench } from "../../bench/link-torture.ts";

test("over cuts and kills of either side nothing is lost, doubled or out of order that nobody was told of", async () => {
  const findings = await tortureBench(TINY, ["holdfast"]);
  assert.equal(findings.length, 5 * TINY.length);
  for (const { name, unit, figures, target } of findings)
    if (target) assert.equal(figures["holdfast"]!.median, 0, `${name}: ${unit}`);
});
