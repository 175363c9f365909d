import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMs, showDuration, showSize, sizeBytes } from "../../src/core/units.ts";

test("durations are read in every unit, and bare numbers are milliseconds", () => {
  assert.deepEqual(
    ["250ms", "5s", "1.5m", "2h", "7d", "80"].map((text) => durationMs(text)),
    [250, 5000, 90_000, 7_200_000, 604_800_000, 80],
  );
  assert.equal(durationMs(0), 0);
});

test("sizes are powers of 1024, with or without a b", () => {
  assert.deepEqual(
    ["512", "64k", "64kb", "64KiB", "1m", "2G"].map((text) => sizeBytes(text)),
    [512, 65_536, 65_536, 65_536, 1_048_576, 2_147_483_648],
  );
});

test("what is no duration or size is refused with the option's name and the value", () => {
  for (const value of ["", "5 parsecs", "-5s", "s", "1e3s", Number.NaN, -1, Infinity]) {
    assert.throws(() => durationMs(value, "--idle"), { code: "UNIT_INVALID", message: /--idle/ });
  }
  for (const value of ["", "64q", "-1k", 1.5, -1]) {
    assert.throws(() => sizeBytes(value, "-m"), { code: "UNIT_INVALID", message: /-m/ });
  }
});

test("durations and sizes are shown in at most two units", () => {
  assert.deepEqual([20, 5000, 35_880, 90_000, 7_860_000, 604_800_000, Infinity].map(showDuration), [
    "20 ms",
    "5 s",
    "35.9 s",
    "1 min 30 s",
    "2 h 11 min",
    "7 d",
    "never",
  ]);
  assert.deepEqual([512, 65_536, 1.5 * 1024 ** 3].map(showSize), ["512 B", "64 KiB", "1.5 GiB"]);
});
