/** All parts in one program, for package.test.ts to bundle. Argument: a folder for the queue's data. */
import { board, Broker, CacheClient, CacheServer, connect, listen, queue, worker, zmq } from "holdfast";

async function main(): Promise<void> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: process.argv[2]!, signals: [], log: false });
  await broker.listen();
  const shout = queue<string, string>("shout", { url: broker.address });
  const running = worker(shout, (text) => text.toUpperCase(), { signals: [] });
  const said: unknown[] = [await shout.call("hello", { timeout: "20s" })];
  const cache = new CacheServer({ listen: "127.0.0.1:0", threads: 2 });
  await cache.listen();
  const client = new CacheClient({ servers: [cache.address] });
  await client.set("a", 1);
  said.push(await client.get("a"));
  const link = await listen({ port: 0 });
  const sensor = await connect({ host: "127.0.0.1", port: link.port });
  const ops = board({ queue: broker, cache, link, workers: [running], open: true });
  for (const path of ["/", "/metrics", "/ready"]) said.push((await ops(new Request(`http://localhost${path}`))).status);
  said.push(zmq.version);
  process.stdout.write(JSON.stringify(said));
  await Promise.all([ops.close(), running.close(), shout.close(), client.close(), sensor.close()]);
  await Promise.all([cache.close(), link.close(), broker.close()]);
}

// No top-level await: CommonJS has none.
void main().catch((error: unknown) => {
  process.stderr.write(`${(error as { code?: string }).code}: ${String(error)}\n`);
  process.exitCode = 1;
});
