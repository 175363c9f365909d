/** A process that takes the lease of a key and computes for ever. Arguments: server, key, what it tells fetch as JSON. */
import { CacheClient, type FetchOptions } from "../../../../src/cache/index.ts";

const [server, key, options] = process.argv.slice(2) as [string, string, string];
const cache = new CacheClient({ servers: [server] });
const load = (): Promise<never> => {
  process.send!("computing");
  return new Promise(() => {});
};
await cache.fetch(key, load, { timeout: "10m", ...(JSON.parse(options) as FetchOptions) });
