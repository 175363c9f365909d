/**
 * Three minutes of the soak (`npm run soak` runs an hour of it): clients of five makes, killed with -9, stopped and replaced at random.
 * It needs little of a processor and much time, so the whole test run has it beside everything else (scripts/test.ts).
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requires } from "../support/requires.ts";
import { soak } from "./soak.ts";

const FOR_MS = 180_000;
/** Half the usual operations: a fifth of a core, so that the tests beside it keep their times. */
const PACE = 0.5;

test(
  "while clients are killed, every acknowledged task has its one result, every link message arrives once, and memory stays flat",
  requires("python3-zmq", "python3-pymemcache", "python3-pylibmc"),
  async (t) => {
    const data = mkdtempSync(join(tmpdir(), "holdfast-soak-"));
    t.after(() => rmSync(data, { recursive: true, force: true }));
    const seed = Math.floor(Math.random() * 2 ** 31);
    t.diagnostic(`seed ${seed}`);
    const { wrong, kills, counts, cpu, up } = await soak({ forMs: FOR_MS, seed, data, pace: PACE, smallHeap: true });
    t.diagnostic(JSON.stringify({ kills, cpu, slope: up.slope, counts }));
    assert.deepEqual(wrong, [], `seed ${seed}`);
    assert.ok(kills > 5, `${kills} kills`);
    for (const what of [
      "tasks acknowledged",
      "calls answered",
      "pyzmq Ready",
      "Majordomo worker",
      "Majordomo client",
      "pymemcache",
      "pylibmc",
    ])
      assert.ok(counts[what]! > 50, `${what}: ${counts[what]}`);
    assert.equal(counts["tasks acknowledged"], counts["results of acknowledged tasks checked"]);
    assert.ok(counts["link messages received"]! > 500, `${counts["link messages received"]} link messages`);
  },
);
