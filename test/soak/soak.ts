/**
 * ● The soak: `holdfast up` under mixed load by clients of five makes that are killed, stopped and replaced at random, for as long as
 * one likes. At the end every book must balance, memory must have stayed flat (memory.ts says when it is), and nothing may have
 * been said on anybody's stderr.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient, text } from "../../src/cache/index.ts";
import { type Random, seeded } from "../../src/core/random.ts";
import { bytesCodec, type Queue, queue } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";
import { Players, type Role } from "./players.ts";
import { Ledger } from "./ledger.ts";
import { type Slope, slopeOf } from "./memory.ts";
import { KEYS, keyOf, type PlayerReport, valueOf } from "./player-report.ts";

const ROLES: readonly Role[] = [
  { name: "cache", by: "node", players: 1 },
  { name: "pymemcache", by: "python", players: 1 },
  { name: "pylibmc", by: "python", players: 1 },
  { name: "producer", by: "node", players: 2 },
  { name: "worker", by: "node", players: 2 },
  { name: "shell worker", by: "command", players: 1 },
  { name: "ready", by: "python", players: 1 },
  { name: "majordomo-worker", by: "python", players: 1 },
  { name: "majordomo-client", by: "python", players: 1 },
  { name: "sensors", by: "node", players: 1 },
  { name: "lines", by: "node", players: 1 },
  { name: "page", by: "node", players: 1 },
];
/** Those who ask for work; the others must stay until it is done. */
const ASKING = ["producer", "majordomo-client"];

/** 1 min: three samples for each of the twelve stretches that a slope is told from. */
const FOR_MS_MIN = 60_000;
/** 80 MB: three times what lives; 1 MB of young objects, against 16. */
const SMALL_HEAP = "--max-old-space-size=80 --max-semi-space-size=1";
/** A quarter: results begin to expire after a twelfth, caches and heaps have found their size by then. */
const WARM_UP_SHARE = 1 / 4;
const KEEP_SHARE = 1 / 12;
/** 5 min at most: half of what results are kept by default, so that they come and go many times in an hour. */
const KEEP_MS_MAX = 300_000;
/** 60 s: the last tasks are done in one; more is a task that hangs. */
const REST_MS_MAX = 60_000;
/** 5 s: the kernel tells of an end at once; a peer that said nothing at its end is forgotten by then. */
const GONE_MS_MAX = 5000;
const CONNECTIONS = ["holdfast_cache_connections", "holdfast_queue_peers", "holdfast_link_connections"];

export interface SoakOptions {
  readonly forMs: number;
  readonly seed: number;
  /** Where the queue keeps its tasks. */
  readonly data: string;
  /** Multiplies the players' operations; default 1. */
  readonly pace?: number;
  /** Between two kills, on average; default 8 s. */
  readonly strikeMs?: number;
  /** Gives `holdfast up` so little heap that garbage is collected often: what grows within minutes is then no garbage. */
  readonly smallHeap?: boolean;
  /** Told of how it goes. */
  readonly log?: (line: string) => void;
}

export interface Memory {
  /** In bytes, one a second from the beginning. */
  readonly samples: readonly number[];
  readonly slope: Slope;
}

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  /** Of `holdfast up`, in cores. */
  readonly cpu: number;
  readonly kills: number;
  readonly freezes: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Resident memory of `holdfast up`, and of the server of link sessions. */
  readonly up: Memory;
  readonly hub: Memory;
  /** Broken promises, books that do not balance, memory that grows, words that nobody expected. Empty when all is well. */
  readonly wrong: readonly string[];
}

