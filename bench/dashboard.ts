/**
 * ● What watching costs: CPU of a process that holds idle link connections and answers cache requests, first alone, then with the
 * dashboard open in one page; how large and how late the page's events are; and what a scrape of /metrics costs with many queues.
 * `node bench/dashboard.ts [--short] [--json]`.
 */
import { get } from "node:http";
import { connect as connectSocket } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient, CacheServer } from "../src/cache/index.ts";
import { Dashboard } from "../src/dashboard/index.ts";
import { Broker, queue } from "../src/queue/index.ts";
import { listen } from "../src/link/index.ts";
import { type Finding, finding, report } from "./support/report.ts";

export interface WatchingCost {
  readonly connections: number;
  /** As the cache counted them while the page was open. */
  readonly setsPerSecond: number;
  /** CPU seconds a second, of one core. */
  readonly aloneCpu: number;
  readonly watchedCpu: number;
  readonly eventBytes: number;
  readonly eventsPerSecond: number;
}

/** Measures with so many connections, for so long each way. */
export async function measure({
  connections,
  requestsPerSecond,
  seconds,
}: {
  connections: number;
  requestsPerSecond: number;
  seconds: number;
}): Promise<WatchingCost> {
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const link = await listen({ port: 0, idle: "2h" });
  const sockets = await openAll(link.port, connections);
  const client = new CacheClient({ servers: [cache.address] });
  const stop = load(client, requestsPerSecond);
  await sleep(500);
  const aloneCpu = await cpuOver(seconds);
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", cache, link });
  await dashboard.listen();
  const events = { count: 0, bytes: 0 };
  const page = get(`http://${dashboard.address}/api/live`, (response) => {
    response.on("data", (chunk: Buffer) => {
      events.bytes += chunk.length;
      events.count += chunk.toString("latin1").split("event: snapshot").length - 1;
    });
  });
  page.on("error", () => {});
  await sleep(1500);
  const before = { ...events };
  const setsBefore = cache.stats().sets;
  const watchedCpu = await cpuOver(seconds);
  const count = events.count - before.count;
  const setsPerSecond = (cache.stats().sets - setsBefore) / seconds;
  stop();
  page.destroy();
  await dashboard.close();
  for (const socket of sockets) socket.destroy();
  await Promise.all([client.close(), link.close(), cache.close()]);
  return {
    connections,
    setsPerSecond,
    aloneCpu,
    watchedCpu,
    eventBytes: Math.round((events.bytes - before.bytes) / Math.max(1, count)),
    eventsPerSecond: count / seconds,
  };
}

/** What a scrape costs over HTTP, its reader included, with so many queues; the median of `scrapes`. */
export async function scrape({
  queues,
  scrapes,
}: {
  queues: number;
  scrapes: number;
}): Promise<{ readonly cpuMs: number; readonly bytes: number }> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const names = Array.from({ length: queues }, (_, index) => `queue-${index}`);
  for (const name of names) {
    const each = queue<number>(name, { broker });
    await each.add(1);
    await each.close();
  }
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", queue: broker });
  await dashboard.listen();
  const costs: number[] = [];
  let bytes = 0;
  for (let index = 0; index < scrapes + 10; index += 1) {
    const before = process.cpuUsage();
    bytes = (await (await fetch(`http://${dashboard.address}/metrics`)).arrayBuffer()).byteLength;
    const { user, system } = process.cpuUsage(before);
    // The first ones compile.
    if (index >= 10) costs.push((user + system) / 1000);
  }
  await dashboard.close();
  await broker.close();
  return { cpuMs: costs.toSorted((a, b) => a - b)[Math.floor(costs.length / 2)]!, bytes };
}

/** From several loopback addresses, so that ports do not run out; 200 at a time, so that no backlog overflows. */
async function openAll(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(200, count - sockets.length) }, (_, index) =>
      connectSocket({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (index % 8)}` }),
    );
    await Promise.all(some.map((socket) => once(socket, "connect")));
    sockets.push(...some);
  }
  return sockets;
}

/** Different keys, spread over each hundredth of a second. */
function load(client: CacheClient, perSecond: number): () => void {
  let number = 0;
  const timer = setInterval(() => {
    for (let index = 0; index < perSecond / 100; index += 1)
      void client.set(`key:${(number += 1)}`, "x".repeat(100)).catch(() => {});
  }, 10);
  return () => clearInterval(timer);
}

async function cpuOver(seconds: number): Promise<number> {
  const before = process.cpuUsage();
  const began = performance.now();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - began);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { short: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
  });
  const seconds = values.short ? 3 : 10;
  const loads = values.short
    ? [{ connections: 500, requestsPerSecond: 1000 }]
    : [
        { connections: 10, requestsPerSecond: 10_000 },
        { connections: 9000, requestsPerSecond: 0 },
      ];
  const findings: Finding[] = [];
  for (const load of loads) findings.push(...findingsOf(await measure({ ...load, seconds })));
  const queues = values.short ? 100 : 1000;
  const { cpuMs, bytes } = await scrape({ queues, scrapes: values.short ? 5 : 50 });
  const single = (name: string, unit: string, figure: number): Finding =>
    finding({ name: `${name} (${queues} queues)`, unit }, "holdfast", { holdfast: [figure] });
  findings.push(single("CPU of a scrape", "ms", cpuMs), single("size of a scrape", "bytes", bytes));
  report(findings, { json: values.json });
}

function findingsOf({
  connections,
  setsPerSecond,
  aloneCpu,
  watchedCpu,
  eventBytes,
  eventsPerSecond,
}: WatchingCost): Finding[] {
  const load = `${connections} connections, ${Math.round(setsPerSecond)} sets/s`;
  const single = (name: string, unit: string, figure: number): Finding =>
    finding({ name: `${name} (${load})`, unit }, "holdfast", { holdfast: [figure] });
  return [
    single("CPU alone", "of a core", aloneCpu),
    single("CPU with a page open", "of a core", watchedCpu),
    single("size of an event", "bytes", eventBytes),
    single("events", "events / s", eventsPerSecond),
  ];
}
