/**
 * What a user's first program looks like: one entry point after the other, against a running `holdfast up`. package.test.ts compiles it in a
 * folder where nothing but the installed package is, takes its types away, and runs it there.
 * Arguments: the addresses of the cache, the queue and the link server.
 */
import { EventEmitter } from "node:events";
import { CacheClient } from "holdfast/cache";
import { sessionStore } from "holdfast/express-session";
import { KeyvStore } from "holdfast/keyv";
import { bound, connect, type LinkStats } from "holdfast/link";
import { nextCacheHandler } from "holdfast/next";
import { queue, worker, type TaskContext } from "holdfast/queue";
import { RateLimitStore } from "holdfast/rate-limit";
import { holdfastDriver } from "holdfast/unstorage";
import { Reply, Request } from "holdfast/zmq";

const [cacheAddress, queueUrl, linkAddress] = process.argv.slice(2) as [string, string, string];
const said: Record<string, unknown> = {};

const cache = new CacheClient({ servers: [cacheAddress] });
await cache.set("user:42", { name: "Ada" }, { ttl: "5m" });
said["cache"] = await cache.fetch("user:42", async () => ({ name: "nobody" }));
const keyv = new KeyvStore(cache);
await keyv.set("from", "keyv", 60_000);
const limit = new RateLimitStore({ cache });
const sessions = sessionStore({ Store: EventEmitter }, { cache });
await new Promise<void>((resolve) => sessions.set("sid", { user: 42 }, () => resolve()));
const pages = new (nextCacheHandler({ cache }))();
await pages.set("/page", { kind: "APP_ROUTE", body: "html" });
said["adapters"] = [
  await holdfastDriver({ cache }).getItem("from"),
  (await limit.increment("ip")).totalHits,
  await cache.get("sess:sid"),
  (await pages.get("/page")) !== null,
];
await cache.close();

const mails = queue<{ to: string }, string>("mails", { url: queueUrl });
const running = worker(mails, async ({ to }, { attempt }: TaskContext) => `sent to ${to} at attempt ${attempt}`);
said["queue"] = await mails.call({ to: "ada@example.com" });
await running.close();
await mails.close();

const server = new Reply();
await server.bind("tcp://127.0.0.1:*");
const client = new Request();
client.connect(server.lastEndpoint!);
const answering = server.receive().then(([name]) => server.send(`hello ${String(name)}`));
await client.send("world");
said["zmq"] = String((await client.receive())[0]);
await answering;
await Promise.all([client.close(), server.close()]);

const link = await connect({
  host: "127.0.0.1",
  port: Number(linkAddress.split(":")[1]),
  idle: "5s",
  interval: "10s",
  count: 3,
});
await link.send("sensor 7: 21.5\n");
const stats: LinkStats = link.link!.stats();
said["link"] = { sent: stats.bytesOut, foundDeadMs: bound({ idle: "5s", interval: "10s", count: 3 }).silentPeerMs };
await link.close();

process.stdout.write(JSON.stringify(said));
