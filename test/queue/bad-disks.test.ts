import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_BAD_DISKS, withBadDisk, withTurnedBits } from "./bad-disks.ts";

/** `SEED=17 npm test -- queue/bad-disks` runs that one; `SEEDS=10000` runs so many. */
const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["SEEDS"] ?? 20) }, (_, index) => index + 1) : [Number(only)];

async function each(run: (seed: number) => Promise<number>): Promise<number> {
  let sum = 0;
  for (const seed of seeds) {
    try {
      sum += await run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}; repeat with SEED=${seed} npm test -- queue/bad-disks`, { cause: error });
    }
  }
  return sum;
}

for (const bad of ALL_BAD_DISKS) {
  const name = bad.replace(/([A-Z])/g, " $1").toLowerCase();
  test(`on a ${name} every task that was taken ends rightly and in time`, async () => {
    const calls = await each((seed) => withBadDisk({ seed, bad }));
    assert.ok(calls > seeds.length * 40, `${calls} calls`);
  });
}

test("a bit turned in any column harms only its task, which is told as damaged", async () => {
  assert.ok((await each(withTurnedBits)) > seeds.length);
});
