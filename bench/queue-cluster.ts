/**
 * Full cycles a second (add, take, done, result; 100 bytes) of brokers that share a queue kept by nats-servers, one and three of each,
 * against a work queue written by hand on JetStream with the same client library, and against one broker with its embedded store.
 *
 *   node --conditions=holdfast-source bench/queue-cluster.ts [--seconds 4] [--rounds 3] [--producers 256] [--nodes 1,3] [--json]
 *
 * All of it shares one machine: what more machines would add is in the CPU a cycle takes, not in the cycles a second. Wanted: at least
 * 0.7 of the cycles of the queue written by hand, which keeps no results, priorities, schedules or keys.
 */
import { parseArgs } from "node:util";
import { brokersOnNats } from "./queue/cluster.ts";
import { plainJetstream } from "./queue/jetstream.ts";
import { holdfast, type Start } from "./queue/rivals.ts";
import { finding, type Finding, report } from "./support/report.ts";
import { pairedRounds } from "./support/rounds.ts";
import { type CycleFigures, measure } from "./queue.ts";

type Name = "1 broker" | "3 brokers" | "embedded store" | "jetstream by hand" | "jetstream by hand, results kept";

function contendersOn(nodes: 1 | 3): Record<Name, Start> {
  return {
    "1 broker": brokersOnNats({ nodes, brokers: 1 }),
    "3 brokers": brokersOnNats({ nodes, brokers: 3 }),
    "embedded store": holdfast,
    "jetstream by hand": plainJetstream({ nodes, keptResults: false }),
    "jetstream by hand, results kept": plainJetstream({ nodes, keptResults: true }),
  };
}

interface ClusterBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly producers: readonly number[];
  readonly nodes: readonly (1 | 3)[];
  /** Default: all. */
  readonly names?: readonly Name[];
}

export async function benchCluster({ producers, nodes, ...rest }: ClusterBenchOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const count of producers) for (const each of nodes) findings.push(...(await onNodes(each, count, rest)));
  return findings;
}

async function onNodes(
  nodes: 1 | 3,
  producers: number,
  { rounds, seconds, names }: Pick<ClusterBenchOptions, "rounds" | "seconds" | "names">,
): Promise<Finding[]> {
  const seen = new Map<Name, CycleFigures[]>();
  const all = Object.entries(contendersOn(nodes)) as [Name, Start][];
  const starts = all.filter(([name]) => names?.includes(name) ?? true);
  const one = async (name: Name, start: Start): Promise<number> => {
    const running = await start();
    try {
      const figures = await measure(running, "call", { producers, seconds });
      seen.set(name, [...(seen.get(name) ?? []), figures]);
      return figures.perSecond;
    } finally {
      await running.stop();
    }
  };
  const cycles = await pairedRounds(
    rounds,
    Object.fromEntries(starts.map(([name, start]) => [name, () => one(name, start)])) as Record<Name, () => Promise<number>>,
  );
  /** The round that does not count was measured, too: it is left out here as it is there. */
  const counted = (figure: keyof CycleFigures): Record<Name, number[]> =>
    Object.fromEntries(
      starts.map(([name]) => [
        name,
        seen
          .get(name)!
          .slice(1)
          .map((each) => each[figure]),
      ]),
    ) as Record<Name, number[]>;
  const where = `${nodes} NATS node${nodes === 1 ? "" : "s"}, ${producers} producers`;
  const target = { against: "jetstream by hand", atLeast: 0.7 };
  const findings = [
    finding({ name: `full cycles, ${where}`, unit: "cycles/s", target }, "1 broker", cycles),
    finding({ name: `CPU, ${where}`, unit: "CPU µs/cycle" }, "1 broker", counted("cpuMicroseconds")),
    finding({ name: `p50 of call, ${where}`, unit: "ms" }, "1 broker", counted("p50Ms")),
    finding({ name: `p99 of call, ${where}`, unit: "ms" }, "1 broker", counted("p99Ms")),
  ];
  const three = `full cycles through three brokers, ${where}`;
  if (cycles["3 brokers"]) findings.push(finding({ name: three, unit: "cycles/s", target }, "3 brokers", cycles));
  return findings;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      producers: { type: "string", default: "256" },
      nodes: { type: "string", default: "1,3" },
      json: { type: "boolean", default: false },
    },
  });
  const findings = await benchCluster({
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    producers: values.producers.split(",").map(Number),
    nodes: values.nodes.split(",").map((count) => (count === "3" ? 3 : 1)),
  });
  report(findings, { json: values.json });
  process.exit(0);
}
