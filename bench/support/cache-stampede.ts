/**
 * One process of the stampede drill: a hundred callers fetch the same few keys, which live for a second or two, and whose loaders take a
 * tenth of a second. Arguments: servers, milliseconds. Over its channel it waits for "go" and tells each run of a loader.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient } from "../../src/cache/index.ts";
import { between } from "../../src/core/random.ts";

export interface LoaderRun {
  readonly key: string;
  /** By the machine's clock, which its processes share. */
  readonly startMs: number;
  readonly endMs: number;
}

const CALLERS = 100;
const KEY_COUNT = 20;
const LOAD_MS = 100;

if (process.send) {
  const [servers, ms] = process.argv.slice(2) as [string, string];
  const cache = new CacheClient({ servers: servers.split(","), copies: 2, timeout: "2s" });
  await cache.getMany(Array.from({ length: 100 }, (_, index) => `warm ${index}`.replace(" ", ":")));
  process.once("message", () => void run(cache, Number(ms)));
  process.send("ready");
}

async function run(cache: CacheClient, ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  const fetchOne = (key: string): Promise<string> =>
    cache.fetch(
      key,
      async () => {
        const startMs = Date.now();
        await sleep(LOAD_MS);
        process.send!({ key, startMs, endMs: Date.now() } satisfies LoaderRun);
        return "computed";
      },
      { ttl: between(Math.random, 1, 2) },
    );
  const caller = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await fetchOne(`hot:${between(Math.random, 1, KEY_COUNT)}`);
      await sleep(between(Math.random, 0, 50));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  await cache.close();
  process.disconnect?.();
}
