/** ● The queue: its numbers, the list of queues, and of the chosen one its tasks; the workers. */
import { useState } from "preact/hooks";
import type { Columns } from "../../snapshot/history.ts";
import type { QueueRow } from "../../snapshot/queue-rows.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { AddTask } from "./add-task.tsx";
import { Chart } from "./chart.tsx";
import { MemoryUsage, NotRunning, PartCard } from "./components.tsx";
import { showCount } from "./format.ts";
import { Queues } from "./queues.tsx";
import { QueueRates } from "./rates.tsx";
import type { ChartRange } from "./live.ts";
import { QueueEvents } from "./queue-events.tsx";
import { QueueCharts } from "./queue-charts.tsx";
import type { ViewRoute } from "./route.ts";
import { QueueTasks } from "./queue-tasks.tsx";
import { Workers } from "./workers.tsx";

interface QueueViewProps {
  readonly queue: Snapshot["queue"];
  /** The time of this state by the server's clock. */
  readonly wallMs: number;
  readonly columns: Columns;
  readonly range: ChartRange;
  readonly route: ViewRoute;
}

export function QueueView({ queue, wallMs, columns, range, route }: QueueViewProps) {
  const [first, setFirst] = useState<QueueRow>();
  if (!queue) return <NotRunning name="Queue" flag="--queue" />;
  // Nobody chose one: the first of the list.
  const name = route.name ?? first?.name;
  return (
    <div class="grid">
      <Now queue={queue} columns={columns} />
      <Queues route={route} chosen={name} nowMs={wallMs} loaded={({ rows }) => setFirst((before) => before ?? rows[0])} />
      {name === undefined ? null : <QueueTasks key={name} queue={name} route={{ ...route, name }} nowMs={wallMs} />}
      {name === undefined ? null : <QueueCharts key={`charts ${name}`} queue={name} range={range} />}
      {name === undefined ? null : <QueueEvents key={`events ${name}`} queue={name} route={{ ...route, name }} />}
      <Workers nowMs={wallMs} />
      <AddTask queue={name ?? "default"} />
    </div>
  );
}

function Now({ queue, columns }: { queue: NonNullable<Snapshot["queue"]>; columns: Columns }) {
  return (
    <PartCard
      title="Broker"
      address={queue.address}
      wide
      stats={[
        ["Waiting", showCount(queue.states.waiting)],
        ["Delayed", showCount(queue.states.delayed)],
        ["Blocked", showCount(queue.states.blocked)],
        ["Active", showCount(queue.states.active)],
        ["Retrying", showCount(queue.states.retrying)],
        ["Dead", showCount(queue.states.dead)],
        ["Workers", showCount(queue.workers)],
        ["Peers", showCount(queue.peers)],
      ]}
    >
      <MemoryUsage bytes={queue.bytes} bytesMax={queue.bytesMax} part="queue" />
      <div class="charts">
        <QueueRates columns={columns} />
        <Chart
          title="Waiting"
          time={columns.time}
          lines={[{ label: "waiting", values: columns.queueWaiting, colour: "three" }]}
          show={showCount}
          whole
        />
      </div>
    </PartCard>
  );
}
