import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { COMPILED, CONTENDERS, fillAndMeasure } from "../../bench/cache-memory.ts";

test(
  "the compiled server, filled three times over, stays within 1.1 × its memory + 80 MB",
  { skip: existsSync(COMPILED) ? false : "not compiled: npm run build" },
  async () => {
    const { residentBytes, idleBytes, items, evictions } = await fillAndMeasure(CONTENDERS.compiled, {
      megabytes: 64,
      sets: 150_000,
    });
    assert.ok(evictions > 0, `${evictions} evictions`);
    assert.ok(items > 10_000, `${items} items`);
    assert.ok(residentBytes <= 1.1 * 64 * 1024 ** 2 + 80e6, `${residentBytes} bytes resident, ${idleBytes} of them when empty`);
  },
);
