/**
 * The cache client against the Node clients of memcached that teams use: memjs, memcached, memcache-client and memcache, in one
 * run, against one memcached, each in a process of its own, in paired rounds. Operations (keys got) per second, and CPU time of
 * the client's process per operation.
 *
 * `node --conditions=holdfast-source bench/cache-client.ts [--json] [--rounds N] [--ms N] [--charts FOLDER] [--only WORD]`
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { holdfast, keyOf, KEY_COUNT, valueOf, type Load, type Yield } from "./support/cache-client-load.ts";
import { RIVALS } from "./support/cache-rivals.ts";
import { barChart, type Bar, type Chart } from "./support/chart.ts";
import { freePort, startServer } from "./support/process.ts";
import { finding, report, type Finding } from "./support/report.ts";
import { spread, type Rounds } from "./support/rounds.ts";

const IN_FLIGHT = [1, 16, 256];
const VALUE_BYTES = [100, 10_000];
const WIDTHS = [1, 100];

/** 8 s beyond the load itself: a client that has not settled by then hangs. */
const ANSWER_MS_MAX = 8000;

interface Point extends Load {
  readonly name: string;
}

/** What each client yielded in each round; undefined where it failed. */
type Yields = ReadonlyMap<string, readonly (Yield | undefined)[]>;

export interface BenchOptions {
  readonly rounds: number;
  readonly ms: number;
  /** Measures only points whose name contains it. */
  readonly only?: string;
}

/** The charts of a run, as SVG. */
export interface Charts {
  readonly perSecond: string;
  readonly cpu: string;
}

/** Measures all points and tells the findings, and the charts of operations per second and of CPU time per operation. */
export async function measure({ rounds, ms, only = "" }: BenchOptions): Promise<{ findings: Finding[]; charts: Charts }> {
  const port = await freePort();
  const server = await startServer(["memcached", "-u", "root", "-l", "127.0.0.1", "-p", String(port), "-U", "0"], {
    host: "127.0.0.1",
    port,
  });
  const address = `127.0.0.1:${port}`;
  const clients = new Map<string, ChildProcess>();
  try {
    await fill(address);
    for (const name of ["holdfast", ...Object.keys(RIVALS)]) clients.set(name, await start(name, address));
    const findings: Finding[] = [];
    const all: { name: string; yields: Yields }[] = [];
    for (const point of points(ms).filter(({ name }) => name.includes(only))) {
      const yields = await measurePoint(clients, point, rounds, address);
      findings.push(...findingsOf(point, yields));
      all.push({ name: point.name, yields });
    }
    const chartOf = (figure: (one: Yield) => number, about: Pick<Chart, "title" | "unit" | "better">): string =>
      barChart({
        ...about,
        note: "each client in a process of its own; memcached 1.6 on the same machine",
        groups: all.map(({ name, yields }) => ({ name, bars: barsOf(yields, figure) })),
      });
    const charts = {
      perSecond: chartOf(perSecond, {
        title: "Clients of one memcached: keys got per second",
        unit: "operations per second, median of the rounds",
        better: "more",
      }),
      cpu: chartOf(cpuMicroseconds, {
        title: "Clients of one memcached: CPU time a key",
        unit: "microseconds of the client's process per key got, median of the rounds",
        better: "less",
      }),
    };
    return { findings, charts };
  } finally {
    for (const child of clients.values()) child.kill("SIGKILL");
    await server.stop();
  }
}

function points(ms: number): Point[] {
  return WIDTHS.flatMap((width) =>
    VALUE_BYTES.flatMap((valueBytes) =>
      IN_FLIGHT.map((inFlight) => {
        const call = width === 1 ? "get" : `getMany of ${width}`;
        return { name: `${call}, ${valueBytes} B, ${inFlight} in flight`, inFlight, valueBytes, width, ms };
      }),
    ),
  );
}

async function fill(address: string): Promise<void> {
  const client = holdfast(address);
  for (const valueBytes of VALUE_BYTES) {
    for (let index = 0; index < KEY_COUNT; index += 1) await client.set(keyOf(valueBytes, index), valueOf(valueBytes));
  }
  client.close();
}

