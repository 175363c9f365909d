import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/cache-client.ts";
import { barChart } from "../../bench/support/chart.ts";
import { requires } from "../support/requires.ts";

test("the cache client's bench runs, compares all clients, and draws its chart", requires("memcached"), async () => {
  const { findings, charts } = await measure({ rounds: 1, ms: 60, only: "get, 100 B, 16" });
  assert.deepEqual(
    findings.map(({ unit }) => unit),
    ["operations / s", "CPU µs / operation"],
  );
  for (const { figures } of findings) {
    assert.deepEqual(Object.keys(figures), [
      "holdfast",
      "memjs",
      "memcached",
      "memcache-client",
      "memcache",
      "the best of them",
    ]);
    for (const { median } of Object.values(figures)) assert.ok(median > 0);
  }
  for (const chart of Object.values(charts)) assert.match(chart, /^<svg [\s\S]*<\/svg>\n$/);
});

test("a chart says its figures in words too, and which contender could not be measured", () => {
  const svg = barChart({
    title: "A & B",
    unit: "s",
    better: "less",
    groups: [{ name: "g", bars: [{ name: "one", value: 1_234_567 }, { name: "two", value: undefined }] }], // prettier-ignore
  });
  assert.match(svg, /<title>A &amp; B<\/title>/);
  assert.match(svg, /g: one 1\.23 M, two fails/);
  assert.match(svg, /shorter is better/);
});
