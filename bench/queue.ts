/**
 * Full cycles of the work queue a second (add, take, done, result; 100 bytes), durable, against BullMQ on Redis and beanstalkd.
 *
 *   node --conditions=holdfast-source bench/queue.ts [--seconds 4] [--rounds 3] [--producers 1,16,256] [--json]
 *
 * Ours answers after fsync, as do Redis with appendfsync always and beanstalkd -f0 (which answers a put before its fsync, and has no
 * results of its own); everysec and beanstalkd's default may lose what they acknowledged. Wanted: 30,000 cycles/s with 256
 * producers on two cores, and five times BullMQ with appendfsync always.
 */
import { parseArgs } from "node:util";
import { cpuSeconds } from "./support/process.ts";
import { finding, type Finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";
import { beanstalkd, bullmq, holdfast, type Running, type Start } from "./queue/rivals.ts";

const CONTENDERS = {
  holdfast,
  "bullmq always": bullmq("always"),
  "bullmq everysec": bullmq("everysec"),
  "beanstalkd -f0": beanstalkd("-f", "0"),
  "beanstalkd default": beanstalkd(),
} satisfies Record<string, Start>;

type Name = keyof typeof CONTENDERS;

export interface CycleFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of server and load together. */
  readonly cpuMicroseconds: number;
}

/** Lets `producers` do one thing after the other for a while, the first quarter of it not counted. */
export async function measure(
  running: Running,
  act: "add" | "call",
  { producers, seconds }: { producers: number; seconds: number },
): Promise<CycleFigures> {
  const latencies: number[] = [];
  // A port may be open before what is behind it is ready.
  await running[act]();
  const startMs = performance.now();
  const countFromMs = startMs + (seconds * 1000) / 4;
  const endMs = startMs + seconds * 1000;
  let cpuBefore = 0;
  const pids = [...running.serverPids, process.pid];
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const produce = async (): Promise<void> => {
    for (let beganMs = performance.now(); beganMs < endMs; beganMs = performance.now()) {
      if (cpuBefore === 0 && beganMs >= countFromMs) cpuBefore = cpu();
      await running[act]();
      if (beganMs >= countFromMs) latencies.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: producers }, produce));
  const took = (performance.now() - countFromMs) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? NaN;
  return {
    perSecond: latencies.length / took,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMicroseconds: ((cpu() - cpuBefore) * 1e6) / latencies.length,
  };
}

export async function bench({
  rounds,
  seconds,
  producers,
  names = Object.keys(CONTENDERS) as Name[],
}: {
  rounds: number;
  seconds: number;
  producers: readonly number[];
  names?: readonly Name[];
}): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const count of producers) {
    const seen = {
      addP50: empty(names),
      addP99: empty(names),
      callP50: empty(names),
      callP99: empty(names),
      cpu: empty(names),
    };
    const one = async (name: Name): Promise<number> => {
      const running = await CONTENDERS[name]();
      try {
        const calls = await measure(running, "call", { producers: count, seconds });
        const adds = await measure(running, "add", { producers: count, seconds: seconds / 2 });
        seen.callP50[name]!.push(calls.p50Ms);
        seen.callP99[name]!.push(calls.p99Ms);
        seen.addP50[name]!.push(adds.p50Ms);
        seen.addP99[name]!.push(adds.p99Ms);
        seen.cpu[name]!.push(calls.cpuMicroseconds);
        return calls.perSecond;
      } finally {
        await running.stop();
      }
    };
    const contenders = Object.fromEntries(names.map((name) => [name, () => one(name)])) as Record<Name, () => Promise<number>>;
    const cycles = await pairedRounds(rounds, contenders);
    const target = { against: "bullmq always", atLeast: 5 };
    const name = `${count} producers`;
    findings.push(finding({ name: `full cycles, ${name}`, unit: "cycles/s", target }, "holdfast", cycles));
    // The round that does not count was measured, too: it is left out here as it is there.
    for (const [what, figures] of Object.entries(seen)) {
      const counted = Object.fromEntries(names.map((each) => [each, figures[each]!.slice(1)])) as Record<Name, number[]>;
      findings.push(finding({ name: `${what}, ${name}`, unit: what === "cpu" ? "CPU µs/cycle" : "ms" }, "holdfast", counted));
    }
  }
  return findings;
}

function empty(names: readonly Name[]): Record<string, number[]> {
  return Object.fromEntries(names.map((name) => [name, []]));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      producers: { type: "string", default: "1,16,256" },
      json: { type: "boolean", default: false },
    },
  });
  const producers = values.producers.split(",").map(Number);
  report(await bench({ rounds: Number(values.rounds), seconds: Number(values.seconds), producers }), { json: values.json });
  process.exit(0);
}
