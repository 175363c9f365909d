/** ● The queue: queues with depth and workers, tasks and their history, dead tasks, and the actions. */
import { useState } from "preact/hooks";
import type { Columns } from "../../snapshot/history.ts";
import type { QueueRow, Snapshot } from "../../snapshot/snapshot.ts";
import { Chart } from "./chart.tsx";
import { showCount, showDuration, showRate } from "./format.ts";
import { act } from "./live.ts";
import { Card, MemoryUsage, NotRunning, PartCard, useAction } from "./components.tsx";
import { QueueRates } from "./rates.tsx";
import { type Column, Table } from "./table.tsx";
import { Tasks } from "./tasks.tsx";
import { Workers } from "./workers.tsx";

interface QueueViewProps {
  readonly queue: Snapshot["queue"];
  /** The time of this state by the server's clock. */
  readonly wallMs: number;
  readonly columns: Columns;
}

export function QueueView({ queue, wallMs, columns }: QueueViewProps) {
  const [chosen, setChosen] = useState<string>();
  if (!queue) return <NotRunning name="Queue" flag="--queue" />;
  const name = chosen ?? queue.queues[0]?.name;
  return (
    <div class="grid">
      <PartCard
        title="Now"
        address={queue.address}
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
      </PartCard>
      <Card title="Throughput">
        <QueueRates columns={columns} />
        <Chart
          title="Waiting"
          time={columns.time}
          lines={[{ label: "waiting", values: columns.queueWaiting, colour: "three" }]}
          show={showCount}
        />
      </Card>
      <Queues queues={queue.queues} total={queue.queueCount} chosen={name} choose={setChosen} nowMs={wallMs} />
      <Workers queue={queue} nowMs={wallMs} />
      <AddTask queue={name ?? "default"} onAdded={setChosen} />
      {name === undefined ? null : <Tasks key={name} queue={name} />}
    </div>
  );
}

interface QueuesProps {
  readonly queues: readonly QueueRow[];
  readonly total: number;
  readonly chosen: string | undefined;
  readonly choose: (name: string) => void;
  /** The time of these numbers by the server's clock. */
  readonly nowMs: number;
}

function Queues({ queues, total, chosen, choose, nowMs }: QueuesProps) {
  const { run, said } = useAction();
  const pause = ({ name, paused }: QueueRow): void =>
    run(() => act(`/api/queue/${paused ? "resume" : "pause"}`, { queue: name }));
  const columns: readonly Column<QueueRow>[] = [
    ["Queue", (row) => <QueueName row={row} isChosen={row.name === chosen} choose={choose} />],
    ["Waiting", ({ states }) => showCount(states.waiting)],
    ["Delayed", ({ states }) => showCount(states.delayed)],
    ["Blocked", ({ states }) => showCount(states.blocked)],
    ["Active", ({ states }) => showCount(states.active)],
    ["Retrying", ({ states }) => showCount(states.retrying)],
    ["Dead", ({ states }) => showCount(states.dead), ({ states }) => states.dead > 0],
    [
      "Workers",
      ({ workers, slots }) => (
        <>
          {workers} <small>{slots === workers ? "" : `(concurrency ${slots})`}</small>
        </>
      ),
    ],
    ["Added", ({ addedPerSecond }) => showRate(addedPerSecond)],
    ["Completed", ({ finishedPerSecond }) => showRate(finishedPerSecond)],
    [
      "Oldest waits",
      ({ waitingSinceMs }) => (waitingSinceMs === undefined ? "–" : showDuration(Math.max(0, nowMs - waitingSinceMs))),
    ],
    ["Actions", (row) => <PauseButton row={row} pause={pause} />],
  ];
  return (
    <Card title="Queues" wide>
      <Table
        caption={total > queues.length ? `The fullest ${queues.length} of ${total} queues` : "Queues"}
        columns={columns}
        rows={queues}
        keyOf={({ name }) => name}
        toneOf={({ name }) => (name === chosen ? "chosen" : undefined)}
        empty="No queues yet. A queue is created when its first task is added."
      />
      {said}
    </Card>
  );
}

function QueueName({ row, isChosen, choose }: { row: QueueRow; isChosen: boolean; choose: (name: string) => void }) {
  return (
    <>
      <button type="button" class="plain" aria-pressed={isChosen} onClick={() => choose(row.name)}>
        {row.name}
      </button>
      {row.paused ? <small> paused</small> : null}
    </>
  );
}

function PauseButton({ row, pause }: { row: QueueRow; pause: (row: QueueRow) => void }) {
  const verb = row.paused ? "Resume" : "Pause";
  return (
    <button type="button" onClick={() => pause(row)} aria-label={`${verb} queue ${row.name}`}>
      {verb}
    </button>
  );
}

function AddTask({ queue, onAdded }: { queue: string; onAdded: (name: string) => void }) {
  const [name, setName] = useState(queue);
  const [body, setBody] = useState("");
  const [delayS, setDelayS] = useState("0");
  const { run, said } = useAction();
  const add = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      const { id } = await act<{ id: string }>("/api/queue/add", {
        queue: name,
        body,
        delayMs: Math.round(Number(delayS) * 1000),
      });
      onAdded(name);
      return `Task ${id} was stored.`;
    });
  };
  return (
    <Card title="Add a task">
      <form onSubmit={add}>
        <label>
          Queue <input value={name} onInput={(event) => setName(event.currentTarget.value)} maxLength={255} required />
        </label>
        <label>
          Body <textarea rows={3} value={body} onInput={(event) => setBody(event.currentTarget.value)} />
        </label>
        <label>
          Delay{" "}
          <input type="number" min={0} max={86_400} value={delayS} onInput={(event) => setDelayS(event.currentTarget.value)} />{" "}
          seconds
        </label>
        <button type="submit">Add task</button>
      </form>
      {said}
    </Card>
  );
}
