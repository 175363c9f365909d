/**
 * ● The cache client's oracle by hand: `npm run oracle -- --for 1h [--seed N] [--copies N] [--client FILE]`. Clients of all kinds do by chance
 * what applications do, while servers are killed and stopped; prints what was done and what no model allows, and exits 1 where there is any.
 * Every minute it begins anew, with the next seed, which is printed first. `--client` is another entry point of the cache: tests plant faults in one.
 */
import { pathToFileURL } from "node:url";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { CacheClient } from "../src/cache/index.ts";
import type { Clock } from "../src/core/clock.ts";
import { durationMs } from "../src/core/units.ts";
import { runWorld } from "../test/cache/client/oracle/world.ts";

/** A minute: then other servers, clients and options by chance. */
const WORLD_MS = 60_000;

const { values } = parseArgs({
  options: {
    for: { type: "string", default: "1m" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    copies: { type: "string" },
    client: { type: "string", default: join(import.meta.dirname, "../src/cache/index.ts") },
  },
});
const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(path).href)) as T;
const { CacheClient: Client } = await load<{ CacheClient: typeof CacheClient }>(values.client);
const { systemClock: clock } = await load<{ systemClock: Clock }>(join(dirname(values.client), "../core/clock.ts"));
const endMs = performance.now() + durationMs(values.for as `${number}m`, "--for");
for (let seed = Number(values.seed); ; seed += 1) {
  console.error(`seed ${seed}`);
  const forMs = Math.min(WORLD_MS, Math.max(1, endMs - performance.now()));
  const copies = values.copies === undefined ? undefined : Number(values.copies);
  const verdict = await runWorld({ seed, forMs, copies, Client, clock });
  const { calls, counts, wrong } = verdict;
  console.log(`${verdict.copies} copies, ${calls} calls: ${[...counts].map(([what, count]) => `${what} ${count}`).join(", ")}`);
  for (const line of wrong) console.log(`WRONG: ${line}`);
  if (wrong.length > 0 || performance.now() >= endMs) process.exit(wrong.length > 0 ? 1 : 0);
}
