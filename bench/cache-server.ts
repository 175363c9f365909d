/**
 * The cache server against Debian's memcached, in one run and under one load: server CPU seconds per million operations (user +
 * system of the server's process), one server thread each, 32 connections, 100-byte values, 90 % gets.
 *
 *   node --conditions=holdfast-source bench/cache-server.ts [--rounds 7] [--seconds 1.5] [--only WORD] [--json]
 *                                                           [--rival PATH] [--latency] [--items 5000000] [--threads 1]
 *
 * `--threads` is both sides' `-t`: how much more CPU the sharing of one store costs shows against a run with one.
 * `--rival` adds another memcached binary (1.6.45, say). `--latency` measures instead how long a request takes, p50, p99 and p99.9,
 * at half the rate that memcached can at most do, with five million items stored.
 */
import type { NetConnectOpts } from "node:net";
import { parseArgs } from "node:util";
import { seeded } from "../src/core/random.ts";
import {
  type Batch,
  ClosedLoop,
  fill,
  type KeySpace,
  mixedBatches,
  multiGetBatches,
  openLoop,
  verify,
} from "./support/cache-load.ts";
import { cpuSeconds, freePort, HOLDFAST, type Running, startServer } from "./support/process.ts";
import { type Finding, finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";

/** The connections of the measured load. */
const CONNECTIONS = 32;

/** 0.3 s: the first requests of a connection meet cold code and cold caches on both sides. */
const WARM_UP_MS = 300;

interface Scenario {
  readonly name: string;
  readonly atMost: number;
  batches(keys: KeySpace): readonly Batch[];
}

const mixed = (pipeline: number, atMost: number): Scenario => ({
  name: `get 90 %, set 10 %, pipeline ${pipeline}`,
  atMost,
  batches: (keys) => mixedBatches(keys, pipeline, seeded(pipeline)),
});

const SCENARIOS: readonly Scenario[] = [
  mixed(1, 1.3),
  mixed(16, 0.6),
  mixed(64, 0.6),
  { name: "get of 100 keys", atMost: 1, batches: (keys) => multiGetBatches(keys, 100, seeded(100)) },
];

/** What a run measures and how long. */
export interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly items: number;
  /** Only scenarios whose name holds this word. */
  readonly only?: string;
  /** Another memcached binary to measure as well. */
  readonly rival?: string;
  /** Server threads. Default 1. */
  readonly threads?: number;
}

/** A contender's command line for a port and a memory limit in MB. */
type Launch = (port: number, megabytes: number) => readonly [string, ...string[]];

function contenders({ rival, threads }: Settings): Record<string, Launch> {
  const memcachedFlags = (port: number, megabytes: number): string[] =>
    `-l 127.0.0.1 -p ${port} -m ${megabytes} -t ${threads ?? 1}`.split(" ");
  const asRoot = process.getuid?.() === 0 ? ["-u", "root"] : [];
  const binary =
    (path: string): Launch =>
    (port, megabytes) => [path, ...memcachedFlags(port, megabytes), "-U", "0", ...asRoot];
  return {
    holdfast: (port, megabytes) => [...HOLDFAST, "cache", ...memcachedFlags(port, megabytes)],
    memcached: binary("memcached"),
    ...(rival !== undefined && { rival: binary(rival) }),
  };
}

interface Started extends Running {
  readonly at: NetConnectOpts;
}

/** Starts every contender with the same keys stored, does the work, and ends them. */
async function withServers<T>(settings: Settings, work: (servers: Record<string, Started>) => Promise<T>): Promise<T> {
  const keys = { count: settings.items, valueBytes: 100 };
  const megabytes = 256 + Math.ceil((settings.items * 200) / 1024 ** 2); // 192-byte chunks, and air
  const servers: Record<string, Started> = {};
  try {
    for (const [name, launch] of Object.entries(contenders(settings))) {
      const at = { host: "127.0.0.1", port: await freePort() };
      servers[name] = { ...(await startServer(launch(at.port, megabytes), at)), at };
      await fill(at, keys);
      await verify(at, keys, seeded(1));
    }
    return await work(servers);
  } finally {
    await Promise.all(Object.values(servers).map((server) => server.stop()));
  }
}

