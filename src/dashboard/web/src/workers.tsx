/** ● The workers as they join and leave: those here, the newest first, and those that left within the last minute. */
import type { QueueView } from "../../snapshot.ts";
import { showCount, showDuration } from "./format.ts";
import { Card, Empty, Table } from "./parts.tsx";

/** Who came within the last 30 s is marked: long enough to be seen by somebody who looks up. */
const JUST_JOINED_MS = 30_000;

export function Workers({ queue, nowMs }: { queue: QueueView; nowMs: number }) {
  const { workerRows, workersLeft, workers } = queue;
  const hidden = workers - workerRows.length;
  return (
    <Card title="Workers" wide>
      {workerRows.length + workersLeft.length === 0 ? (
        <Empty>No worker is connected: tasks wait until one joins.</Empty>
      ) : (
        <Table
          caption={hidden > 0 ? `The newest ${workerRows.length} workers; ${showCount(hidden)} more` : "Workers, newest first"}
          head={["Worker", "Queue", "Speaks", "In work", "Places", "Here for", "State"]}
        >
          {workersLeft.map((row) => (
            <tr key={`left ${row.peer} ${row.queue} ${row.leftMs}`} class="gone">
              <Worker row={row} sinceMs={row.leftMs - row.sinceMs} />
              <td class={row.lost ? "bad" : undefined}>
                {row.lost ? "lost" : "left"} {showAge(nowMs - row.leftMs)} ago
              </td>
            </tr>
          ))}
          {workerRows.map((row) => (
            <tr key={`${row.peer} ${row.queue} ${row.sinceMs}`}>
              <Worker row={row} sinceMs={nowMs - row.sinceMs} />
              <td>{nowMs - row.sinceMs < JUST_JOINED_MS ? <span class="badge done">just joined</span> : stateOf(row)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** The cells that a worker that is here and one that left have in common. */
function Worker({ row, sinceMs }: { row: QueueView["workerRows"][number]; sinceMs: number }) {
  return (
    <>
      <th scope="row" class="key">
        {row.peer}
      </th>
      <td>{row.queue}</td>
      <td>{row.dialect}</td>
      <td>{showCount(row.held)}</td>
      <td>{showCount(row.slots)}</td>
      <td>{showAge(sinceMs)}</td>
    </>
  );
}

function stateOf({ held, slots }: QueueView["workerRows"][number]): string {
  if (held > 0) return "at work";
  return slots > 0 ? "idle" : "asks for nothing";
}

function showAge(ms: number): string {
  return showDuration(Math.max(0, Math.round(ms / 1000) * 1000));
}
