/**
 * What copies cost and what they save, on four memcached servers: CPU time of the client's process for a set and a get with and without
 * them; how many hits are lost when one of the servers is killed; and the stampede drill: three processes fetch the same keys, whose
 * lives are short, while one of the servers is killed.
 *
 *   node --conditions=holdfast-source bench/cache-copies.ts [--rounds 5] [--ms 500] [--seconds 20] [--json]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CacheClient } from "../src/cache/index.ts";
import { freePort, startServer, type Running } from "./support/process.ts";
import { finding, report, type Finding } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";
import type { LoaderRun } from "./support/cache-stampede.ts";

const SERVERS = 4;
const KEYS = Array.from({ length: 4000 }, (_, index) => `copies:${index}`);
const IN_FLIGHT = 64;
const VALUE = "v".repeat(100);

/** With one copy and with two; the finding's names. */
const ONE = "copies: 1";
const TWO = "copies: 2";
const COPIES = { [TWO]: 2, [ONE]: 1 } as const;
type Contender = keyof typeof COPIES;

/** Hits are counted for so long after the kill: three failures, and reads while they are found out, are within it. */
const AFTER_KILL_MS = 3000;

const PROCESSES = 3;

/**
 * 10 s, the lease's time: how long after a kill more than one may compute, since the lease died with its server, or clients do not agree yet
 * on who has it.
 */
const LEASE_MS = 10_000;

interface Farm {
  readonly servers: readonly Running[];
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

async function farm(): Promise<Farm> {
  const ports = await Promise.all(Array.from({ length: SERVERS }, freePort));
  const servers = await Promise.all(
    ports.map((port) =>
      startServer(["memcached", "-u", "root", "-l", "127.0.0.1", "-p", String(port), "-U", "0"], { host: "127.0.0.1", port }),
    ),
  );
  const close = async (): Promise<void> => void (await Promise.all(servers.map((server) => server.stop())));
  return { servers, addresses: ports.map((port) => `127.0.0.1:${port}`), close };
}

function client({ addresses }: Farm, copies: number): CacheClient {
  return new CacheClient({ servers: addresses, copies, onError: "miss", timeout: "2s" });
}

async function fill(cache: CacheClient): Promise<void> {
  await Promise.all(KEYS.map((key) => cache.set(key, VALUE, { ttl: "1h" })));
}

/** CPU microseconds of this process for an operation, with so many in flight. */
async function cpuOf(act: (key: string) => Promise<unknown>, ms: number): Promise<number> {
  let done = 0;
  const before = process.cpuUsage();
  const endMs = performance.now() + ms;
  const caller = async (id: number): Promise<void> => {
    for (let turn = id * 31; performance.now() < endMs; turn += 1) {
      await act(KEYS[turn % KEYS.length]!);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, id) => caller(id)));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / done;
}

async function costs(rounds: number, ms: number): Promise<Finding[]> {
  const servers = await farm();
  const caches = { [TWO]: client(servers, 2), [ONE]: client(servers, 1) };
  try {
    await Promise.all(Object.values(caches).map(fill));
    const contenders = (
      act: (cache: CacheClient, key: string) => Promise<unknown>,
    ): Record<Contender, () => Promise<number>> => ({
      [TWO]: () => cpuOf((key) => act(caches[TWO], key), ms),
      [ONE]: () => cpuOf((key) => act(caches[ONE], key), ms),
    });
    const sets = await pairedRounds(
      rounds,
      contenders((cache, key) => cache.set(key, VALUE, { ttl: "1h" })),
    );
    const gets = await pairedRounds(
      rounds,
      contenders((cache, key) => cache.get(key)),
    );
    const unit = "CPU µs / operation";
    return [
      finding({ name: "set, 100 B, 64 in flight", unit, target: { against: ONE, atMost: 2.1 } }, TWO, sets),
      finding({ name: "get, 100 B, 64 in flight", unit }, TWO, gets),
    ];
  } finally {
    await Promise.all(Object.values(caches).map((cache) => cache.close()));
    await servers.close();
  }
}

