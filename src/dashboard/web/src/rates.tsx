/** ● Throughput charts that more than one view shows. */
import type { Columns } from "../../snapshot/history.ts";
import { Chart, type ChartLine } from "./chart.tsx";
import { showRate } from "./format.ts";

/** @param more lines beside gets and sets */
export function CacheRates({ columns, more = [] }: { columns: Columns; more?: readonly ChartLine[] }) {
  return (
    <Chart
      title="Requests"
      time={columns.time}
      lines={[
        { label: "gets", values: columns.cacheGets, colour: "one" },
        { label: "sets", values: columns.cacheSets, colour: "two" },
        ...more,
      ]}
      show={showRate}
    />
  );
}

export function QueueRates({ columns }: { columns: Columns }) {
  return (
    <Chart
      title="Tasks"
      time={columns.time}
      lines={[
        { label: "added", values: columns.queueAdded, colour: "one" },
        { label: "completed", values: columns.queueFinished, colour: "two" },
      ]}
      show={showRate}
    />
  );
}
