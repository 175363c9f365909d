import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTENDERS, fillAndMeasure } from "../../bench/cache-memory.ts";

/** What the compiled server needs when empty: Node itself and the code. */
const PROGRAM_BYTES = 66e6;

test("a cache filled three times over stays within 1.1 × its memory + 80 MB", async () => {
  const { residentBytes, idleBytes, items, evictions } = await fillAndMeasure(CONTENDERS.holdfast, {
    megabytes: 64,
    sets: 150_000,
  });
  const filledBytes = residentBytes - idleBytes + PROGRAM_BYTES;
  assert.ok(evictions > 0, `${evictions} evictions`);
  assert.ok(items > 10_000, `${items} items`);
  assert.ok(filledBytes <= 1.1 * 64 * 1024 * 1024 + 80e6, `${residentBytes} bytes resident, ${idleBytes} of them when empty`);
});
