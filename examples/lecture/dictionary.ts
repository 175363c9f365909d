/** The cache as the lecture uses it: a dictionary that outlives this program and is shared with others. */
import { CacheClient } from "holdfast/cache";

const cache = new CacheClient({ servers: [process.argv[2] ?? "127.0.0.1:11211"] });
const capitals = { Austria: "Vienna", Kenya: "Nairobi", Peru: "Lima" };

for (const [country, capital] of Object.entries(capitals)) await cache.set(country, capital, { ttl: "10m" });

console.log("Kenya:", await cache.get("Kenya"));
console.log("Atlantis:", await cache.get("Atlantis"));
console.log(
  [...(await cache.getMany<string>(Object.keys(capitals)))].map(([country, capital]) => `${country}=${capital}`).join(" "),
);

await cache.delete("Peru");
console.log("Peru:", await cache.get("Peru"));
await cache.close();
