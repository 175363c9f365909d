/** One of many processes that fetch the same key at the same time. Arguments: server, key, callers. Waits for "go" on its channel. */
import { setTimeout as delay } from "node:timers/promises";
import { CacheClient } from "../../../../src/cache/index.ts";

const [server, key, callers] = process.argv.slice(2) as [string, string, string];
const cache = new CacheClient({ servers: [server], timeout: "10s" }); // five processes may share one busy core
await cache.get("warm");

process.once("message", () => void run());
process.send!("ready");

async function run(): Promise<void> {
  const load = async (): Promise<string> => {
    await cache.incr("loads"); // counted where all processes can see it
    await delay(200);
    return "computed";
  };
  const values = await Promise.all(Array.from({ length: Number(callers) }, () => cache.fetch(key, load, { ttl: "1m" })));
  process.send!(values.every((value) => value === "computed") ? "good" : "bad");
  await cache.close();
  process.disconnect?.();
}