async function start(name: string, address: string): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "support/cache-client-load.ts"), [name, address], {
    execArgv: ["--conditions=holdfast-source", "--no-deprecation"],
  });
  await once(child, "message");
  return child;
}

/** All clients once a round, in an order that turns; one round first that does not count. Who fails is not asked again. */
async function measurePoint(
  clients: Map<string, ChildProcess>,
  point: Point,
  rounds: number,
  address: string,
): Promise<Yields> {
  const names = [...clients.keys()];
  const yields = new Map<string, (Yield | undefined)[]>(names.map((name) => [name, []]));
  const failed = new Set<string>();
  for (let round = -1; round < rounds; round += 1) {
    const turn = (round + names.length) % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)].filter((each) => !failed.has(each))) {
      const answer = await ask(clients.get(name)!, round < 0 ? { ...point, ms: point.ms / 3 } : point);
      if (typeof answer !== "string") {
        if (round >= 0) yields.get(name)!.push(answer);
        continue;
      }
      console.error(`${name} fails at ${point.name}: ${answer}`);
      failed.add(name);
      yields.set(name, [undefined]);
      clients.get(name)!.kill("SIGKILL");
      clients.set(name, await start(name, address));
    }
  }
  return yields;
}

/** What a client yields, or in words why it fails. */
async function ask(child: ChildProcess, load: Load): Promise<Yield | string> {
  child.send(load);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), load.ms + ANSWER_MS_MAX);
  try {
    const [answer] = (await once(child, "message", { signal: late.signal })) as [Yield | { error: string }];
    return "error" in answer ? answer.error : answer;
  } catch {
    return "no answer";
  } finally {
    clearTimeout(timer);
  }
}

const perSecond = ({ operations, seconds }: Yield): number => operations / seconds;
const cpuMicroseconds = ({ operations, cpuSeconds }: Yield): number => (cpuSeconds * 1e6) / operations;

function findingsOf(point: Point, yields: Yields): Finding[] {
  const whole = [...yields].filter(([, each]) => each.every((one) => one !== undefined)) as [string, Yield[]][];
  const rounds = (figure: (one: Yield) => number, best: (...figures: number[]) => number): Rounds<string> => {
    const figures = Object.fromEntries(whole.map(([name, each]) => [name, each.map(figure)]));
    const rivals = Object.entries(figures).filter(([name]) => name !== "holdfast");
    const bests = figures["holdfast"]!.map((_, round) => best(...rivals.map(([, each]) => each[round]!)));
    return { ...figures, "the best of them": bests };
  };
  const failing = [...yields.keys()].filter((name) => !whole.some(([each]) => each === name));
  const name = failing.length > 0 ? `${point.name} (${failing.join(", ")} fails)` : point.name;
  const against = "the best of them";
  return [
    finding(
      { name, unit: "operations / s", target: { against, atLeast: point.inFlight === 256 ? 3 : 1 } },
      "holdfast",
      rounds(perSecond, Math.max),
    ),
    finding(
      { name, unit: "CPU µs / operation", target: { against, atMost: 1 } },
      "holdfast",
      rounds(cpuMicroseconds, Math.min),
    ),
  ];
}

function barsOf(yields: Yields, figure: (one: Yield) => number): Bar[] {
  return [...yields].map(([name, each]) => {
    const whole = each.filter((one) => one !== undefined);
    return { name, value: whole.length === 0 ? undefined : spread(whole.map(figure)).median };
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "3" },
      ms: { type: "string", default: "1000" },
      charts: { type: "string" },
      only: { type: "string", default: "" },
    },
  });
  const { findings, charts } = await measure({ rounds: Number(values.rounds), ms: Number(values.ms), only: values.only });
  report(findings, { json: values.json });
  if (values.charts !== undefined) {
    writeFileSync(join(values.charts, "cache-client.svg"), charts.perSecond);
    writeFileSync(join(values.charts, "cache-client-cpu.svg"), charts.cpu);
  }
}
