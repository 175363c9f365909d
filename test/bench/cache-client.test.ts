import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/cache-client.ts";
import { requires } from "../support/requires.ts";

test("the cache client's bench runs, and compares all clients", requires("memcached"), async () => {
  const findings = await measure({ rounds: 1, ms: 60, only: "get, 100 B, 16" });
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
});