/** By how many percent fewer reads hit in the seconds after one of the servers was killed. */
async function hitsLost(copies: number): Promise<number> {
  const servers = await farm();
  const cache = client(servers, copies);
  try {
    await fill(cache);
    const hitsOf = async (ms: number): Promise<number> => {
      let [hits, reads] = [0, 0];
      const endMs = performance.now() + ms;
      while (performance.now() < endMs) {
        const some = KEYS.filter(() => Math.random() < 0.02);
        const found = await Promise.all(some.map((key) => cache.get(key)));
        reads += found.length;
        hits += found.filter((value) => value !== undefined).length;
      }
      return (100 * hits) / reads;
    };
    const before = await hitsOf(500);
    await servers.servers[1]!.stop();
    return before - (await hitsOf(AFTER_KILL_MS));
  } finally {
    await cache.close();
    await servers.close();
  }
}

/** The most loaders of one key that ran at a time, and that after the lease's time. */
async function stampede(
  seconds: number,
): Promise<{ readonly atAll: number; readonly outsideLease: number; readonly runs: number }> {
  const servers = await farm();
  const file = join(import.meta.dirname, "support/cache-stampede.ts");
  const runs: LoaderRun[] = [];
  const children = Array.from({ length: PROCESSES }, () =>
    fork(file, [servers.addresses.join(), String(seconds * 1000)], { execArgv: ["--conditions=holdfast-source"] }),
  );
  try {
    await Promise.all(children.map((child) => once(child, "message")));
    for (const child of children) child.on("message", (run: LoaderRun) => runs.push(run));
    for (const child of children) child.send("go");
    await sleep((seconds * 1000) / 4);
    await servers.servers[1]!.stop();
    const killedMs = Date.now();
    await Promise.all(children.map((child) => once(child, "exit")));
    const isOutside = ({ startMs, endMs }: LoaderRun): boolean => endMs < killedMs || startMs > killedMs + LEASE_MS;
    return { atAll: mostAtOnce(runs), outsideLease: mostAtOnce(runs.filter(isOutside)), runs: runs.length };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await servers.close();
  }
}

function mostAtOnce(runs: readonly LoaderRun[]): number {
  const byKey = Map.groupBy(runs, ({ key }) => key);
  const most = [...byKey.values()].map((ofKey) => {
    const at = ({ startMs, endMs }: LoaderRun, ms: number): boolean => startMs <= ms && ms < endMs;
    return Math.max(...ofKey.map((run) => ofKey.filter((other) => at(other, run.startMs)).length));
  });
  return Math.max(0, ...most);
}

/** Measures all. */
export async function measure({ rounds, ms, seconds }: { rounds: number; ms: number; seconds: number }): Promise<Finding[]> {
  const findings = await costs(rounds, ms);
  const lost = await pairedRounds(rounds, { [TWO]: () => hitsLost(2), [ONE]: () => hitsLost(1) });
  findings.push(
    finding({ name: "one of four servers is killed", unit: "% fewer hits", better: "less", target: { atMost: 1 } }, TWO, lost),
  );
  const { atAll, outsideLease, runs } = await stampede(seconds);
  const drill = `stampede of three processes, one of four servers is killed, ${runs} loads`;
  const unit = "loaders of a key at a time, at most";
  findings.push(
    finding({ name: `${drill}: outside the lease's time`, unit, better: "less", target: { atMost: 1 } }, TWO, {
      [TWO]: [outsideLease],
    }),
    finding({ name: `${drill}: all the time`, unit, better: "less" }, TWO, { [TWO]: [atAll] }),
  );
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      ms: { type: "string", default: "500" },
      seconds: { type: "string", default: "20" },
    },
  });
  const settings = { rounds: Number(values.rounds), ms: Number(values.ms), seconds: Number(values.seconds) };
  report(await measure(settings), { json: values.json });
}
