/**
 * The cache client against the Node clients of memcached that teams use: memjs, memcached, memcache-client and memcache, in one
 * run, against one memcached, each in a process of its own, in paired rounds. Operations (keys got) per second, and CPU time of
 * the client's process per operation.
 *
 * `node --conditions=holdfast-source bench/cache-client.ts [--json] [--rounds N] [--ms N] [--only WORD]`
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { holdfast, keyOf, KEY_COUNT, valueOf, type Load, type Yield } from "./support/cache-client-load.ts";
import { RIVALS } from "./support/cache-rivals.ts";
import { freePort, startServer } from "./support/process.ts";
import { finding, report, THE_BEST, type Finding } from "./support/report.ts";
import type { Rounds } from "./support/rounds.ts";

const IN_FLIGHT = [1, 16, 256];
const VALUE_BYTES = [100, 10_000];
const WIDTHS = [1, 100];

/** 15 s beyond the load itself: a client that has not settled by then hangs. */
const ANSWER_MS_MAX = 15_000;

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

/** Measures all points. */
export async function measure({ rounds, ms, only = "" }: BenchOptions): Promise<Finding[]> {
  const port = await freePort();
  const server = await startServer(
    ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", String(port), "-U", "0", "-m", "1024"],
    {
      host: "127.0.0.1",
      port,
    },
  );
  const address = `127.0.0.1:${port}`;
  const clients = new Map<string, ChildProcess>();
  try {
    await fill(address);
    for (const name of ["holdfast", ...Object.keys(RIVALS)]) clients.set(name, await start(name, address));
    const findings: Finding[] = [];
    for (const point of points(ms).filter(({ name }) => name.includes(only))) {
      findings.push(...findingsOf(point, await measurePoint(clients, point, rounds, address)));
    }
    return findings;
  } finally {
    for (const child of clients.values()) child.kill("SIGKILL");
    await server.stop();
  }
}

function points(ms: number): Point[] {
  const all = WIDTHS.flatMap((width) =>
    VALUE_BYTES.flatMap((valueBytes) => IN_FLIGHT.map((inFlight) => ({ inFlight, valueBytes, width, apart: false, ms }))),
  );
  const apart = VALUE_BYTES.map((valueBytes) => ({ inFlight: 256, valueBytes, width: 100, apart: true, ms }));
  return [...all, ...apart].map((load) => ({ ...load, name: nameOf(load) }));
}

function nameOf({ inFlight, valueBytes, width, apart }: Load): string {
  const call = width === 1 ? "get" : `getMany of ${width}`;
  return `${call}, ${valueBytes} B, ${inFlight} in flight${apart ? ", no key wanted by two" : ""}`;
}

async function fill(address: string): Promise<void> {
  const client = holdfast(address);
  for (const valueBytes of VALUE_BYTES) {
    for (let index = 0; index < KEY_COUNT; index += 100) {
      const some = Array.from({ length: 100 }, (_, offset) => keyOf(valueBytes, index + offset));
      await Promise.all(some.map((key) => client.set(key, valueOf(valueBytes))));
    }
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
      if (name === "holdfast") throw new Error(`Cannot measure ${point.name}: ${answer}`);
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
    return { ...figures, [THE_BEST]: bests };
  };
  const failed = [...yields.keys()].filter((name) => !whole.some(([each]) => each === name));
  const about = { name: point.name, failed };
  return [
    finding(
      {
        ...about,
        unit: "operations / s",
        target: { against: THE_BEST, atLeast: point.inFlight === 256 ? 3 : 1 },
      },
      "holdfast",
      rounds(perSecond, Math.max),
    ),
    finding(
      { ...about, unit: "CPU µs / operation", target: { against: THE_BEST, atMost: 1 } },
      "holdfast",
      rounds(cpuMicroseconds, Math.min),
    ),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "3" },
      ms: { type: "string", default: "1000" },
      only: { type: "string", default: "" },
    },
  });
  const settings = { rounds: Number(values.rounds), ms: Number(values.ms), only: values.only };
  report(await measure(settings), { json: values.json });
}
