import assert from "node:assert/strict";
import { test } from "node:test";
import { measureCpu, measureLatency } from "../../bench/cache-server.ts";
import { requires } from "../support/requires.ts";

const tiny = { rounds: 1, seconds: 0.25, items: 2000 };

test("the bench measures the CPU seconds of both servers in every scenario", requires("memcached"), async () => {
  const findings = await measureCpu(tiny);
  assert.deepEqual(
    findings.map(({ name }) => name),
    ["get 90 %, set 10 %, pipeline 1", "get 90 %, set 10 %, pipeline 16", "get 90 %, set 10 %, pipeline 64", "get of 100 keys"],
  );
  for (const { figures } of findings) {
    assert.ok(figures["holdfast"]!.median > 0.05 && figures["holdfast"]!.median < 1000);
    assert.ok(figures["memcached"]!.median > 0.05 && figures["memcached"]!.median < 1000);
  }
});

test("the bench measures latency at half load", requires("memcached"), async () => {
  const findings = await measureLatency(tiny);
  const [p50, , p999] = findings.map(({ figures }) => figures["holdfast"]!.median);
  assert.ok(p50! > 1 && p50! <= p999!, `${p50} µs, ${p999} µs`);
});