export async function soak({
  forMs,
  seed,
  data,
  pace = 1,
  strikeMs = 8000,
  smallHeap = false,
  log = () => {},
}: SoakOptions): Promise<SoakReport> {
  if (forMs < FOR_MS_MIN) throw new RangeError(`Cannot soak for ${forMs} ms, at least ${FOR_MS_MIN} needed to tell a slope`);
  const random = seeded(seed);
  const ledger = new Ledger();
  const any = "127.0.0.1:0";
  // Clients that are killed are told as warnings, rightly.
  const flags = [
    "--cache",
    any,
    "--queue",
    `tcp://${any}`,
    "--link",
    any,
    "--dashboard",
    any,
    "--data",
    data,
    "--log-level",
    "error",
  ];
  await using up = new Holdfast(["up", "--json", ...flags], smallHeap ? { env: { NODE_OPTIONS: SMALL_HEAP } } : {});
  await up.printed(/"dashboard"/);
  const address = (part: string): string => new RegExp(`"${part}","address":"([^"]+)"`).exec(up.stdout)![1]!;
  const stage: Record<string, string | number> = {
    cache: address("cache"),
    queue: address("queue"),
    link: address("link"),
    dashboard: `http://${address("dashboard")}`,
    keepMs: Math.min(KEEP_MS_MAX, forMs * KEEP_SHARE),
  };
  await fill(address("cache"));

  const hubReady = Promise.withResolvers<number>();
  const heard = (said: PlayerReport): void => {
    if (said.kind === "listening") hubReady.resolve(said.port);
    else ledger.enter(said);
  };
  const surprised = (line: string): void => void ledger.wrong.push(line);
  const processes = new Players({ random, pace, addresses: stage, heard, surprised });
  const hub = processes.hire({ name: "hub", by: "node", players: 1 });
  stage["hub"] = await hubReady.promise;
  for (const role of ROLES) for (let player = 0; player < role.players; player += 1) processes.hire(role);

  const upPid = up.child.pid!;
  const memory = { up: [] as number[], hub: [] as number[] };
  const began = performance.now();
  const cpuBefore = cpuSeconds(upPid);
  const over = AbortSignal.timeout(forMs);
  const sampling = every(1000, over, () => {
    memory.up.push(residentBytes(upPid));
    memory.hub.push(residentBytes(hub.child.pid!));
    if (memory.up.length % 60 === 0) log(progress(memory.up, ledger, processes));
  });
  const results = queue<Uint8Array, Uint8Array>("default", { url: address("queue"), codec: bytesCodec });
  const checking = every(1000, over, () => check(results, ledger));
  await Promise.all([sampling, checking, strikes(processes, random, strikeMs, over)]);
  const seconds = (performance.now() - began) / 1000;
  const cpu = (cpuSeconds(upPid) - cpuBefore) / seconds;

  await processes.dismiss(ASKING);
  await rest(`${stage["dashboard"]}`, ledger);
  await check(results, ledger);
  await processes.dismiss([...ROLES, hub.role].map(({ name }) => name));
  await results.close();
  ledger.close();
  const metrics = await alone(`${stage["dashboard"]}`, ledger);
  const added = metrics("holdfast_queue_added_total");
  const finished = metrics("holdfast_queue_finished_total");
  if (added !== finished) ledger.wrong.push(`${added} tasks were added and ${finished} done`);
  const { code } = await up.stop("SIGTERM");
  if (code !== 0) ledger.wrong.push(`holdfast up ended with ${code}`);
  if (up.stderr !== "") ledger.wrong.push(`holdfast up said: ${up.stderr}`);

  const warm = Math.floor(memory.up.length * WARM_UP_SHARE);
  const report = {
    seed,
    seconds,
    cpu,
    kills: processes.kills,
    freezes: processes.freezes,
    counts: { ...ledger.counts, "tasks done": finished, "tasks added": added },
    up: { samples: memory.up, slope: slopeOf(memory.up.slice(warm)) },
    hub: { samples: memory.hub, slope: slopeOf(memory.hub.slice(warm)) },
  };
  for (const part of ["up", "hub"] as const)
    if (!report[part].slope.flat) ledger.wrong.push(`memory of ${part} grows: ${JSON.stringify(report[part].slope)}`);
  return { ...report, wrong: ledger.wrong };
}

/** All keys once, so that the cache has its size from the beginning. */
async function fill(server: string): Promise<void> {
  const client = new CacheClient({ servers: [server], codec: text, timeout: "30s" });
  for (let first = 0; first < KEYS; first += 1000) {
    const numbers = Array.from({ length: 1000 }, (_, index) => first + index);
    await Promise.all(numbers.map((number) => client.set(keyOf(number), valueOf(number))));
  }
  await client.close();
}

async function strikes(processes: Players, random: Random, meanMs: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const pause = -Math.log(1 - random()) * meanMs;
    await sleep(pause, undefined, { signal: over }).catch(() => {});
    if (!over.aborted) await processes.strike();
  }
}

/** Looks at the results of all tasks that were acknowledged: each is there, and is the one. */
async function check(results: Queue<Uint8Array, Uint8Array>, ledger: Ledger): Promise<void> {
  await Promise.all(
    Array.from(ledger.open.keys(), async (id) => {
      try {
        ledger.settle(id, Buffer.from(await results.task(id).result({ timeout: "2m" })).toString());
      } catch (error) {
        ledger.wrong.push(`task ${id} has no result: ${String(error)}`);
        ledger.open.delete(id);
      }
    }),
  );
}

/** Waits until no task waits or runs. */
async function rest(dashboard: string, ledger: Ledger): Promise<void> {
  const deadline = performance.now() + REST_MS_MAX;
  for (;;) {
    const metrics = await numbers(dashboard);
    if (metrics("holdfast_queue_added_total") === metrics("holdfast_queue_finished_total")) return;
    if (performance.now() > deadline) {
      ledger.wrong.push(`tasks are still open ${REST_MS_MAX / 1000} s after the last was added`);
      return;
    }
    await sleep(250);
  }
}

/** The numbers when all connections have ended. */
async function alone(dashboard: string, ledger: Ledger): Promise<(name: string) => number> {
  const deadline = performance.now() + GONE_MS_MAX;
  for (;;) {
    const metrics = await numbers(dashboard);
    const left = CONNECTIONS.filter((name) => metrics(name) !== 0);
    if (left.length === 0) return metrics;
    if (performance.now() > deadline) {
      ledger.wrong.push(...left.map((name) => `${name} is ${metrics(name)} when all are gone`));
      return metrics;
    }
    await sleep(250);
  }
}

/** The sum of a metric over its labels. */
async function numbers(dashboard: string): Promise<(name: string) => number> {
  const page = await (await fetch(`${dashboard}/metrics`)).text();
  return (name) => {
    const rows = [...page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))];
    return rows.reduce((sum, row) => sum + Number(row[1]), 0);
  };
}

async function every(ms: number, over: AbortSignal, act: () => unknown): Promise<void> {
  while (!over.aborted) {
    const next = performance.now() + ms;
    await act();
    await sleep(Math.max(0, next - performance.now()), undefined, { signal: over }).catch(() => {});
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) * 1024;
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(join("/proc", String(pid), "stat"), "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime, in the kernel's fixed 1/100 s
}

function progress(samples: readonly number[], { counts, open, wrong }: Ledger, { kills, freezes }: Players): string {
  const fields = {
    minutes: samples.length / 60,
    residentMiB: (samples.at(-1)! / 2 ** 20).toFixed(1),
    acknowledged: counts["tasks acknowledged"],
    open: open.size,
    links: counts["link messages received"],
    kills,
    freezes,
    wrong: wrong.length,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
