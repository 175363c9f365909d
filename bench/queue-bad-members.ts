/**
 * How long calls to a thousand healthy queues take while one bad member of each kind is at the same broker (queue/bad-members.ts),
 * beside a broker that has none. Calls come at a steady rate whatever the answers do, so that a pause counts for all that waited.
 *
 *   node --conditions=holdfast-source bench/queue-bad-members.ts [--queues 1000] [--rate 400] [--seconds 5] [--rounds 10] [--json]
 *
 * Wanted: p99 of the healthy ones at most 1.2 times that without the bad ones.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { bytesCodec, queue, worker } from "../src/queue/index.ts";
import { BODY, startBroker } from "./queue/rivals.ts";
import { finding, type Finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";

export interface Load {
  readonly queues: number;
  /** Calls a second, to the queues in turn. */
  readonly rate: number;
  readonly seconds: number;
}

/** Calls leave in portions at this pace: finer timers would cost more than the calls. */
const PORTION_MS = 5;

const BAD_MEMBERS = [
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "queue/bad-members.ts"),
];

/** @returns milliseconds, sorted */
async function latencies(url: string, { queues, rate, seconds }: Load): Promise<number[]> {
  const producers = queue<Uint8Array, Uint8Array>("healthy-0", { url, codec: bytesCodec });
  const { client } = producers;
  const names = Array.from({ length: queues }, (_, index) => `healthy-${index}`);
  const all = names.map((name) => queue<Uint8Array, Uint8Array>(name, { client, codec: bytesCodec }));
  const workers = all.map((tasks) => worker(tasks, (body) => body, { signals: [] }));
  const took: number[] = [];
  const calls: Promise<void>[] = [];
  const callAll = async (at: number): Promise<void> => {
    const beganMs = performance.now();
    await all[at % queues]!.call(BODY);
    took.push(performance.now() - beganMs);
  };
  await Promise.all(all.map((tasks) => tasks.call(BODY)));
  const startMs = performance.now();
  for (let sent = 0; sent < rate * seconds;) {
    const due = Math.min(rate * seconds, ((performance.now() - startMs) * rate) / 1000);
    while (sent < due) calls.push(callAll((sent += 1)));
    await sleep(PORTION_MS);
  }
  await Promise.all(calls);
  await Promise.all(workers.map((each) => each.close()));
  await producers.close();
  return took.sort((a, b) => a - b);
}

async function beside(bad: boolean, load: Load): Promise<{ p50: number; p99: number }> {
  const { url, stop } = await startBroker();
  const members = bad ? spawn(process.execPath, [...BAD_MEMBERS, url], { stdio: ["ignore", "pipe", "inherit"] }) : undefined;
  try {
    if (members) {
      // As if on another machine: what they cost themselves is not the broker's doing.
      setPriority(members.pid!, constants.priority.PRIORITY_LOW);
      await once(members.stdout!, "data");
    }
    const took = await latencies(url, load);
    if (members && members.exitCode !== null) throw new Error(`the bad members ended by themselves: ${members.exitCode}`);
    return { p50: took[Math.floor(took.length / 2)]!, p99: took[Math.floor(took.length * 0.99)]! };
  } finally {
    if (members?.kill("SIGKILL")) await once(members, "exit");
    await stop();
  }
}

export async function benchBadMembers({ rounds, ...load }: Load & { rounds: number }): Promise<Finding[]> {
  const p50 = { "with bad members": [] as number[], without: [] as number[] };
  const one = (name: keyof typeof p50) => async (): Promise<number> => {
    const figures = await beside(name !== "without", load);
    p50[name].push(figures.p50);
    return figures.p99;
  };
  const ours = "with bad members";
  const p99 = await pairedRounds(rounds, { [ours]: one(ours), without: one("without") });
  const what = `calls to ${load.queues} healthy queues`;
  return [
    finding({ name: `p99, ${what}`, unit: "ms", target: { against: "without", atMost: 1.2 } }, ours, p99),
    finding({ name: `p50, ${what}`, unit: "ms" }, ours, { [ours]: p50[ours].slice(1), without: p50.without.slice(1) }),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      queues: { type: "string", default: "1000" },
      rate: { type: "string", default: "400" },
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
    },
  });
  const [queues, rate, seconds, rounds] = [values.queues, values.rate, values.seconds, values.rounds].map(Number);
  report(await benchBadMembers({ queues: queues!, rate: rate!, seconds: seconds!, rounds: rounds! }), { json: values.json });
  process.exit(0);
}
