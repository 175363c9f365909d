/** ● The queue: queues with depth and workers, tasks and their lives, dead letters, and the actions. */
import { useState } from "preact/hooks";
import type { Columns } from "../../history.ts";
import type { QueueRow, Snapshot } from "../../snapshot.ts";
import { Chart } from "./chart.tsx";
import { showCount, showDuration, showRate, showSize } from "./format.ts";
import { act, read } from "./live.ts";
import { Bar, Card, Empty, Off, Stat, Stats, Table, useAction, usePolled } from "./parts.tsx";
import { Tasks } from "./tasks.tsx";
import { Workers } from "./workers.tsx";

/** The age of the oldest is asked for the first 20 queues, every 3 s: each costs the broker a look through its tasks. */
const OLDEST_MAX = 20;
const OLDEST_MS = 3000;

interface QueueViewProps {
  readonly queue: Snapshot["queue"];
  /** When it was so, by the server's clock. */
  readonly wallMs: number;
  readonly columns: Columns;
}

export function QueueView({ queue, wallMs, columns }: QueueViewProps) {
  const [chosen, setChosen] = useState<string>();
  if (!queue) return <Off name="Queue" flag="--queue" />;
  const name = chosen ?? queue.queues[0]?.name;
  return (
    <div class="grid">
      <Card title="Now">
        <p class="address">{queue.address}</p>
        <Stats>
          <Stat name="Waiting" value={showCount(queue.states.ready)} />
          <Stat name="Later" value={showCount(queue.states.delayed + queue.states.failed)} note="delayed or pausing" />
          <Stat name="In work" value={showCount(queue.states.leased)} />
          <Stat name="Dead" value={showCount(queue.states.dead)} />
          <Stat name="Workers" value={showCount(queue.workers)} />
          <Stat name="Peers" value={showCount(queue.peers)} />
        </Stats>
        <p>
          {showSize(queue.bytes)} of {showSize(queue.bytesMax)} in use
        </p>
        <Bar share={queue.bytes / queue.bytesMax} label="Share of the queue's bytes in use" />
      </Card>
      <Card title="Rates">
        <Chart
          title="Tasks"
          time={columns.time}
          lines={[
            { label: "added", values: columns.queueAdded, colour: "one" },
            { label: "done", values: columns.queueFinished, colour: "two" },
          ]}
          show={showRate}
        />
        <Chart
          title="Waiting"
          time={columns.time}
          lines={[{ label: "waiting", values: columns.queueReady, colour: "three" }]}
          show={showCount}
        />
      </Card>
      <Queues queues={queue.queues} total={queue.queueCount} chosen={name} choose={setChosen} />
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
}

function Queues({ queues, total, chosen, choose }: QueuesProps) {
  const { run, said } = useAction();
  const names = queues.slice(0, OLDEST_MAX).map(({ name }) => name);
  const query = names.map((name) => `queue=${encodeURIComponent(name)}`).join("&");
  const { value: oldest } = usePolled(
    () => read<Record<string, number | null>>(`/api/queue/oldest?${query}`),
    OLDEST_MS,
    query,
  );
  const showOldest = (name: string): string => {
    const sinceMs = oldest?.[name];
    return sinceMs === undefined || sinceMs === null ? "–" : showDuration(Math.max(0, Date.now() - sinceMs));
  };
  const pause = ({ name, paused }: QueueRow): void =>
    run(() => act(`/api/queue/${paused ? "resume" : "pause"}`, { queue: name }));
  return (
    <Card title="Queues" wide>
      {queues.length === 0 ? <Empty>There is no queue yet: the first task makes one. Add one below.</Empty> : null}
      {queues.length === 0 ? null : (
        <Table
          caption={total > queues.length ? `The fullest ${queues.length} of ${total} queues` : "Queues"}
          head={["Queue", "Waiting", "Later", "In work", "Dead", "Workers", "Added", "Done", "Oldest waits", "Actions"]}
        >
          {queues.map((row) => (
            <tr key={row.name} class={row.name === chosen ? "chosen" : undefined}>
              <th scope="row" class="key">
                <button type="button" class="plain" aria-pressed={row.name === chosen} onClick={() => choose(row.name)}>
                  {row.name}
                </button>
                {row.paused ? <small> paused</small> : null}
              </th>
              <td>{showCount(row.states.ready)}</td>
              <td>{showCount(row.states.delayed + row.states.failed)}</td>
              <td>{showCount(row.states.leased)}</td>
              <td class={row.states.dead > 0 ? "bad" : undefined}>{showCount(row.states.dead)}</td>
              <td>
                {row.workers} <small>{row.slots === row.workers ? "" : `(${row.slots} places)`}</small>
              </td>
              <td>{showRate(row.addedPerSecond)}</td>
              <td>{showRate(row.finishedPerSecond)}</td>
              <td>{showOldest(row.name)}</td>
              <td>
                <button
                  type="button"
                  onClick={() => pause(row)}
                  aria-label={`${row.paused ? "Resume" : "Pause"} queue ${row.name}`}
                >
                  {row.paused ? "Resume" : "Pause"}
                </button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {said}
    </Card>
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
      return `Task ${id} is on disk.`;
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
          Not before{" "}
          <input type="number" min={0} max={86_400} value={delayS} onInput={(event) => setDelayS(event.currentTarget.value)} />{" "}
          seconds from now
        </label>
        <button type="submit">Add it</button>
      </form>
      {said}
    </Card>
  );
}