/** CPU seconds per million operations, by scenario. */
export async function measureCpu(settings: Settings): Promise<readonly Finding[]> {
  const keys = { count: settings.items, valueBytes: 100 };
  const findings: Finding[] = [];
  await withServers(settings, async (servers) => {
    for (const scenario of SCENARIOS.filter(({ name }) => name.includes(settings.only ?? ""))) {
      const batches = scenario.batches(keys);
      const measure = (server: Started) => () => cpuPerMillion(server, batches, settings.seconds * 1000);
      const rounds = await pairedRounds(settings.rounds, byName(servers, measure));
      const target = { against: "memcached", atMost: scenario.atMost };
      findings.push(finding({ name: scenario.name, unit: "CPU s / million operations", target }, "holdfast", rounds));
    }
  });
  return findings;
}

async function cpuPerMillion({ pid, at }: Started, batches: readonly Batch[], ms: number): Promise<number> {
  const load = new ClosedLoop(batches);
  try {
    await load.start(at, CONNECTIONS);
    await load.run(WARM_UP_MS);
    const before = cpuSeconds(pid);
    const operations = await load.run(ms);
    return ((cpuSeconds(pid) - before) / operations) * 1e6;
  } finally {
    load.stop();
  }
}

/** Quantiles of latency at half of what memcached can do at most, one request a write. */
export async function measureLatency(settings: Settings): Promise<readonly Finding[]> {
  const batches = mixedBatches({ count: settings.items, valueBytes: 100 }, 1, seeded(1));
  const shares = [0.5, 0.99, 0.999];
  return withServers(settings, async (servers) => {
    const perSecond = (await fullRate(servers["memcached"]!, batches, settings.seconds * 1000)) / 2;
    const seen: Record<string, number[]>[] = shares.map(() =>
      Object.fromEntries(Object.keys(servers).map((name) => [name, []])),
    );
    const measure =
      ({ at }: Started, name: string) =>
      async (): Promise<number> => {
        const run = { connections: CONNECTIONS, perSecond, ms: settings.seconds * 1000 };
        const latencies = await openLoop(at, batches, run);
        shares.forEach((share, index) => seen[index]![name]!.push(latencies.quantileUs(share)));
        return latencies.quantileUs(0.999);
      };
    await pairedRounds(settings.rounds, byName(servers, measure));
    return shares.map((share, index) => {
      const counted = Object.fromEntries(Object.entries(seen[index]!).map(([name, all]) => [name, all.slice(1)]));
      const name = `p${share * 100} latency at ${Math.round(perSecond)} requests/s, ${settings.items} items`;
      const target = share === 0.999 ? { target: { against: "memcached", atMost: 3 } } : {};
      return finding({ name, unit: "µs", ...target }, "holdfast", counted);
    });
  });
}

async function fullRate({ at }: Started, batches: readonly Batch[], ms: number): Promise<number> {
  const load = new ClosedLoop(batches);
  try {
    await load.start(at, CONNECTIONS);
    await load.run(WARM_UP_MS);
    return ((await load.run(ms)) * 1000) / ms;
  } finally {
    load.stop();
  }
}

function byName<T>(
  servers: Record<string, Started>,
  measure: (server: Started, name: string) => () => Promise<T>,
): Record<string, () => Promise<T>> {
  return Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, measure(server, name)]));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "7" },
      seconds: { type: "string", default: "1.5" },
      items: { type: "string" },
      only: { type: "string" },
      rival: { type: "string" },
      threads: { type: "string", default: "1" },
      latency: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const settings: Settings = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    threads: Number(values.threads),
    items: Number(values.items ?? (values.latency ? 5_000_000 : 100_000)),
    ...(values.only !== undefined && { only: values.only }),
    ...(values.rival !== undefined && { rival: values.rival }),
  };
  report(await (values.latency ? measureLatency(settings) : measureCpu(settings)), { json: values.json });
}
