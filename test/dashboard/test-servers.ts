/** All parts on free ports with a dashboard over them and some real traffic, for the page's tests and its pictures. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { connect, listen } from "../../src/link/index.ts";
import type { LinkClient, LinkServer } from "../../src/link/index.ts";
import { Broker, GiveUp, queue, worker } from "../../src/queue/index.ts";
import type { Queue } from "../../src/queue/index.ts";

const root = join(import.meta.dirname, "../..");

export interface TestServers {
  readonly cache: CacheServer;
  readonly client: CacheClient;
  readonly broker: Broker;
  readonly emails: Queue<{ to: string }, string>;
  readonly link: LinkServer;
  readonly sensor: LinkClient;
  readonly dashboard: Dashboard;
  close(): Promise<void>;
}

/** A key and a body that would be markup, if anybody took them for it. */
export const HOSTILE = `<img/src=x/onerror=alert(1)>"'&:`;

/** Builds the page where it is not built yet. */
export function buildPage(): void {
  if (existsSync(join(root, "dist/dashboard/web/index.html"))) return;
  const vite = join(root, "node_modules/.bin/vite");
  execFileSync(vite, ["build", "--config", "src/dashboard/web/vite.config.ts", "--logLevel", "warn"], { cwd: root });
}

export async function startTestServers(): Promise<TestServers> {
  buildPage();
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const link = await listen({ port: 0, idle: "5s", interval: "10s", count: 3 });
  const peer = new Dashboard({ listen: "127.0.0.1:0", cache });
  await peer.listen();
  const gone = new Dashboard({ listen: "127.0.0.1:0" });
  await gone.listen();
  await gone.close();
  const peers = [peer.address, gone.address];
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", cache, queue: broker, link, peers });
  await dashboard.listen();

  const client = new CacheClient({ servers: [cache.address] });
  await client.set(`${HOSTILE}1`, "<script>alert(1)</script>");
  for (let index = 0; index < 200; index += 1) {
    await client.set(`user:${index}`, "x".repeat(80 + index * 7));
    if (index % 4 === 0) await client.set(`session:${index}`, "y".repeat(900));
  }
  for (let index = 0; index < 260; index += 1) await client.get(`user:${index}`);

  const emails = queue<{ to: string }, string>("emails", { broker });
  const reports = queue<{ to: string }, string>("reports", { broker });
  const done = worker(
    emails,
    ({ to }) => (to.startsWith("nobody") ? Promise.reject(new GiveUp(`${to} does not exist`)) : Promise.resolve("sent")),
    {
      signals: [],
    },
  );
  await emails.addMany(["ann", "bob", "nobody", "eve"].map((to) => ({ to })));
  await reports.add({ to: HOSTILE });
  await reports.add({ to: "later" }, { delay: "10m" });
  const sensor = await connect({ host: "127.0.0.1", port: link.port });
  sensor.on("error", () => {});
  await sensor.send(Buffer.from("21.5\n"));

  return {
    cache,
    client,
    broker,
    emails,
    link,
    sensor,
    dashboard,
    async close() {
      await Promise.all([dashboard.close(), peer.close()]);
      await done.close();
      await Promise.all([emails.close(), reports.close(), sensor.close(), client.close()]);
      await Promise.all([broker.close(), link.close(), cache.close()]);
    },
  };
}
