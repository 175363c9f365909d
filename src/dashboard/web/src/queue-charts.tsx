/** ● The chosen queue over time, and how long its tasks waited and ran. */
import { LATENCY_BOUNDS_MS, type LatencyCounts, latencyQuantile } from "../../../core/latency-histogram.ts";
import type { QueueColumns } from "../../snapshot/queue-history.ts";
import { Chart } from "./chart.tsx";
import { Bar, Card, Empty, usePolled } from "./components.tsx";
import { showCount, showDuration, showRate } from "./format.ts";
import { type ChartRange, read } from "./live.ts";
import { type Column, Table } from "./table.tsx";

/** 5 s: five minutes of it are 12 kB. */
const POLL_MS = 5000;

interface Answer {
  /** false: these are the columns of all queues that have none of their own. */
  readonly isOwn: boolean;
  readonly columns: QueueColumns;
  readonly waits?: LatencyCounts;
  readonly runs?: LatencyCounts;
}

export function QueueCharts({ queue, range }: { readonly queue: string; readonly range: ChartRange }) {
  const path = `/api/queue-history?queue=${encodeURIComponent(queue)}&range=${range}`;
  const { value, failed } = usePolled(() => read<Answer>(path), POLL_MS, path);
  if (failed) return <p class="bad">{failed}</p>;
  if (!value) return null;
  const { isOwn, columns, waits, runs } = value;
  return (
    <Card title={`${queue} over time`} wide>
      {isOwn ? null : <p>Not among the 200 busiest queues, whose history is kept: this is what all others did together.</p>}
      <div class="charts">
        <Chart
          title="Tasks"
          time={columns.time}
          lines={[
            { label: "added", values: columns.added, colour: "one" },
            { label: "completed", values: columns.completed, colour: "two" },
            { label: "failures", values: columns.failures, colour: "bad" },
          ]}
          show={showRate}
        />
        <Chart
          title="Waiting"
          time={columns.time}
          lines={[{ label: "waiting", values: columns.waiting, colour: "three" }]}
          show={showCount}
          whole
        />
        <Chart
          title="95 of 100 took at most"
          time={columns.time}
          lines={[
            { label: "to wait", values: columns.waitMs, colour: "one" },
            { label: "to run", values: columns.runMs, colour: "two" },
          ]}
          show={showLatency}
        />
        <Latencies waits={waits} runs={runs} />
      </div>
    </Card>
  );
}

function showLatency(ms: number): string {
  return showDuration(ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms));
}

interface Bucket {
  readonly bound: string;
  readonly waited: number;
  readonly ran: number;
}

/** Since the broker started: how many waits and runs fell into each bucket. */
function Latencies({ waits, runs }: { readonly waits: LatencyCounts | undefined; readonly runs: LatencyCounts | undefined }) {
  const total = (latencies: LatencyCounts | undefined): number => latencies?.counts.reduce((sum, count) => sum + count, 0) ?? 0;
  const totals = { waited: total(waits), ran: total(runs) };
  if (!waits || !runs || totals.waited === 0) return <Empty>No task was taken by a worker since the broker started.</Empty>;
  const all = waits.counts.map((waited, index): Bucket => {
    const bound = LATENCY_BOUNDS_MS[index];
    const words = bound === undefined ? `over ${showDuration(LATENCY_BOUNDS_MS.at(-1)!)}` : `up to ${showDuration(bound)}`;
    return { bound: words, waited, ran: runs.counts[index] ?? 0 };
  });
  const isUsed = ({ waited, ran }: Bucket): boolean => waited + ran > 0;
  const rows = all.slice(all.findIndex(isUsed), all.findLastIndex(isUsed) + 1);
  const shares = (what: "waited" | "ran") => (row: Bucket) =>
    row[what] === 0 ? (
      "–"
    ) : (
      <>
        <Bar share={row[what] / totals[what]} label={`${what} ${row.bound}`} /> {showCount(row[what])}
      </>
    );
  const columns: readonly Column<Bucket>[] = [
    ["Took", ({ bound }) => bound],
    ["Waits", shares("waited")],
    ["Runs", shares("ran")],
  ];
  const median = (latencies: LatencyCounts): string => showLatency(latencyQuantile(latencies, 0.5) ?? 0);
  return (
    <div class="latencies">
      <Table caption="How long tasks waited and ran" columns={columns} rows={rows} keyOf={({ bound }) => bound} empty="" />
      <p class="dim">
        Since the broker started; half waited at most {median(waits)}
        {totals.ran === 0 ? "" : ` and ran at most ${median(runs)}`}.
      </p>
    </div>
  );
}
